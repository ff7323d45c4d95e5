//! The handle of an adapter.

use std::{collections::BTreeMap, sync::Arc};

use graft_session::{CommandContext, state::AttachedAdapter, verbs};
use graft_spec::Failure;

use crate::{Error, Lab, Result, Tensor, Var};

/// An attached adapter: the same object that the magics use. Clones refer to the same adapter.
///
/// # Examples
/// ```
/// use graft::prelude::*;
///
/// # fn main() -> graft::Result<()> {
/// # let folder = tempfile::tempdir()?;
/// # std::env::set_current_dir(&folder)?;
/// let model = lab().load_model("tiny")?;
/// let adapter = model.attach(Lora::new().r(4))?;
/// adapter.save("my-adapter")?; // the files of HF PEFT
/// adapter.detach()?;
///
/// let adapter = model.load_adapter("my-adapter")?;
/// let a = adapter.tensor("layers.0.self_attn.q_proj.lora_A.weight")?;
/// assert_eq!(a.dims()[0], 4);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Adapter {
    lab: Lab,
    attached: Arc<AttachedAdapter>,
}

impl Adapter {
    pub(crate) fn new(lab: Lab, attached: Arc<AttachedAdapter>) -> Self {
        Self { lab, attached }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.attached.adapter.name()
    }

    /// The magic of its method, without `%`: `lora`, `prompt_tune`.
    pub fn method(&self) -> &'static str {
        self.attached.adapter.spec().verb
    }

    /// Its settings: `r=8 lora_alpha=16 target_modules=q_proj,v_proj`.
    pub fn settings(&self) -> String {
        self.attached.adapter.summary()
    }

    /// Number of parameters it trains.
    pub fn trainable_parameters(&self) -> u64 {
        self.attached.adapter.trainable_parameters()
    }

    /// Paths of the modules it is attached to.
    pub fn sites(&self) -> Vec<String> {
        self.attached.adapter.sites()
    }

    /// Whether the next forward pass uses it.
    pub fn is_active(&self) -> bool {
        self.lab.state().is_acting(&self.attached)
    }

    /// Makes it the active adapter. The previous one stays attached but is not used.
    ///
    /// # Errors
    /// `graft::detached` if it has been detached or replaced.
    pub fn activate(&self) -> Result<()> {
        self.change(verbs::adapter::choose)
    }

    /// Removes it from the model.
    ///
    /// # Errors
    /// As [`Adapter::activate`].
    pub fn detach(&self) -> Result<()> {
        self.change(verbs::adapter::detach)
    }

    /// Adds its update to the base weights.
    ///
    /// # Errors
    /// As [`Adapter::activate`], and if the method cannot be merged, such as a soft prompt.
    pub fn merge(&self) -> Result<()> {
        self.change(verbs::adapter::merge)
    }

    /// Undoes [`Adapter::merge`]. The base weights are restored bit for bit.
    ///
    /// # Errors
    /// As [`Adapter::activate`], and if it is not merged.
    pub fn unmerge(&self) -> Result<()> {
        self.change(verbs::adapter::unmerge)
    }

    /// Whether it is merged into the base weights.
    pub fn is_merged(&self) -> bool {
        self.attached.adapter.is_merged()
    }

    /// The factor on its update: 1 as trained, 0 for the base.
    pub fn scale(&self) -> f64 {
        self.attached.adapter.scale()
    }

    /// Sets the factor on its update.
    ///
    /// # Errors
    /// As [`Adapter::activate`], and if the method has no scale.
    pub fn set_scale(&self, factor: f64) -> Result<()> {
        self.change(move |cx, attached| verbs::adapter::set_scale(cx, attached, factor))
    }

    /// Saves it as `adapter_config.json` and `adapter_model.safetensors`, in the format of HF PEFT.
    /// Creates the folder if it does not exist.
    ///
    /// # Errors
    /// If the folder cannot be written. Files are replaced as a whole, never in part.
    pub fn save(&self, directory: &str) -> Result<()> {
        self.still_attached()?;
        let (attached, directory) = (self.attached.clone(), directory.to_owned());
        self.lab.read_model("saving an adapter", move |cx| {
            verbs::adapter::save(cx, &attached, &directory)
        })
    }

    /// Its tensors, by their names in `adapter_model.safetensors`.
    ///
    /// # Errors
    /// If a tensor cannot be copied.
    pub fn tensors(&self) -> Result<BTreeMap<String, Tensor>> {
        // While it is trained in the background this runs between two steps, so all tensors belong
        // to the same step.
        let attached = self.attached.clone();
        self.lab.read_attached("copying tensors", move |_| {
            attached.adapter.state().map_err(Failure::from)
        })
    }

    /// One of its tensors, by its name in `adapter_model.safetensors` or the end of that name, such
    /// as `layers.0.self_attn.q_proj.lora_A.weight`.
    ///
    /// # Errors
    /// `graft::unknown_tensor` if no name or several names match.
    pub fn tensor(&self, name: &str) -> Result<Tensor> {
        let tensors = self.tensors()?;
        if let Some(tensor) = tensors.get(name) {
            return Ok(tensor.clone());
        }
        let matching: Vec<_> = tensors.iter().filter(|(key, _)| key.ends_with(name)).collect();
        match matching.as_slice() {
            [(_, tensor)] => Ok((*tensor).clone()),
            [] => Err(unknown_tensor(name, tensors.keys())),
            several => Err(unknown_tensor(name, several.iter().map(|(key, _)| *key))),
        }
    }

    /// Its trained variables with the names of their tensors, for your own optimizer.
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
        work: impl FnOnce(&CommandContext, &AttachedAdapter) -> std::result::Result<(), Failure>
        + Send
        + 'static,
    ) -> Result<()> {
        self.still_attached()?;
        let attached = self.attached.clone();
        self.lab.job("changing an adapter", move |cx| work(cx, &attached))
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
            "get the current one: `lab().model()?.active_adapter()?`",
        ))
    }
}

fn unknown_tensor<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> Error {
    let known = known.take(6).cloned().collect::<Vec<_>>().join(", ");
    Error::new(
        "graft::unknown_tensor",
        format!("`{name}` does not name exactly one tensor of the adapter"),
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
