//! Answers that a regular expression finds.

use regex::{Regex, RegexBuilder};

use crate::MetricError;

/// Largest compiled expression in bytes.
const LARGEST: usize = 1 << 20;

/// A regular expression that finds the answer in a text: its first group, or the whole match if it
/// has none.
#[derive(Clone, Debug)]
pub struct AnswerPattern(Regex);

impl AnswerPattern {
    /// Compiles an expression in the syntax of the crate `regex`, which searches in linear time.
    ///
    /// # Errors
    /// [`MetricError::Pattern`]
    pub fn new(pattern: &str) -> Result<Self, MetricError> {
        let compiled = RegexBuilder::new(pattern).size_limit(LARGEST).build();
        compiled.map(Self).map_err(|error| {
            let problem = error.to_string();
            let problem = problem.lines().last().unwrap_or_default().trim();
            let problem = problem.strip_prefix("error: ").unwrap_or(problem).to_owned();
            MetricError::Pattern { pattern: pattern.to_owned(), problem }
        })
    }

    /// The expression.
    pub fn text(&self) -> &str {
        self.0.as_str()
    }

    /// The first answer in a text, without spaces around it.
    pub fn find<'a>(&self, text: &'a str) -> Option<&'a str> {
        let found = self.0.captures(text)?;
        let answer = found.iter().skip(1).flatten().next().or_else(|| found.get(0))?;
        Some(answer.as_str().trim())
    }

    /// Whether the answer in the prediction is that of the gold text. A gold text without a match
    /// is the answer itself.
    pub fn agrees(&self, prediction: &str, gold: &str) -> bool {
        let gold = self.find(gold).unwrap_or_else(|| gold.trim());
        self.find(prediction) == Some(gold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_group_is_the_answer_and_a_plain_gold_text_stands_for_itself() {
        let pattern = AnswerPattern::new(r"answer is (\w+)|####\s*(\w+)").unwrap();
        assert_eq!(pattern.find("so the answer is B."), Some("B"));
        assert!(pattern.agrees("I think #### 42", "... #### 42\n"));
        assert!(pattern.agrees("the answer is B", " B ") && !pattern.agrees("B", "B"));
        assert_eq!(AnswerPattern::new("[0-9]+").unwrap().find("year 1984, 1985"), Some("1984"));
    }

    #[test]
    fn an_expression_that_is_not_valid_is_shown_with_its_problem() {
        let error = AnswerPattern::new("answer (").unwrap_err();
        assert_eq!(
            error.to_string(),
            "`answer (` is not a valid regular expression: unclosed group"
        );
        assert!(AnswerPattern::new("(a{1000}){1000}").is_err());
    }
}
