//! Loss, perplexity and accuracy on a split of a data set.

mod scoring;

use graft_nn::{Model, TokenEncoder, summed};
use graft_protocol::Rewards;

use crate::batch::Encoded;
use crate::control::Control;
use crate::data::{Dataset, Example, Kind, SplitName};
use crate::device::device_of;
use crate::encode::{
    EncodeOptions, Encoder, Pieces, Sequence, common_tokens, compare_from_the_same_token,
};
use crate::{Result, TrainError, classify, preference};
use classify::ClassScores;
use scoring::{Rows, Scored, score};

/// Examples per forward pass on the CPU.
const PIECE: usize = 4;
/// Most texts tokenized to find the largest pass, one per label of an example. The texts of one
/// pass are always tokenized.
const MOST_TEXTS: usize = 1 << 14;

/// The result of an evaluation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// Mean loss per token of the completions in nats; for a classifier, per example.
    pub loss: f64,
    /// `exp(loss)`.
    pub perplexity: f64,
    /// Fraction of the examples whose own label has the highest score among all labels; of pairs,
    /// whose chosen answer is the more likely one. `None` for other data.
    pub accuracy: Option<f64>,
    /// Fraction of the examples with the most common label among them: the best accuracy of a
    /// constant answer.
    pub majority: Option<f64>,
    /// Number of examples.
    pub examples: u64,
    /// Number of tokens of their completions; for a classifier, the number of examples.
    pub tokens: u64,
    /// Number of examples that were longer than the limit and were cut.
    pub cut: u64,
    /// Mean rewards of pairs, for preference data.
    pub rewards: Option<Rewards>,
}

/// The data and the batch size of an evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The split to evaluate on.
    pub split: SplitName,
    /// Most examples used, from the first.
    pub examples: usize,
    /// Examples per forward pass.
    pub batch: usize,
    /// How the examples become tokens.
    pub encoding: EncodeOptions,
}

/// The size of the largest forward pass of an evaluation, which determines its memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LargestPass {
    /// Positions of the pass, soft prompts included.
    pub positions: usize,
    /// Positions whose logits are read.
    pub read: usize,
    /// Passes per batch. As many of them as there are threads run at the same time.
    pub passes: usize,
}

/// An evaluation, ready to run.
///
/// For data with labels, every label of an example is scored by the log-probability of its tokens
/// after the prompt, and the prediction is the label with the highest score.
pub struct Evaluator<'a> {
    model: &'a dyn Model,
    encoder: Encoder<'a>,
    data: &'a Dataset,
    request: Request,
}

/// Evaluates `model` on a split of a data set. `progress` receives the number of examples done and
/// their total.
///
/// # Errors
/// [`TrainError::EmptySplit`], [`TrainError::Stopped`] when `control` stops the evaluation, and
/// errors of the model and the tokenizer.
pub fn evaluate(
    model: &dyn Model,
    tokenizer: &dyn TokenEncoder,
    data: &Dataset,
    request: Request,
    control: &Control,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Evaluation> {
    Ok(evaluate_with_predictions(model, tokenizer, data, request, control, progress)?.0)
}

/// As [`evaluate`], with the results of [`Evaluator::run_with_predictions`].
///
/// # Errors
/// As [`evaluate`].
pub fn evaluate_with_predictions(
    model: &dyn Model,
    tokenizer: &dyn TokenEncoder,
    data: &Dataset,
    request: Request,
    control: &Control,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(Evaluation, Vec<Option<usize>>)> {
    Evaluator::new(model, tokenizer, data, request)?.run_with_predictions(control, progress)
}

impl<'a> Evaluator<'a> {
    /// Checks that the split has examples and, for a classifier, that the labels of the data match
    /// its classes.
    ///
    /// # Errors
    /// [`TrainError::EmptySplit`], [`TrainError::NoHead`], [`TrainError::Classes`],
    /// [`TrainError::NoRoom`], and [`TrainError::Preferences`]: pairs have an evaluator of their
    /// own.
    pub fn new(
        model: &'a dyn Model,
        tokenizer: &'a dyn TokenEncoder,
        data: &'a Dataset,
        request: Request,
    ) -> Result<Self> {
        if data.split(request.split).is_empty() {
            return Err(TrainError::EmptySplit {
                data: data.name.clone(),
                split: request.split.name(),
            });
        }
        preference::check(model, data, None)?;
        let map = classify::label_map(model, data)?;
        let encoder =
            Encoder::new(model, tokenizer, data, request.encoding)?.with_classes(map.classes);
        Ok(Self { model, encoder, data, request })
    }

    /// Runs the evaluation.
    ///
    /// # Errors
    /// [`TrainError::Stopped`] when `control` stops the evaluation, and errors of the model.
    pub fn run(&self, control: &Control, progress: &mut dyn FnMut(u64, u64)) -> Result<Evaluation> {
        Ok(self.run_with_predictions(control, progress)?.0)
    }

    /// Runs the evaluation, and returns the label with the highest score for each example: its
    /// index in [`Dataset::labels`]. It is `None` for data without labels, and for a class of the
    /// model that is not a label of the data.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_with_predictions(
        &self,
        control: &Control,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(Evaluation, Vec<Option<usize>>)> {
        let examples = self.data.scored(self.request.split, self.request.examples);
        let mut sum = Scored::default();
        let mut done = 0;
        for chunk in examples.chunks(self.request.batch.max(1)) {
            control.pause();
            if control.is_stopped() {
                return Err(TrainError::Stopped);
            }
            sum.add(&self.score_in_pieces(chunk)?);
            done += chunk.len();
            progress(done as u64, examples.len() as u64);
        }
        let loss = sum.loss / (sum.tokens.max(1)) as f64;
        let count = examples.len() as f64;
        let is_labeled = matches!(self.data.kind, Kind::Labels(_));
        let evaluation = Evaluation {
            loss,
            perplexity: loss.exp(),
            accuracy: is_labeled.then(|| sum.right as f64 / count),
            majority: self.data.majority(examples),
            examples: examples.len() as u64,
            tokens: sum.tokens,
            cut: sum.cut,
            rewards: None,
        };
        Ok((evaluation, sum.predicted))
    }

    /// The size of the largest forward pass. With very many texts, for example thousands of labels,
    /// only the passes with the longest texts are tokenized.
    ///
    /// # Errors
    /// When the tokenizer cannot encode a text.
    pub fn largest_pass(&self) -> Result<LargestPass> {
        let examples = self.data.scored(self.request.split, self.request.examples);
        let chunks = || examples.chunks(self.request.batch.max(1));
        let mut pieces: Vec<&[Example]> =
            chunks().flat_map(|chunk| chunk.chunks(self.piece(chunk))).collect();
        pieces.sort_by_cached_key(|piece| std::cmp::Reverse(self.size_in_bytes(piece)));
        let mut largest = LargestPass {
            passes: chunks()
                .map(|chunk| chunk.len().div_ceil(self.piece(chunk)))
                .max()
                .unwrap_or(0),
            ..LargestPass::default()
        };
        let mut texts = 0;
        let each =
            if classify::is_classifier(self.model) { 1 } else { 1 + self.data.labels().len() };
        for piece in pieces {
            texts += piece.len() * each;
            if texts > MOST_TEXTS && largest.positions > 0 {
                break;
            }
            let (positions, read) = self.sizes(piece)?;
            (largest.positions, largest.read) =
                (largest.positions.max(positions), largest.read.max(read));
        }
        Ok(largest)
    }

    /// Positions of a piece's pass, and how many of their logits are read.
    fn sizes(&self, piece: &[Example]) -> Result<(usize, usize)> {
        let (lengths, read) = if classify::is_classifier(self.model) {
            (
                piece
                    .iter()
                    .map(|example| Ok(self.encoded(example)?.ids.len()))
                    .collect::<Result<Vec<_>>>()?,
                piece.len(),
            )
        } else {
            let rows = self.rows(piece)?;
            (rows.lengths(), rows.read())
        };
        let longest = lengths.iter().max().copied().unwrap_or(0);
        let taken = self.model.embedding().positions_taken();
        Ok((
            if self.packs() { lengths.iter().sum() } else { lengths.len() * (longest + taken) },
            read,
        ))
    }

    /// A size that grows with that of the piece's pass, without tokenizing it.
    fn size_in_bytes(&self, piece: &[Example]) -> usize {
        let bytes = |example: &Example| {
            let chat = self.data.conversation(example).map_or(0, |chat| chat.messages.len());
            example.prompt.len() + example.completion.len() + chat
        };
        if self.packs() {
            piece.iter().map(bytes).sum()
        } else {
            piece.len() * piece.iter().map(bytes).max().unwrap_or(0)
        }
    }

    /// Whether the rows of a pass are packed into one row without padding.
    fn packs(&self) -> bool {
        self.model.embedding().positions_taken() == 0 && device_of(self.model).is_cpu()
    }

    /// Examples of a chunk per forward pass.
    fn piece(&self, chunk: &[Example]) -> usize {
        if device_of(self.model).is_cpu() { PIECE } else { chunk.len().max(1) }
    }

    /// Scores a chunk in pieces, in parallel.
    fn score_in_pieces(&self, chunk: &[Example]) -> Result<Scored> {
        let pieces: Vec<&[Example]> = chunk.chunks(self.piece(chunk)).collect();
        let add = |mut one: Scored, other: Scored| {
            one.add(&other);
            Ok(one)
        };
        summed(pieces.len(), &|piece| self.scored(pieces[piece]), &add)
            .unwrap_or_else(|| Ok(Scored::default()))
    }

    fn scored(&self, examples: &[Example]) -> Result<Scored> {
        if !classify::is_classifier(self.model) {
            return score(self.model, &self.rows(examples)?);
        }
        let encoded =
            examples.iter().map(|example| self.encoded(example)).collect::<Result<Vec<_>>>()?;
        let ClassScores { loss, right, classes } = classify::score(self.model, &encoded)?;
        let predicted = classes.into_iter().map(|class| self.encoder.label_of(class)).collect();
        Ok(Scored { loss, tokens: encoded.len() as u64, right, cut: 0, predicted })
    }

    /// The only piece of an example, for a classifier.
    fn encoded(&self, example: &Example) -> Result<Encoded> {
        let Pieces { all, .. } = self.encoder.example(example)?;
        let none = || Encoded { ids: Vec::new(), labels: Vec::new(), class: None };
        Ok(all.into_iter().next().unwrap_or_else(none))
    }

    fn rows(&self, examples: &[Example]) -> Result<Rows> {
        let mut rows = Rows::default();
        for example in examples {
            if example.label.is_none() {
                let Pieces { all, lost, .. } = self.encoder.example(example)?;
                all.into_iter().for_each(|piece| rows.push_encoded(piece));
                rows.add_cut(lost);
                continue;
            }
            let mut sequences = self.labels(example)?;
            sequences.push(self.encoder.whole(example)?);
            // Cut by the same amount, so that every label comes after the same prompt.
            rows.add_cut(usize::from(self.encoder.fit(&mut sequences)));
            let completion = sequences.pop().unwrap_or_default();
            compare_from_the_same_token(&mut sequences);
            rows.push(&completion, example.label.map(|label| (label, sequences.as_slice())));
        }
        Ok(rows)
    }

    /// The prompt of a labeled example followed by each of the labels.
    fn labels(&self, example: &Example) -> Result<Vec<Sequence>> {
        let labels = if example.label.is_some() { self.data.labels() } else { &[] };
        let sequences = labels
            .iter()
            .map(|label| self.encoder.sequence(&example.prompt, &Dataset::label_completion(label)));
        let mut sequences = sequences.collect::<Result<Vec<_>>>()?;
        if is_end_needed(&sequences) {
            sequences =
                sequences.into_iter().map(|sequence| self.encoder.ended(sequence)).collect();
        }
        Ok(sequences)
    }
}

/// Whether the labels must be compared with their end token: when the tokens of one label start
/// another label. In all other cases the end token would cost a pass and change nothing.
///
/// In sorted order a prefix of other labels comes directly before one of them, so comparing
/// neighbors is enough, even with thousands of labels.
fn is_end_needed(labels: &[Sequence]) -> bool {
    let Some((one, others)) = labels.split_first() else { return false };
    let common =
        others.iter().map(|other| common_tokens(one, other)).fold(one.ids.len(), usize::min);
    let mut endings: Vec<&[u32]> = labels.iter().map(|label| &label.ids[common..]).collect();
    endings.sort_unstable();
    endings.windows(2).any(|pair| pair[1].starts_with(pair[0]))
}

#[cfg(test)]
mod tests;
