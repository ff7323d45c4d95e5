//! Vectors of soft prompts and prefixes: trained themselves, or computed by a small trained network.
//!
//! # Source
//! HF PEFT's `PromptEncoder` and `PrefixEncoder`; their weights have the same names here.

mod lstm;

use std::collections::BTreeMap;

use graft_nn::{Context, Device, Model, Result, Tensor, Var, ops};

use crate::{
    AttachContext, PeftError, config_file::ConfigFile, initializer::Initializer, method::Export,
};

pub(super) use lstm::Lstm;

/// What files call the vectors.
pub(super) const KEY: &str = "prompt_embeddings";
/// What the weights of a network are called, in checkpoints only.
const PREFIX: &str = "prompt_encoder.default.";

/// Where the vectors come from.
#[derive(Clone)]
pub(super) enum Vectors {
    /// (P, D), trained themselves.
    Plain(Var),
    /// Computed from others.
    Encoded(Encoder),
}

/// `f(E)`.
#[derive(Clone)]
pub(super) struct Encoder {
    /// E, (P, C).
    pub(super) embedding: Var,
    pub(super) lstm: Option<Lstm>,
    /// One behind the other, with the activation between them.
    pub(super) maps: Vec<Dense>,
    pub(super) activation: Activation,
}

/// What stands between two maps.
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
    /// Without values yet: a file's.
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

    /// What is trained, by name.
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
        for (number, map) in self.maps.iter().enumerate() {
            if number > 0 {
                x = match self.activation {
                    Activation::Relu => x.relu()?,
                    Activation::Tanh => x.tanh()?,
                };
            }
            x = ops::bias_add(&ops::linear(&x, map.weight.as_tensor())?, map.bias.as_tensor())?;
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
        for Dense { name, weight, bias } in &self.maps {
            weights.extend(
                [("weight", weight), ("bias", bias)]
                    .map(|(leaf, var)| (format!("{PREFIX}{name}.{leaf}"), var.clone())),
            );
        }
        weights
    }
}

impl Export for Encoder {
    /// A file holds what the network computes, and not the network.
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
    /// As PyTorch's `Linear` starts: uniform in ±1/sqrt(d_in).
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

    /// Starts at zero instead.
    pub(super) fn zeroed(self) -> std::result::Result<Self, PeftError> {
        self.weight.set(&self.weight.zeros_like()?)?;
        self.bias.set(&self.bias.zeros_like()?)?;
        Ok(self)
    }
}

/// P, checked: the vectors have `width` numbers, are for one decoder or encoder, and leave room in the context.
pub(super) fn count(
    cx: &AttachContext<'_>,
    config: &ConfigFile,
    width: usize,
) -> std::result::Result<usize, PeftError> {
    let count = config.count("num_virtual_tokens")?;
    if config
        .get("num_transformer_submodules")
        .and_then(serde_json::Value::as_u64)
        .is_some_and(|count| count != 1)
    {
        return Err(PeftError::Unsupported {
            folder: config.folder(),
            feature: "prompts for an encoder and a decoder".to_owned(),
        });
    }
    match config.get("token_dim") {
        Some(found) if found.as_u64() != Some(width as u64) => {
            return Err(config.wrong("token_dim", &format!("{width}, as this model has it")));
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

/// Where the model's embedding lies.
pub(super) fn device(model: &dyn Model) -> Device {
    model.embedding().weight().own().device().clone()
}
