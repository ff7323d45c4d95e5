//! Root-mean-square normalisation.

use crate::{NnError, Parameter, Result, Tensor, ops};

/// `y = x / sqrt(mean(x^2) + eps) * w` over the last dimension.
///
/// # Source
/// Zhang and Sennrich 2019, arXiv:1910.07467
#[derive(Debug)]
pub struct RmsNorm {
    path: String,
    weight: Parameter,
    eps: f64,
}

impl RmsNorm {
    /// A frozen norm at a Hugging Face path; `weight` is (C).
    pub fn new(path: &str, weight: Tensor, eps: f64) -> Self {
        Self { path: path.to_owned(), weight: Parameter::new(&format!("{path}.weight"), weight), eps }
    }

    /// Hugging Face path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// w, (C).
    pub fn weight(&self) -> &Parameter {
        &self.weight
    }

    /// Normalises `x` (.., C).
    ///
    /// # Errors
    /// When the width differs; the error names the layer.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        ops::rms_norm(x, &self.weight.tensor(), self.eps).map_err(|error| NnError::at_path(error, &self.path))
    }
}
