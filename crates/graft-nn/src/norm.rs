//! Normalisation of hidden states, with or without their mean.

use std::sync::Arc;

use crate::{NnError, Parameter, Result, Tensor, ops};

/// How a norm measures its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormKind {
    /// `x / sqrt(mean(x²) + eps) ∘ w`: RMSNorm, as in Llama (Zhang and Sennrich 2019, arXiv:1910.07467).
    RootMeanSquare,
    /// `(x - mean(x)) / sqrt(var(x) + eps) ∘ w + b`: LayerNorm, as in GPT-2 and BERT (Ba et al. 2016, arXiv:1607.06450).
    Layer,
}

/// A norm over the last dimension.
///
/// # Shapes
/// `x: (.., C)` -> `(.., C)`; `w, b: (C)`
#[derive(Debug)]
pub struct Norm {
    path: String,
    kind: NormKind,
    weight: Arc<Parameter>,
    bias: Option<Arc<Parameter>>,
    eps: f64,
}

impl Norm {
    /// A frozen RMSNorm at a Hugging Face path; `weight` is (C).
    pub fn rms(path: &str, weight: Tensor, eps: f64) -> Self {
        Self::new(path, NormKind::RootMeanSquare, weight, None, eps)
    }

    /// A frozen LayerNorm at a Hugging Face path; `weight` and `bias` are (C).
    pub fn layer(path: &str, weight: Tensor, bias: Option<Tensor>, eps: f64) -> Self {
        Self::new(path, NormKind::Layer, weight, bias, eps)
    }

    fn new(path: &str, kind: NormKind, weight: Tensor, bias: Option<Tensor>, eps: f64) -> Self {
        let parameter =
            |name: &str, tensor| Arc::new(Parameter::new(&format!("{path}.{name}"), tensor));
        Self {
            path: path.to_owned(),
            kind,
            weight: parameter("weight", weight),
            bias: bias.map(|bias| parameter("bias", bias)),
            eps,
        }
    }

    /// Hugging Face path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// How it measures its input.
    pub fn kind(&self) -> NormKind {
        self.kind
    }

    /// w, (C).
    pub fn weight(&self) -> &Parameter {
        &self.weight
    }

    /// b, (C).
    pub fn bias(&self) -> Option<&Parameter> {
        self.bias.as_deref()
    }

    /// w as a shared handle, for who must find it again without the model.
    pub fn shared_weight(&self) -> Arc<Parameter> {
        self.weight.clone()
    }

    /// b as a shared handle, for who must find it again without the model.
    pub fn shared_bias(&self) -> Option<Arc<Parameter>> {
        self.bias.clone()
    }

    /// Normalises `x` (.., C).
    ///
    /// # Errors
    /// When the width differs; the error names the layer.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (weight, bias) = (self.weight.tensor(), self.bias.as_ref().map(|bias| bias.tensor()));
        let y = match self.kind {
            NormKind::RootMeanSquare => ops::rms_norm(x, &weight, self.eps),
            NormKind::Layer => ops::layer_norm(x, &weight, bias.as_ref(), self.eps),
        };
        y.map_err(|error| NnError::at_path(error, &self.path))
    }
}
