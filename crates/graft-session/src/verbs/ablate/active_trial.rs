//! The runs of a group, which are trained in alternation.

use graft_protocol::RunOutcome;
use graft_spec::Failure;
use graft_train::{
    AdapterCheckpoint, Control, Examples, TrainError, TrainingLoop, runs::SavedWeights,
};

use super::{live_table::TrialProgress, prepared_trial::PreparedTrial, trial_log::TrialLog};

/// Rounds in which every training run is trained, each for an equal share of its steps.
pub(super) const ROUNDS: u64 = 12;
/// Steps between two updates of the display.
const STEPS_PER_UPDATE: u64 = 8;

/// One training run of a group.
pub(super) struct ActiveTrial<'a> {
    pub(super) prepared: &'a PreparedTrial<'a>,
    pub(super) training: Option<TrainingLoop<'a>>,
    pub(super) log: TrialLog,
    /// How it ended; `None` while it has steps left.
    pub(super) end: Option<Result<RunOutcome, Failure>>,
    /// The step at which it was stopped early.
    pub(super) stopped: Option<u64>,
    /// Predicted memory in bytes.
    pub(super) memory: u64,
    /// The metric at the last intermediate evaluation.
    pub(super) metric: Option<f64>,
    /// Whether its result, or its failure, is in the results of its trial.
    pub(super) is_settled: bool,
}

impl<'a> ActiveTrial<'a> {
    /// Starts or resumes a run. A run that cannot start has ended with its failure.
    pub(super) fn new(
        prepared: &'a PreparedTrial<'a>,
        state: &'a AdapterCheckpoint<'a>,
        source: &'a graft_train::Result<Examples<'a>>,
    ) -> Self {
        let mut trial = Self {
            prepared,
            training: None,
            log: TrialLog::default(),
            end: None,
            stopped: None,
            memory: 0,
            metric: None,
            is_settled: false,
        };
        match source {
            Err(error) => trial.end = Some(Err(Failure::from_hint(error))),
            Ok(source) => trial.start(state, source),
        }
        trial
    }

    fn start(&mut self, state: &'a AdapterCheckpoint<'a>, source: &'a Examples<'a>) {
        self.memory = self.prepared.bytes(source.longest());
        let run = self.prepared.job(state, source);
        let start = if self.prepared.resumes { TrainingLoop::resume } else { TrainingLoop::start };
        match start(run, &mut |event| self.log.record(event)) {
            Ok(training) => self.training = Some(training),
            // It was stopped before its evaluation, or is scored by another metric now.
            Err(TrainError::AlreadyDone { .. }) => self.restore(state),
            Err(error) => self.end = Some(Err(error.into())),
        }
    }

    /// Restores the weights and the curve of a run that has been trained to its end.
    fn restore(&mut self, state: &AdapterCheckpoint<'_>) {
        let folder = &self.prepared.setup.folder;
        self.log.restore(&folder.record().unwrap_or_default());
        let restored = folder.restore_weights(SavedWeights::Last, state);
        self.end = Some(match restored {
            Ok(_) => Ok(RunOutcome::Finished),
            Err(error) => Err(error.into()),
        });
    }

    /// The step at which a round ends.
    fn end_of(&self, round: u64) -> u64 {
        self.steps() * round / ROUNDS
    }

    /// Whether it has steps left in a round.
    pub(super) fn has_steps_in(&self, round: u64) -> bool {
        let step = self.training.as_ref().map(TrainingLoop::step);
        self.end.is_none() && step.is_some_and(|step| step < self.end_of(round) || round == ROUNDS)
    }

    /// Trains some of its steps of a round.
    pub(super) fn advance(&mut self, round: u64, control: &Control) {
        let until = self.end_of(round);
        let Some(training) = &mut self.training else { return };
        let steps = until.saturating_sub(training.step()).min(STEPS_PER_UPDATE);
        let advanced = self.prepared.activate().and_then(|()| {
            Ok(training.advance(steps, control, &mut |event| self.log.record(event))?)
        });
        let deactivated = self.prepared.deactivate();
        self.end = advanced.and_then(|outcome| deactivated.map(|()| outcome)).transpose();
        if matches!(self.end, Some(Err(_))) {
            self.training = None;
        }
    }

    /// Ends its training before the last step. It is scored as it is.
    pub(super) fn stop_early(&mut self) {
        self.stopped = Some(self.log.steps());
        self.end = Some(Ok(RunOutcome::Interrupted));
    }

    /// Number of planned steps.
    pub(super) fn steps(&self) -> u64 {
        self.prepared.setup.config.steps
    }

    /// Whether its steps count in the progress of the group.
    fn counts(&self) -> bool {
        self.stopped.is_none() && !matches!(self.end, Some(Err(_)))
    }

    fn progress(&self) -> TrialProgress<'_> {
        TrialProgress {
            place: self.prepared.place,
            log: &self.log,
            steps: self.steps(),
            trainable: self.prepared.header.trainable,
            total: self.prepared.header.total,
            memory: self.memory,
            stopped: self.stopped,
            metric: self.metric,
        }
    }
}

/// The progress of the runs without a result.
pub(super) fn unsettled<'a>(trials: &'a [ActiveTrial<'_>]) -> Vec<TrialProgress<'a>> {
    trials.iter().filter(|trial| !trial.is_settled).map(ActiveTrial::progress).collect()
}

/// Steps done and steps planned, over all runs.
pub(super) fn steps_of(trials: &[ActiveTrial<'_>]) -> (u64, u64) {
    let counted = || trials.iter().filter(|trial| trial.counts());
    (counted().map(|trial| trial.log.steps()).sum(), counted().map(ActiveTrial::steps).sum())
}

/// Stops the runs with the higher training loss early, so that half of those that still train,
/// rounded up, continue.
pub(super) fn stop_worse_half(trials: &mut [ActiveTrial<'_>]) {
    let mut training: Vec<&mut ActiveTrial<'_>> =
        trials.iter_mut().filter(|trial| trial.end.is_none()).collect();
    let loss = |trial: &ActiveTrial<'_>| {
        trial.log.loss().filter(|loss| loss.is_finite()).unwrap_or(f64::INFINITY)
    };
    training.sort_by(|one, other| loss(one).total_cmp(&loss(other)));
    let kept = training.len().div_ceil(2);
    training.into_iter().skip(kept).for_each(ActiveTrial::stop_early);
}
