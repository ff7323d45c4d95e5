//! One training step.

use std::time::{Duration, Instant};

use graft_protocol::StepRecord;

use super::accumulation::LossAndGradients;
use super::{Emit, TrainingLoop};
use crate::Result;
use crate::batch::Batch;
use crate::gradient_norm::{check_finite, clip_factor, global_norm};

impl TrainingLoop<'_> {
    /// Reads the micro-batches of the next step, computes their loss and gradients, clips the
    /// gradients, updates the parameters and records the step.
    pub(super) fn train_step(&mut self, emit: Emit<'_>) -> Result<()> {
        let started = Instant::now();
        let step = self.step() + 1;
        let batches = self.micro_batches()?;
        let LossAndGradients { loss, gradients, pairs } = self.accumulate(step, &batches)?;
        let grad_norm = global_norm(&self.job.trainables, &gradients, step)?;
        let lr = self.state.rate(&self.job.config, step);
        let clip = clip_factor(grad_norm, self.job.config.max_grad_norm);
        self.optimizer.step(&gradients, lr, clip)?;
        // Checked here, so that no checkpoint and no finished run contains NaN or infinity.
        check_finite(&self.job.trainables, step)?;
        if let Some(hook) = self.job.checkpoint.training_hook() {
            let names = self.job.trainables.iter().map(|trainable| trainable.name.as_str());
            hook.after_step(step, &names.zip(&gradients).collect())?;
        }
        let tokens: u64 = batches.iter().map(Batch::tokens).sum();
        self.counters.step_done(step, batches.len(), tokens);
        let seconds = started.elapsed().max(Duration::from_nanos(1)).as_secs_f64();
        let record = StepRecord {
            step,
            loss,
            lr,
            grad_norm,
            tokens_per_second: tokens as f64 / seconds,
            elapsed_seconds: self.stopwatch.seconds(),
            rewards: self.job.config.preference.map(|_| pairs.rewards()),
        };
        self.record(record, emit)
    }
}
