//! The layers of a model to which adapters attach, with their paths and roles.

use std::sync::Arc;

use crate::{Embedding, Linear, Norm, Parameter, Role};

/// One layer of a model.
#[derive(Clone, Copy, Debug)]
pub enum Layer<'a> {
    /// A linear layer.
    Linear(&'a Linear),
    /// An embedding.
    Embedding(&'a Embedding),
    /// A normalization layer.
    Norm(&'a Norm),
}

impl<'a> Layer<'a> {
    /// The parameters of the layer: the weight, then the bias if there is one.
    pub fn parameters(self) -> Vec<&'a Parameter> {
        match self {
            Self::Linear(linear) => std::iter::once(linear.weight()).chain(linear.bias()).collect(),
            Self::Embedding(embedding) => vec![embedding.weight()],
            Self::Norm(norm) => std::iter::once(norm.weight()).chain(norm.bias()).collect(),
        }
    }

    /// Shared handles to the parameters, for callers that outlive the borrow of the model.
    pub fn shared_parameters(self) -> Vec<Arc<Parameter>> {
        match self {
            Self::Linear(linear) => {
                std::iter::once(linear.shared_weight()).chain(linear.shared_bias()).collect()
            }
            Self::Embedding(embedding) => vec![embedding.shared_weight()],
            Self::Norm(norm) => {
                std::iter::once(norm.shared_weight()).chain(norm.shared_bias()).collect()
            }
        }
    }
}

/// A layer with its Hugging Face path and its role.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// Hugging Face path, such as `model.layers.0.self_attn.q_proj`.
    pub path: &'a str,
    /// The function of the layer.
    pub role: Role,
    /// The layer.
    pub layer: Layer<'a>,
}

impl<'a> Site<'a> {
    /// The site of a linear layer.
    pub fn linear(linear: &'a Linear) -> Self {
        Self { path: linear.path(), role: linear.role(), layer: Layer::Linear(linear) }
    }

    /// The site of a normalization layer.
    pub fn norm(norm: &'a Norm) -> Self {
        Self { path: norm.path(), role: Role::Norm, layer: Layer::Norm(norm) }
    }

    /// The site of an embedding of tokens, positions or token types.
    pub fn embedding(embedding: &'a Embedding, role: Role) -> Self {
        Self { path: embedding.path(), role, layer: Layer::Embedding(embedding) }
    }
}
