//! The metric that decides which weights are best.

use graft_protocol::ValidationRecord;

use crate::best::Direction;
use crate::job::TrainingJob;
use crate::schedule::Decay;
use crate::{Result, TrainError};

/// The metric that the key `best` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BestMetric {
    Loss,
    Accuracy,
    /// A metric of the job, by its index.
    Other(usize, Direction),
}

impl BestMetric {
    /// Finds the metric of a job, and checks that it is measured if anything depends on it.
    pub(super) fn of(job: &TrainingJob<'_>) -> Result<Self> {
        let config = &job.config;
        let dependents = [
            ("early_stopping", config.early_stopping > 0),
            ("load_best", config.load_best),
            ("best", config.best != "loss"),
            ("schedule=reduce_on_plateau", matches!(config.decay, Decay::ReduceOnPlateau(_))),
        ];
        let is_validated = config.eval_every > 0 && job.batches.has_validation();
        let used = dependents.into_iter().find(|(_, is_used)| *is_used && !is_validated);
        if let Some((key, _)) = used {
            return Err(TrainError::NoValidation { key, is_off: config.eval_every == 0 });
        }
        let other = || {
            let index = job.metrics.iter().position(|metric| metric.name() == config.best)?;
            Some(Self::Other(index, job.metrics[index].direction()))
        };
        let has_accuracy = job.batches.has_accuracy();
        match config.best.as_str() {
            "loss" => Ok(Self::Loss),
            "accuracy" if has_accuracy => Ok(Self::Accuracy),
            name => other().ok_or_else(|| TrainError::UnknownMetric {
                name: name.to_owned(),
                known: std::iter::once("loss")
                    .chain(has_accuracy.then_some("accuracy"))
                    .chain(job.metrics.iter().map(|metric| metric.name()))
                    .map(str::to_owned)
                    .collect(),
            }),
        }
    }

    /// Whether lower or higher values are better.
    pub(super) fn direction(self) -> Direction {
        match self {
            Self::Loss => Direction::Lower,
            Self::Accuracy => Direction::Higher,
            Self::Other(_, direction) => direction,
        }
    }

    /// The value of a validation.
    pub(super) fn value(self, record: &ValidationRecord) -> Option<f64> {
        match self {
            Self::Loss => Some(record.loss),
            Self::Accuracy => record.accuracy,
            Self::Other(..) => record.metric,
        }
    }
}
