//! A run before its first step in this process: started anew or restored from a checkpoint.

use super::checkpointing::Saved;
use super::counters::{Counters, Stopwatch};
use super::metric::BestMetric;
use super::{Emit, TrainingLoop};
use crate::job::TrainingJob;
use crate::loop_state::LoopState;
use crate::optimizer::Optimizer;
use crate::{Result, TrainError};

impl<'a> TrainingLoop<'a> {
    /// A run before its first step. Writes the ledger's header and the checkpoint of step 0.
    ///
    /// # Errors
    /// [`TrainError::NothingToTrain`], [`TrainError::NoValidation`] and
    /// [`TrainError::UnknownMetric`] when the metric of the best weights is not measured,
    /// [`TrainError::InUse`], and errors of the files.
    pub fn start(job: TrainingJob<'a>, emit: Emit<'_>) -> Result<Self> {
        let mut training = Self::new(job)?;
        training.ledger.header(&training.job.header)?;
        training.save_initial_weights()?;
        // A run that is killed before its first periodic checkpoint resumes from this one.
        training.save()?;
        training.announce(emit)?;
        Ok(training)
    }

    /// A run after the last step of its newest readable checkpoint.
    ///
    /// # Errors
    /// Those of [`resume`](super::resume) before its first step.
    pub fn resume(job: TrainingJob<'a>, emit: Emit<'_>) -> Result<Self> {
        let mut training = Self::new(job)?;
        training.restore()?;
        training.announce(emit)?;
        Ok(training)
    }

    fn new(job: TrainingJob<'a>) -> Result<Self> {
        if job.trainables.is_empty() {
            return Err(TrainError::NothingToTrain);
        }
        if let Some(hook) = job.checkpoint.training_hook() {
            hook.start(job.config.steps)?;
        }
        Ok(Self {
            _lock: job.folder.lock()?,
            best_metric: BestMetric::of(&job)?,
            state: LoopState::new(&job.config),
            stop_reason: None,
            optimizer: Optimizer::new(job.config.optimizer, job.trainables.clone()),
            ledger: job.folder.ledger()?,
            counters: Counters::default(),
            stopwatch: Stopwatch::new(),
            saved: Saved::new(),
            meter: None,
            job,
        })
    }
}
