//! The handle of a model.

mod adapters;

use std::sync::Arc;

use graft_nn::Context;
use graft_session::{CommandContext, SessionError, state::LoadedModel, verbs};
use graft_spec::{Failure, Settings, Value};

use crate::{Card, Error, Lab, Result, Table, Tensor, Tokenizer, Tree};

/// A loaded model: the same object that the magics use. Clones refer to the same model.
///
/// # Examples
/// ```
/// use graft::prelude::*;
///
/// # fn main() -> graft::Result<()> {
/// let model = lab().load_model("tiny")?;
/// let ids = model.tokenizer()?.tensor("The sky is")?; // (T)
/// let logits = model.logits(&ids)?; // (T, V)
/// let next = logits.get(logits.dim(0)? - 1)?.argmax(0)?.to_scalar::<u32>()?;
/// println!("next token: {:?}", model.tokenizer()?.decode(&[next])?);
/// # Ok(())
/// # }
/// ```
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
    /// Role in the architecture: `query`, `ffn_down`, `norm`.
    pub role: String,
    /// Shape of its weight as Hugging Face stores it: `(d_out, d_in)` for a linear layer.
    pub shape: Vec<usize>,
}

impl Model {
    pub(crate) fn new(lab: Lab, loaded: Arc<LoadedModel>) -> Self {
        Self { lab, loaded }
    }

    /// The source it was loaded from: `tiny`, a folder, `ORG/NAME`.
    pub fn name(&self) -> &str {
        &self.loaded.source
    }

    /// Its properties and its model card.
    ///
    /// # Errors
    /// `graft::replaced` if another model has been loaded since.
    pub fn card(&self) -> Result<Card> {
        self.check_current()?;
        self.lab.read_attached("reading the model card", verbs::model::card).map(Card::from)
    }

    /// Saves the model as a Hugging Face folder in 32-bit floats, including merged adapters.
    ///
    /// # Errors
    /// `session::not_merged` if an active adapter is not merged; if the folder cannot be written.
    pub fn save(&self, directory: &str) -> Result<()> {
        self.save_as(directory, "f32")
    }

    /// [`Model::save`] with matrices as `f32`, `bf16` or `f16`.
    ///
    /// # Errors
    /// As [`Model::save`].
    pub fn save_as(&self, directory: &str, dtype: &str) -> Result<()> {
        self.check_current()?;
        let directory = directory.to_owned();
        let settings = Settings::default().with("dtype", Value::Text(dtype.to_owned()));
        self.lab
            .read_model("saving the model", move |cx| verbs::model::save(cx, &directory, &settings))
            .map(drop)
    }

    /// Its modules as a tree, with shapes and adapters.
    ///
    /// # Errors
    /// As [`Model::card`].
    pub fn tree(&self) -> Result<Tree> {
        self.check_current()?;
        self.lab.read_attached("reading the modules", verbs::tree::tree).map(Tree::from)
    }

    /// Numbers of trained and frozen parameters per module, with the summary line of HF PEFT.
    ///
    /// # Errors
    /// As [`Model::card`].
    pub fn parameters(&self) -> Result<Table> {
        self.check_current()?;
        self.lab.read_attached("counting parameters", verbs::params::table).map(Table::from)
    }

    /// Number of parameters that training the active adapter changes; 0 without an adapter.
    pub fn trainable_parameters(&self) -> u64 {
        self.counts().trainable
    }

    /// Number of parameters, including those of the active adapter.
    pub fn all_parameters(&self) -> u64 {
        self.counts().all
    }

    /// Every module, in the order of the forward pass.
    pub fn modules(&self) -> Vec<Module> {
        let module = |site: &graft_nn::Site<'_>| Module {
            path: site.path.to_owned(),
            role: site.role.to_string(),
            shape: site.layer.parameters().first().map(|weight| weight.dims()).unwrap_or_default(),
        };
        self.network().sites().iter().map(module).collect()
    }

    /// The layers of the model, for your own adapters and forward passes.
    ///
    /// Every layer has a slot for adapters. An adapter in a slot changes the output of the layer
    /// once its name is active; [`Lab::generate`](crate::Lab::generate),
    /// [`Lab::eval`](crate::Lab::eval) and [`Model::logits`] then use it. Adapters inserted here
    /// are not listed by [`Model::adapters`] and are not trained by
    /// [`Lab::train`](crate::Lab::train).
    ///
    /// # Examples
    /// An adapter with one trained factor per output, `y = (1 + g) ∘ (W x + b)`:
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use graft::{
    ///     nn::{self, Context, Layer, Linear, LinearAdapter, Role},
    ///     prelude::*,
    /// };
    ///
    /// struct Gain(Var); // g: (d_out)
    ///
    /// impl LinearAdapter for Gain {
    ///     fn forward(&self, base: &Linear, x: &Tensor, _: &Context) -> nn::Result<Tensor> {
    ///         let y = base.base_forward(x)?; // (.., d_out)
    ///         Ok((&y + y.broadcast_mul(&self.0)?)?)
    ///     }
    ///
    ///     fn delta(&self, _: &Linear) -> nn::Result<Option<Tensor>> {
    ///         Ok(None) // cannot be merged
    ///     }
    /// }
    ///
    /// # fn main() -> graft::Result<()> {
    /// let model = lab().load_model("tiny")?;
    /// let ids = model.tokenizer()?.tensor("The sky is")?;
    /// let before = model.logits(&ids)?;
    /// for site in model.network().sites() {
    ///     if let (Role::Value, Layer::Linear(linear)) = (site.role, site.layer) {
    ///         let gain = Var::ones(linear.d_out(), DType::F32, &lab().device())?;
    ///         linear.slot().insert("gain", Arc::new(Gain(gain)));
    ///         linear.slot().set_active(&["gain"]);
    ///     }
    /// }
    /// let after = model.logits(&ids)?;
    /// assert!((before - after)?.abs()?.max_all()?.to_scalar::<f32>()? > 0.0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn network(&self) -> &dyn graft_nn::Model {
        self.loaded.loaded.model.as_ref()
    }

    /// The effective weight of the module at `path`, including a merged adapter.
    ///
    /// # Shapes
    /// `(d_out, d_in)` for a linear layer
    /// # Errors
    /// `graft::unknown_module`.
    pub fn weight(&self, path: &str) -> Result<Tensor> {
        let model = self.clone();
        let wanted = path.to_owned();
        let weight = self.lab.read_attached("reading a weight", move |_| {
            let sites = model.network().sites();
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

    /// Logits of a text with the active adapter: the scores of the next token at each position.
    /// `backward()` of a loss of them reaches the adapter's variables.
    ///
    /// # Shapes
    /// `ids: (T)` or `(B, T)` of type `u32` -> `(T', V)` or `(B, T', V)`; a soft prompt of P tokens
    /// makes `T' = P + T`, otherwise `T' = T`
    /// # Errors
    /// If a token is outside the vocabulary or the text is longer than the context.
    pub fn logits(&self, ids: &Tensor) -> Result<Tensor> {
        let batched = if ids.rank() == 1 { ids.unsqueeze(0)? } else { ids.clone() }; // (B, T)
        let model = self.clone();
        let pass = move |_: &CommandContext| {
            model
                .network()
                .logits(&batched, None, &Context::eval())
                .map_err(|error| Failure::from_hint(&error))
        };
        let logits = self.lab.read_attached("computing logits", pass)?; // (B, T', V)
        Ok(if ids.rank() == 1 { logits.squeeze(0)? } else { logits }) // (T', V) or (B, T', V)
    }

    /// One vector per text: the mean of the hidden states over its tokens, with the active adapter.
    /// With a sentence encoder such as MiniLM, texts with similar meaning have a cosine near 1.
    ///
    /// # Shapes
    /// `n` texts -> `(n, C)`
    /// # Errors
    /// If `texts` is empty or the forward pass fails.
    /// # Source
    /// Reimers and Gurevych 2019, [arXiv:1908.10084](https://arxiv.org/abs/1908.10084), section 3
    pub fn embed(&self, texts: &[&str]) -> Result<Tensor> {
        let loaded = self.loaded.clone();
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        self.lab.read_attached("embedding texts", move |_| {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let loaded = &loaded.loaded;
            graft_models::embed(loaded.model.as_ref(), &loaded.tokenizer, &texts)
                .map_err(|error| Failure::from_hint(&error))
        })
    }

    /// Its tokenizer.
    ///
    /// # Errors
    /// Never, currently.
    pub fn tokenizer(&self) -> Result<Tokenizer> {
        Ok(Tokenizer::new(self.loaded.loaded.tokenizer.clone(), self.lab.device()))
    }

    fn counts(&self) -> graft_peft::Counts {
        let active = self.lab.state().adapter_in_use().filter(|_| self.check_current().is_ok());
        let model = self.clone();
        let count = move || {
            let adapters: Vec<_> = active.iter().map(|attached| &attached.adapter).collect();
            graft_peft::counts(model.network(), &adapters)
        };
        // The callers return no error, so an interrupted wait falls back to counting at once.
        let at_once = count.clone();
        self.lab
            .read_attached("counting parameters", move |_| Ok(count()))
            .unwrap_or_else(|_| at_once())
    }

    /// Checks that the session still uses this model. A handle of an earlier model can compute, but
    /// adapters and tables belong to the current one.
    fn check_current(&self) -> Result<()> {
        let current =
            self.lab.state().model.clone().ok_or_else(|| Failure::from(SessionError::NoModel))?;
        if Arc::ptr_eq(&current, &self.loaded) {
            return Ok(());
        }
        Err(Error::new(
            "graft::replaced",
            format!("the model `{}` of this handle has been replaced by another one", self.name()),
            "get the current model: `let model = lab().model()?;`",
        ))
    }
}

impl std::fmt::Display for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shape = self.network().shape();
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
