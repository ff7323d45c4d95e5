//! Loss, perplexity and accuracy on a part of a data set.

mod scoring;

use graft_nn::{Model, TokenEncoder, summed};

use crate::control::Control;
use crate::data::{Dataset, Example, Kind, SplitName};
use crate::encode::Encoder;
use crate::{Result, TrainError, classify};
use scoring::{Rows, Scored, score};

/// Examples that pass through the model at one time on the processor.
const PIECE: usize = 4;

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

/// An evaluation, ready to run.
pub struct Evaluator<'a> {
    model: &'a dyn Model,
    encoder: Encoder<'a>,
    data: &'a Dataset,
    /// Tokens of each label's completion.
    labels: Vec<Vec<u32>>,
    request: Request,
}

/// Scores `model` on the part `split` (`train`, `validation` or `test`); `progress` hears how many examples of how many are done.
///
/// # Errors
/// [`TrainError::EmptySplit`], [`TrainError::Stopped`] when `control` says so, and those of model and tokenizer.
#[expect(clippy::too_many_arguments, reason = "the plain form of Evaluator for callers that have each of these at hand")]
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
    Evaluator::new(model, tokenizer, data, Request { split, examples, batch, max_length: None })?.run(control, progress)
}

impl<'a> Evaluator<'a> {
    /// Encodes the labels and checks that there is something to evaluate on.
    ///
    /// # Errors
    /// [`TrainError::EmptySplit`], and those of the tokenizer.
    pub fn new(model: &'a dyn Model, tokenizer: &'a dyn TokenEncoder, data: &'a Dataset, request: Request) -> Result<Self> {
        if data.split(request.split).is_empty() {
            return Err(TrainError::EmptySplit { data: data.name.clone(), split: request.split.name() });
        }
        classify::check(model, data)?;
        let encoder = Encoder::new(model, tokenizer, request.max_length)?;
        let mut labels = Vec::new();
        for label in data.labels() {
            labels.push(encoder.completion(&Dataset::label_completion(label))?);
        }
        end_ambiguous(&mut labels, encoder.end());
        // A token of the prompt always stands before a label.
        labels.iter_mut().for_each(|label| label.truncate(encoder.limit() - 1));
        Ok(Self { model, encoder, data, labels, request })
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

    /// A chunk in pieces, each on a thread of its own where there are enough.
    fn scored_apart(&self, chunk: &[Example]) -> Result<Scored> {
        let piece = if self.model.embedding().weight().own().device().is_cpu() { PIECE } else { chunk.len().max(1) };
        let pieces: Vec<&[Example]> = chunk.chunks(piece).collect();
        let add = |mut one: Scored, other: Scored| {
            one.add(&other);
            Ok(one)
        };
        summed(pieces.len(), &|piece| self.scored(pieces[piece]), &add).unwrap_or_else(|| Ok(Scored::default()))
    }

    fn scored(&self, examples: &[Example]) -> Result<Scored> {
        if !classify::is_classifier(self.model) {
            return score(self.model, &self.rows(examples)?);
        }
        let encoded = examples.iter().map(|example| Ok(self.encoder.example(example)?.0)).collect::<Result<Vec<_>>>()?;
        let (loss, right) = classify::score(self.model, &encoded)?;
        Ok(Scored { loss, tokens: encoded.len() as u64, right })
    }

    fn rows(&self, examples: &[Example]) -> Result<Rows> {
        let mut rows = Rows::default();
        for example in examples {
            let mut completion = self.encoder.completion(&example.completion)?;
            completion.extend(self.encoder.end());
            let mut prompt = self.encoder.prompt(&example.prompt)?;
            if example.label.is_some() {
                // Every label stands behind the same prompt, so the longest decides how much of it there is room for.
                let mut longest = self.labels.iter().max_by_key(|label| label.len()).cloned().unwrap_or_default();
                self.encoder.fit(&mut prompt, &mut longest);
            }
            self.encoder.fit(&mut prompt, &mut completion);
            rows.push(&prompt, &completion, example.label.map(|label| (label, self.labels.as_slice())));
        }
        Ok(rows)
    }
}

/// Where the tokens of one label begin another's, the end token decides between them; else it says nothing and costs a pass.
fn end_ambiguous(labels: &mut [Vec<u32>], end: Option<u32>) {
    let begins_another = |(index, label): (usize, &Vec<u32>)| labels.iter().enumerate().any(|(other, longer)| other != index && longer.starts_with(label));
    if labels.iter().enumerate().any(begins_another) {
        labels.iter_mut().for_each(|label| label.extend(end));
    }
}

#[cfg(test)]
mod tests;
