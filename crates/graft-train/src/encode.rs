//! Tokenizes examples.
//!
//! Prompt and completion are tokenized as one text, as TRL does, because a tokenizer may merge
//! characters across the boundary or add a space at the start of a text. Offsets into the text show
//! which tokens belong to the completion. A token with characters of both is a label.

mod pieces;

use graft_chat::LossOn;
use graft_nn::ops::IGNORED;
use graft_nn::{EncoderDecoder, Model, TokenEncoder};

use crate::batch::Encoded;
use crate::chat::ChatEncoder;
use crate::classify::is_classifier;
use crate::data::{Dataset, Example, Extra, Kind, SplitName};
use crate::{Result, TrainError};
pub(crate) use pieces::Pieces;

/// How examples become tokens, apart from the tokenizer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EncodeOptions {
    /// Longest example in tokens; `None` for the model's context length.
    pub max_length: Option<usize>,
    /// The text that carries loss; `None` for the messages of the assistant, and for completions.
    pub loss_on: Option<LossOn>,
    /// Tokens that a piece of a long example repeats from the piece before it. `None` cuts examples
    /// that are too long instead of splitting them.
    pub stride: Option<usize>,
}

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
/// has; only the completion and its end have labels. An encoder-decoder reads `prompt </s>` in its
/// encoder and `start completion </s>` in its decoder, one after the other in a sequence. The chat
/// template writes conversations. A classifier reads `[CLS] text [SEP]`, and the label is the class
/// of the text.
pub(crate) struct Encoder<'a> {
    tokenizer: &'a dyn TokenEncoder,
    data: &'a Dataset,
    chat: Option<ChatEncoder<'a>>,
    options: EncodeOptions,
    /// Longest example in tokens.
    limit: usize,
    /// Longest example that the model can read.
    most: usize,
    classifies: bool,
    /// The start token of an encoder-decoder's output.
    start: Option<u32>,
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

/// The text of an encoder with its special tokens, then the start token and the completion of the
/// decoder. The start token is in neither text, so it separates them.
fn answer(
    tokenizer: &dyn TokenEncoder,
    prompt: &str,
    completion: &str,
    start: u32,
) -> Result<Sequence> {
    let mut ids = tokenizer.prefix();
    ids.extend(tokenizer.encode(prompt)?);
    ids.extend(tokenizer.suffix());
    if ids.is_empty() {
        ids.extend(tokenizer.eos());
    }
    ids.retain(|id| *id != start);
    ids.push(start);
    let first = ids.len();
    ids.extend(tokenizer.encode(completion)?.into_iter().filter(|id| *id != start));
    Ok(Sequence { ids, first })
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
    /// [`TrainError::NoRoom`] when fewer than two tokens fit, [`TrainError::Stride`] when the
    /// stride leaves no room, [`TrainError::ChatTemplate`] for conversations without a usable
    /// template, and [`TrainError::Pairs`] for data that the model cannot learn from.
    pub(crate) fn new(
        model: &dyn Model,
        tokenizer: &'a dyn TokenEncoder,
        data: &'a Dataset,
        options: EncodeOptions,
    ) -> Result<Self> {
        let context = model.shape().max_positions;
        let taken = model.embedding().positions_taken();
        let classifies = is_classifier(model);
        if classifies && data.has_pairs() && !data.is_template_given {
            return Err(TrainError::Pairs { data: data.name.clone() });
        }
        let longest_text = tokenizer.max_length().filter(|_| classifies);
        let most = context.saturating_sub(taken);
        let limit = most.min(options.max_length.or(longest_text).unwrap_or(usize::MAX));
        if limit < 2 {
            return Err(TrainError::NoRoom { context, virtual_tokens: taken });
        }
        if let Some(stride) = options.stride.filter(|stride| *stride + 2 > limit) {
            return Err(TrainError::Stride { stride, limit });
        }
        // An encoder reads the messages as they are.
        let chat = match classifies {
            true => None,
            false => ChatEncoder::new(tokenizer, data, options.loss_on)?,
        };
        let classes = Vec::new();
        let start = model.encoder_decoder().map(EncoderDecoder::start_token);
        Ok(Self { tokenizer, data, chat, options, limit, most, classifies, start, classes })
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

    /// Longest example that the model can read, whatever `max_length` is.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// Warnings about the chat template.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.chat.as_ref().map(ChatEncoder::warnings).unwrap_or_default()
    }

    /// A prompt with a completion, without the end token.
    pub(crate) fn sequence(&self, prompt: &str, completion: &str) -> Result<Sequence> {
        match self.start {
            None => sequence(self.tokenizer, prompt, completion),
            Some(start) => answer(self.tokenizer, prompt, completion, start),
        }
    }

    /// The whole text of an example that is not a conversation, with its end token.
    pub(crate) fn whole(&self, example: &Example) -> Result<Sequence> {
        let mut whole = self.ended(self.sequence(&example.prompt, &example.completion)?);
        // An encoder predicts none of its tokens.
        if self.options.loss_on == Some(LossOn::All) && self.start.is_none() {
            whole.first = self.tokenizer.prefix().len();
        }
        Ok(whole)
    }

    /// Adds the end token.
    pub(crate) fn ended(&self, sequence: Sequence) -> Sequence {
        ended(self.tokenizer, sequence)
    }

    /// Encodes one example within the length limit. A preference is two pieces: the prompt with the
    /// chosen answer, and the prompt with the rejected one.
    ///
    /// # Errors
    /// [`TrainError::Conversation`] for a conversation that cannot be used, and errors of the
    /// tokenizer.
    pub(crate) fn example(&self, example: &Example) -> Result<Pieces> {
        if self.classifies {
            return self.text(example);
        }
        if self.data.kind == Kind::Preference {
            return self.pair(example);
        }
        if let Some(chat) = &self.chat {
            let encoded = self.conversation(chat, example)?;
            return Ok(match self.options.stride {
                Some(stride) => Pieces::split(encoded, self.limit, (0, stride)),
                None => Pieces::truncated(encoded, self.limit),
            });
        }
        let mut sequence = self.whole(example)?;
        let tokens = sequence.ids.len();
        if let Some(stride) = self.options.stride.filter(|_| self.start.is_none()) {
            let prefix = self.tokenizer.prefix().len();
            return Ok(Pieces::split(sequence.into_encoded(), self.limit, (prefix, stride)));
        }
        self.fit(std::slice::from_mut(&mut sequence));
        let lost = tokens - sequence.ids.len();
        Ok(Pieces { all: vec![sequence.into_encoded()], lost, left_out: 0 })
    }

    /// Encodes the prompt with the chosen and with the rejected answer, each with its end token. A
    /// pair that is too long loses the same tokens of the prompt on both sides. Both answers start
    /// at the same token, as in TRL.
    fn pair(&self, example: &Example) -> Result<Pieces> {
        let mut sequences = match (example.extra.as_deref(), &self.chat) {
            (
                Some(Extra::RejectedConversation { chosen, rejected, prompt_messages }),
                Some(chat),
            ) => [chosen, rejected].map(|messages| -> Result<Sequence> {
                let encoded = chat.encode_answer(messages, *prompt_messages);
                let Encoded { ids, labels, .. } =
                    encoded.map_err(|source| self.unusable(example, source))?;
                let first = labels.iter().position(|label| *label != IGNORED);
                Ok(Sequence { first: first.unwrap_or(ids.len()), ids })
            }),
            (Some(Extra::Rejected(rejected)), _) => [&example.completion, rejected]
                .map(|answer| Ok(self.ended(self.sequence(&example.prompt, answer)?))),
            // Data of this kind always has a rejected answer.
            _ => [(); 2].map(|()| Ok(Sequence::default())),
        }
        .into_iter()
        .collect::<Result<Vec<_>>>()?;
        compare_from_the_same_token(&mut sequences);
        let longest = |sequences: &[Sequence]| {
            sequences.iter().map(|sequence| sequence.ids.len()).max().unwrap_or(0)
        };
        let tokens = longest(&sequences);
        self.fit(&mut sequences);
        let lost = tokens - longest(&sequences);
        Ok(Pieces {
            all: sequences.into_iter().map(Sequence::into_encoded).collect(),
            lost,
            left_out: 0,
        })
    }

    /// The error of a conversation, with its place.
    fn unusable(&self, example: &Example, source: graft_chat::ChatError) -> TrainError {
        let (split, number) = self.place(example);
        let data = self.data.name.clone();
        TrainError::Conversation { data, split: split.name(), number, source }
    }

    /// The whole conversation as tokens.
    fn conversation(&self, chat: &ChatEncoder<'_>, example: &Example) -> Result<Encoded> {
        let fail = |source| self.unusable(example, source);
        let messages = self.data.conversation(example);
        let messages = messages.ok_or(graft_chat::ChatError::Empty).map_err(fail)?;
        chat.encode(messages).map_err(fail)
    }

    /// The split of an example, and its number there, from 1.
    fn place(&self, example: &Example) -> (SplitName, usize) {
        let number = |split: SplitName| {
            let mut all = self.data.split(split).iter();
            all.position(|other| std::ptr::eq(other, example)).map(|at| (split, at + 1))
        };
        SplitName::ALL.into_iter().find_map(number).unwrap_or((SplitName::Train, 0))
    }

    /// Encodes a text and its class. A text that is too long loses its end and keeps its special
    /// tokens, as in transformers.
    fn text(&self, example: &Example) -> Result<Pieces> {
        let prefix = self.tokenizer.prefix();
        let suffix = self.tokenizer.suffix();
        let mut text = self.tokenizer.encode(&self.data.text_for_encoder(example))?;
        let room = self.limit.saturating_sub(prefix.len() + suffix.len());
        let lost = text.len().saturating_sub(room);
        text.truncate(room);
        let ids = [prefix, text, suffix].concat();
        let class =
            example.label.map(|label| self.classes.get(label).copied().unwrap_or(label) as i64);
        let labels = vec![IGNORED; ids.len()];
        Ok(Pieces { all: vec![Encoded { ids, labels, class }], lost, left_out: 0 })
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
        // The task of an encoder-decoder is at the start of its prompt, so the end is cut there.
        let last = self.start.map(|_| self.tokenizer.suffix().len() + 1);
        let prefix = self.tokenizer.prefix().len();
        // One token of the prompt stays, so that the first token of the completion is predicted.
        let removable = sequences
            .iter()
            .map(|sequence| sequence.first)
            .min()
            .unwrap_or(0)
            .saturating_sub(prefix.max(1) + last.unwrap_or(0));
        for sequence in sequences {
            let start = match last {
                None => prefix,
                Some(last) => sequence.first.saturating_sub(last + excess.min(removable)),
            };
            sequence.ids.drain(start..start + excess.min(removable));
            sequence.first -= excess.min(removable);
            sequence.ids.truncate(self.limit);
        }
        true
    }
}

/// Makes sequences with one prompt count from the same token. A token may cover the end of the
/// prompt and the start of one of them but not of another; from the first token that differs, none
/// is scored for characters of the prompt.
pub(crate) fn compare_from_the_same_token(sequences: &mut [Sequence]) {
    let Some((one, others)) = sequences.split_first() else { return };
    let earliest = others
        .iter()
        .map(|other| other.first.min(common_tokens(one, other)))
        .fold(one.first, usize::min);
    sequences.iter_mut().for_each(|sequence| sequence.first = earliest);
}

/// Number of tokens that both start with.
pub(crate) fn common_tokens(one: &Sequence, other: &Sequence) -> usize {
    one.ids.iter().zip(&other.ids).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TinyLlama, Words, labeled_data};

    fn encoded(limit: usize, prompt: &str, completion: &str) -> (Vec<u32>, usize, bool) {
        let model = TinyLlama::new(16, 32);
        let data = labeled_data();
        let options = EncodeOptions { max_length: Some(limit), ..EncodeOptions::default() };
        let encoder = Encoder::new(&model, &Words, &data, options).expect("room");
        let example = Example {
            prompt: prompt.into(),
            completion: completion.into(),
            label: None,
            extra: None,
        };
        let mut pieces = encoder.example(&example).expect("encodes");
        let encoded = pieces.all.remove(0);
        let labels = encoded.labels.iter().filter(|label| **label != IGNORED).count();
        (encoded.ids, labels, pieces.lost > 0)
    }

    #[test]
    fn the_completion_and_its_end_have_labels() {
        assert_eq!(encoded(16, "3 4", " 5 6"), (vec![0, 3, 4, 5, 6, 1], 3, false));
    }

    #[test]
    fn the_loss_may_be_on_the_prompt_as_well() {
        let (model, data) = (TinyLlama::new(16, 32), labeled_data());
        let options = EncodeOptions { loss_on: Some(LossOn::All), ..EncodeOptions::default() };
        let encoder = Encoder::new(&model, &Words, &data, options).expect("room");
        let example =
            Example { prompt: "3 4".into(), completion: " 5".into(), label: None, extra: None };
        let pieces = encoder.example(&example).expect("encodes");
        assert_eq!(pieces.all[0].labels, [IGNORED, 3, 4, 5, 1]);
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
