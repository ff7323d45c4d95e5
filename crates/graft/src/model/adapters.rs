//! The adapters of a model.

use graft_session::{
    CommandContext,
    verbs::{self, attach::AttachReport},
};
use graft_spec::Failure;

use crate::{Adapter, Combine, Method, Model, Result, Table};

impl Model {
    /// Attaches an adapter and makes it the active one. An adapter with the same name is replaced.
    ///
    /// # Errors
    /// If a key is out of range or no module matches the targets. The model does not change then.
    ///
    /// # Examples
    /// ```
    /// use graft::prelude::*;
    ///
    /// # fn main() -> graft::Result<()> {
    /// let model = lab().load_model("tiny")?;
    /// let adapter = model.attach(Lora::new().r(8).target_modules(["q_proj", "v_proj"]))?;
    /// println!("{} parameters are trained", adapter.trainable_parameters());
    /// # Ok(())
    /// # }
    /// ```
    pub fn attach<M: Method>(&self, method: M) -> Result<Adapter> {
        let verb = method.verb();
        let settings = method.into_settings();
        self.attach_with(move |cx| verbs::attach::attach(cx, verb, &settings))
    }

    /// Loads an adapter that HF PEFT or Graft saved and makes it the active one, with the name
    /// `default`.
    ///
    /// # Errors
    /// If the folder contains no adapter for this model. The model does not change then.
    pub fn load_adapter(&self, directory: &str) -> Result<Adapter> {
        self.load_adapter_as(directory, "default")
    }

    /// [`Model::load_adapter`] with another name.
    ///
    /// # Errors
    /// As [`Model::load_adapter`].
    pub fn load_adapter_as(&self, directory: &str, name: &str) -> Result<Adapter> {
        let directory = directory.to_owned();
        let name = name.to_owned();
        self.attach_with(move |cx| verbs::load_adapter::load(cx, &directory, Some(&name)))
    }

    /// Combines several adapters into one LoRA and makes it the active adapter. The others stay
    /// attached.
    ///
    /// # Errors
    /// If a name is not known, the number of weights is wrong, or an adapter does more than update
    /// linear layers. The model does not change then.
    ///
    /// # Examples
    /// ```
    /// use graft::prelude::*;
    ///
    /// # fn main() -> graft::Result<()> {
    /// let model = lab().load_model("tiny")?;
    /// model.attach(Lora::new().adapter_name("a"))?;
    /// model.attach(Lora::new().adapter_name("b"))?;
    /// let options = Combine::new().weights(["0.7", "0.3"]).adapter_name("mixed");
    /// assert_eq!(model.combine(["a", "b"], options)?.name(), "mixed");
    /// # Ok(())
    /// # }
    /// ```
    pub fn combine<const N: usize>(&self, names: [&str; N], options: Combine) -> Result<Adapter> {
        let names = names.map(str::to_owned);
        self.attach_with(move |cx| verbs::combine::combine(cx, &names, &options.into()))
    }

    /// The adapter with this name.
    ///
    /// # Errors
    /// `session::unknown_adapter`.
    pub fn adapter(&self, name: &str) -> Result<Adapter> {
        self.check_current()?;
        Ok(Adapter::new(self.lab.clone(), self.lab.state().adapter(name).map_err(Failure::from)?))
    }

    /// The active adapter.
    ///
    /// # Errors
    /// `session::no_adapter`.
    pub fn active_adapter(&self) -> Result<Adapter> {
        self.check_current()?;
        let found = verbs::adapter::find(&self.lab.state(), None, None).map_err(Failure::from)?;
        Ok(Adapter::new(self.lab.clone(), found))
    }

    /// All adapters, in the order in which they were attached.
    pub fn adapters(&self) -> Vec<Adapter> {
        if self.check_current().is_err() {
            return Vec::new();
        }
        let state = self.lab.state();
        let attached = state.adapters.iter().cloned();
        attached.map(|attached| Adapter::new(self.lab.clone(), attached)).collect()
    }

    /// A table with a row for each adapter.
    ///
    /// # Errors
    /// As [`Model::card`].
    pub fn adapter_table(&self) -> Result<Table> {
        self.check_current()?;
        Ok(verbs::adapter::table(&self.lab.state()).into())
    }

    /// Switches the adapters on again after [`Model::disable_adapters`].
    ///
    /// # Errors
    /// `session::no_adapter`.
    pub fn enable_adapters(&self) -> Result<()> {
        self.switch_adapters(true)
    }

    /// Switches every adapter off without removing it: the model computes as the base.
    ///
    /// # Errors
    /// `session::no_adapter`.
    ///
    /// # Examples
    /// ```
    /// use graft::prelude::*;
    ///
    /// # fn main() -> graft::Result<()> {
    /// let model = lab().load_model("tiny")?;
    /// let adapter = model.attach(Lora::new())?;
    /// model.disable_adapters()?;
    /// assert!(!adapter.is_active());
    /// model.enable_adapters()?;
    /// assert!(adapter.is_active());
    /// # Ok(())
    /// # }
    /// ```
    pub fn disable_adapters(&self) -> Result<()> {
        self.switch_adapters(false)
    }

    fn switch_adapters(&self, on: bool) -> Result<()> {
        self.check_current()?;
        self.lab
            .job("switching adapters", move |cx| {
                if on { verbs::adapter::enable(cx) } else { verbs::adapter::disable(cx) }
            })
            .map(drop)
    }

    fn attach_with(
        &self,
        work: impl FnOnce(&CommandContext) -> std::result::Result<AttachReport, Failure>
        + Send
        + 'static,
    ) -> Result<Adapter> {
        self.check_current()?;
        let report = self.lab.job("attaching an adapter", work)?;
        Ok(Adapter::new(self.lab.clone(), report.attached))
    }
}
