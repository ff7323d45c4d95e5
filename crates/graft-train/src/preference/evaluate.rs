//! Loss, accuracy and rewards on held-out pairs.

use std::sync::OnceLock;

use graft_nn::{Model, TokenEncoder, summed};
use graft_protocol::Rewards;

use super::objective::LogProbabilities;
use super::pass::{Normalizers, PairTotals, joined, log_probabilities, of_pair};
use super::{Objective, ReferenceModel, check, reference_log_probabilities};
use crate::batch::{AnswerPart, Batch, Encoded};
use crate::control::Control;
use crate::data::Dataset;
use crate::device::device_of;
use crate::encode::{Encoder, Pieces};
use crate::loss::virtual_tokens;
use crate::{Evaluation, LargestPass, Request, Result, TrainError};

/// Pairs per forward pass on the CPU.
const PIECE: usize = 2;

/// An evaluation on pairs, ready to run.
///
/// Accuracy is the fraction of the pairs whose chosen answer is more likely than the rejected one,
/// so that it can be compared between models. The rewards compare the model with its reference.
pub struct PreferenceEvaluator<'a> {
    objective: Objective,
    reference: Option<&'a dyn ReferenceModel>,
    pairs: Vec<(Encoded, Encoded)>,
    /// Number of pairs that were cut.
    cut: u64,
    batch: usize,
    /// The log-probabilities of the reference model, which does not change during a run.
    of_reference: OnceLock<Vec<LogProbabilities>>,
}

/// Evaluates `model` on pairs. Without a reference, the model is its own. `progress` receives the
/// number of pairs done and their total.
///
/// # Errors
/// Those of [`PreferenceEvaluator::new`] and [`PreferenceEvaluator::run`].
pub fn evaluate_preferences(
    (model, tokenizer): (&dyn Model, &dyn TokenEncoder),
    (data, request): (&Dataset, Request),
    objective: Objective,
    reference: Option<&dyn ReferenceModel>,
    control: &Control,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Evaluation> {
    PreferenceEvaluator::new((model, tokenizer), (data, request), objective, reference)?
        .run(model, control, progress)
}

impl<'a> PreferenceEvaluator<'a> {
    /// Encodes the pairs of a split.
    ///
    /// # Errors
    /// [`TrainError::EmptySplit`], [`TrainError::NoPreferences`] for other data, and errors of the
    /// tokenizer.
    pub fn new(
        (model, tokenizer): (&dyn Model, &dyn TokenEncoder),
        (data, request): (&Dataset, Request),
        objective: Objective,
        reference: Option<&'a dyn ReferenceModel>,
    ) -> Result<Self> {
        check(model, data, Some(objective))?;
        if data.split(request.split).is_empty() {
            let (data, split) = (data.name.clone(), request.split.name());
            return Err(TrainError::EmptySplit { data, split });
        }
        let encoder = Encoder::new(model, tokenizer, data, request.encoding)?;
        let mut cut = 0;
        let mut pairs = Vec::new();
        for example in data.scored(request.split, request.examples) {
            let Pieces { all, lost, .. } = encoder.example(example)?;
            cut += u64::from(lost > 0);
            if let Ok([chosen, rejected]) = <[Encoded; 2]>::try_from(all) {
                pairs.push((chosen, rejected));
            }
        }
        Ok(Self {
            objective,
            reference: reference.filter(|_| objective.loss.has_reference()),
            pairs,
            cut,
            batch: request.batch.max(1),
            of_reference: OnceLock::new(),
        })
    }

    /// Runs the evaluation.
    ///
    /// # Errors
    /// [`TrainError::Stopped`] when `control` stops the evaluation, and errors of the model.
    pub fn run(
        &self,
        model: &dyn Model,
        control: &Control,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Evaluation> {
        let mut batches: Vec<Batch> = Vec::new();
        let (mut of_model, mut reference) = (Vec::new(), Vec::new());
        for pairs in self.pairs.chunks(self.batch) {
            control.pause();
            if control.is_stopped() {
                return Err(TrainError::Stopped);
            }
            let pieces = pieces(model, pairs);
            if let (Some(other), None) = (self.reference, self.of_reference.get()) {
                let found = reference_log_probabilities(model, &pieces, other)?;
                reference.extend(found.into_iter().flatten());
            }
            of_model.extend(self.of_model(model, &pieces)?);
            batches.extend(pieces);
            progress(of_model.len() as u64, self.pairs.len() as u64);
        }
        let reference = match self.reference {
            None => &of_model,
            Some(_) => self.of_reference.get_or_init(|| reference),
        };
        Ok(self.evaluation((&batches, virtual_tokens(model)), &of_model, reference))
    }

    /// The size of the largest forward pass.
    pub fn largest_pass(&self, model: &dyn Model) -> LargestPass {
        let taken = model.embedding().positions_taken();
        let packs = taken == 0 && device_of(model).is_cpu();
        let virtual_tokens = virtual_tokens(model);
        let mut largest = LargestPass::default();
        for pairs in self.pairs.chunks(self.batch) {
            let pieces = pieces(model, pairs);
            largest.passes = largest.passes.max(pieces.len());
            for batch in &pieces {
                let positions = if packs {
                    batch.lengths.iter().sum()
                } else {
                    batch.rows * (batch.columns + taken)
                };
                let read =
                    (0..batch.rows).map(|row| answer_tokens(batch, row, virtual_tokens)).sum();
                largest.positions = largest.positions.max(positions);
                largest.read = largest.read.max(read);
            }
        }
        largest
    }

    fn of_model(&self, model: &dyn Model, pieces: &[Batch]) -> Result<Vec<LogProbabilities>> {
        let loss = self.objective.loss;
        let work = |piece: usize| log_probabilities(model, &pieces[piece], loss);
        summed(pieces.len(), &work, &joined).unwrap_or_else(|| Ok(Vec::new()))
    }

    fn evaluation(
        &self,
        (batches, virtual_tokens): (&[Batch], usize),
        model: &[LogProbabilities],
        reference: &[LogProbabilities],
    ) -> Evaluation {
        let normalizers = Normalizers::of(batches, virtual_tokens);
        let tokens = batches.iter().flat_map(|batch| {
            let tokens = move |row| answer_tokens(batch, row, virtual_tokens);
            (0..batch.examples()).map(move |pair| (tokens(2 * pair), tokens(2 * pair + 1)))
        });
        let mut totals = PairTotals::default();
        let mut answer_tokens = 0;
        for (tokens, (model, reference)) in tokens.zip(model.iter().zip(reference)) {
            totals = totals.add(of_pair(self.objective, (*model, *reference, tokens), normalizers));
            answer_tokens += (tokens.0 + tokens.1) as u64;
        }
        Evaluation {
            loss: totals.loss,
            perplexity: totals.loss.exp(),
            accuracy: Some(totals.likelier as f64 / totals.pairs.max(1) as f64),
            majority: None,
            examples: totals.pairs,
            tokens: answer_tokens,
            cut: self.cut,
            rewards: Some(totals.rewards()),
        }
    }
}

/// The batches that run at the same time.
fn pieces(model: &dyn Model, pairs: &[(Encoded, Encoded)]) -> Vec<Batch> {
    let each = if device_of(model).is_cpu() { PIECE } else { pairs.len().max(1) };
    let batch = |pairs: &[(Encoded, Encoded)]| {
        let rows: Vec<_> = pairs.iter().flat_map(|(one, other)| [one, other]).collect();
        Batch::of_pairs(&rows)
    };
    pairs.chunks(each).map(batch).collect()
}

/// Tokens of the answer in a row that have a prediction. Without virtual tokens, the first token of
/// the row has none.
fn answer_tokens(batch: &Batch, row: usize, virtual_tokens: usize) -> usize {
    batch.row_targets((row, 0), virtual_tokens, AnswerPart::Answer).1.len()
}

impl PairTotals {
    /// The mean rewards.
    pub(crate) fn rewards(&self) -> Rewards {
        let count = self.pairs.max(1) as f64;
        Rewards {
            chosen: self.chosen / count,
            rejected: self.rejected / count,
            accuracy: self.preferred as f64 / count,
        }
    }
}
