//! The handle on an adapter.

use std::{collections::BTreeMap, sync::Arc};

use graft_session::{CommandContext, state::Attached, verbs};
use graft_spec::Failure;

use crate::{Error, Lab, Result, Tensor, Var};

/// An attached adapter: the very object that the magics work on. Copies are the same adapter.
#[derive(Clone)]
pub struct Adapter {
    lab: Lab,
    attached: Arc<Attached>,
}

impl Adapter {
    pub(crate) fn new(lab: Lab, attached: Arc<Attached>) -> Self {
        Self { lab, attached }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.attached.adapter.name()
    }

    /// Verb of its method: `lora`, `prompt_tune`.
    pub fn method(&self) -> &'static str {
        self.attached.adapter.spec().verb
    }

    /// Its settings in words: `r=8 lora_alpha=16 target_modules=q_proj,v_proj`.
    pub fn settings(&self) -> String {
        self.attached.adapter.summary()
    }

    /// Parameters it trains.
    pub fn trainable_parameters(&self) -> u64 {
        self.attached.adapter.trainable_parameters()
    }

    /// Paths of the modules it sits on.
    pub fn sites(&self) -> Vec<String> {
        self.attached.adapter.sites()
    }

    /// Whether it acts on the next forward pass.
    pub fn is_active(&self) -> bool {
        self.lab.state().is_acting(&self.attached)
    }

    /// Takes it in use; the adapter before stays attached and is silent.
    ///
    /// # Errors
    /// `graft::detached` when it is no longer attached.
    pub fn activate(&self) -> Result<()> {
        self.change(verbs::adapter::choose)
    }

    /// Removes it; the base is as it was.
    ///
    /// # Errors
    /// As [`Adapter::activate`].
    pub fn detach(&self) -> Result<()> {
        self.change(verbs::adapter::detach)
    }

    /// Adds its update to the base weights.
    ///
    /// # Errors
    /// As [`Adapter::activate`], and when the method cannot be merged (a soft prompt has no weights to add).
    pub fn merge(&self) -> Result<()> {
        self.change(verbs::adapter::merge)
    }

    /// Takes a merge back; the base is bit for bit as it was.
    ///
    /// # Errors
    /// As [`Adapter::activate`], and when it is not merged.
    pub fn unmerge(&self) -> Result<()> {
        self.change(verbs::adapter::unmerge)
    }

    /// Whether it is merged into the base.
    pub fn is_merged(&self) -> bool {
        self.attached.adapter.is_merged()
    }

    /// Factor on its effect: 1 is as trained, 0 is the base.
    pub fn scale(&self) -> f64 {
        self.attached.adapter.scale()
    }

    /// Sets the factor on its effect.
    ///
    /// # Errors
    /// As [`Adapter::activate`], and when the method has no scale.
    pub fn set_scale(&self, factor: f64) -> Result<()> {
        self.change(move |desk, attached| verbs::adapter::set_scale(desk, attached, factor))
    }

    /// Writes `adapter_config.json` and `adapter_model.safetensors` as HF PEFT does; the folder is made if missing.
    ///
    /// # Errors
    /// When the folder cannot be written; nothing is left half-written.
    pub fn save(&self, directory: &str) -> Result<()> {
        self.still_attached()?;
        let (attached, directory) = (self.attached.clone(), directory.to_owned());
        self.lab.look("saving an adapter", move |desk| {
            verbs::adapter::save(desk, &attached, &directory)
        })
    }

    /// Its tensors by their names in `adapter_model.safetensors`.
    ///
    /// # Errors
    /// When one cannot be copied.
    pub fn tensors(&self) -> Result<BTreeMap<String, Tensor>> {
        // Between two steps where it is trained in the background, so that all of them are of one step.
        let attached = self.attached.clone();
        self.lab.glance("copying tensors", move |_| attached.adapter.state().map_err(Failure::from))
    }

    /// One of its tensors, by its name in `adapter_model.safetensors` or the end of it: `layers.0.self_attn.q_proj.lora_A.weight`.
    ///
    /// # Errors
    /// `graft::unknown_tensor` when none or several names fit.
    pub fn tensor(&self, name: &str) -> Result<Tensor> {
        let tensors = self.tensors()?;
        if let Some(tensor) = tensors.get(name) {
            return Ok(tensor.clone());
        }
        let fitting: Vec<_> = tensors.iter().filter(|(key, _)| key.ends_with(name)).collect();
        match fitting.as_slice() {
            [(_, tensor)] => Ok((*tensor).clone()),
            [] => Err(unknown_tensor(name, tensors.keys())),
            several => Err(unknown_tensor(name, several.iter().map(|(key, _)| *key))),
        }
    }

    /// What an optimizer of your own would change, with the names of the tensors.
    pub fn variables(&self) -> Vec<(String, Var)> {
        self.attached
            .adapter
            .trainables()
            .into_iter()
            .map(|trainable| (trainable.name, trainable.var))
            .collect()
    }

    fn change(
        &self,
        work: impl FnOnce(&CommandContext, &Attached) -> std::result::Result<(), Failure>
        + Send
        + 'static,
    ) -> Result<()> {
        self.still_attached()?;
        let attached = self.attached.clone();
        self.lab.job("changing an adapter", move |desk| work(desk, &attached))
    }

    fn still_attached(&self) -> Result<()> {
        if self.lab.state().adapters.iter().any(|known| Arc::ptr_eq(known, &self.attached)) {
            return Ok(());
        }
        let message =
            format!("the adapter `{}` of this handle has been detached or replaced", self.name());
        Err(Error::new(
            "graft::detached",
            message,
            "take the current one: `lab().model()?.active_adapter()?`",
        ))
    }
}

fn unknown_tensor<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> Error {
    let known = known.take(6).cloned().collect::<Vec<_>>().join(", ");
    Error::new(
        "graft::unknown_tensor",
        format!("the adapter has not exactly one tensor `{name}`"),
        format!("for example {known}"),
    )
}

impl std::fmt::Display for Adapter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "adapter {} ({} {}), {} trainable parameters",
            self.name(),
            self.method(),
            self.settings(),
            self.trainable_parameters()
        )
    }
}

impl std::fmt::Debug for Adapter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}
