//! The micro-batches of one step, and their gradient.

use graft_nn::{Context, Tensor, gradients};

use super::Trainer;
use crate::batch::Batch;
use crate::loss::{label_count, loss};
use crate::{Result, TrainError};

impl Trainer<'_> {
    /// The micro-batches of the next step.
    pub(super) fn window(&self) -> Result<Vec<Batch>> {
        (self.position..self.position + self.run.config.accumulate).map(|position| self.run.source.micro_batch(position)).collect()
    }

    /// Loss and gradients of a window: the mean over all its labels, whichever micro-batch they are in.
    pub(super) fn window_gradients(&self, step: u64, window: &[Batch]) -> Result<(f64, Vec<Tensor>)> {
        let labels: usize = window.iter().map(|batch| label_count(self.run.model, batch)).sum();
        let (mut sum, mut total): (f64, Vec<Tensor>) = (0.0, Vec::new());
        for (index, batch) in window.iter().enumerate() {
            let cx = Context::train(self.run.config.seed, step, index as u32);
            let mut loss = loss(self.run.model, batch, &cx, labels.max(1) as f64)?;
            if let Some(companion) = self.run.state.companion().filter(|_| index == 0) {
                loss = (loss + companion.penalty()?)?;
            }
            sum += f64::from(loss.to_scalar::<f32>()?);
            if !sum.is_finite() {
                return Err(TrainError::NotFinite { step, tensor: "the loss".to_owned(), taken_back: false });
            }
            let new = gradients(&loss, &self.run.trainables)?;
            total = if total.is_empty() { new } else { total.iter().zip(&new).map(|(total, new)| total + new).collect::<candle_core::Result<_>>()? };
        }
        Ok((sum, total))
    }
}
