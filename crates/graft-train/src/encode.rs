//! Examples to tokens.

use graft_nn::ops::IGNORED;
use graft_nn::{Model, TokenEncoder};

use crate::batch::Encoded;
use crate::classify::is_classifier;
use crate::data::Example;
use crate::{Result, TrainError};

/// Turns examples into tokens: `<s> prompt completion </s>`, where the model has such tokens; only the completion and its end have labels.
/// A classifier reads `<s> prompt </s>` and has the kind of the text as its label.
pub(crate) struct Encoder<'a> {
    tokenizer: &'a dyn TokenEncoder,
    /// Longest example in tokens.
    limit: usize,
    classifies: bool,
}

impl<'a> Encoder<'a> {
    /// An encoder for what the model can read beside its soft prompt, or for `max_length` if that is less.
    ///
    /// # Errors
    /// [`TrainError::NoRoom`] when not even two tokens fit.
    pub(crate) fn new(model: &dyn Model, tokenizer: &'a dyn TokenEncoder, max_length: Option<usize>) -> Result<Self> {
        let (context, taken) = (model.shape().max_positions, model.embedding().positions_taken());
        let limit = context.saturating_sub(taken).min(max_length.unwrap_or(usize::MAX));
        if limit < 2 {
            return Err(TrainError::NoRoom { context, virtual_tokens: taken });
        }
        Ok(Self { tokenizer, limit, classifies: is_classifier(model) })
    }

    /// Longest example in tokens.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Tokens of a prompt, with `<s>` before them.
    pub(crate) fn prompt(&self, prompt: &str) -> Result<Vec<u32>> {
        let mut ids: Vec<u32> = self.tokenizer.bos().into_iter().collect();
        if !prompt.is_empty() {
            ids.extend(self.tokenizer.encode(prompt)?);
        }
        Ok(ids)
    }

    /// Tokens of a completion, without its end.
    pub(crate) fn completion(&self, completion: &str) -> Result<Vec<u32>> {
        Ok(self.tokenizer.encode(completion)?)
    }

    /// The token after a completion.
    pub(crate) fn end(&self) -> Option<u32> {
        self.tokenizer.eos()
    }

    /// One example; the second value says whether it was cut.
    pub(crate) fn example(&self, example: &Example) -> Result<(Encoded, bool)> {
        if self.classifies {
            return self.text(example);
        }
        let mut completion = self.completion(&example.completion)?;
        completion.extend(self.end());
        let mut prompt = self.prompt(&example.prompt)?;
        let cut = self.fit(&mut prompt, &mut completion);
        let labels = std::iter::repeat_n(IGNORED, prompt.len()).chain(completion.iter().map(|id| i64::from(*id))).collect();
        let ids = prompt.into_iter().chain(completion).collect();
        Ok((Encoded { ids, labels, class: None }, cut))
    }

    /// A text of a kind; its end goes first where it is too long.
    fn text(&self, example: &Example) -> Result<(Encoded, bool)> {
        let mut ids = self.prompt(&example.prompt)?;
        let end = self.end();
        let room = self.limit - usize::from(end.is_some());
        let cut = ids.len() > room;
        ids.truncate(room);
        ids.extend(end);
        let labels = vec![IGNORED; ids.len()];
        Ok((Encoded { ids, labels, class: example.label.map(|label| label as i64) }, cut))
    }

    /// Cuts a prompt and its completion to the limit: the beginning of the prompt goes first (its end is where the question stands), then
    /// the end of the completion. `<s>` stays.
    pub(crate) fn fit(&self, prompt: &mut Vec<u32>, completion: &mut Vec<u32>) -> bool {
        let excess = (prompt.len() + completion.len()).saturating_sub(self.limit);
        if excess == 0 {
            return false;
        }
        let first = usize::from(self.tokenizer.bos().is_some());
        // One token of the prompt stays, so that the completion's first token is predicted from something.
        let removable = prompt.len().saturating_sub(first.max(1));
        prompt.drain(first..first + excess.min(removable));
        completion.truncate(self.limit - prompt.len());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TinyLlama, Words};

    fn encoded(limit: usize, prompt: &str, completion: &str) -> (Vec<u32>, usize, bool) {
        let model = TinyLlama::new(16, 32);
        let encoder = Encoder::new(&model, &Words, Some(limit)).expect("room");
        let example = Example { prompt: prompt.to_owned(), completion: completion.to_owned(), label: None };
        let (encoded, cut) = encoder.example(&example).expect("encodes");
        let labels = encoded.labels.iter().filter(|label| **label != IGNORED).count();
        (encoded.ids, labels, cut)
    }

    #[test]
    fn the_completion_and_its_end_have_labels() {
        assert_eq!(encoded(16, "3 4", "5 6"), (vec![0, 3, 4, 5, 6, 1], 3, false));
    }

    #[test]
    fn a_long_prompt_loses_its_beginning_and_keeps_the_first_token() {
        assert_eq!(encoded(5, "3 4 7", "5 6"), (vec![0, 7, 5, 6, 1], 3, true));
    }

    #[test]
    fn a_long_text_loses_its_end() {
        assert_eq!(encoded(4, "", "5 6 7 8"), (vec![0, 5, 6, 7], 3, true));
    }
}
