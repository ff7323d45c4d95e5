//! Trains the runs of a comparison in alternation on the shared base, so that every curve appears
//! early.

use graft_protocol::{Event, RunOutcome};
use graft_spec::{Failure, ablation::Trial, training::ABLATE};
use graft_train::{
    AdapterCheckpoint,
    runs::{TrialRecord, Trials},
};

use super::{
    active_trial::{ActiveTrial, ROUNDS, steps_of, stop_worse_half, unsettled},
    live_table::LiveTable,
    prepared_trial::{PreparedTrial, TrialRun},
    results::{Metric, TrialResults, recorded},
    runner::{GridRunner, PrunedTrials},
    trial_log::TrialLog,
};
use crate::{
    SessionError, class,
    verbs::{preference::RunReference, train},
};

/// Most training runs at one time: each holds its adapter, its optimizer state and its data.
const MAX_CONCURRENT: usize = 12;
/// Rounds after which every run is evaluated on a few examples.
const EVALUATION_ROUNDS: [u64; 2] = [4, 8];
/// Examples of an intermediate evaluation.
const EVALUATION_EXAMPLES: usize = 32;
/// Rounds after which `early=halving` stops the worse half: after a quarter and half of the steps.
const HALVING_ROUNDS: [u64; 2] = [3, 6];

/// A run that is not finished.
struct PendingRun<'a> {
    place: usize,
    trial: &'a Trial,
    key: String,
}

/// The results of the trials, in memory and on disk.
struct Results<'a> {
    trials: &'a mut [TrialResults],
    finished: &'a mut Trials,
}

impl GridRunner<'_> {
    /// Trains the runs that are not finished, seed after seed, until the user stops it. Also
    /// returns how many runs were finished before.
    pub(super) fn train_all(
        &self,
        finished: &mut Trials,
        metric: &Metric,
    ) -> Result<(Vec<TrialResults>, usize), Failure> {
        let mut trials: Vec<_> = self.grid.trials.iter().map(TrialResults::new).collect();
        let mut reused = 0;
        self.refuse_if_in_use()?;
        for seed in self.seeds() {
            let before = trials.iter().map(|trial| trial.results.len()).sum::<usize>();
            let pending = self.pending(seed, &mut trials, finished);
            reused += trials.iter().map(|trial| trial.results.len()).sum::<usize>() - before;
            for group in pending.chunks(MAX_CONCURRENT) {
                if self.cx.is_stopping() {
                    break;
                }
                let mut results = Results { trials: &mut trials, finished };
                self.train_group(group, seed, &mut results, metric)?;
            }
        }
        for trial in &mut trials {
            trial.label.extend(trial.lr().map(|lr| format!(" lr={lr:e}")));
        }
        trials.retain(|trial| !trial.results.is_empty());
        Ok((trials, reused))
    }

    /// The runs of a seed that must be trained. The results of the others are added to `trials`.
    fn pending<'g>(
        &'g self,
        seed: u64,
        trials: &mut [TrialResults],
        finished: &Trials,
    ) -> Vec<PendingRun<'g>> {
        let is_reusable = |record: &&TrialRecord| {
            record.stopped.is_none() || self.pruned == PrunedTrials::Keep || self.grid.halves()
        };
        let mut pending = Vec::new();
        for (place, trial) in self.grid.trials.iter().enumerate() {
            // A trial that failed or was stopped early with one seed is not trained with the next.
            if trials[place].is_over() {
                continue;
            }
            let key = self.key(trial, seed);
            match finished.find(&key).filter(|_| !self.is_fresh()).filter(is_reusable) {
                Some(earlier) => trials[place].results.push(Ok(earlier.clone())),
                None => pending.push(PendingRun { place, trial, key }),
            }
        }
        pending
    }

    /// Trains and scores some configurations with one seed.
    fn train_group(
        &self,
        group: &[PendingRun<'_>],
        seed: u64,
        results: &mut Results<'_>,
        metric: &Metric,
    ) -> Result<(), Failure> {
        let Some(prepared) = self.prepare_group(group, seed, results.trials) else {
            LiveTable::new(self, metric).show_now(results.trials, &[]);
            return Ok(());
        };
        let states: Vec<AdapterCheckpoint<'_>> = prepared
            .iter()
            .map(|prepared| train::checkpoint_state(&prepared.setup, &prepared.trainables))
            .collect();
        let references = prepared
            .iter()
            .zip(&states)
            .map(|(run, state)| RunReference::of(&run.setup, &run.header, state))
            .collect::<Result<Vec<_>, _>>()?;
        let sources: Vec<_> = prepared
            .iter()
            .zip(&references)
            .map(|(run, reference)| {
                train::examples(&run.setup, &run.trainables, reference.model(), &mut |_| {})
            })
            .collect();
        let mut active: Vec<ActiveTrial<'_>> = prepared
            .iter()
            .zip(&states)
            .zip(&sources)
            .map(|((prepared, state), source)| ActiveTrial::new(prepared, state, source))
            .collect();
        let mut live_table = LiveTable::new(self, metric);
        self.run_round_robin(&mut active, results.trials, &mut live_table);
        for index in 0..active.len() {
            let trial = &mut active[index];
            self.settle(trial, results)?;
            live_table.show_now(results.trials, &unsettled(&active));
        }
        Ok(())
    }

    /// Attaches the adapters of a group; `None` when the user stopped it.
    fn prepare_group<'g>(
        &self,
        group: &[PendingRun<'g>],
        seed: u64,
        trials: &mut [TrialResults],
    ) -> Option<Vec<PreparedTrial<'g>>> {
        // Learning rates are searched while no adapter of the comparison is attached.
        let rates: Vec<_> = group
            .iter()
            .map(|PendingRun { place, trial, .. }| {
                self.rate(&trials[*place], trial, seed, &self.label(*place, trial, seed))
            })
            .collect();
        let mut prepared = Vec::new();
        for (PendingRun { place, trial, key }, lr) in group.iter().zip(rates) {
            self.cx.serve_readers();
            let run = |lr| TrialRun {
                place: *place,
                trial,
                seed,
                key: key.clone(),
                run_key: self.run_key(trial, seed),
                lr,
                train: trial.train.clone(),
            };
            match lr.and_then(|lr| self.prepare(run(lr), self.domain.as_ref())) {
                Ok(trial) => prepared.push(trial),
                Err(_) if self.cx.is_stopping() => return None,
                Err(failure) => trials[*place].results.push(Err(failure)),
            }
        }
        Some(prepared)
    }

    /// Trains every run in every round until all have ended or the user stops them.
    fn run_round_robin(
        &self,
        active: &mut [ActiveTrial<'_>],
        trials: &[TrialResults],
        live_table: &mut LiveTable<'_>,
    ) {
        let control = self.cx.control();
        for round in 1..=ROUNDS {
            for index in 0..active.len() {
                self.stop_requested(active);
                // The display is updated within a round too: a round of a long run takes a while.
                while active[index].has_steps_in(round) {
                    let PreparedTrial { place, trial, seed, .. } = active[index].prepared;
                    let label = self.label(*place, trial, *seed);
                    let (done, total) = steps_of(active);
                    self.cx.emit(Event::Progress { label, done, total });
                    live_table.show(trials, &unsettled(active));
                    if self.cx.is_stopping() {
                        return;
                    }
                    active[index].advance(round, &control);
                }
            }
            if EVALUATION_ROUNDS.contains(&round) {
                active.iter_mut().for_each(|trial| self.evaluate(trial, live_table.metric()));
            }
            if self.grid.halves() && HALVING_ROUNDS.contains(&round) {
                stop_worse_half(active);
            }
        }
    }

    /// Evaluates a run on a few examples while it trains. A failure here is reported when the run
    /// is scored at its end.
    fn evaluate(&self, trial: &mut ActiveTrial<'_>, metric: &Metric) {
        if trial.end.is_some() || self.cx.is_stopping() || trial.prepared.activate().is_err() {
            return;
        }
        let label = &trial.prepared.trial.label;
        let found = self.score_briefly(EVALUATION_EXAMPLES, metric, label);
        trial.metric = found.ok().filter(|_| !self.cx.is_stopping());
        if let Err(failure) = trial.prepared.deactivate() {
            trial.end = Some(Err(failure));
        }
    }

    /// Stops the runs that `%trial stop` has named.
    fn stop_requested(&self, active: &mut [ActiveTrial<'_>]) {
        if !self.cx.is_background() {
            return;
        }
        let stops = self.cx.edit_background_job(|report| report.stops.clone()).unwrap_or_default();
        active
            .iter_mut()
            .filter(|trial| trial.end.is_none() && stops.contains(&(trial.prepared.place + 1)))
            .for_each(ActiveTrial::stop_early);
    }

    /// Ends a run and stores its result. A run that the user has stopped has no result: the same
    /// line resumes it, and until then its row and its curve stay in the live table.
    fn settle(
        &self,
        trial: &mut ActiveTrial<'_>,
        results: &mut Results<'_>,
    ) -> Result<(), Failure> {
        let place = trial.prepared.place;
        match self.finish(trial) {
            Ok(None) => return Ok(()),
            Err(_) if self.cx.is_stopping() => return Ok(()),
            Ok(Some(record)) => {
                results.finished.add(record.clone())?;
                let split = self.grid.settings.text(ABLATE, "split").unwrap_or_default();
                class::after_trial(self.cx, &trial.prepared.setup.folder, &split, &record);
                results.trials[place].results.push(Ok(record));
            }
            Err(failure) => results.trials[place].results.push(Err(failure)),
        }
        trial.is_settled = true;
        Ok(())
    }

    /// Ends a run and scores it; `None` when the user has stopped it.
    fn finish(&self, trial: &mut ActiveTrial<'_>) -> Result<Option<TrialRecord>, Failure> {
        let outcome = trial.end.take().unwrap_or(Ok(RunOutcome::Interrupted))?;
        let is_finished = outcome == RunOutcome::Finished || trial.stopped.is_some();
        let log = &mut trial.log;
        if let Some(training) = trial.training.take() {
            training.end(outcome, &mut |event| log.record(event))?;
        }
        if !is_finished {
            return Ok(None);
        }
        let prepared = trial.prepared;
        prepared.activate()?;
        let found = self.score(&prepared.trial.label);
        prepared.deactivate()?;
        let found = found?;
        let cost = (log.steps() > 0).then(|| (log.tokens_per_second(), trial.memory));
        let TrialLog { curve, domain, seconds, .. } = log.clone();
        Ok(Some(TrialRecord {
            key: prepared.key.clone(),
            run: prepared.header.run.clone(),
            loss: found.evaluation.loss,
            accuracy: found.evaluation.accuracy,
            metrics: found.metrics.iter().map(recorded).collect(),
            trainable: prepared.header.trainable,
            total: prepared.header.total,
            seconds,
            lr: prepared.lr,
            cost,
            stopped: trial.stopped,
            curve,
            domain,
        }))
    }

    /// Trains one run from its first step to its last, on its own.
    ///
    /// # Errors
    /// Those of the training run; [`SessionError::Interrupted`] when the user stopped it.
    pub(super) fn run_single(
        &self,
        prepared: &PreparedTrial<'_>,
        label: &str,
    ) -> Result<TrialLog, Failure> {
        let state = train::checkpoint_state(&prepared.setup, &prepared.trainables);
        let reference = RunReference::of(&prepared.setup, &prepared.header, &state)?;
        let (setup, trainables) = (&prepared.setup, &prepared.trainables);
        let source = train::examples(setup, trainables, reference.model(), &mut |_| {});
        let mut trial = ActiveTrial::new(prepared, &state, &source);
        while trial.has_steps_in(ROUNDS) && !self.cx.is_stopping() {
            let (done, total) = steps_of(std::slice::from_ref(&trial));
            self.cx.emit(Event::Progress { label: label.to_owned(), done, total });
            trial.advance(ROUNDS, &self.cx.control());
        }
        match trial.end {
            Some(Err(failure)) => Err(failure),
            Some(Ok(RunOutcome::Finished)) => Ok(trial.log),
            _ => Err(SessionError::Interrupted { what: format!("stopped in {label}"), next: None }
                .into()),
        }
    }
}
