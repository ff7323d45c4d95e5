//! Tokenizes examples.
//!
//! Prompt and completion are tokenized as one text, as TRL does, because a tokenizer may merge
//! characters across the boundary or add a space at the start of a text. Offsets into the text show
//! which tokens belong to the completion. A token with characters of both is a label.

use graft_nn::ops::IGNORED;
use graft_nn::{MaskedTokens, Model, TokenEncoder};

use crate::batch::Encoded;
use crate::classify::is_classifier;
use crate::data::{Dataset, Example, Kind};
use crate::{Result, TrainError};

/// A prompt with its completion, as tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sequence {
    /// All tokens.
    pub(crate) ids: Vec<u32>,
    /// Index of the first token with a character of the completion.
    pub(crate) first: usize,
}

/// Encodes the examples of a data set.
///
/// A language model reads `<s> prompt completion </s>`, with the special tokens that the tokenizer
/// has; only the completion and its end have labels. A classifier reads `[CLS] text [SEP]`, and the
/// label is the class of the text.
pub(crate) struct Encoder<'a> {
    tokenizer: &'a dyn TokenEncoder,
    data: &'a Dataset,
    /// Longest example in tokens.
    limit: usize,
    classifies: bool,
    /// The class of each label of the data set, for a classifier.
    classes: Vec<usize>,
}

/// Tokens and labels of one example, as in training, without a length limit.
///
/// # Errors
/// When the tokenizer cannot encode the text.
pub fn encode_example(
    tokenizer: &dyn TokenEncoder,
    prompt: &str,
    completion: &str,
) -> Result<Encoded> {
    Ok(ended(tokenizer, sequence(tokenizer, prompt, completion)?).into_encoded())
}

/// Prompt and completion as one text, after the special tokens that start a text.
fn sequence(tokenizer: &dyn TokenEncoder, prompt: &str, completion: &str) -> Result<Sequence> {
    let prefix = tokenizer.prefix();
    let tokens = tokenizer.encode_with_offsets(&format!("{prompt}{completion}"))?;
    let first =
        tokens.iter().position(|(_, covered)| covered.end > prompt.len()).unwrap_or(tokens.len());
    Ok(Sequence {
        first: prefix.len() + first,
        ids: prefix.into_iter().chain(tokens.into_iter().map(|(id, _)| id)).collect(),
    })
}

/// Adds the special tokens that end a text, and the end token if the text does not end with it.
fn ended(tokenizer: &dyn TokenEncoder, mut sequence: Sequence) -> Sequence {
    sequence.ids.extend(tokenizer.suffix());
    let end = tokenizer.eos().filter(|end| sequence.ids.last() != Some(end));
    sequence.ids.extend(end);
    sequence
}

impl Sequence {
    /// The tokens with a label for each token of the completion.
    fn into_encoded(self) -> Encoded {
        let Self { ids, first } = self;
        let labels = ids
            .iter()
            .enumerate()
            .map(|(index, id)| if index < first { IGNORED } else { i64::from(*id) })
            .collect();
        Encoded { ids, labels, class: None }
    }
}

impl<'a> Encoder<'a> {
    /// An encoder with the length limit of the model's context minus the soft prompt, or
    /// `max_length` if that is less.
    ///
    /// # Errors
    /// [`TrainError::NoRoom`] when fewer than two tokens fit, [`TrainError::Preferences`] and
    /// [`TrainError::Pairs`] for data that the model cannot learn from.
    pub(crate) fn new(
        model: &dyn Model,
        tokenizer: &'a dyn TokenEncoder,
        data: &'a Dataset,
        max_length: Option<usize>,
    ) -> Result<Self> {
        let context = model.shape().max_positions;
        let taken = model.embedding().positions_taken();
        let classifies = is_classifier(model);
        if data.kind == Kind::Preference {
            return Err(TrainError::Preferences { data: data.name.clone() });
        }
        if classifies && data.has_pairs() && !data.is_template_given {
            return Err(TrainError::Pairs { data: data.name.clone() });
        }
        let longest_text = tokenizer.max_length().filter(|_| classifies);
        let limit =
            context.saturating_sub(taken).min(max_length.or(longest_text).unwrap_or(usize::MAX));
        if limit < 2 {
            return Err(TrainError::NoRoom { context, virtual_tokens: taken });
        }
        Ok(Self { tokenizer, data, limit, classifies, classes: Vec::new() })
    }

    /// Sets the class of each label, for a classifier.
    pub(crate) fn with_classes(self, classes: Vec<usize>) -> Self {
        Self { classes, ..self }
    }

    /// The label of a class, for a classifier.
    pub(crate) fn label_of(&self, class: usize) -> Option<usize> {
        self.classes.iter().position(|known| *known == class)
    }

    /// Longest example in tokens.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// A prompt with a completion, without the end token.
    pub(crate) fn sequence(&self, prompt: &str, completion: &str) -> Result<Sequence> {
        sequence(self.tokenizer, prompt, completion)
    }

    /// Adds the end token.
    pub(crate) fn ended(&self, sequence: Sequence) -> Sequence {
        ended(self.tokenizer, sequence)
    }

    /// Encodes one example. The second value is whether it was cut.
    pub(crate) fn example(&self, example: &Example) -> Result<(Encoded, bool)> {
        if self.classifies {
            return self.text(example);
        }
        if self.data.kind == Kind::Chat {
            let (MaskedTokens { ids, has_loss }, cut) = self.conversation(example)?;
            let label =
                |(id, has_loss): (&u32, bool)| if has_loss { i64::from(*id) } else { IGNORED };
            let labels = ids.iter().zip(has_loss).map(label).collect();
            return Ok((Encoded { ids, labels, class: None }, cut));
        }
        let mut sequence = self.ended(self.sequence(&example.prompt, &example.completion)?);
        let cut = self.fit(std::slice::from_mut(&mut sequence));
        Ok((sequence.into_encoded(), cut))
    }

    /// The tokens of a conversation. One that is too long loses its end. The second value is
    /// whether it was cut.
    ///
    /// # Errors
    /// [`TrainError::Conversations`] when the tokenizer has no chat template.
    pub(crate) fn conversation(&self, example: &Example) -> Result<(MaskedTokens, bool)> {
        let without = || TrainError::Conversations { data: self.data.name.clone() };
        let chat = self.data.conversation(example).ok_or_else(without)?;
        let mut tokens = self
            .tokenizer
            .encode_conversation(&chat.messages, &chat.tools, chat.prompt_messages)?
            .ok_or_else(without)?;
        let cut = tokens.ids.len() > self.limit;
        tokens.ids.truncate(self.limit);
        tokens.has_loss.truncate(self.limit);
        Ok((tokens, cut))
    }

    /// Encodes a text and its class. A text that is too long loses its end and keeps its special
    /// tokens, as in transformers.
    fn text(&self, example: &Example) -> Result<(Encoded, bool)> {
        let prefix = self.tokenizer.prefix();
        let suffix = self.tokenizer.suffix();
        let mut text = self.tokenizer.encode(&self.data.text_for_encoder(example))?;
        let room = self.limit.saturating_sub(prefix.len() + suffix.len());
        let cut = text.len() > room;
        text.truncate(room);
        let ids = [prefix, text, suffix].concat();
        let class =
            example.label.map(|label| self.classes.get(label).copied().unwrap_or(label) as i64);
        Ok((Encoded { labels: vec![IGNORED; ids.len()], ids, class }, cut))
    }

    /// Cuts sequences that share a prompt to the length limit, all by the same amount. The start of
    /// the prompt is cut first, because the question is usually at its end, then the end of the
    /// completion. The special tokens at the start stay. Returns whether anything was cut.
    pub(crate) fn fit(&self, sequences: &mut [Sequence]) -> bool {
        let longest = sequences.iter().map(|sequence| sequence.ids.len()).max().unwrap_or(0);
        let excess = longest.saturating_sub(self.limit);
        if excess == 0 {
            return false;
        }
        let prefix = self.tokenizer.prefix().len();
        // One token of the prompt stays, so that the first token of the completion is predicted.
        let removable = sequences
            .iter()
            .map(|sequence| sequence.first)
            .min()
            .unwrap_or(0)
            .saturating_sub(prefix.max(1));
        for sequence in sequences {
            sequence.ids.drain(prefix..prefix + excess.min(removable));
            sequence.first -= excess.min(removable);
            sequence.ids.truncate(self.limit);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TinyLlama, Words, labeled_data};

    fn encoded(limit: usize, prompt: &str, completion: &str) -> (Vec<u32>, usize, bool) {
        let model = TinyLlama::new(16, 32);
        let data = labeled_data();
        let encoder = Encoder::new(&model, &Words, &data, Some(limit)).expect("room");
        let example = Example {
            prompt: prompt.into(),
            completion: completion.into(),
            label: None,
            extra: None,
        };
        let (encoded, cut) = encoder.example(&example).expect("encodes");
        let labels = encoded.labels.iter().filter(|label| **label != IGNORED).count();
        (encoded.ids, labels, cut)
    }

    #[test]
    fn the_completion_and_its_end_have_labels() {
        assert_eq!(encoded(16, "3 4", " 5 6"), (vec![0, 3, 4, 5, 6, 1], 3, false));
    }

    #[test]
    fn a_token_across_the_border_is_a_label() {
        assert_eq!(encoded(16, "3 1", "4 5"), (vec![0, 3, 14, 5, 1], 3, false));
        assert_eq!(encoded(16, "3 ", "5"), (vec![0, 3, 5, 1], 2, false));
    }

    #[test]
    fn an_end_that_is_there_is_not_doubled() {
        assert_eq!(encoded(16, "3", " 5 1"), (vec![0, 3, 5, 1], 2, false));
    }

    #[test]
    fn a_long_prompt_loses_its_beginning_and_keeps_the_first_token() {
        assert_eq!(encoded(5, "3 4 7", " 5 6"), (vec![0, 7, 5, 6, 1], 3, true));
    }

    #[test]
    fn a_long_text_loses_its_end() {
        assert_eq!(encoded(4, "", "5 6 7 8"), (vec![0, 5, 6, 7], 3, true));
    }
}
