//! Gradient accumulation: the loss and the gradients of one step over all its micro-batches.

use std::sync::Arc;

use graft_nn::{
    Context, Model, Recompute, Tensor, Trainable, TrainingHook, gradients_through, summed,
};

use super::TrainingLoop;
use crate::batch::{Batch, MAX_SPLIT_PARAMETERS};
use crate::callbacks::Callbacks;
use crate::config::TrainConfig;
use crate::device::device_of;
use crate::loss::{label_count, loss, own_loss, virtual_tokens};
use crate::preference::{
    self, LogProbabilities, Normalizers, Objective, PairTotals, ReferenceModel,
};
use crate::{Result, TrainError};

/// The loss of a step in nats, and the gradient of each trained parameter.
#[derive(Debug, Default)]
pub(crate) struct LossAndGradients {
    pub(crate) loss: f64,
    /// In the order of the trained parameters.
    pub(crate) gradients: Vec<Tensor>,
    /// Sums over the pairs, in preference training.
    pub(crate) pairs: PairTotals,
}

impl LossAndGradients {
    fn add(self, other: Self) -> Result<Self> {
        let pairs = self.gradients.iter().zip(&other.gradients);
        let gradients =
            pairs.map(|(one, other)| one + other).collect::<candle_core::Result<_>>()?;
        let pairs = self.pairs.add(other.pairs);
        Ok(Self { loss: self.loss + other.loss, gradients, pairs })
    }
}

impl TrainingLoop<'_> {
    /// The micro-batches of the next step.
    pub(super) fn micro_batches(&self) -> Result<Vec<Batch>> {
        let first = self.counters.position;
        (first..first + self.job.config.accumulate)
            .map(|position| self.job.batches.micro_batch(position))
            .collect()
    }

    /// Loss and gradients of the micro-batches of a step: the mean over all their labels.
    ///
    /// ```text
    /// loss = sum over all labels of all micro-batches / number of these labels
    /// ```
    /// The mean is taken over labels, not over micro-batches, so the result does not depend on how
    /// the examples are divided into micro-batches. A preference loss is the mean over all pairs.
    pub(super) fn accumulate(&self, step: u64, batches: &[Batch]) -> Result<LossAndGradients> {
        let labels: usize = batches.iter().map(|batch| label_count(self.job.model, batch)).sum();
        let context = StepContext {
            model: self.job.model,
            trainables: &self.job.trainables,
            training_hook: self.job.checkpoint.training_hook(),
            config: &self.job.config,
            callbacks: self.job.callbacks,
            step,
            labels: labels.max(1) as f64,
            preference: self.job.config.preference.map(|objective| PreferenceStep {
                objective,
                normalizers: Normalizers::of(batches, virtual_tokens(self.job.model)),
            }),
        };
        let mut total: Option<LossAndGradients> = None;
        for (index, batch) in batches.iter().enumerate() {
            let reference = self.job.batches.reference();
            let Some(result) = context.micro_batch(index, batch, reference).transpose()? else {
                continue;
            };
            if !result.loss.is_finite() {
                return Err(TrainError::NotFinite {
                    step,
                    tensor: "the loss".to_owned(),
                    taken_back: false,
                });
            }
            total = Some(match total {
                None => result,
                Some(before) => before.add(result)?,
            });
        }
        Ok(total.unwrap_or_default())
    }
}

/// Loss and gradients of one whole batch, outside a run.
pub(crate) fn forward_backward(
    model: &dyn Model,
    trainables: &[Trainable],
    batch: &Batch,
    config: &TrainConfig,
) -> Result<LossAndGradients> {
    let context = StepContext {
        model,
        trainables,
        training_hook: None,
        config,
        callbacks: None,
        step: 0,
        labels: label_count(model, batch).max(1) as f64,
        preference: config.preference.map(|objective| PreferenceStep {
            objective,
            normalizers: Normalizers::of(std::slice::from_ref(batch), virtual_tokens(model)),
        }),
    };
    context.forward_backward(0, 0, (batch, &[]))
}

/// What all passes of one step of preference training share.
#[derive(Clone, Copy)]
struct PreferenceStep {
    objective: Objective,
    normalizers: Normalizers,
}

/// What all forward and backward passes of one step share.
struct StepContext<'a> {
    model: &'a dyn Model,
    trainables: &'a [Trainable],
    training_hook: Option<&'a dyn TrainingHook>,
    config: &'a TrainConfig,
    /// May compute the loss instead of the cross entropy.
    callbacks: Option<&'a dyn Callbacks>,
    step: u64,
    /// Number of labels of all micro-batches of the step.
    labels: f64,
    /// The preference loss, in place of the cross-entropy.
    preference: Option<PreferenceStep>,
}

impl StepContext<'_> {
    /// Loss and gradients of micro-batch number `index`, whose pieces run on several threads.
    fn micro_batch(
        &self,
        index: usize,
        batch: &Batch,
        reference: Option<&dyn ReferenceModel>,
    ) -> Option<Result<LossAndGradients>> {
        let pieces = self.pieces(batch);
        // The reference has other weights, so its pass is complete before that of the model.
        let reference = match reference {
            None => Vec::new(),
            Some(reference) => {
                match preference::reference_log_probabilities(self.model, &pieces, reference) {
                    Ok(found) => found,
                    Err(error) => return Some(Err(error)),
                }
            }
        };
        let of_reference = |piece: usize| reference.get(piece).map_or(&[][..], Vec::as_slice);
        summed(
            pieces.len(),
            &|piece| self.forward_backward(index, piece, (&pieces[piece], of_reference(piece))),
            &LossAndGradients::add,
        )
    }

    /// Splits a micro-batch into the parts that run at the same time. Parts without labels are left
    /// out: their gradient is zero.
    fn pieces(&self, batch: &Batch) -> Vec<Batch> {
        let trained: usize =
            self.trainables.iter().map(|trainable| trainable.var.elem_count()).sum();
        if trained > MAX_SPLIT_PARAMETERS || !device_of(self.model).is_cpu() {
            return vec![batch.clone()];
        }
        let mut pieces = batch.pieces();
        if pieces.len() > 1 {
            pieces.retain(|piece| label_count(self.model, piece) > 0);
        }
        if pieces.is_empty() { vec![batch.clone()] } else { pieces }
    }

    /// The forward and backward pass of piece number `piece` of micro-batch number `index`, with
    /// the log-probabilities of the reference model.
    fn forward_backward(
        &self,
        index: usize,
        piece: usize,
        (batch, reference): (&Batch, &[LogProbabilities]),
    ) -> Result<LossAndGradients> {
        // Each piece has its own counter, so that each has its own dropout masks.
        let counter = (index * Batch::MOST_PIECES + piece) as u32;
        // A preference loss compares log-probabilities, which smoothing would change.
        let smoothing = if self.preference.is_some() { 0.0 } else { self.config.label_smoothing };
        let mut cx = Context::train(self.config.seed, self.step, counter)
            .with_label_smoothing(smoothing)
            .with_embedding_noise(self.config.neftune_noise_alpha);
        let recompute = if self.config.recompute {
            Some(Arc::new(Recompute::new(self.trainables)?))
        } else {
            None
        };
        if let Some(recompute) = &recompute {
            cx = cx.with_recompute(recompute.clone());
        }
        let (mut loss, pairs) = self.loss(batch, &cx, reference)?;
        let mut value = pairs.map_or(0.0, |pairs| pairs.loss);
        // The penalty does not depend on the batch: it is added once per step.
        if let Some(hook) = self.training_hook.filter(|_| index == 0 && piece == 0) {
            let penalty = hook.penalty()?;
            value += f64::from(penalty.to_scalar::<f32>()?);
            loss = (loss + penalty)?;
        }
        Ok(LossAndGradients {
            loss: if pairs.is_some() { value } else { f64::from(loss.to_scalar::<f32>()?) },
            gradients: gradients_through(&loss, self.trainables, recompute.as_deref())?,
            pairs: pairs.unwrap_or_default(),
        })
    }

    /// The loss as a scalar with its graph; of pairs also the sums with the value of the loss.
    fn loss(
        &self,
        batch: &Batch,
        cx: &Context,
        reference: &[LogProbabilities],
    ) -> Result<(Tensor, Option<PairTotals>)> {
        let Some(PreferenceStep { objective, normalizers }) = self.preference else {
            let loss = match self.callbacks.filter(|callbacks| callbacks.has_loss()) {
                Some(callbacks) => own_loss(self.model, batch, cx, self.labels, callbacks)?,
                None => loss(self.model, batch, cx, self.labels)?,
            };
            return Ok((loss, None));
        };
        let data = (batch, reference);
        let (loss, pairs) = preference::loss(self.model, data, cx, objective, normalizers)?;
        Ok((loss, Some(pairs)))
    }
}
