//! The micro-batches of one step, and their gradient.

use std::sync::Arc;

use graft_nn::{
    Context, Model, Recompute, Tensor, Trainable, TrainingHook, gradients_through, summed,
};

use super::Training;
use crate::batch::{Batch, MAX_SPLIT_PARAMETERS};
use crate::config::TrainConfig;
use crate::device::device_of;
use crate::loss::{label_count, loss};
use crate::{Result, TrainError};

/// Loss and gradients.
pub(crate) type Found = (f64, Vec<Tensor>);

impl Training<'_> {
    /// The micro-batches of the next step.
    pub(super) fn window(&self) -> Result<Vec<Batch>> {
        (self.position..self.position + self.run.config.accumulate)
            .map(|position| self.run.source.micro_batch(position))
            .collect()
    }

    /// Loss and gradients of a window: the mean over all its labels, whichever micro-batch they are in.
    pub(super) fn window_gradients(&self, step: u64, window: &[Batch]) -> Result<Found> {
        let labels: usize = window.iter().map(|batch| label_count(self.run.model, batch)).sum();
        let passes = Passes {
            model: self.run.model,
            trainables: &self.run.trainables,
            training_hook: self.run.state.training_hook(),
            recompute: self.run.config.recompute,
            seed: self.run.config.seed,
            step,
            labels: labels.max(1) as f64,
        };
        let mut total: Option<Found> = None;
        for (index, batch) in window.iter().enumerate() {
            let pieces = passes.pieces(batch);
            let Some(found) =
                summed(pieces.len(), &|piece| passes.through(index, piece, &pieces[piece]), &add)
            else {
                continue;
            };
            let found = found?;
            if !found.0.is_finite() {
                return Err(TrainError::NotFinite {
                    step,
                    tensor: "the loss".to_owned(),
                    taken_back: false,
                });
            }
            total = Some(match total {
                None => found,
                Some(before) => add(before, found)?,
            });
        }
        Ok(total.unwrap_or_default())
    }
}

/// Loss and gradients of a batch that passes whole, outside any training.
pub(crate) fn forward_backward(
    model: &dyn Model,
    trainables: &[Trainable],
    batch: &Batch,
    config: &TrainConfig,
) -> Result<Found> {
    let labels = label_count(model, batch).max(1) as f64;
    Passes {
        model,
        trainables,
        training_hook: None,
        recompute: config.recompute,
        seed: config.seed,
        step: 0,
        labels,
    }
    .through(0, 0, batch)
}

/// What the passes of one step have in common.
struct Passes<'a> {
    model: &'a dyn Model,
    trainables: &'a [Trainable],
    training_hook: Option<&'a dyn TrainingHook>,
    /// Whether blocks are computed again for the backward pass.
    recompute: bool,
    seed: u64,
    step: u64,
    /// Of the whole window.
    labels: f64,
}

impl Passes<'_> {
    /// What passes through the model at one time. A piece without a label teaches nothing.
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

    /// One pass there and back: piece number `piece` of micro-batch number `index`.
    fn through(&self, index: usize, piece: usize, batch: &Batch) -> Result<Found> {
        // Each piece has counters of its own, so that its masks are its own.
        let mut cx =
            Context::train(self.seed, self.step, (index * Batch::MOST_PIECES + piece) as u32);
        let recompute =
            if self.recompute { Some(Arc::new(Recompute::new(self.trainables)?)) } else { None };
        if let Some(recompute) = &recompute {
            cx = cx.with_recompute(recompute.clone());
        }
        let mut loss = loss(self.model, batch, &cx, self.labels)?;
        if let Some(training_hook) = self.training_hook.filter(|_| index == 0 && piece == 0) {
            loss = (loss + training_hook.penalty()?)?;
        }
        Ok((
            f64::from(loss.to_scalar::<f32>()?),
            gradients_through(&loss, self.trainables, recompute.as_deref())?,
        ))
    }
}

fn add((loss, gradients): Found, (other, others): Found) -> Result<Found> {
    let sums = gradients
        .iter()
        .zip(&others)
        .map(|(one, other)| one + other)
        .collect::<candle_core::Result<_>>()?;
    Ok((loss + other, sums))
}
