//! What a session holds. A [`State`] is a value: a change makes a new one and exchanges it, so that readers never wait for a job.

use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use arc_swap::ArcSwapOption;
use graft_models::Loaded;
use graft_nn::{Device, LabelNames};
use graft_peft::Adapter;
use graft_spec::{Settings, ablation::Ablation};
use graft_train::{
    data::Dataset,
    runs::{DataRecord, Start},
};

use crate::{
    SessionError,
    provenance::{Origin, Provenance},
    verbs::bare::Aside,
};

/// Every name of the session and what it stands for.
#[derive(Clone)]
pub struct State {
    /// The current model.
    pub model: Option<Arc<LoadedModel>>,
    /// Its adapters, in the order they were attached.
    pub adapters: Vec<Arc<Attached>>,
    /// Name of the adapter in use; none when there is no adapter.
    pub in_use: Option<String>,
    /// The data sets, the current one first.
    pub data: Vec<Arc<LoadedData>>,
    /// Names of the runs on disk, newest first.
    pub runs: Vec<String>,
    /// Seed of everything random that has no seed of its own.
    pub seed: u64,
    /// Where tensors live.
    pub device: Device,
    /// The last comparison, to which `%trial clone` adds.
    pub compared: Option<Arc<Comparison>>,
}

/// What was compared.
pub struct Comparison {
    /// The configurations.
    pub grid: Ablation,
    /// Whether the question was what is forgotten.
    pub forgetting: bool,
}

/// A model and how it came here.
pub struct LoadedModel {
    /// The model with its tokenizer.
    pub loaded: Loaded,
    /// What the user typed after `%model load`, which loads it again.
    pub source: String,
    /// The keys it was loaded with.
    pub settings: Settings,
    /// What loads it again from every folder.
    lasting: String,
    /// Names that replace those of a classifier's own classes.
    renamed: ArcSwapOption<Vec<String>>,
    /// What acted each time that its base was laid bare, the user's own first; empty while the user's adapters act.
    aside: Mutex<Vec<Arc<Aside>>>,
}

/// An adapter and what the session knows of it.
pub struct Attached {
    /// The adapter.
    pub adapter: Adapter,
    /// Steps that its weights were trained for, as far as this session knows.
    trained_steps: AtomicU64,
    /// Where it and its weights come from.
    provenance: Provenance,
    /// The keys that it was asked for with, where its start looked at data or at unpacked weights: the adapter's own settings say what was found.
    asked: OnceLock<Settings>,
    /// Names of a classifier's classes as this adapter was trained on them.
    label_names: ArcSwapOption<Vec<String>>,
}

/// A data set and how it came here.
pub struct LoadedData {
    /// The examples.
    pub dataset: Dataset,
    /// Where they came from, which loads them again.
    pub origin: DataOrigin,
}

/// Where a data set came from. Checkpoints keep it, so that a session that has not seen the data can resume their run.
#[derive(Clone, Debug, PartialEq)]
pub enum DataOrigin {
    /// A built-in set or a file, relative to the folder of the notebook.
    Source {
        /// What the user typed after `%data load`.
        source: String,
        /// The keys it was loaded with.
        settings: Settings,
    },
    /// Examples in a cell.
    Inline {
        /// Name of the set.
        name: String,
        /// The cell's body.
        text: String,
        /// The keys it was read with.
        settings: Settings,
    },
}

impl LoadedModel {
    /// Names of a classifier's classes in the order of its logits: those of `id2label`, or of the data that the adapter in use was trained on. `None` for
    /// other models, and where nobody has named the classes.
    pub fn label_names(&self) -> Option<Arc<Vec<String>>> {
        self.loaded.model.label_names()?.get()
    }

    /// Replaces the names of the classes, or restores the model's own with `None`.
    pub fn set_label_names(&self, names: Option<Arc<Vec<String>>>) {
        if let Some(known) = self.loaded.model.label_names() {
            self.renamed.store(names.clone());
            known.set(names);
        }
    }

    /// The names that replace the model's own now.
    pub(crate) fn renamed(&self) -> Option<Arc<Vec<String>>> {
        self.renamed.load_full()
    }

    /// Names the classes as the user's adapter does, unless a job has the base to itself: the user's names then return with what was laid aside.
    pub(crate) fn name_classes(&self, names: Option<Arc<Vec<String>>>) {
        // The lock is held, so that a job that lays the base bare at this moment is not overruled.
        let aside = self.laid_aside();
        if aside.is_empty() {
            self.set_label_names(names);
        }
    }

    /// Gives the classes the model's own names. A fresh head has no classes of its own, so it keeps the names that it was given.
    pub(crate) fn restore_own_names(&self) {
        let renamed = self.renamed();
        self.set_label_names(None);
        if self.loaded.model.label_names().is_some_and(LabelNames::is_fresh) {
            self.set_label_names(renamed);
        }
    }

    /// What loads it again, also after `%cd` and in a later session: local files by their full path, the rest as the user typed it.
    pub(crate) fn lasting_source(&self) -> &str {
        &self.lasting
    }

    /// A model that has just been loaded.
    pub fn new(loaded: Loaded, source: String, settings: Settings) -> Self {
        let full = std::path::absolute(&source).ok().filter(|full| loaded.source.starts_with(full));
        let lasting = full.map_or_else(|| source.clone(), |full| full.display().to_string());
        Self {
            loaded,
            source,
            settings,
            lasting,
            renamed: ArcSwapOption::empty(),
            aside: Mutex::default(),
        }
    }

    /// What the user has acting on it; none while that is what acts in fact.
    pub(crate) fn users(&self) -> Option<Arc<Aside>> {
        self.laid_aside().first().cloned()
    }

    /// Remembers what acted when the base was laid bare.
    pub(crate) fn lay_aside(&self, aside: Aside) {
        self.laid_aside().push(Arc::new(aside));
    }

    /// What acted when the base was last laid bare, which is now to act again.
    pub(crate) fn take_up(&self) -> Option<Arc<Aside>> {
        self.laid_aside().pop()
    }

    fn laid_aside(&self) -> MutexGuard<'_, Vec<Arc<Aside>>> {
        self.aside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LoadedData {
    /// The set as a ledger records it.
    pub(crate) fn record(&self) -> DataRecord {
        let (source, inline, settings) = match self.origin.clone() {
            DataOrigin::Source { source, settings } => (source, None, settings),
            DataOrigin::Inline { text, settings, .. } => (String::new(), Some(text), settings),
        };
        DataRecord {
            name: self.dataset.name.clone(),
            source,
            inline,
            settings,
            fingerprint: self.dataset.content_fingerprint(),
        }
    }
}

impl From<&DataRecord> for DataOrigin {
    fn from(record: &DataRecord) -> Self {
        let settings = record.settings.clone();
        match &record.inline {
            Some(text) => Self::Inline { name: record.name.clone(), text: text.clone(), settings },
            None => Self::Source { source: record.source.clone(), settings },
        }
    }
}

impl Attached {
    /// An adapter that has just been attached or loaded.
    pub(crate) fn new(adapter: Adapter, origin: Origin) -> Self {
        let (steps, provenance) = (AtomicU64::new(origin.steps), Provenance::new(origin, &adapter));
        Self {
            adapter,
            trained_steps: steps,
            provenance,
            asked: OnceLock::new(),
            label_names: ArcSwapOption::empty(),
        }
    }

    /// Where it and its weights come from.
    pub(crate) fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// Where the weights that it has now come from, with their fingerprint.
    pub(crate) fn start(&self) -> (Start, String) {
        self.provenance.now(&self.adapter)
    }

    /// Says where the weights that it has now come from.
    pub(crate) fn set_start(&self, start: Start) {
        self.provenance.set(start, &self.adapter);
    }

    /// Remembers the keys of a start that has looked for something, which whoever repeats it has to type again.
    pub(crate) fn remember_asked(&self, settings: &Settings) {
        let start =
            settings.text(self.adapter.spec().keys, "init_lora_weights").unwrap_or_default();
        if matches!(start.as_str(), "eva" | "loftq") {
            self.asked.get_or_init(|| settings.clone());
        }
    }

    /// The keys with which it is attached again from the beginning.
    pub(crate) fn asked(&self) -> &Settings {
        self.asked.get().unwrap_or_else(|| self.adapter.settings())
    }

    /// Names of a classifier's classes as this adapter was trained on them; `None` where the model's own hold.
    pub fn label_names(&self) -> Option<Arc<Vec<String>>> {
        self.label_names.load_full()
    }

    pub(crate) fn set_label_names(&self, names: Option<Arc<Vec<String>>>) {
        self.label_names.store(names);
    }

    /// Steps that its weights were trained for, as far as this session knows.
    pub fn trained_steps(&self) -> u64 {
        self.trained_steps.load(Ordering::Relaxed)
    }

    pub(crate) fn add_steps(&self, steps: u64) {
        self.trained_steps.fetch_add(steps, Ordering::Relaxed);
    }

    /// `default (lora r=8 ...)`.
    pub fn describe(&self) -> String {
        format!(
            "`{}` ({} {})",
            self.adapter.name(),
            self.adapter.spec().verb,
            self.adapter.summary()
        )
    }
}

impl State {
    pub(crate) fn new(device: Device, runs: Vec<String>) -> Self {
        Self {
            model: None,
            adapters: Vec::new(),
            in_use: None,
            data: Vec::new(),
            runs,
            seed: 0,
            device,
            compared: None,
        }
    }

    /// The current model.
    ///
    /// # Errors
    /// [`SessionError::NoModel`].
    pub fn model(&self) -> Result<Arc<LoadedModel>, SessionError> {
        self.model.clone().ok_or(SessionError::NoModel)
    }

    /// The data set of that name, or the current one.
    ///
    /// # Errors
    /// [`SessionError::NoData`], [`SessionError::UnknownData`].
    pub fn data(&self, name: Option<&str>) -> Result<Arc<LoadedData>, SessionError> {
        match name {
            None => self.data.first().cloned().ok_or(SessionError::NoData),
            Some(name) => {
                self.data.iter().find(|data| data.dataset.name == name).cloned().ok_or_else(|| {
                    SessionError::UnknownData {
                        name: name.to_owned(),
                        known: self.data.iter().map(|data| data.dataset.name.clone()).collect(),
                    }
                })
            }
        }
    }

    /// The adapter of that name.
    ///
    /// # Errors
    /// [`SessionError::UnknownAdapter`].
    pub fn adapter(&self, name: &str) -> Result<Arc<Attached>, SessionError> {
        self.adapters.iter().find(|attached| attached.adapter.name() == name).cloned().ok_or_else(
            || SessionError::UnknownAdapter {
                name: name.to_owned(),
                known: self
                    .adapters
                    .iter()
                    .map(|attached| attached.adapter.name().to_owned())
                    .collect(),
            },
        )
    }

    /// The adapter in use, whether or not it is switched off.
    pub fn adapter_in_use(&self) -> Option<Arc<Attached>> {
        self.adapter(self.in_use.as_deref()?).ok()
    }

    /// Names the model's classes as the adapter in use was trained on them.
    pub(crate) fn name_classes(&self) {
        if let Some(model) = &self.model {
            model.name_classes(self.adapter_in_use().and_then(|attached| attached.label_names()));
        }
    }

    /// The adapter that acts on the next forward pass.
    pub fn acting(&self) -> Option<Arc<Attached>> {
        self.adapter_in_use().filter(|attached| self.is_acting(attached))
    }

    /// Whether an adapter acts on the user's next forward pass, beside the weights or merged into them: what a job has in the model meanwhile is not asked.
    pub fn is_acting(&self, attached: &Attached) -> bool {
        let acts = |model: &Arc<LoadedModel>| match model.users() {
            Some(users) => users.acts(attached),
            None => attached.adapter.is_active(model.loaded.model.as_ref()),
        };
        self.model.as_ref().is_some_and(acts)
    }

    /// Whether a job has something of its own in the model, such as the adapter of a trial.
    pub(crate) fn is_lent(&self) -> bool {
        self.model.as_ref().is_some_and(|model| model.users().is_some())
    }

    /// Takes an adapter's name out, and out of use
    pub(crate) fn forget_adapter(&mut self, name: &str) {
        self.adapters.retain(|attached| attached.adapter.name() != name);
        if self.in_use.as_deref() == Some(name) {
            self.in_use = None;
        }
    }

    /// Puts an adapter in under its name, in place of one with the same name, and takes it in use.
    pub(crate) fn remember_adapter(&mut self, attached: &Arc<Attached>) {
        let name = attached.adapter.name();
        match self.adapters.iter_mut().find(|known| known.adapter.name() == name) {
            Some(place) => *place = attached.clone(),
            None => self.adapters.push(attached.clone()),
        }
        self.in_use = Some(name.to_owned());
    }

    /// Puts a data set in under its name and makes it the current one.
    pub(crate) fn remember_data(&mut self, data: &Arc<LoadedData>) {
        self.data.retain(|known| known.dataset.name != data.dataset.name);
        self.data.insert(0, data.clone());
    }
}
