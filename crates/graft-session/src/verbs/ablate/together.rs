//! Trainings that advance in turn over the shared base, so that every curve is to be seen soon.

use graft_protocol::{Event, RunOutcome};
use graft_spec::{Failure, ablation::Trial};
use graft_train::{
    AdapterCheckpoint, Control, Examples, TrainError, TrainingJob, TrainingLoop,
    runs::{TrialRecord, Trials},
};

use super::{
    Row,
    report::Metric,
    score, score_on,
    standing::{Standing, Under},
    trial::{Bench, Entrant, Heard},
};
use crate::verbs::train;

/// Trainings that are under way at one time: each holds its adapter, its optimizer's state and its data.
const TOGETHER: usize = 12;
/// Turns of a training.
const TURNS: u64 = 12;
/// Steps between two pieces of news.
const STEPS: u64 = 8;
/// The turns after which each is looked at on the way, and examples that are looked at.
const LOOKS: [u64; 2] = [4, 8];
const LOOKED_AT: usize = 32;
/// The turns after which `early=halving` gives up the worse half: a quarter and a half of the way.
const HALVINGS: [u64; 2] = [3, 6];

/// One training of a group.
struct Racer<'a> {
    entrant: &'a Entrant<'a>,
    training: Option<TrainingLoop<'a>>,
    heard: Heard,
    end: Option<Result<RunOutcome, Failure>>,
    /// Where it was given up.
    stopped: Option<u64>,
    cost: u64,
    /// What the last look on the way has found.
    metric: Option<f64>,
    /// Whether its row has its result, or says why it has none.
    is_settled: bool,
}

impl Bench<'_> {
    /// Trains what is not finished yet, seed after seed, the configurations in turn, until the user stops it; also how many were finished before.
    pub(super) fn train_all(
        &self,
        kept: &mut Trials,
        metric: &Metric,
    ) -> Result<(Vec<Row>, usize), Failure> {
        let mut rows: Vec<Row> = self.grid.trials.iter().map(Row::new).collect();
        let mut reused = 0;
        self.refuse_if_in_use()?;
        for seed in self.seeds() {
            let mut waiting = Vec::new();
            for (place, trial) in self.grid.trials.iter().enumerate() {
                let (row, key) = (&mut rows[place], self.key(trial, seed));
                // What cannot be attached, or was given up, with one seed is not tried with the next.
                if row.is_over() {
                    continue;
                }
                let stays = |record: &&TrialRecord| {
                    record.stopped.is_none() || self.leaves_given_up || self.grid.halves()
                };
                match kept.find(&key).filter(|_| !self.is_fresh()).filter(stays) {
                    Some(earlier) => {
                        row.results.push(Ok(earlier.clone()));
                        reused += 1;
                    }
                    None => waiting.push((place, trial, key)),
                }
            }
            for group in waiting.chunks(TOGETHER) {
                if self.desk.is_stopping() {
                    break;
                }
                self.group((group, seed), &mut rows, kept, metric)?;
            }
        }
        for row in &mut rows {
            row.label.extend(row.lr().map(|lr| format!(" lr={lr:e}")));
        }
        rows.retain(|row| !row.results.is_empty());
        Ok((rows, reused))
    }

    /// One seed of some configurations.
    fn group(
        &self,
        (group, seed): (&[(usize, &Trial, String)], u64),
        rows: &mut [Row],
        kept: &mut Trials,
        metric: &Metric,
    ) -> Result<(), Failure> {
        let label = |place: usize, trial: &Trial| {
            format!(
                "trial {} of {}: {}, seed {seed}",
                self.number(place, seed),
                self.trainings(),
                trial.label
            )
        };
        // Rates are sought while no other adapter of the comparison is there.
        let rates: Vec<_> = group
            .iter()
            .map(|(place, trial, _)| self.rate(&rows[*place], trial, seed, &label(*place, trial)))
            .collect();
        let mut entrants = Vec::new();
        for ((place, trial, key), lr) in group.iter().zip(rates) {
            self.desk.pause();
            match lr.and_then(|lr| {
                self.enter(
                    (*place, trial),
                    seed,
                    (key.clone(), lr),
                    &trial.train,
                    self.domain.as_ref(),
                )
            }) {
                Ok(entrant) => entrants.push(entrant),
                Err(_) if self.desk.is_stopping() => {
                    Standing::new(self, metric).tell(rows, &[]);
                    return Ok(());
                }
                Err(failure) => rows[*place].results.push(Err(failure)),
            }
        }
        let states: Vec<AdapterCheckpoint<'_>> = entrants
            .iter()
            .map(|entrant| train::checkpoint_state(&entrant.plan, &entrant.trainables))
            .collect();
        let sources: Vec<_> = entrants
            .iter()
            .map(|entrant| train::examples(&entrant.plan, &entrant.trainables, &mut |_| {}))
            .collect();
        let mut racers: Vec<Racer<'_>> = entrants
            .iter()
            .zip(&states)
            .zip(&sources)
            .map(|((entrant, state), source)| Racer::new(entrant, state, source))
            .collect();
        let mut standing = Standing::new(self, metric);
        self.race(&mut racers, rows, &mut standing);
        for index in 0..racers.len() {
            let place = racers[index].entrant.place;
            match self.settle(&mut racers[index]) {
                Ok(Some(record)) => {
                    kept.add(record.clone())?;
                    rows[place].results.push(Ok(record));
                    racers[index].is_settled = true;
                }
                // The same line resumes it; until then its row and its curve stay in view.
                Ok(None) => {}
                Err(_) if self.desk.is_stopping() => {}
                Err(failure) => {
                    rows[place].results.push(Err(failure));
                    racers[index].is_settled = true;
                }
            }
            standing.tell(rows, &under(&racers));
        }
        Ok(())
    }

    /// Gives every training its turns, until all have come to their end or the user stops them.
    fn race(&self, racers: &mut [Racer<'_>], rows: &[Row], standing: &mut Standing<'_>) {
        let control = self.desk.control();
        for turn in 1..=TURNS {
            for index in 0..racers.len() {
                self.give_up_named(racers);
                // News comes within a turn too: that of a long training takes its time.
                while racers[index].is_before(turn) {
                    let Entrant { place, trial, seed, .. } = racers[index].entrant;
                    let label = format!(
                        "trial {} of {}: {}, seed {seed}",
                        self.number(*place, *seed),
                        self.trainings(),
                        trial.label
                    );
                    let (done, total) = progress(racers);
                    self.desk.emit(Event::Progress { label, done, total });
                    standing.show(rows, &under(racers));
                    if self.desk.is_stopping() {
                        return;
                    }
                    racers[index].advance(turn, &control);
                }
            }
            if LOOKS.contains(&turn) {
                racers.iter_mut().for_each(|racer| self.look(racer, standing.metric()));
            }
            if self.grid.halves() && HALVINGS.contains(&turn) {
                give_up_half(racers);
            }
        }
    }

    /// Scores a training that is on its way on a few examples; what cannot be scored now is told of at its end.
    fn look(&self, racer: &mut Racer<'_>, metric: &Metric) {
        if racer.end.is_some() || self.desk.is_stopping() || racer.entrant.turn(true).is_err() {
            return;
        }
        let found = score_on(self.desk, self, LOOKED_AT, &mut |_, _| {});
        racer.metric = found
            .ok()
            .filter(|_| !self.desk.is_stopping())
            .map(|found| metric.of_evaluation(&found));
        if let Err(failure) = racer.entrant.turn(false) {
            racer.end = Some(Err(failure));
        }
    }

    /// Gives up those that `%trial stop` has named.
    fn give_up_named(&self, racers: &mut [Racer<'_>]) {
        if !self.desk.is_background() {
            return;
        }
        let named = self.desk.change_background(|report| report.stops.clone()).unwrap_or_default();
        racers
            .iter_mut()
            .filter(|racer| racer.end.is_none() && named.contains(&(racer.entrant.place + 1)))
            .for_each(Racer::give_up);
    }

    /// Ends a training; its record when it has finished or was given up, none when the user has stopped it.
    fn settle(&self, racer: &mut Racer<'_>) -> Result<Option<TrialRecord>, Failure> {
        let (entrant, stopped, cost, heard) =
            (racer.entrant, racer.stopped, racer.cost, &mut racer.heard);
        let outcome = match racer.end.take() {
            Some(Err(failure)) => return Err(failure),
            Some(Ok(outcome)) => outcome,
            None => RunOutcome::Interrupted,
        };
        let finished = outcome == RunOutcome::Finished || stopped.is_some();
        if let Some(training) = racer.training.take() {
            training.end(outcome, &mut |event| heard.hear(event))?;
        }
        if !finished {
            return Ok(None);
        }
        entrant.turn(true)?;
        let found = score(self.desk, self, &entrant.trial.label);
        entrant.turn(false)?;
        let (found, (trainable, total)) = (found?, entrant.counts);
        let (cost, run) = (
            (heard.steps() > 0).then(|| (heard.tokens_per_second(), cost)),
            entrant.header.run.clone(),
        );
        let Entrant { key, lr, .. } = entrant;
        let Heard { curve, domain, seconds, .. } = heard.clone();
        Ok(Some(TrialRecord {
            key: key.clone(),
            run,
            loss: found.loss,
            accuracy: found.accuracy,
            trainable,
            total,
            seconds,
            lr: *lr,
            cost,
            stopped,
            curve,
            domain,
        }))
    }

    /// Number of a training, from 1.
    fn number(&self, place: usize, seed: u64) -> u64 {
        (seed - self.state.seed) * self.grid.trials.len() as u64 + place as u64 + 1
    }

    /// One training from beginning to end, by itself; nothing of it is kept but what it told.
    pub(super) fn alone(&self, entrant: &Entrant<'_>, label: &str) -> Result<Heard, Failure> {
        let state = train::checkpoint_state(&entrant.plan, &entrant.trainables);
        let source = train::examples(&entrant.plan, &entrant.trainables, &mut |_| {});
        let mut racer = Racer::new(entrant, &state, &source);
        while racer.is_before(TURNS) && !self.desk.is_stopping() {
            let (done, total) = progress(std::slice::from_ref(&racer));
            self.desk.emit(Event::Progress { label: label.to_owned(), done, total });
            racer.advance(TURNS, &self.desk.control());
        }
        match racer.end {
            Some(Err(failure)) => Err(failure),
            Some(Ok(RunOutcome::Finished)) => Ok(racer.heard),
            _ => Err(crate::SessionError::Interrupted {
                what: format!("stopped in {label}"),
                next: None,
            }
            .into()),
        }
    }
}

impl Entrant<'_> {
    fn job<'b>(
        &'b self,
        state: &'b AdapterCheckpoint<'b>,
        examples: &'b Examples<'b>,
    ) -> TrainingJob<'b> {
        train::job(&self.plan, self.header.clone(), &self.trainables, state, examples)
    }
}

impl<'a> Racer<'a> {
    /// At the start, or where it was left; one that cannot start has come to its end.
    fn new(
        entrant: &'a Entrant<'a>,
        state: &'a AdapterCheckpoint<'a>,
        source: &'a graft_train::Result<Examples<'a>>,
    ) -> Self {
        let mut racer = Self {
            entrant,
            training: None,
            heard: Heard::default(),
            end: None,
            stopped: None,
            cost: 0,
            metric: None,
            is_settled: false,
        };
        match source {
            Err(error) => racer.end = Some(Err(Failure::from_hint(error))),
            Ok(source) => {
                racer.cost = entrant.bytes(source.longest());
                let (run, start) = (
                    entrant.job(state, source),
                    if entrant.goes_on { TrainingLoop::resume } else { TrainingLoop::start },
                );
                match start(run, &mut |event| racer.heard.hear(event)) {
                    Ok(training) => racer.training = Some(training),
                    // It was stopped when it had been trained and not yet scored; its weights are those of its last step now.
                    Err(TrainError::AlreadyDone { .. }) => {
                        racer.heard.remember(&entrant.plan.folder.record().unwrap_or_default());
                        racer.end = Some(Ok(RunOutcome::Finished));
                    }
                    Err(error) => racer.end = Some(Err(error.into())),
                }
            }
        }
        racer
    }

    /// Step at which that turn ends.
    fn end_of(&self, turn: u64) -> u64 {
        self.entrant.plan.config.steps * turn / TURNS
    }

    /// Whether it has something to do in that turn.
    fn is_before(&self, turn: u64) -> bool {
        let step = self.training.as_ref().map(TrainingLoop::step);
        self.end.is_none() && step.is_some_and(|step| step < self.end_of(turn) || turn == TURNS)
    }

    /// Some of its steps in that turn.
    fn advance(&mut self, turn: u64, control: &Control) {
        let until = self.end_of(turn);
        let Some(training) = &mut self.training else { return };
        let steps = until.saturating_sub(training.step()).min(STEPS);
        let advanced = self.entrant.turn(true).and_then(|()| {
            Ok(training.advance(steps, control, &mut |event| self.heard.hear(event))?)
        });
        let silent = self.entrant.turn(false);
        self.end = advanced.and_then(|outcome| silent.map(|()| outcome)).transpose();
        if matches!(self.end, Some(Err(_))) {
            self.training = None;
        }
    }

    /// It trains no further, and is scored as it is.
    fn give_up(&mut self) {
        self.stopped = Some(self.heard.steps());
        self.end = Some(Ok(RunOutcome::Interrupted));
    }

    fn under(&self) -> Under<'_> {
        Under {
            place: self.entrant.place,
            heard: &self.heard,
            steps: self.entrant.plan.config.steps,
            counts: self.entrant.counts,
            cost: self.cost,
            stopped: self.stopped,
            metric: self.metric,
        }
    }
}

/// Those whose rows have no result yet.
fn under<'a>(racers: &'a [Racer<'_>]) -> Vec<Under<'a>> {
    racers.iter().filter(|racer| !racer.is_settled).map(Racer::under).collect()
}

/// Steps done by all of them, and to do.
fn progress(racers: &[Racer<'_>]) -> (u64, u64) {
    let going = || {
        racers.iter().filter(|racer| racer.stopped.is_none() && !matches!(racer.end, Some(Err(_))))
    };
    (
        going().map(|racer| racer.heard.steps()).sum(),
        going().map(|racer| racer.entrant.plan.config.steps).sum(),
    )
}

/// Gives up those with the higher training loss, so that half of what is under way, rounded up, goes on.
fn give_up_half(racers: &mut [Racer<'_>]) {
    let mut going: Vec<&mut Racer<'_>> =
        racers.iter_mut().filter(|racer| racer.end.is_none()).collect();
    let loss = |racer: &Racer<'_>| {
        racer.heard.loss().filter(|loss| loss.is_finite()).unwrap_or(f64::INFINITY)
    };
    going.sort_by(|one, other| loss(one).total_cmp(&loss(other)));
    let go_on = going.len().div_ceil(2);
    going.into_iter().skip(go_on).for_each(Racer::give_up);
}
