//! The weights that a config requires, and where a family gets them from.

use graft_nn::Tensor;

use crate::ModelError;

/// A weight that a config requires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightSpec {
    /// Hugging Face name, such as `model.layers.0.self_attn.q_proj.weight`.
    pub name: String,
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
}

impl WeightSpec {
    pub(crate) fn new(name: String, shape: &[usize]) -> Self {
        Self { name, shape: shape.to_vec() }
    }
}

/// Returns the tensor of one weight.
pub(crate) type WeightSource<'a> = dyn FnMut(&WeightSpec) -> Result<Tensor, ModelError> + 'a;
