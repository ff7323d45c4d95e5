//! Normalization layers: RMSNorm and LayerNorm.

use std::sync::Arc;

use crate::{NnError, Parameter, Result, Tensor, ops};

/// The kind of a normalization layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormKind {
    /// `x / sqrt(mean(x²) + eps) ∘ w`: RMSNorm, as in Llama (Zhang and Sennrich 2019,
    /// arXiv:1910.07467).
    RootMeanSquare,
    /// `x / sqrt(mean(x²) + eps) ∘ (1 + w)`: RMSNorm whose weight is an offset from 1, as in Gemma.
    RootMeanSquareOffset,
    /// `(x - mean(x)) / sqrt(var(x) + eps) ∘ w + b`: LayerNorm, as in GPT-2 and BERT (Ba et al.
    /// 2016, arXiv:1607.06450).
    Layer,
}

/// A normalization layer over the last dimension: RMSNorm or LayerNorm, see [`NormKind`] for the
/// equations.
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
    /// A frozen RMSNorm with the Hugging Face path `path`; `weight` is (C).
    pub fn rms(path: &str, weight: Tensor, eps: f64) -> Self {
        Self::new(path, NormKind::RootMeanSquare, weight, None, eps)
    }

    /// A frozen RMSNorm whose weight is an offset from 1; `weight` is (C).
    pub fn rms_offset(path: &str, weight: Tensor, eps: f64) -> Self {
        Self::new(path, NormKind::RootMeanSquareOffset, weight, None, eps)
    }

    /// A frozen LayerNorm with the Hugging Face path `path`; `weight` and `bias` are (C).
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

    /// The kind of the norm.
    pub fn kind(&self) -> NormKind {
        self.kind
    }

    /// The weight w, (C).
    pub fn weight(&self) -> &Parameter {
        &self.weight
    }

    /// The bias b, (C).
    pub fn bias(&self) -> Option<&Parameter> {
        self.bias.as_deref()
    }

    /// A shared handle to w, for callers that outlive the borrow of the model.
    pub fn shared_weight(&self) -> Arc<Parameter> {
        self.weight.clone()
    }

    /// A shared handle to b, for callers that outlive the borrow of the model.
    pub fn shared_bias(&self) -> Option<Arc<Parameter>> {
        self.bias.clone()
    }

    /// Normalizes `x`.
    ///
    /// # Shapes
    /// `x: (.., C)` -> `(.., C)`
    /// # Errors
    /// Returns an error with the path of the layer if the width differs.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let weight = self.weight.tensor();
        let bias = self.bias.as_ref().map(|bias| bias.tensor());
        let y = match self.kind {
            NormKind::RootMeanSquare => ops::rms_norm(x, &weight, self.eps),
            NormKind::RootMeanSquareOffset => {
                (weight + 1.0).map_err(NnError::from).and_then(|w| ops::rms_norm(x, &w, self.eps))
            }
            NormKind::Layer => ops::layer_norm(x, &weight, bias.as_ref(), self.eps),
        };
        y.map_err(|error| NnError::at_path(error, &self.path))
    }
}
