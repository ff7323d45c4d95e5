//! The template around a text, a pair of texts, or an instruction.

use super::DataError;
use super::shape::Shape;

/// Default prompt template of labeled examples.
pub(crate) const LABELED: &str = "{text}\nLabel:";
/// Default prompt template of pairs with a label.
const PAIR: &str = "{text}\n{text_pair}\nLabel:";
/// Default prompt template of instructions: the answer begins on a line of its own.
const INSTRUCTION: &str = "{prompt}\n";

/// The template of a data set, if the user gave one, and the default for labeled text.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    given: Option<String>,
    labeled: String,
}

impl Template {
    /// `\n` in a given template is a line end, because a magic is a single line. Spaces at the end
    /// are removed, because the completion starts with a space.
    ///
    /// # Errors
    /// [`DataError::Template`] for a template without a placeholder.
    pub(crate) fn new(given: Option<String>, labeled: &str) -> Result<Self, DataError> {
        if let Some(template) = &given
            && !["{text}", "{prompt}"].iter().any(|name| template.contains(name))
        {
            return Err(DataError::Template { template: template.clone(), needed: "{text}" });
        }
        let clean =
            |template: String| template.replace("\\n", "\n").trim_end_matches(' ').to_owned();
        Ok(Self { given: given.map(clean), labeled: labeled.to_owned() })
    }

    /// Whether the user gave it.
    pub(crate) fn is_given(&self) -> bool {
        self.given.is_some()
    }

    /// The template for a shape; empty for shapes that have none. `is_verbatim` for prompts that
    /// are joined with their completion as they are, unless a template is given.
    ///
    /// # Errors
    /// [`DataError::Template`] when the given template lacks the placeholder of the shape.
    pub(crate) fn of(&self, shape: Shape, is_verbatim: bool) -> Result<&str, DataError> {
        let (needed, default): (&[&'static str], &str) = match shape {
            Shape::Labeled => (&["{text}"], &self.labeled),
            Shape::Pair => (&["{text}", "{text_pair}"], PAIR),
            Shape::Completion if is_verbatim => (&["{prompt}"], "{prompt}"),
            Shape::Completion => (&["{prompt}"], INSTRUCTION),
            Shape::Text | Shape::Chat | Shape::Preference => return Ok(""),
        };
        let Some(template) = &self.given else { return Ok(default) };
        match needed.iter().find(|name| !template.contains(**name)) {
            Some(needed) => Err(DataError::Template { template: template.clone(), needed }),
            None => Ok(template),
        }
    }
}

/// Inserts values into a template: `parts` are placeholders with their values. Braces within the
/// values are not placeholders.
pub(crate) fn filled(template: &str, parts: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(
        template.len() + parts.iter().map(|(_, text)| text.len()).sum::<usize>(),
    );
    let mut rest = template;
    'next: while let Some(at) = rest.find('{') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        for (name, value) in parts {
            if let Some(after) = rest.strip_prefix(name) {
                out.push_str(value);
                rest = after;
                continue 'next;
            }
        }
        out.push('{');
        rest = &rest[1..];
    }
    out.push_str(rest);
    out
}

/// Prompt and completion of an instruction.
pub(crate) fn instruction(
    template: &str,
    (prompt, input, completion): (&str, &str, &str),
) -> (String, String) {
    let with_input;
    let whole = if input.is_empty() || template.contains("{input}") {
        prompt
    } else {
        with_input = format!("{prompt}\n\n{input}");
        &with_input
    };
    let prompt = filled(template, &[("{prompt}", whole), ("{input}", input)]);
    let begins_anywhere = prompt.is_empty() || prompt.ends_with(char::is_whitespace);
    let completion = if begins_anywhere || completion.starts_with(char::is_whitespace) {
        completion.to_owned()
    } else {
        format!(" {completion}")
    };
    (prompt, completion)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_with_braces_are_not_filled_again() {
        let parts = [("{text}", "a {text_pair}"), ("{text_pair}", "b")];
        assert_eq!(filled("{x} {text}|{text_pair}", &parts), "{x} a {text_pair}|b");
    }

    #[test]
    fn an_answer_is_separated_from_its_instruction() {
        let pair = |template, input| {
            let (prompt, completion) = instruction(template, ("Add.", input, "3"));
            format!("{prompt}|{completion}")
        };
        assert_eq!(pair(INSTRUCTION, "1 2"), "Add.\n\n1 2\n|3");
        assert_eq!(pair(INSTRUCTION, ""), "Add.\n|3");
        assert_eq!(pair("Q: {prompt} ({input}) A:", "1 2"), "Q: Add. (1 2) A:| 3");
    }

    #[test]
    fn a_template_without_the_placeholder_of_the_shape_is_refused() {
        let template = Template::new(Some("{text}\\nMood: ".to_owned()), LABELED).expect("valid");
        assert_eq!(template.of(Shape::Labeled, false).expect("fits"), "{text}\nMood:");
        assert_eq!(
            template.of(Shape::Pair, false).expect_err("lacks one").to_string(),
            "template `{text}\nMood:` must contain {text_pair}"
        );
        assert!(Template::new(Some("Label:".to_owned()), LABELED).is_err());
    }
}
