//! Loss, perplexity and accuracy on a part of a data set.

mod scoring;

use graft_nn::{Model, TokenEncoder, summed};

use crate::control::Control;
use crate::data::{Dataset, Example, Kind, SplitName};
use crate::device::device_of;
use crate::encode::{Encoder, Sequence};
use crate::{Result, TrainError, classify};
use scoring::{Rows, Scored, score};

/// Examples that pass through the model at one time on the processor.
const PIECE: usize = 4;
/// Most texts, of which an example has one for each label, that are tokenized to find the largest pass; those of one pass always are.
const MOST_TEXTS: usize = 1 << 14;

/// What an evaluation finds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// Mean loss per token of the completions, or per example of a classifier, nats.
    pub loss: f64,
    /// `exp(loss)`.
    pub perplexity: f64,
    /// Share of examples whose own label scored highest among all labels; none for data without labels.
    pub accuracy: Option<f64>,
    /// Share of examples that have the commonest label of the training part: what is right without reading.
    pub majority: Option<f64>,
    /// Examples used.
    pub examples: u64,
    /// Tokens of their completions; for a classifier the examples once more.
    pub tokens: u64,
}

/// What to evaluate on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Which part of the data.
    pub split: SplitName,
    /// Most examples used, from the first.
    pub examples: usize,
    /// Examples per forward pass.
    pub batch: usize,
    /// Longest example in tokens; without it the model's context.
    pub max_length: Option<usize>,
}

/// The most that an evaluation passes through the model at one time, which decides its memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LargestPass {
    /// Positions of a pass, soft prompts among them.
    pub positions: usize,
    /// Positions of a pass whose logits are read.
    pub read: usize,
    /// Passes of a batch, of which as many as there are threads are under way at one time.
    pub passes: usize,
}

/// An evaluation, ready to run.
pub struct Evaluator<'a> {
    model: &'a dyn Model,
    encoder: Encoder<'a>,
    data: &'a Dataset,
    request: Request,
}

/// Scores `model` on the part `split` (`train`, `validation` or `test`); `progress` hears how many examples of how many are done.
///
/// # Errors
/// [`TrainError::EmptySplit`], [`TrainError::Stopped`] when `control` says so, and those of model and tokenizer.
#[expect(
    clippy::too_many_arguments,
    reason = "the plain form of Evaluator for callers that have each of these at hand"
)]
pub fn evaluate(
    model: &dyn Model,
    tokenizer: &dyn TokenEncoder,
    data: &Dataset,
    split: &str,
    examples: usize,
    batch: usize,
    control: &Control,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Evaluation> {
    let split = SplitName::parse(split).unwrap_or(SplitName::Test);
    Evaluator::new(model, tokenizer, data, Request { split, examples, batch, max_length: None })?
        .run(control, progress)
}

impl<'a> Evaluator<'a> {
    /// Checks that there is something to evaluate on, and that a classifier has the labels of the data among its classes.
    ///
    /// # Errors
    /// [`TrainError::EmptySplit`], [`TrainError::NoHead`], [`TrainError::Classes`] and [`TrainError::NoRoom`].
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
        let map = classify::label_map(model, data)?;
        let encoder =
            Encoder::new(model, tokenizer, data, request.max_length)?.with_classes(map.classes);
        Ok(Self { model, encoder, data, request })
    }

    /// Evaluates.
    ///
    /// # Errors
    /// [`TrainError::Stopped`] when `control` says so, and those of the model.
    pub fn run(&self, control: &Control, progress: &mut dyn FnMut(u64, u64)) -> Result<Evaluation> {
        let all = self.data.split(self.request.split);
        let examples = &all[..all.len().min(self.request.examples)];
        let mut sum = Scored::default();
        let mut done = 0;
        for chunk in examples.chunks(self.request.batch.max(1)) {
            control.pause();
            if control.is_stopped() {
                return Err(TrainError::Stopped);
            }
            sum.add(&self.scored_apart(chunk)?);
            done += chunk.len();
            progress(done as u64, examples.len() as u64);
        }
        let loss = sum.loss / (sum.tokens.max(1)) as f64;
        let count = examples.len() as f64;
        let is_labelled = matches!(self.data.kind, Kind::Labels(_));
        Ok(Evaluation {
            loss,
            perplexity: loss.exp(),
            accuracy: is_labelled.then(|| sum.right as f64 / count),
            majority: self.data.majority(examples),
            examples: examples.len() as u64,
            tokens: sum.tokens,
        })
    }

    /// The sizes of its largest pass. Of very many texts, such as with thousands of labels, only the passes with the longest are looked at.
    ///
    /// # Errors
    /// Those of the tokenizer.
    pub fn largest_pass(&self) -> Result<LargestPass> {
        let all = self.data.split(self.request.split);
        let chunks =
            || all[..all.len().min(self.request.examples)].chunks(self.request.batch.max(1));
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
        let (mut texts, each) =
            (0, if classify::is_classifier(self.model) { 1 } else { 1 + self.data.labels().len() });
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

    /// Positions of the pass of a piece, and those whose logits are read.
    fn sizes(&self, piece: &[Example]) -> Result<(usize, usize)> {
        let (lengths, read) = if classify::is_classifier(self.model) {
            (
                piece
                    .iter()
                    .map(|example| Ok(self.encoder.example(example)?.0.ids.len()))
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

    /// What the size of a piece's pass grows with, without tokenizing it.
    fn size_in_bytes(&self, piece: &[Example]) -> usize {
        let bytes = |example: &Example| example.prompt.len() + example.completion.len();
        if self.packs() {
            piece.iter().map(bytes).sum()
        } else {
            piece.len() * piece.iter().map(bytes).max().unwrap_or(0)
        }
    }

    /// Whether the rows of a pass are put one after the other, without padding.
    fn packs(&self) -> bool {
        self.model.embedding().positions_taken() == 0 && device_of(self.model).is_cpu()
    }

    /// Examples of a chunk that pass through the model at one time.
    fn piece(&self, chunk: &[Example]) -> usize {
        if device_of(self.model).is_cpu() { PIECE } else { chunk.len().max(1) }
    }

    /// A chunk in pieces, each on a thread of its own where there are enough.
    fn scored_apart(&self, chunk: &[Example]) -> Result<Scored> {
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
        let encoded = examples
            .iter()
            .map(|example| Ok(self.encoder.example(example)?.0))
            .collect::<Result<Vec<_>>>()?;
        let (loss, right) = classify::score(self.model, &encoded)?;
        Ok(Scored { loss, tokens: encoded.len() as u64, right })
    }

    fn rows(&self, examples: &[Example]) -> Result<Rows> {
        let mut rows = Rows::default();
        for example in examples {
            let mut sequences = self.labels(example)?;
            sequences.push(
                self.encoder.ended(self.encoder.sequence(&example.prompt, &example.completion)?),
            );
            // Cut alike, so that every label comes after the same prompt.
            self.encoder.fit(&mut sequences);
            let completion = sequences.pop().unwrap_or_default();
            compare_from_the_same_token(&mut sequences);
            rows.push(&completion, example.label.map(|label| (label, sequences.as_slice())));
        }
        Ok(rows)
    }

    /// The prompt of a labelled example with each of the labels.
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

/// Where the tokens of one label begin another's, the end token decides between them; else it says nothing and costs a pass.
///
/// In sorted order, a prefix of other labels comes directly before one of them, so comparing neighbours is enough: there may be thousands of labels.
fn is_end_needed(labels: &[Sequence]) -> bool {
    let Some((one, others)) = labels.split_first() else { return false };
    let common =
        others.iter().map(|other| common_tokens(one, other)).fold(one.ids.len(), usize::min);
    let mut endings: Vec<&[u32]> = labels.iter().map(|label| &label.ids[common..]).collect();
    endings.sort_unstable();
    endings.windows(2).any(|pair| pair[1].starts_with(pair[0]))
}

/// Where a token covers the end of the prompt and the beginning of one label but not of another, the labels are compared from the first token on that is
/// not the same in all of them: otherwise one would be scored for characters that the other is given.
fn compare_from_the_same_token(labels: &mut [Sequence]) {
    let Some((one, others)) = labels.split_first() else { return };
    let earliest = others
        .iter()
        .map(|other| other.first.min(common_tokens(one, other)))
        .fold(one.first, usize::min);
    labels.iter_mut().for_each(|label| label.first = earliest);
}

/// Tokens that both begin with.
fn common_tokens(one: &Sequence, other: &Sequence) -> usize {
    one.ids.iter().zip(&other.ids).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests;
