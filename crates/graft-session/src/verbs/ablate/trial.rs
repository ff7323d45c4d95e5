//! One training of a comparison.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use graft_protocol::{
    Event, Failure, RunOutcome, Settings, Value,
    ablation::{Ablation, Trial},
    methods,
    training::ABLATE,
};
use graft_train::{
    TrainConfig, fit,
    runs::{RunFolder, TrialRecord},
};

use super::score;
use crate::{
    Desk, SessionError, State,
    state::{Attached, LoadedData, LoadedModel},
    verbs::{attach, domain::Domain, runs, train, words::kept_as},
};

/// Name of a trial's adapter in the model; the session never lists it.
const NAME: &str = "_ablate";
/// Smoothing of the curves that are drawn.
const SMOOTHING: f64 = 0.8;
/// How often a training looks at the base's own domain, beside the look before it begins.
const LOOKS: u64 = 8;
/// Time between two pieces of news.
const NEWS: Duration = Duration::from_millis(200);

/// What all trials share.
pub(super) struct Bench<'a> {
    pub(super) desk: &'a Desk,
    pub(super) state: Arc<State>,
    pub(super) data: Arc<LoadedData>,
    /// The base's own domain, where forgetting is measured.
    pub(super) domain: Option<Domain>,
    pub(super) grid: &'a Ablation,
}

/// A training that has ended, its adapter still attached.
pub(super) struct Course {
    passing: Passing,
    seconds: f64,
    /// Training loss by step, smoothed.
    pub(super) curve: Vec<(u64, f64)>,
    domain: Vec<(u64, f64)>,
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
        let model = self.state.model.as_ref().map(|model| (model.loaded.content_hash.clone(), kept_as(model.loaded.model.as_ref())));
        let asked = ["split", "examples"].map(|name| self.grid.settings.get(ABLATE, name).map(|value| value.to_string()));
        let (data, version) = (&self.data, env!("CARGO_PKG_VERSION"));
        let domain = self.domain.as_ref().map_or_else(String::new, |domain| format!(" {:x} {}", domain.data.dataset.fingerprint(), domain.examples));
        let seeks = if self.grid.search_lr { " lr=auto" } else { "" };
        format!(
            "{model:?} {} {:x} {} {} {:?} {:?} {seed} {asked:?} {version}{domain}{seeks}",
            data.dataset.name,
            data.dataset.fingerprint(),
            graft_nn::device::describe(&self.state.device),
            trial.method,
            trial.settings.values,
            trial.train.values
        )
    }

    /// Attaches, trains, scores and detaches; `lr` is what a search has found.
    pub(super) fn run(&self, trial: &Trial, seed: u64, key: String, lr: Option<f64>, label: &str) -> Result<TrialRecord, Failure> {
        let keys = lr.map_or_else(|| trial.train.clone(), |lr| trial.train.clone().with("lr", Value::Float(lr)));
        let folder = RunFolder::create(&runs::base(), trial.method)?;
        let run = folder.name();
        let course = self.train(trial, seed, (&keys, self.domain.as_ref()), folder, label)?;
        let found = score(self.desk, self, &trial.label)?;
        let counts = graft_peft::counts(course.passing.model.loaded.model.as_ref(), &[&course.passing.attached.adapter]);
        let Course { seconds, curve, domain, .. } = course;
        let (trainable, total) = (counts.trainable, counts.all);
        Ok(TrialRecord { key, run, loss: found.loss, accuracy: found.accuracy, trainable, total, seconds, lr, curve, domain })
    }

    /// Attaches an adapter and trains it; it goes with what comes back.
    pub(super) fn train(
        &self,
        trial: &Trial,
        seed: u64,
        (keys, domain): (&Settings, Option<&Domain>),
        folder: RunFolder,
        label: &str,
    ) -> Result<Course, Failure> {
        let model = self.state.model()?;
        let spec = attach::method(trial.method)?;
        let settings = trial.settings.clone().with("adapter_name", Value::Text(NAME.to_owned()));
        let adapter = attach::build(self.desk, &self.state, (&model, Some(&self.data)), (spec, &settings), seed)?;
        let attached = Arc::new(Attached::new(adapter));
        let passing = Passing { model: model.clone(), attached: attached.clone() };
        let keys = keys.clone().with("eval_every", Value::Integer(0)).with("save_every", Value::Integer(0));
        let mut config = TrainConfig::from_settings(&keys, spec.learning_rate, seed);
        if let Some(domain) = domain {
            (config.eval_every, config.eval_examples) = (config.steps.div_ceil(LOOKS), domain.examples);
        }
        let watched = domain.map(|domain| domain.data.clone());
        let plan = train::Plan { model, data: self.data.clone(), watched, attached, config, folder };
        let (mut curve, mut domain, mut smooth, mut said) = (Vec::new(), Vec::new(), f64::NAN, Instant::now());
        let (steps, started) = (plan.config.steps, Instant::now());
        let mut hear = |event: Event| {
            let step = match event {
                Event::Validation(seen) => return domain.push((seen.step, seen.loss)),
                Event::Step(step) => step,
                _ => return,
            };
            smooth = if smooth.is_nan() { step.loss } else { SMOOTHING * smooth + (1.0 - SMOOTHING) * step.loss };
            curve.push((step.step, smooth));
            if said.elapsed() > NEWS || step.step == steps {
                said = Instant::now();
                self.desk.emit(Event::Progress { label: format!("{label}, loss {smooth:.3}"), done: step.step, total: steps });
            }
        };
        let ended = train::work(self.desk, &plan, train::header(&self.state, &plan, &keys), fit, &mut hear)?;
        let seconds = started.elapsed().as_secs_f64();
        if ended.outcome == RunOutcome::Interrupted {
            return Err(SessionError::Interrupted { what: format!("stopped in {label}"), next: None }.into());
        }
        Ok(Course { passing, seconds, curve, domain })
    }
}

/// `lora_alpha / r` of a configuration, where its method has both.
pub(super) fn scale(trial: &Trial) -> Option<f64> {
    let keys = methods::by_verb(trial.method)?.keys;
    let alpha = keys.iter().find(|key| matches!(key.name, "lora_alpha" | "alpha"))?;
    Some(trial.settings.float(keys, alpha.name)? / trial.settings.float(keys, "r")?)
}
