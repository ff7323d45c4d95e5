//! Forward passes over pairs: the log-probabilities of the answers, and the loss of a batch.

use graft_nn::{Context, Model, Tensor, summed};

use super::objective::LogProbabilities;
use super::{Objective, PreferenceLoss, ReferenceModel};
use crate::batch::{AnswerPart, Batch};
use crate::device::device_of;
use crate::packed_forward::{ForwardPass, forward_pass};
use crate::{Result, gather};

/// What the sums over a batch are divided by: the numbers of all micro-batches of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Normalizers {
    /// Number of pairs.
    pub(crate) pairs: f64,
    /// Number of tokens of prompts and chosen answers that have a prediction.
    pub(crate) tokens: f64,
}

/// Sums over pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct PairTotals {
    /// Number of pairs.
    pub(crate) pairs: u64,
    /// The loss, already divided by the normalizers.
    pub(crate) loss: f64,
    /// Rewards of the chosen answers.
    pub(crate) chosen: f64,
    /// Rewards of the rejected answers.
    pub(crate) rejected: f64,
    /// Pairs whose chosen answer has the higher reward.
    pub(crate) preferred: u64,
    /// Pairs whose chosen answer is the more likely one; per token for a loss that counts tokens.
    pub(crate) likelier: u64,
}

impl Normalizers {
    /// The numbers of some batches.
    pub(crate) fn of(batches: &[Batch], virtual_tokens: usize) -> Self {
        let in_chosen = |batch: &Batch| {
            let tokens =
                batch.lengths.iter().step_by(2).map(|length| length + virtual_tokens.min(1));
            tokens.map(|count| count.saturating_sub(1)).sum::<usize>()
        };
        Self {
            pairs: batches.iter().map(Batch::examples).sum::<usize>().max(1) as f64,
            tokens: batches.iter().map(in_chosen).sum::<usize>().max(1) as f64,
        }
    }
}

impl PairTotals {
    pub(crate) fn add(self, other: Self) -> Self {
        Self {
            pairs: self.pairs + other.pairs,
            loss: self.loss + other.loss,
            chosen: self.chosen + other.chosen,
            rejected: self.rejected + other.rejected,
            preferred: self.preferred + other.preferred,
            likelier: self.likelier + other.likelier,
        }
    }
}

/// The negative log-probabilities of the two answers of each pair, with a graph.
struct Answers {
    /// One scalar for each row; `None` for an answer without a token that has a prediction.
    of_rows: Vec<Option<Tensor>>,
    /// Number of tokens of each answer.
    tokens: Vec<usize>,
    /// One scalar for the prompt of each pair; `None` if they were not asked for.
    prompts: Vec<Option<Tensor>>,
}

impl Answers {
    fn of(model: &dyn Model, batch: &Batch, cx: &Context, with_prompts: bool) -> Result<Self> {
        let ForwardPass { states, virtual_tokens, starts, cx, .. } =
            forward_pass(model, batch, cx)?;
        let states = states.flatten(0, 1)?; // (N, C)
        let sum = |row: usize, part| -> Result<(usize, Option<Tensor>)> {
            let (positions, labels) = batch.row_targets((row, starts[row]), virtual_tokens, part);
            if labels.is_empty() {
                return Ok((0, None));
            }
            let states = gather::rows(&states, &positions)?; // (L, C)
            Ok((labels.len(), Some(model.label_loss(&states, &labels, 1.0, &cx)?)))
        };
        let mut answers = Self { of_rows: Vec::new(), tokens: Vec::new(), prompts: Vec::new() };
        for row in 0..batch.rows {
            let (tokens, answer) = sum(row, AnswerPart::Answer)?;
            answers.of_rows.push(answer);
            answers.tokens.push(tokens);
            if row % 2 == 0 {
                let prompt = if with_prompts { sum(row, AnswerPart::Prompt)?.1 } else { None };
                answers.prompts.push(prompt);
            }
        }
        Ok(answers)
    }

    /// The log-probabilities of each pair.
    fn values(&self) -> Result<Vec<LogProbabilities>> {
        let value = |answer: &Option<Tensor>| -> Result<f64> {
            answer.as_ref().map_or(Ok(0.0), |sum| Ok(-f64::from(sum.to_scalar::<f32>()?)))
        };
        let pairs = self.of_rows.chunks_exact(2).zip(&self.prompts);
        pairs
            .map(|(pair, prompt)| {
                Ok(LogProbabilities {
                    chosen: value(&pair[0])?,
                    rejected: value(&pair[1])?,
                    prompt: value(prompt)?,
                })
            })
            .collect()
    }
}

/// The log-probabilities of the answers of each pair, and of the prompts if the loss needs them,
/// without a graph.
pub(crate) fn log_probabilities(
    model: &dyn Model,
    batch: &Batch,
    loss: PreferenceLoss,
) -> Result<Vec<LogProbabilities>> {
    Answers::of(model, batch, &Context::eval().without_graph(), loss.has_likelihood())?.values()
}

/// Two lists as one.
pub(super) fn joined<T>(mut one: Vec<T>, other: Vec<T>) -> Result<Vec<T>> {
    one.extend(other);
    Ok(one)
}

/// The log-probabilities of the answers in some pieces of a batch under the reference model.
pub(crate) fn reference_log_probabilities(
    model: &dyn Model,
    pieces: &[Batch],
    reference: &dyn ReferenceModel,
) -> Result<Vec<Vec<LogProbabilities>>> {
    let mut found = Vec::new();
    reference.with(&mut || {
        let piece =
            |piece: usize| Ok(vec![log_probabilities(model, &pieces[piece], PreferenceLoss::Dpo)?]);
        found = summed(pieces.len(), &piece, &joined).unwrap_or_else(|| Ok(Vec::new()))?;
        Ok(())
    })?;
    Ok(found)
}

/// The loss of a batch of pairs, as a scalar with the gradients of the loss, and the sums over its
/// pairs, which contain the value of the loss.
///
/// The scalar is linear in the log-probabilities, with the slopes of [`super::PairLoss`] as
/// factors. Its gradients are those of the loss, and the loss itself is computed with 64 bits.
///
/// # Shapes
/// `batch.ids: (2 pairs, T)` -> scalar
/// # Errors
/// When the forward pass of the model fails.
pub(crate) fn loss(
    model: &dyn Model,
    (batch, reference): (&Batch, &[LogProbabilities]),
    cx: &Context,
    objective: Objective,
    normalizers: Normalizers,
) -> Result<(Tensor, PairTotals)> {
    let answers = Answers::of(model, batch, cx, objective.loss.has_likelihood())?;
    let mut linear = Tensor::zeros((), candle_core::DType::F32, &device_of(model))?;
    let mut add = |slope: f64, sum: &Tensor| -> Result<()> {
        // Not `affine`, which cuts the graph when the slope is 0, as that of an inactive hinge.
        let slope = Tensor::new(slope as f32, sum.device())?;
        linear = (&linear + (sum * slope)?)?;
        Ok(())
    };
    let mut totals = PairTotals::default();
    for (pair, model) in answers.values()?.into_iter().enumerate() {
        let reference = reference.get(pair).copied().unwrap_or_default();
        let tokens = (answers.tokens[2 * pair], answers.tokens[2 * pair + 1]);
        let found = objective.loss.of_pair(objective.beta, model, reference, tokens);
        // The tensors are negative log-probabilities.
        let mut factors = [-found.slopes.0, -found.slopes.1].map(|slope| slope / normalizers.pairs);
        if objective.loss.has_likelihood() {
            factors[0] += 1.0 / normalizers.tokens;
        }
        for (factor, sum) in factors.into_iter().zip(&answers.of_rows[2 * pair..]) {
            sum.as_ref().map_or(Ok(()), |sum| add(factor, sum))?;
        }
        if let Some(prompt) = &answers.prompts[pair] {
            add(1.0 / normalizers.tokens, prompt)?;
        }
        totals = totals.add(of_pair(objective, (model, reference, tokens), normalizers));
    }
    Ok((linear, totals))
}

/// The sums over one pair.
pub(super) fn of_pair(
    Objective { loss, beta }: Objective,
    (model, reference, tokens): (LogProbabilities, LogProbabilities, (usize, usize)),
    normalizers: Normalizers,
) -> PairTotals {
    let found = loss.of_pair(beta, model, reference, tokens);
    let likelihood = if loss.has_likelihood() { model.prompt + model.chosen } else { 0.0 };
    let measure = |sum: f64, tokens: usize| {
        if loss.has_likelihood() { sum / tokens.max(1) as f64 } else { sum }
    };
    let is_likelier = measure(model.chosen, tokens.0) > measure(model.rejected, tokens.1);
    PairTotals {
        pairs: 1,
        loss: found.value / normalizers.pairs - likelihood / normalizers.tokens,
        chosen: found.chosen_reward,
        rejected: found.rejected_reward,
        preferred: u64::from(found.chosen_reward > found.rejected_reward),
        likelier: u64::from(is_likelier),
    }
}
