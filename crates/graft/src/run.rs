//! A run that has ended.

use std::fmt;

use graft_protocol::RunOutcome;
use graft_session::verbs::train::FinishedRun;

use crate::Result;

/// A training that has ended: its curve and where it is kept.
#[derive(Clone)]
pub struct Run {
    trained: FinishedRun,
}

/// One step of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Number of the step, from 1.
    pub step: u64,
    /// Mean loss per label token, nats.
    pub loss: f64,
    /// Learning rate.
    pub lr: f64,
    /// Global gradient norm before clipping.
    pub grad_norm: f64,
}

impl Run {
    pub(crate) fn new(trained: FinishedRun) -> Self {
        Self { trained }
    }

    /// Its name, by which `%resume` and `lab().resume` know it.
    pub fn name(&self) -> &str {
        &self.trained.ended.run
    }

    /// Its folder, with ledger and checkpoints.
    pub fn folder(&self) -> &std::path::Path {
        self.trained.folder.path()
    }

    /// Last step done.
    pub fn last_step(&self) -> u64 {
        self.trained.ended.step
    }

    /// Whether all its steps are done.
    pub fn is_finished(&self) -> bool {
        self.trained.ended.outcome == RunOutcome::Finished
    }

    /// Every step, from the run's ledger.
    ///
    /// # Errors
    /// When the ledger cannot be read.
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

    /// Validation losses with the steps after which they were measured.
    ///
    /// # Errors
    /// As [`Run::steps`].
    pub fn validation_losses(&self) -> Result<Vec<(u64, f64)>> {
        let record = self.trained.folder.record().map_err(graft_spec::Failure::from)?;
        Ok(record.validations.iter().map(|validation| (validation.step, validation.loss)).collect())
    }

    /// Nothing: as the last expression of a cell a run prints nothing, since its plot is there already.
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
