//! The result of a training run.

use std::fmt;

use graft_protocol::RunOutcome;
use graft_session::verbs::train::FinishedRun;

use crate::Result;

/// A finished or interrupted training run: its losses and its folder on disk.
///
/// # Examples
/// ```
/// use graft::prelude::*;
///
/// # fn main() -> graft::Result<()> {
/// # let folder = tempfile::tempdir()?;
/// # std::env::set_current_dir(&folder)?;
/// lab().load_model("tiny")?.attach(Lora::new())?;
/// lab().load_data("which-book")?;
/// let options = Train::new().steps(4).batch(2).eval_every(2).eval_examples(4);
/// let run = lab().train(options)?;
/// assert_eq!((run.last_step(), run.is_finished()), (4, true));
/// for (step, loss) in run.validation_losses()? {
///     println!("validation loss after step {step}: {loss:.3}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Run {
    trained: FinishedRun,
}

/// One step of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Number of the step, starting at 1.
    pub step: u64,
    /// Mean loss per label token, in nats.
    pub loss: f64,
    /// Learning rate.
    pub lr: f64,
    /// Global norm of the gradient before clipping.
    pub grad_norm: f64,
}

impl Run {
    pub(crate) fn new(trained: FinishedRun) -> Self {
        Self { trained }
    }

    /// Its name: the argument of `%resume` and [`Lab::resume`](crate::Lab::resume).
    pub fn name(&self) -> &str {
        &self.trained.ended.run
    }

    /// Its folder, with the ledger and the checkpoints.
    pub fn folder(&self) -> &std::path::Path {
        self.trained.folder.path()
    }

    /// The last completed step.
    pub fn last_step(&self) -> u64 {
        self.trained.ended.step
    }

    /// Whether all steps were completed.
    pub fn is_finished(&self) -> bool {
        self.trained.ended.outcome == RunOutcome::Finished
    }

    /// Every step, read from the ledger.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn steps(&self) -> Result<Vec<Step>> {
        let record = self.trained.folder.record().map_err(graft_spec::Failure::from)?;
        Ok(record
            .steps
            .iter()
            .map(|step| Step {
                step: step.step,
                loss: step.loss,
                lr: step.lr,
                grad_norm: step.grad_norm,
            })
            .collect())
    }

    /// The loss of every step.
    ///
    /// # Errors
    /// As [`Run::steps`].
    pub fn losses(&self) -> Result<Vec<f64>> {
        Ok(self.steps()?.iter().map(|step| step.loss).collect())
    }

    /// The validation losses, each with the step after which it was measured.
    ///
    /// # Errors
    /// As [`Run::steps`].
    pub fn validation_losses(&self) -> Result<Vec<(u64, f64)>> {
        let record = self.trained.folder.record().map_err(graft_spec::Failure::from)?;
        Ok(record.validations.iter().map(|validation| (validation.step, validation.loss)).collect())
    }

    /// Shows nothing: as the last expression of a cell, a run already has its plot above.
    pub fn evcxr_display(&self) {}
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name(), self.trained.ended.summary)
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
