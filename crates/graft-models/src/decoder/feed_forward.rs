//! Gated feed-forward networks of decoders.

use graft_nn::{
    Context, Linear, Result, Role, Site, Tensor,
    ops::{self, Gelu},
};

use crate::{ModelError, llama::LlamaConfig, parts::Parts};

/// The activation of the gate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gate {
    /// `silu(gate) ∘ up`
    #[default]
    Silu,
    /// `gelu(gate) ∘ up`
    Gelu(Gelu),
}

impl Gate {
    /// `gate, up: (.., F)` -> `(.., F)`
    pub(crate) fn forward(self, gate: &Tensor, up: &Tensor) -> Result<Tensor> {
        match self {
            Self::Silu => ops::swiglu(gate, up),
            Self::Gelu(kind) => Ok((ops::gelu(gate, kind)? * up)?),
        }
    }
}

/// `down_proj(act(gate_proj(x)) ∘ up_proj(x))`
pub(crate) struct FeedForward {
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
    gate: Gate,
}

impl FeedForward {
    /// Builds the layers at `path`.
    pub(crate) fn build(
        parts: &mut Parts<'_, '_>,
        config: &LlamaConfig,
        path: &str,
    ) -> std::result::Result<Self, ModelError> {
        let at = |name: &str| format!("{path}.{name}");
        let hidden = config.hidden_size;
        let ffn = config.intermediate_size;
        let bias = config.mlp_bias;
        Ok(Self {
            gate_proj: parts.linear(&at("gate_proj"), Role::Gate, [ffn, hidden], bias)?,
            up_proj: parts.linear(&at("up_proj"), Role::Up, [ffn, hidden], bias)?,
            down_proj: parts.linear(&at("down_proj"), Role::Down, [hidden, ffn], bias)?,
            gate: config.variant.gate,
        })
    }

    /// The layers.
    pub(crate) fn sites(&self) -> [Site<'_>; 3] {
        [&self.gate_proj, &self.up_proj, &self.down_proj].map(Site::linear)
    }

    /// (B, T, C) -> (B, T, C)
    pub(crate) fn forward(&self, x: &Tensor, cx: &Context) -> Result<Tensor> {
        let gate = self.gate_proj.forward(x, cx)?; // (B, T, F)
        let up = self.up_proj.forward(x, cx)?; // (B, T, F)
        self.down_proj.forward(&self.gate.forward(&gate, &up)?, cx) // (B, T, C)
    }
}
