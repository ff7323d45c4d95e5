//! Preferences: a prompt with a chosen and a rejected answer.

use std::borrow::Cow;

use super::{Collector, Flow, written};
use crate::DataError;
use crate::conversation;
use crate::dataset::SplitName;
use crate::examples::Content;
use crate::place::Place;
use crate::record::{Field, Row};
use crate::roles::Role;
use crate::shape::Plan;

impl Collector<'_> {
    /// Adds a prompt with a chosen and a rejected answer.
    pub(super) fn preference(
        &mut self,
        place: Place,
        plan: &Plan,
        row: &Row<'_>,
        split: Option<SplitName>,
    ) -> Result<Flow, DataError> {
        let is_list = |role| {
            matches!(plan.column(role).map(|column| &row[column].1), Some(Field::List(Some(_))))
        };
        let lists = [Role::Chosen, Role::Rejected].map(is_list);
        if lists[0] != lists[1] {
            let problem = "one of the answers is text and the other a list of messages".to_owned();
            return Err(self.malformed(place, problem));
        }
        if lists[0] {
            return self.preferred_messages(place, plan, row, is_list(Role::Prompt), split);
        }
        if is_list(Role::Prompt) {
            let problem = "the prompt is a list of messages, but the answers are text".to_owned();
            return Err(self.malformed(place, problem));
        }
        let chosen = self.required(place, plan, row, Role::Chosen)?;
        let rejected = self.required(place, plan, row, Role::Rejected)?;
        self.check_answers(place, &chosen, &rejected)?;
        let prompt = plan.column(Role::Prompt).and_then(|column| written(&row[column].1));
        let content = match &prompt {
            Some(prompt) => Content::Preference { prompt, chosen: &chosen, rejected: &rejected },
            None => {
                let (prompt, chosen, rejected) = without_prompt(&chosen, &rejected);
                Content::Preference { prompt, chosen, rejected }
            }
        };
        self.push(content, split)
    }

    /// A preference whose answers are lists of messages. Without a prompt in this form, the
    /// messages that both lists start with are the prompt.
    fn preferred_messages(
        &mut self,
        place: Place,
        plan: &Plan,
        row: &Row<'_>,
        has_prompt: bool,
        split: Option<SplitName>,
    ) -> Result<Flow, DataError> {
        let (mut chosen, _) = self.messages(place, plan, row, Role::Chosen, None)?;
        let (mut rejected, _) = self.messages(place, plan, row, Role::Rejected, None)?;
        self.check_answers(place, &chosen, &rejected)?;
        if ![&chosen, &rejected].iter().all(|answer| conversation::has_assistant(answer)) {
            let problem = "an answer has no message of the assistant".to_owned();
            return Err(self.malformed(place, problem));
        }
        let prompt_messages = if has_prompt {
            let (prompt, count) = self.messages(place, plan, row, Role::Prompt, None)?;
            chosen = Cow::Owned(conversation::joined(&prompt, &chosen));
            rejected = Cow::Owned(conversation::joined(&prompt, &rejected));
            count
        } else {
            conversation::common_start(&chosen, &rejected)
        };
        let content =
            Content::PreferredMessages { chosen: &chosen, rejected: &rejected, prompt_messages };
        self.push(content, split)
    }

    fn check_answers(&self, place: Place, chosen: &str, rejected: &str) -> Result<(), DataError> {
        if chosen == rejected {
            let problem = "the chosen and the rejected answer are the same".to_owned();
            return Err(self.malformed(place, problem));
        }
        Ok(())
    }
}

/// Two answers that contain their prompt: what both start with, without the space before the first
/// difference, and the rest of each. As TRL, each keeps at least one character.
fn without_prompt<'a>(chosen: &'a str, rejected: &'a str) -> (&'a str, &'a str, &'a str) {
    let mut end = 0;
    let mut last = 0;
    for ((index, one), other) in chosen.char_indices().zip(rejected.chars()) {
        if one != other {
            let before = &chosen[..end];
            let end = before.strip_suffix(' ').map_or(end, str::len);
            return (&chosen[..end], &chosen[end..], &rejected[end..]);
        }
        last = index;
        end = index + one.len_utf8();
    }
    (&chosen[..last], &chosen[last..], &rejected[last..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prompt_is_what_both_answers_start_with() {
        let of = without_prompt;
        assert_eq!(of("Q: hi A: yes", "Q: hi A: no"), ("Q: hi A:", " yes", " no"));
        assert_eq!(of("Q:yes", "Q:no"), ("Q:", "yes", "no"));
        assert_eq!(of("yes", "no"), ("", "yes", "no"));
        assert_eq!(of("ab", "abc"), ("a", "b", "bc"));
        assert_eq!(of("né a", "né b"), ("né", " a", " b"));
    }
}
