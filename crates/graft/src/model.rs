//! The handle on a model.

use std::sync::Arc;

use graft_nn::Context;
use graft_session::{
    CommandContext, SessionError,
    state::LoadedModel,
    verbs::{self, attach::AttachReport},
};
use graft_spec::{Failure, Settings, Value};

use crate::{Adapter, Card, Combine, Error, Lab, Method, Result, Table, Tensor, Tokenizer, Tree};

/// A loaded model: the very object that the magics work on. Copies are the same model.
#[derive(Clone)]
pub struct Model {
    lab: Lab,
    loaded: Arc<LoadedModel>,
}

/// One module of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// Hugging Face path: `model.layers.0.self_attn.q_proj`.
    pub path: String,
    /// What it is for: `query`, `ffn_down`, `norm`.
    pub role: String,
    /// Shape of its weight as Hugging Face stores it: `(d_out, d_in)` of a linear map.
    pub shape: Vec<usize>,
}

impl Model {
    pub(crate) fn new(lab: Lab, loaded: Arc<LoadedModel>) -> Self {
        Self { lab, loaded }
    }

    /// What it was loaded as: `tiny`, a folder, `ORG/NAME`.
    pub fn name(&self) -> &str {
        &self.loaded.source
    }

    /// Its facts and its makers' card.
    ///
    /// # Errors
    /// `graft::replaced` when another model has been loaded since.
    pub fn card(&self) -> Result<Card> {
        self.current()?;
        self.lab.glance("reading the card", verbs::model::card).map(Card::from)
    }

    /// Writes it as a Hugging Face folder in 32-bit numbers, with merged adapters inside.
    ///
    /// # Errors
    /// `session::acts_beside` while an adapter acts that is not merged; a full disk.
    pub fn save(&self, directory: &str) -> Result<()> {
        self.save_as(directory, "f32")
    }

    /// As [`Model::save`], with matrices as `f32`, `bf16` or `f16`.
    ///
    /// # Errors
    /// As [`Model::save`].
    pub fn save_as(&self, directory: &str, dtype: &str) -> Result<()> {
        self.current()?;
        let (directory, settings) = (
            directory.to_owned(),
            Settings::default().with("dtype", Value::Text(dtype.to_owned())),
        );
        self.lab
            .look("saving the model", move |desk| verbs::model::save(desk, &directory, &settings))
            .map(drop)
    }

    /// Its modules with shapes and adapters.
    ///
    /// # Errors
    /// As [`Model::card`].
    pub fn tree(&self) -> Result<Tree> {
        self.current()?;
        self.lab.glance("reading the tree", verbs::tree::tree).map(Tree::from)
    }

    /// Parameters by module, trained and frozen, with HF PEFT's line below.
    ///
    /// # Errors
    /// As [`Model::card`].
    pub fn parameters(&self) -> Result<Table> {
        self.current()?;
        self.lab.glance("counting parameters", verbs::params::table).map(Table::from)
    }

    /// Parameters that training the adapter in use changes; 0 without one.
    pub fn trainable_parameters(&self) -> u64 {
        self.counts().trainable
    }

    /// All parameters, those of the adapter in use among them.
    pub fn all_parameters(&self) -> u64 {
        self.counts().all
    }

    /// Every module in the order of the forward pass.
    pub fn modules(&self) -> Vec<Module> {
        let module = |site: &graft_nn::Site<'_>| Module {
            path: site.path.to_owned(),
            role: site.role.to_string(),
            shape: site.layer.parameters().first().map(|weight| weight.dims()).unwrap_or_default(),
        };
        self.loaded.loaded.model.sites().iter().map(module).collect()
    }

    /// The weight of the module at `path`, as it is now (a merged adapter included).
    ///
    /// # Errors
    /// `graft::unknown_module`.
    pub fn weight(&self, path: &str) -> Result<Tensor> {
        let (loaded, wanted) = (self.loaded.clone(), path.to_owned());
        let weight = self.lab.glance("reading a weight", move |_| {
            let sites = loaded.loaded.model.sites();
            let site = sites.iter().find(|site| site.path == wanted);
            Ok(site.and_then(|site| site.layer.parameters().first().map(|weight| weight.tensor())))
        })?;
        weight.ok_or_else(|| {
            Error::new(
                "graft::unknown_module",
                format!("the model has no module `{path}`"),
                "`lab().model()?.modules()` lists them",
            )
        })
    }

    /// Logits of tokens with the adapter in use: what the next token may be, at each position. They can be differentiated
    /// with respect to the adapter's variables.
    ///
    /// # Shapes
    /// `ids: (T)` or `(B, T)` of type `u32` -> `(T', V)` or `(B, T', V)`, where a soft prompt of P tokens makes `T' = P + T`
    /// # Errors
    /// When a token is outside the vocabulary or the text is longer than the model's context.
    pub fn logits(&self, ids: &Tensor) -> Result<Tensor> {
        let batched = if ids.rank() == 1 { ids.unsqueeze(0)? } else { ids.clone() }; // (B, T)
        let loaded = self.loaded.clone();
        let pass = move |_: &CommandContext| {
            loaded
                .loaded
                .model
                .logits(&batched, None, &Context::eval())
                .map_err(|error| Failure::from_hint(&error))
        };
        let logits = self.lab.glance("computing logits", pass)?; // (B, P+T, V)
        Ok(if ids.rank() == 1 { logits.squeeze(0)? } else { logits }) // (P+T, V) or (B, P+T, V)
    }

    /// One vector a text: the mean of the hidden states over its tokens, with the adapter in use. With an encoder such as MiniLM, texts that mean the
    /// same have a cosine near 1.
    ///
    /// # Shapes
    /// n texts -> (n, C)
    /// # Errors
    /// Without a text, and when the model fails.
    /// # Source
    /// Reimers and Gurevych 2019, arXiv:1908.10084 section 3
    pub fn embed(&self, texts: &[&str]) -> Result<Tensor> {
        let (loaded, texts) =
            (self.loaded.clone(), texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        self.lab.glance("embedding texts", move |_| {
            let (loaded, texts) =
                (&loaded.loaded, texts.iter().map(String::as_str).collect::<Vec<_>>());
            graft_models::embed(loaded.model.as_ref(), &loaded.tokenizer, &texts)
                .map_err(|error| Failure::from_hint(&error))
        })
    }

    /// Its tokenizer.
    ///
    /// # Errors
    /// None today.
    pub fn tokenizer(&self) -> Result<Tokenizer> {
        Ok(Tokenizer::new(self.loaded.loaded.tokenizer.clone(), self.lab.device()))
    }

    /// Attaches a method and takes it in use: `model.attach(Lora::new().r(8))?`. An adapter of the same name is replaced.
    ///
    /// # Errors
    /// When a key is out of range or no module matches; then nothing has changed.
    pub fn attach<M: Method>(&self, method: M) -> Result<Adapter> {
        self.attach_settings(method.verb(), method.into_settings())
    }

    fn attach_settings(&self, verb: &'static str, settings: Settings) -> Result<Adapter> {
        self.attached(move |desk| verbs::attach::attach(desk, verb, &settings))
    }

    /// Reads an adapter that HF PEFT or Graft wrote and takes it in use under the name `default`.
    ///
    /// # Errors
    /// When the folder holds no adapter for this model; then nothing has changed.
    pub fn load_adapter(&self, directory: &str) -> Result<Adapter> {
        self.load_adapter_as(directory, "default")
    }

    /// [`Model::load_adapter`] under another name.
    ///
    /// # Errors
    /// As [`Model::load_adapter`].
    pub fn load_adapter_as(&self, directory: &str, name: &str) -> Result<Adapter> {
        let (directory, name) = (directory.to_owned(), name.to_owned());
        self.attached(move |desk| verbs::load_adapter::load(desk, &directory, Some(&name)))
    }

    /// Makes one LoRA of several adapters, which stay, and takes it in use: `model.combine(["a", "b"], Combine::new().weights(["0.7", "0.3"]))?`.
    ///
    /// # Errors
    /// When a name is not known, the weights do not fit, or an adapter is more than updates of linear layers; then nothing has changed.
    pub fn combine<const N: usize>(&self, names: [&str; N], options: Combine) -> Result<Adapter> {
        let names = names.map(str::to_owned);
        self.attached(move |desk| verbs::combine::combine(desk, &names, &options.into()))
    }

    /// The adapter of that name.
    ///
    /// # Errors
    /// `session::unknown_adapter`.
    pub fn adapter(&self, name: &str) -> Result<Adapter> {
        self.current()?;
        Ok(Adapter::new(self.lab.clone(), self.lab.state().adapter(name).map_err(Failure::from)?))
    }

    /// The adapter in use.
    ///
    /// # Errors
    /// `session::no_adapter`.
    pub fn active_adapter(&self) -> Result<Adapter> {
        self.current()?;
        let found = verbs::adapter::find(&self.lab.state(), None, None).map_err(Failure::from)?;
        Ok(Adapter::new(self.lab.clone(), found))
    }

    /// All adapters, in the order they were attached.
    pub fn adapters(&self) -> Vec<Adapter> {
        if self.current().is_err() {
            return Vec::new();
        }
        self.lab
            .state()
            .adapters
            .iter()
            .map(|attached| Adapter::new(self.lab.clone(), attached.clone()))
            .collect()
    }

    /// Table of the adapters.
    ///
    /// # Errors
    /// As [`Model::card`].
    pub fn adapter_table(&self) -> Result<Table> {
        self.current()?;
        Ok(verbs::adapter::table(&self.lab.state()).into())
    }

    /// Switches every adapter off without removing it, or on again.
    ///
    /// # Errors
    /// `session::no_adapter`.
    pub fn enable_adapters(&self, on: bool) -> Result<()> {
        self.current()?;
        self.lab.job("switching adapters", move |desk| verbs::adapter::enable(desk, on)).map(drop)
    }

    fn attached(
        &self,
        work: impl FnOnce(&CommandContext) -> std::result::Result<AttachReport, Failure>
        + Send
        + 'static,
    ) -> Result<Adapter> {
        self.current()?;
        let report = self.lab.job("attaching an adapter", work)?;
        Ok(Adapter::new(self.lab.clone(), report.attached))
    }

    fn counts(&self) -> graft_peft::Counts {
        let in_use = self.lab.state().adapter_in_use().filter(|_| self.current().is_ok());
        let loaded = self.loaded.clone();
        let count = move || {
            let adapters: Vec<_> = in_use.iter().map(|attached| &attached.adapter).collect();
            graft_peft::counts(loaded.loaded.model.as_ref(), &adapters)
        };
        // A count has no error to give: should it be interrupted while it waits, it counts at once.
        let at_once = count.clone();
        self.lab.glance("counting parameters", move |_| Ok(count())).unwrap_or_else(|_| at_once())
    }

    /// The session has one model: a handle on an earlier one still computes, but adapters and tables are about the current one.
    fn current(&self) -> Result<()> {
        let current =
            self.lab.state().model.clone().ok_or_else(|| Failure::from(SessionError::NoModel))?;
        if Arc::ptr_eq(&current, &self.loaded) {
            return Ok(());
        }
        let message =
            format!("this handle is of `{}`, which another model has replaced", self.name());
        Err(Error::new(
            "graft::replaced",
            message,
            "take the current one: `let model = lab().model()?;`",
        ))
    }
}

impl std::fmt::Display for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shape = self.loaded.loaded.model.shape();
        write!(
            f,
            "model {} ({}, {} layers, hidden size {}, {} parameters)",
            self.name(),
            shape.family,
            shape.layers,
            shape.hidden,
            self.all_parameters()
        )
    }
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}
