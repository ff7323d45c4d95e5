//! Vectors of soft prompts and prefixes: trained directly, or computed by a small trained network.
//!
//! # Source
//! HF PEFT's `PromptEncoder` and `PrefixEncoder`; the weights have the same names here.

mod lstm;

use std::{collections::BTreeMap, sync::Arc};

use graft_nn::{Context, Device, Model, Result, Tensor, Var, ops};

use crate::{
    AttachContext, PeftError, config_file::ConfigFile, initializer::Initializer, method::Export,
};

pub(super) use lstm::Lstm;

/// Key of the vectors in files.
pub(super) const KEY: &str = "prompt_embeddings";
/// Prefix of the network's weights, in checkpoints only.
const PREFIX: &str = "prompt_encoder.default.";

/// The parameterization of the vectors.
#[derive(Clone)]
pub(super) enum Vectors {
    /// Trained directly, (P, D).
    Plain(Var),
    /// Computed by a network.
    Encoded(Encoder),
}

/// `f(E)`.
#[derive(Clone)]
pub(super) struct Encoder {
    /// E, (P, C).
    pub(super) embedding: Var,
    pub(super) lstm: Option<Lstm>,
    /// Linear layers in sequence, with the activation in between.
    pub(super) layers: Vec<Dense>,
    pub(super) activation: Activation,
}

/// The activation between two linear layers.
#[derive(Clone, Copy)]
pub(super) enum Activation {
    Relu,
    Tanh,
}

/// `y = W x + b`.
#[derive(Clone)]
pub(super) struct Dense {
    /// Its name within the encoder, such as `mlp_head.0`.
    name: String,
    weight: Var,
    bias: Var,
}

impl Vectors {
    /// Vectors that are read from a file later.
    pub(super) fn empty(
        count: usize,
        width: usize,
        device: &Device,
    ) -> std::result::Result<Self, PeftError> {
        Ok(Self::Plain(Var::zeros((count, width), graft_nn::DType::F32, device)?))
    }

    /// The vectors, (P, D).
    pub(super) fn tensor(&self, cx: &Context) -> Result<Tensor> {
        match self {
            Self::Plain(vectors) => Ok(vectors.as_tensor().clone()),
            Self::Encoded(encoder) => encoder.forward(cx),
        }
    }

    /// The conversion that replaces the network by its output when the adapter is saved.
    pub(super) fn export(&self) -> Option<Arc<dyn Export>> {
        match self {
            Self::Plain(_) => None,
            Self::Encoded(encoder) => Some(Arc::new(encoder.clone())),
        }
    }

    /// The trainable weights, by name.
    pub(super) fn weights(&self) -> Vec<(String, Var)> {
        match self {
            Self::Plain(vectors) => vec![(KEY.to_owned(), vectors.clone())],
            Self::Encoded(encoder) => encoder.weights(),
        }
    }
}

impl Encoder {
    fn forward(&self, cx: &Context) -> Result<Tensor> {
        let mut x = self.embedding.as_tensor().clone(); // (P, C)
        if let Some(lstm) = &self.lstm {
            x = lstm.forward(&x, cx)?; // (P, 2H)
        }
        for (number, layer) in self.layers.iter().enumerate() {
            if number > 0 {
                x = match self.activation {
                    Activation::Relu => x.relu()?,
                    Activation::Tanh => x.tanh()?,
                };
            }
            x = ops::bias_add(&ops::linear(&x, layer.weight.as_tensor())?, layer.bias.as_tensor())?;
        }
        Ok(x) // (P, D)
    }

    fn weights(&self) -> Vec<(String, Var)> {
        let mut weights = vec![(format!("{PREFIX}embedding.weight"), self.embedding.clone())];
        weights.extend(
            self.lstm
                .iter()
                .flat_map(Lstm::weights)
                .map(|(name, var)| (format!("{PREFIX}lstm_head.{name}"), var)),
        );
        for Dense { name, weight, bias } in &self.layers {
            weights.extend(
                [("weight", weight), ("bias", bias)]
                    .map(|(leaf, var)| (format!("{PREFIX}{name}.{leaf}"), var.clone())),
            );
        }
        weights
    }
}

impl Export for Encoder {
    /// Replaces the network by the vectors that it computes.
    fn export(
        &self,
        _config: &mut ConfigFile,
        state: &mut BTreeMap<String, Tensor>,
    ) -> std::result::Result<(), PeftError> {
        state.retain(|key, _| !key.starts_with(PREFIX));
        state.insert(KEY.to_owned(), self.forward(&Context::eval())?.detach());
        Ok(())
    }
}

impl Dense {
    /// Initialized like PyTorch's `Linear`: uniform in ±1/sqrt(d_in).
    pub(super) fn new(
        initializer: &Initializer<'_>,
        name: &str,
        (d_out, d_in): (usize, usize),
    ) -> std::result::Result<Self, PeftError> {
        let bound = 1.0 / (d_in as f32).sqrt();
        let part = |leaf: &str| format!("{name}.{leaf}");
        Ok(Self {
            name: name.to_owned(),
            weight: initializer.uniform(&part("weight"), &[d_out, d_in], bound)?,
            bias: initializer.uniform(&part("bias"), &[d_out], bound)?,
        })
    }

    /// The same layer, initialized with zeros.
    pub(super) fn zeroed(self) -> std::result::Result<Self, PeftError> {
        self.weight.set(&self.weight.zeros_like()?)?;
        self.bias.set(&self.bias.zeros_like()?)?;
        Ok(self)
    }
}

/// Sets the dimensions that HF PEFT writes for a soft prompt, and the default of
/// `encoder_hidden_size`.
pub(super) fn set_dimensions(
    config: &mut ConfigFile,
    model: &dyn Model,
    width: usize,
    heads: usize,
) {
    config.set("token_dim", width.into());
    config.set("num_layers", model.shape().layers.into());
    config.set("num_transformer_submodules", submodules(model).into());
    config.set("num_attention_heads", heads.into());
    if config.get("encoder_hidden_size").is_none() {
        config.set("encoder_hidden_size", width.into());
    }
}

/// HF PEFT's `num_transformer_submodules`: 2 for an encoder with a decoder, else 1. A soft prompt
/// then has as many vectors for each of them, of which only those of the encoder are used.
pub(super) fn submodules(model: &dyn Model) -> usize {
    if model.encoder_decoder().is_some() { 2 } else { 1 }
}

/// Reads and checks the number of virtual tokens P: the vectors must have `width` elements, their
/// number of transformers must be that of the model, and the context must have room for more
/// tokens.
///
/// # Errors
/// [`PeftError::PromptTooLong`], [`PeftError::Malformed`], [`PeftError::Unsupported`] and
/// [`PeftError::TooLarge`].
pub(super) fn count(
    cx: &AttachContext<'_>,
    config: &ConfigFile,
    width: usize,
) -> std::result::Result<usize, PeftError> {
    let count = config.count("num_virtual_tokens")?;
    let submodules = submodules(cx.model);
    if config
        .get("num_transformer_submodules")
        .and_then(serde_json::Value::as_u64)
        .is_some_and(|count| count != submodules as u64)
    {
        return Err(config
            .invalid("num_transformer_submodules", &format!("{submodules}, as this model has")));
    }
    match config.get("token_dim") {
        Some(found) if found.as_u64() != Some(width as u64) => {
            return Err(config.invalid("token_dim", &format!("{width}, the width of this model")));
        }
        _ => {}
    }
    let positions = cx.model.shape().max_positions;
    if count >= positions {
        return Err(PeftError::PromptTooLong { count, positions });
    }
    cx.reserve(KEY, cx.model.embedding().path(), &[count, width])?;
    Ok(count)
}

/// The device of the model's embedding.
pub(super) fn device(model: &dyn Model) -> Device {
    model.embedding().weight().base_value().device().clone()
}
