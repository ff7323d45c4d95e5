//! The contents of a session.
//!
//! A [`SessionState`] is a value: a change creates a new one and swaps it in, so that readers never
//! wait for a job.

mod attached_adapter;
mod loaded_data;
mod loaded_model;

use std::sync::Arc;

use graft_nn::Device;
use graft_spec::ablation::Ablation;

pub use attached_adapter::AttachedAdapter;
pub use loaded_data::{DataOrigin, LoadedData};
pub use loaded_model::LoadedModel;

use crate::{
    SessionError, UserCallbacks,
    class::Membership,
    verbs::{chat::ChatLog, eval::UserMetrics},
};

/// The named objects of a session.
#[derive(Clone)]
pub struct SessionState {
    /// The current model.
    pub model: Option<Arc<LoadedModel>>,
    /// Its adapters, in the order they were attached.
    pub adapters: Vec<Arc<AttachedAdapter>>,
    /// Name of the adapter in use; `None` without adapters.
    pub in_use: Option<String>,
    /// The data sets, the current one first.
    pub data: Vec<Arc<LoadedData>>,
    /// Names of the runs on disk, newest first.
    pub runs: Vec<String>,
    /// Seed of all random numbers without a seed of their own.
    pub seed: u64,
    /// The device of all tensors.
    pub device: Device,
    /// The conversation of `%chat`.
    pub chat: Arc<ChatLog>,
    /// The metrics of the user.
    pub metrics: UserMetrics,
    /// The last comparison, to which `%trial clone` adds.
    pub compared: Option<Arc<Comparison>>,
    /// Closures of Rust cells that `%train` calls.
    pub callbacks: Arc<UserCallbacks>,
    /// The class that receives the results of this session.
    pub(crate) class: Option<Arc<Membership>>,
}

/// A comparison of configurations.
pub struct Comparison {
    /// The configurations.
    pub grid: Ablation,
    /// What was compared.
    pub measure: Measure,
    /// Whether the user has stopped it.
    pub was_stopped: bool,
}

/// The question of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// `%ablate`: how well each configuration learns the task.
    Task,
    /// `%forgetting`: how much each configuration forgets.
    Forgetting,
}

impl SessionState {
    pub(crate) fn new(device: Device, runs: Vec<String>) -> Self {
        Self {
            model: None,
            adapters: Vec::new(),
            in_use: None,
            data: Vec::new(),
            runs,
            seed: 0,
            device,
            chat: Arc::default(),
            metrics: UserMetrics::new(),
            compared: None,
            callbacks: Arc::default(),
            class: None,
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
        let Some(name) = name else {
            return self.data.first().cloned().ok_or(SessionError::NoData);
        };
        let found = self.data.iter().find(|data| data.dataset.name == name);
        found.cloned().ok_or_else(|| SessionError::UnknownData {
            name: name.to_owned(),
            known: self.data.iter().map(|data| data.dataset.name.clone()).collect(),
        })
    }

    /// The adapter of that name.
    ///
    /// # Errors
    /// [`SessionError::UnknownAdapter`].
    pub fn adapter(&self, name: &str) -> Result<Arc<AttachedAdapter>, SessionError> {
        let names = || self.adapters.iter().map(|attached| attached.adapter.name().to_owned());
        let found = self.adapters.iter().find(|attached| attached.adapter.name() == name);
        found.cloned().ok_or_else(|| SessionError::UnknownAdapter {
            name: name.to_owned(),
            known: names().collect(),
        })
    }

    /// The adapter in use, whether or not it is switched off.
    pub fn adapter_in_use(&self) -> Option<Arc<AttachedAdapter>> {
        self.adapter(self.in_use.as_deref()?).ok()
    }

    /// Gives the model the label names of the adapter in use.
    pub(crate) fn name_classes(&self) {
        if let Some(model) = &self.model {
            model.name_classes(self.adapter_in_use().and_then(|attached| attached.label_names()));
        }
    }

    /// The adapter that is active in the user's next forward pass.
    pub fn acting(&self) -> Option<Arc<AttachedAdapter>> {
        self.adapter_in_use().filter(|attached| self.is_acting(attached))
    }

    /// Whether an adapter is active in the user's next forward pass, merged or not. Adapters that a
    /// job has attached or disabled meanwhile do not matter.
    pub fn is_acting(&self, attached: &AttachedAdapter) -> bool {
        let is_active = |model: &Arc<LoadedModel>| match model.user_adapters() {
            Some(adapters) => adapters.contains(attached),
            None => attached.adapter.is_active(model.loaded.model.as_ref()),
        };
        self.model.as_ref().is_some_and(is_active)
    }

    /// Whether a job has disabled the user's adapters, for example to train a trial.
    pub(crate) fn has_suspended_adapters(&self) -> bool {
        self.model.as_ref().is_some_and(|model| model.user_adapters().is_some())
    }

    /// Removes an adapter from the list. If it was in use, no adapter is in use afterwards.
    pub(crate) fn forget_adapter(&mut self, name: &str) {
        self.adapters.retain(|attached| attached.adapter.name() != name);
        if self.in_use.as_deref() == Some(name) {
            self.in_use = None;
        }
    }

    /// Adds an adapter, in place of one with the same name, and makes it the one in use.
    pub(crate) fn remember_adapter(&mut self, attached: &Arc<AttachedAdapter>) {
        let name = attached.adapter.name();
        match self.adapters.iter_mut().find(|known| known.adapter.name() == name) {
            Some(place) => *place = attached.clone(),
            None => self.adapters.push(attached.clone()),
        }
        self.in_use = Some(name.to_owned());
    }

    /// Adds a data set, in place of one with the same name, and makes it the current one.
    pub(crate) fn remember_data(&mut self, data: &Arc<LoadedData>) {
        self.data.retain(|known| known.dataset.name != data.dataset.name);
        self.data.insert(0, data.clone());
    }
}
