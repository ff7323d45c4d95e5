//! The network of a bottleneck adapter.

use std::sync::Arc;

use graft_nn::{Context, Norm, ResidualAdapter, Result, SavedActivations, Tensor, Var, ops};

use crate::{PeftError, adapter_state::AdapterState, config_file::ConfigFile};

/// The network of one residual addition.
pub(super) struct Network {
    /// D and d.
    pub(super) down: (Var, Var),
    /// U and u.
    pub(super) up: (Var, Var),
    /// The input z.
    pub(super) reads: Reads,
    /// f
    pub(super) activation: Activation,
    /// s without the scale of the adapter.
    pub(super) scaling: f64,
    /// Dropout probability of the change, in training only.
    pub(super) dropout: f64,
    /// The path of the residual addition.
    pub(super) path: String,
    pub(super) state: Arc<AdapterState>,
}

/// The input z of the network.
#[derive(Clone, Copy)]
pub(super) enum Reads {
    /// h + x, normalized if a norm follows.
    Sum,
    /// h
    Output,
    /// x
    Stream,
}

/// The activation f.
#[derive(Clone, Copy)]
pub(super) enum Activation {
    Relu,
    Swish,
    Gelu,
    Tanh,
}

impl ResidualAdapter for Network {
    fn forward(
        &self,
        output: &Tensor,
        stream: &Tensor,
        norm: Option<&Norm>,
        cx: &Context,
    ) -> Result<Tensor> {
        let z = match (self.reads, norm) {
            (Reads::Sum, Some(norm)) => norm.forward(&(output + stream)?)?,
            (Reads::Sum, None) => (output + stream)?,
            (Reads::Output, _) => output.clone(),
            (Reads::Stream, _) => stream.clone(),
        }; // (B, T, C)
        let affine = |x: &Tensor, (weight, bias): &(Var, Var)| {
            ops::bias_add(&ops::linear(x, weight.as_tensor())?, bias.as_tensor())
        };
        let narrow = self.activation.of(&affine(&z, &self.down)?)?; // (B, T, b)
        let mut change = (affine(&narrow, &self.up)? * (self.scaling * self.state.scale()))?; // (B, T, C)
        if let Some(mask) = cx.mask(&self.path, self.dropout) {
            change = (&change
                * Tensor::from_vec(
                    mask.factors(change.elem_count()),
                    change.dims(),
                    change.device(),
                )?)?;
        }
        Ok((output + change)?)
    }

    /// The product and the sum of both linear layers, the output of f, the scaled change, and the
    /// three sums that add it to the stream.
    fn saved_activations(&self) -> SavedActivations {
        let (narrow, wide) = (self.down.1.elem_count(), self.up.1.elem_count());
        let dropped = if self.dropout > 0.0 { 2 } else { 0 };
        let summed = usize::from(matches!(self.reads, Reads::Sum));
        SavedActivations::per_position(3 * narrow + (6 + dropped + summed) * wide)
    }
}

impl Activation {
    /// Reads `non_linearity`.
    pub(super) fn read(config: &ConfigFile) -> std::result::Result<Self, PeftError> {
        match config.text("non_linearity").map(str::to_lowercase).as_deref() {
            Some("relu") => Ok(Self::Relu),
            Some("swish") => Ok(Self::Swish),
            Some("gelu") => Ok(Self::Gelu),
            Some("tanh") => Ok(Self::Tanh),
            other => {
                Err(config.unsupported(format!("`non_linearity` {}", other.unwrap_or("null"))))
            }
        }
    }

    fn of(self, x: &Tensor) -> Result<Tensor> {
        Ok(match self {
            Self::Relu => x.relu()?,
            Self::Swish => x.silu()?,
            Self::Gelu => ops::gelu(x, ops::Gelu::Exact)?,
            Self::Tanh => x.tanh()?,
        })
    }
}
