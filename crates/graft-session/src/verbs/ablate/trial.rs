//! One training of a comparison: what decides it, how it is set up, what it tells.

use std::{collections::BTreeSet, sync::Arc};

use graft_nn::Trainable;
use graft_protocol::{Event, RunOutcome, StepRecord};
use graft_spec::{
    Failure, Settings, Value,
    ablation::{Ablation, Trial},
    methods,
    training::ABLATE,
};
use graft_train::{
    TrainConfig,
    memory::predicted,
    runs::{RunFolder, RunHeader, RunRecord},
};

use crate::{
    CommandContext, State,
    state::{Attached, LoadedData, LoadedModel},
    verbs::{
        attach,
        domain::Domain,
        runs,
        train::{self, TrainingSetup},
        words::kept_as,
    },
};

/// What the name of a trial's adapter in the model begins with; the session never lists it.
const NAME: &str = "_ablate";
/// Smoothing of the curves that are drawn.
const SMOOTHING: f64 = 0.8;
/// How often a training looks at the base's own domain, beside the look before it begins.
const LOOKS: u64 = 8;
/// What all trials share.
pub(super) struct Bench<'a> {
    pub(super) desk: &'a CommandContext,
    pub(super) state: Arc<State>,
    pub(super) data: Arc<LoadedData>,
    /// The base's own domain, where forgetting is measured.
    pub(super) domain: Option<Domain>,
    pub(super) grid: &'a Ablation,
    /// Whether what `%trial stop` gave up stays so; the same line typed again takes it up.
    pub(super) leaves_given_up: bool,
}

/// A training of the comparison, its adapter attached and silent between its turns.
pub(super) struct Entrant<'a> {
    /// Number of its configuration.
    pub(super) place: usize,
    pub(super) trial: &'a Trial,
    pub(super) seed: u64,
    pub(super) key: String,
    /// What a search has found.
    pub(super) lr: Option<f64>,
    pub(super) plan: TrainingSetup,
    pub(super) trainables: Vec<Trainable>,
    pub(super) header: RunHeader,
    /// Parameters trained, and all of them.
    pub(super) counts: (u64, u64),
    /// Whether it goes on from a checkpoint.
    pub(super) goes_on: bool,
    passing: Passing,
}

/// What a training has told so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    /// Training loss by step, smoothed.
    pub(super) curve: Vec<(u64, f64)>,
    /// Loss on the base's own domain by step.
    pub(super) domain: Vec<(u64, f64)>,
    /// Time spent on it, by earlier runs of the same line too.
    pub(super) seconds: f64,
    /// Time of the runs before this one.
    before: f64,
    /// Sum of the times that a token took, over the steps.
    seconds_per_token: f64,
}

/// Takes a trial's adapter away, however the trial ends.
struct Passing {
    model: Arc<LoadedModel>,
    attached: Arc<Attached>,
}

impl Drop for Passing {
    fn drop(&mut self) {
        // A trial's adapter is never merged, so nothing can fail.
        drop(self.attached.adapter.detach(self.model.loaded.model.as_ref()));
    }
}

impl Bench<'_> {
    /// Configurations times seeds.
    pub(super) fn trainings(&self) -> u64 {
        self.grid.trials.len() as u64 * self.grid.seeds()
    }

    /// Everything that decides the result of a trial, in words.
    pub(super) fn key(&self, trial: &Trial, seed: u64) -> String {
        let model =
            self.state.model.as_ref().map(|model| {
                (model.loaded.content_hash.clone(), kept_as(model.loaded.model.as_ref()))
            });
        let asked = ["split", "examples"]
            .map(|name| self.grid.settings.get(ABLATE, name).map(|value| value.to_string()));
        let (data, version) = (&self.data, env!("CARGO_PKG_VERSION"));
        let domain = self.domain.as_ref().map_or_else(String::new, |domain| {
            format!(" {:x} {}", domain.data.dataset.fingerprint(), domain.examples)
        });
        let seeks = if self.grid.search_lr { " lr=auto" } else { "" };
        let halves = if self.grid.halves() { " early=halving" } else { "" };
        format!(
            "{model:?} {} {:x} {} {} {:?} {:?} {seed} {asked:?} {version}{domain}{seeks}{halves}",
            data.dataset.name,
            data.dataset.fingerprint(),
            graft_nn::device::describe(&self.state.device),
            trial.method,
            trial.settings.values,
            trial.train.values
        )
    }

    /// Attaches the adapter of a training, which is silent until its turn. One that was stopped half-way goes on.
    pub(super) fn enter<'t>(
        &self,
        (place, trial): (usize, &'t Trial),
        seed: u64,
        (key, lr): (String, Option<f64>),
        keys: &Settings,
        domain: Option<&Domain>,
    ) -> Result<Entrant<'t>, Failure> {
        let model = self.state.model()?;
        let spec = attach::method(trial.method)?;
        let settings =
            trial.settings.clone().with("adapter_name", Value::Text(format!("{NAME}{place}")));
        let adapter = attach::build(
            self.desk,
            &self.state,
            (&model, Some(&self.data)),
            (spec, &settings),
            seed,
        )?;
        let origin = attach::fresh(spec, &settings, Some(&self.data), seed);
        let attached = Arc::new(Attached::new(adapter, origin));
        attached.remember_asked(&settings);
        let passing = Passing { model: model.clone(), attached: attached.clone() };
        let mut keys = keys
            .clone()
            .with("eval_every", Value::Integer(0))
            .with("save_every", Value::Integer(0));
        keys.values.extend(lr.map(|lr| ("lr".to_owned(), Value::Float(lr))));
        let mut config = TrainConfig::from_settings(&keys, train::default_rate(&model, spec), seed);
        if let Some(domain) = domain {
            (config.eval_every, config.eval_examples) =
                (config.steps.div_ceil(LOOKS), domain.examples);
        }
        let validation_data = domain.map(|domain| domain.data.clone());
        let earlier = if self.is_fresh() { None } else { half_way(&key)? };
        let (folder, goes_on) = match earlier {
            Some(folder) => (folder, true),
            None => (RunFolder::create(&runs::base(), trial.method)?, false),
        };
        let plan = TrainingSetup {
            model,
            data: self.data.clone(),
            validation_data,
            attached,
            config,
            folder,
        };
        let header = RunHeader {
            trial: (!key.is_empty()).then(|| key.clone()),
            ..train::header(&self.state, &plan, &keys)
        };
        let trainables = plan.attached.adapter.trainables();
        let counts = (header.trainable, header.total);
        let entrant = Entrant {
            place,
            trial,
            seed,
            key,
            lr,
            plan,
            trainables,
            header,
            counts,
            goes_on,
            passing,
        };
        entrant.turn(false)?;
        Ok(entrant)
    }

    /// Whether what is finished or half-way is trained again.
    pub(super) fn is_fresh(&self) -> bool {
        self.grid.settings.bool(ABLATE, "fresh")
    }
}

/// The run of a training that was stopped or killed, before its end or before it was scored.
///
/// # Errors
/// [`graft_train::TrainError::InUse`] while another kernel trains it.
fn half_way(key: &str) -> Result<Option<RunFolder>, Failure> {
    let is_it = |folder: &RunFolder| {
        folder
            .header()
            .is_some_and(|header| !key.is_empty() && header.trial.as_deref() == Some(key))
    };
    let goes_on = |record: &RunRecord| {
        record.ended.as_ref().is_none_or(|ended| ended.outcome != RunOutcome::Failed)
    };
    let unfinished = |folder: &RunFolder| {
        !folder.checkpoints().is_empty() && folder.record().is_ok_and(|record| goes_on(&record))
    };
    let found = RunFolder::list(&runs::base())
        .into_iter()
        .find(|folder| is_it(folder) && unfinished(folder));
    found.iter().try_for_each(|folder| folder.lock().map(drop))?;
    Ok(found)
}

impl Bench<'_> {
    /// Refuses a comparison of which another kernel trains a part now: both would write into the same runs.
    ///
    /// # Errors
    /// [`graft_train::TrainError::InUse`] with the run and who trains it.
    pub(super) fn refuse_if_in_use(&self) -> Result<(), Failure> {
        if self.is_fresh() {
            return Ok(());
        }
        let keys: BTreeSet<String> = self
            .seeds()
            .flat_map(|seed| self.grid.trials.iter().map(move |trial| self.key(trial, seed)))
            .collect();
        let is_ours = |folder: &RunFolder| {
            folder
                .header()
                .and_then(|header| header.trial)
                .is_some_and(|trial| keys.contains(&trial))
        };
        Ok(RunFolder::list(&runs::base())
            .iter()
            .filter(|folder| is_ours(folder))
            .try_for_each(|folder| folder.lock().map(drop))?)
    }

    /// The seeds of every configuration.
    pub(super) fn seeds(&self) -> impl Iterator<Item = u64> + use<> {
        let first = self.state.seed;
        (0..self.grid.seeds()).map(move |number| first + number)
    }
}

impl Entrant<'_> {
    /// Switches its adapter on, alone, or off.
    pub(super) fn turn(&self, on: bool) -> Result<(), Failure> {
        Ok(self
            .passing
            .attached
            .adapter
            .set_active(self.passing.model.loaded.model.as_ref(), on)?)
    }

    /// Bytes that its training takes beside the shared base, as predicted.
    pub(super) fn bytes(&self, longest: usize) -> u64 {
        let model = self.passing.model.loaded.model.as_ref();
        predicted(
            model,
            &self.trainables,
            (self.plan.config.batch, longest),
            self.plan.config.recompute,
        )
        .on_top()
    }
}

impl Heard {
    /// Takes in one event of its training.
    pub(super) fn hear(&mut self, event: Event) {
        match event {
            Event::RunStarted(started) => {
                let (steps, validations) = (started.earlier, started.earlier_validations);
                self.remember(&RunRecord { steps, validations, ..RunRecord::default() });
            }
            Event::Step(step) => self.step(&step),
            Event::Validation(seen) => self.domain.push((seen.step, seen.loss)),
            _ => {}
        }
    }

    /// Takes in what was told before.
    pub(super) fn remember(&mut self, record: &RunRecord) {
        record.steps.iter().for_each(|step| self.step(step));
        self.domain.extend(record.validations.iter().map(|seen| (seen.step, seen.loss)));
        self.before = self.seconds;
    }

    fn step(&mut self, step: &StepRecord) {
        let smooth = self
            .loss()
            .map_or(step.loss, |smooth| SMOOTHING * smooth + (1.0 - SMOOTHING) * step.loss);
        self.curve.push((step.step, smooth));
        self.seconds = self.before + step.elapsed_seconds;
        self.seconds_per_token += 1.0 / step.tokens_per_second;
    }

    /// Steps done.
    pub(super) fn steps(&self) -> u64 {
        self.curve.last().map_or(0, |last| last.0)
    }

    /// The training loss, smoothed.
    pub(super) fn loss(&self) -> Option<f64> {
        self.curve.last().map(|last| last.1)
    }

    /// Tokens a second, over all steps.
    pub(super) fn tokens_per_second(&self) -> f64 {
        self.curve.len() as f64 / self.seconds_per_token
    }
}

/// `lora_alpha / r` of a configuration, where its method has both.
pub(super) fn scale(trial: &Trial) -> Option<f64> {
    let keys = methods::by_verb(trial.method)?.keys;
    let alpha = keys.iter().find(|key| matches!(key.name, "lora_alpha" | "alpha"))?;
    Some(trial.settings.float(keys, alpha.name)? / trial.settings.float(keys, "r")?)
}
