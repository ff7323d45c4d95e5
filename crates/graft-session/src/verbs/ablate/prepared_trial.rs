//! Prepares one run of a comparison: attaches its adapter and opens its run folder.

use std::sync::Arc;

use graft_nn::Trainable;
use graft_protocol::RunOutcome;
use graft_spec::{Failure, Settings, Value, ablation::Trial, methods::MethodSpec};
use graft_train::{
    AdapterCheckpoint, Examples, TrainConfig, TrainingJob,
    memory::predicted,
    runs::{RunFolder, RunHeader, RunRecord},
};

use super::runner::GridRunner;
use crate::{
    state::{AttachedAdapter, LoadedModel},
    verbs::{
        attach,
        domain::Domain,
        runs,
        train::{self, TrainingSetup},
    },
};

/// Prefix of the adapter names of trials. The session does not list these adapters.
const NAME_PREFIX: &str = "_ablate";
/// Evaluations on the base's own domain during a run, after the one before the first step.
const DOMAIN_EVALUATIONS: u64 = 8;

/// A run to prepare.
pub(super) struct TrialRun<'t> {
    /// Index of its configuration.
    pub(super) place: usize,
    pub(super) trial: &'t Trial,
    pub(super) seed: u64,
    /// Identifies the result across sessions; empty for a run that is discarded.
    pub(super) key: String,
    /// Identifies the run across sessions; empty for a run that is discarded.
    pub(super) run_key: String,
    /// The learning rate that a search has found.
    pub(super) lr: Option<f64>,
    /// Keys of the training.
    pub(super) train: Settings,
}

/// A run of the comparison with its adapter attached. The adapter is active only while the run is
/// trained or scored.
pub(super) struct PreparedTrial<'t> {
    /// Index of its configuration.
    pub(super) place: usize,
    pub(super) trial: &'t Trial,
    pub(super) seed: u64,
    pub(super) key: String,
    /// The learning rate that a search has found.
    pub(super) lr: Option<f64>,
    pub(super) setup: TrainingSetup,
    pub(super) trainables: Vec<Trainable>,
    pub(super) header: RunHeader,
    /// Whether it resumes from a checkpoint.
    pub(super) resumes: bool,
    guard: DetachGuard,
}

/// Detaches the adapter of a trial when dropped.
struct DetachGuard {
    model: Arc<LoadedModel>,
    attached: Arc<AttachedAdapter>,
}

impl Drop for DetachGuard {
    fn drop(&mut self) {
        // The adapter of a trial is never merged, so detaching cannot fail.
        drop(self.attached.adapter.detach(self.model.loaded.model.as_ref()));
    }
}

impl GridRunner<'_> {
    /// Attaches the adapter of one run, inactive. A run that was stopped before its end is resumed.
    ///
    /// # Errors
    /// Those of attaching and of creating the run folder.
    pub(super) fn prepare<'t>(
        &self,
        run: TrialRun<'t>,
        domain: Option<&Domain>,
    ) -> Result<PreparedTrial<'t>, Failure> {
        let TrialRun { place, trial, seed, key, run_key, lr, train } = run;
        let model = self.state.model()?;
        let spec = attach::method(trial.method)?;
        let attached = self.attach(&model, spec, place, trial, seed)?;
        let guard = DetachGuard { model: model.clone(), attached: attached.clone() };
        let keys = trial_keys(train, lr);
        let config = training_config(&keys, train::default_rate(&model, spec), seed, domain);
        let validation_data = domain.map(|domain| domain.data.clone());
        let (folder, resumes) = self.run_folder(&run_key, trial.method)?;
        let setup = TrainingSetup {
            model,
            data: self.data.clone(),
            validation_data,
            attached,
            config,
            folder,
            callbacks: None,
            encoded: None,
        };
        let header = self.header(&setup, &keys, &run_key);
        let trainables = setup.attached.adapter.trainables();
        let prepared = PreparedTrial {
            place,
            trial,
            seed,
            key,
            lr,
            setup,
            trainables,
            header,
            resumes,
            guard,
        };
        prepared.deactivate()?;
        Ok(prepared)
    }

    /// The folder of the run, and whether an unfinished run in it is resumed.
    fn run_folder(&self, key: &str, method: &str) -> Result<(RunFolder, bool), Failure> {
        let earlier = if self.is_fresh() { None } else { unfinished_run(key)? };
        Ok(match earlier {
            Some(folder) => (folder, true),
            None => (RunFolder::create(&runs::base(), method)?, false),
        })
    }

    /// The header of the run folder, with the key of the trial.
    fn header(&self, setup: &TrainingSetup, keys: &Settings, key: &str) -> RunHeader {
        RunHeader {
            trial: (!key.is_empty()).then(|| key.to_owned()),
            ..train::header(&self.state, setup, keys)
        }
    }

    fn attach(
        &self,
        model: &LoadedModel,
        spec: &MethodSpec,
        place: usize,
        trial: &Trial,
        seed: u64,
    ) -> Result<Arc<AttachedAdapter>, Failure> {
        let name = Value::Text(format!("{NAME_PREFIX}{place}"));
        let settings = trial.settings.clone().with("adapter_name", name);
        let request =
            attach::BuildRequest { model, data: Some(&self.data), spec, settings: &settings, seed };
        let adapter = attach::build(self.cx, &self.state, &request)?;
        let origin = attach::fresh(spec, &settings, Some(&self.data), seed);
        let attached = Arc::new(AttachedAdapter::new(adapter, origin));
        attached.remember_requested(&settings);
        Ok(attached)
    }
}

/// Finds the run with this key that was stopped or killed before it was trained and scored.
///
/// # Errors
/// [`graft_train::TrainError::InUse`] while another kernel trains it.
fn unfinished_run(key: &str) -> Result<Option<RunFolder>, Failure> {
    let has_key = |folder: &RunFolder| {
        folder
            .header()
            .is_some_and(|header| !key.is_empty() && header.trial.as_deref() == Some(key))
    };
    let can_resume = |record: &RunRecord| {
        record.ended.as_ref().is_none_or(|ended| ended.outcome != RunOutcome::Failed)
    };
    let is_unfinished = |folder: &RunFolder| {
        !folder.checkpoints().is_empty() && folder.record().is_ok_and(|record| can_resume(&record))
    };
    let found = RunFolder::list(&runs::base())
        .into_iter()
        .find(|folder| has_key(folder) && is_unfinished(folder));
    found.iter().try_for_each(|folder| folder.lock().map(drop))?;
    Ok(found)
}

impl PreparedTrial<'_> {
    /// Activates its adapter alone.
    pub(super) fn activate(&self) -> Result<(), Failure> {
        let DetachGuard { model, attached } = &self.guard;
        Ok(attached.adapter.activate(model.loaded.model.as_ref())?)
    }

    /// Deactivates its adapter.
    pub(super) fn deactivate(&self) -> Result<(), Failure> {
        let DetachGuard { model, attached } = &self.guard;
        Ok(attached.adapter.deactivate(model.loaded.model.as_ref())?)
    }

    /// Predicted memory of the training run in bytes, on top of the shared base.
    pub(super) fn bytes(&self, longest: usize) -> u64 {
        let model = self.guard.model.loaded.model.as_ref();
        let config = &self.setup.config;
        let rows = if config.preference.is_some() { 2 * config.batch } else { config.batch };
        predicted(model, &self.trainables, (rows, longest), config.recompute).on_top()
    }

    pub(super) fn job<'b>(
        &'b self,
        checkpoint: &'b AdapterCheckpoint<'b>,
        examples: &'b Examples<'b>,
    ) -> TrainingJob<'b> {
        train::job(&self.setup, self.header.clone(), &self.trainables, checkpoint, examples)
    }
}

/// The keys of `%train` of a trial: no validation and no periodic checkpoints.
fn trial_keys(train: Settings, lr: Option<f64>) -> Settings {
    let mut keys =
        train.with("eval_every", Value::Integer(0)).with("save_every", Value::Integer(0));
    keys.values.extend(lr.map(|lr| ("lr".to_owned(), Value::Float(lr))));
    keys
}

/// The configuration of a trial; on another domain, losses are measured at equal intervals.
fn training_config(keys: &Settings, rate: f64, seed: u64, domain: Option<&Domain>) -> TrainConfig {
    let mut config = TrainConfig::from_settings(keys, rate, seed);
    if let Some(domain) = domain {
        config.eval_every = config.steps.div_ceil(DOMAIN_EVALUATIONS);
        config.eval_examples = domain.examples;
    }
    config
}
