//! The layout of a decoder family: the order of the layers in a block, and their names.

use std::sync::Arc;

use super::{DecoderBlock, attention::Heads};
use crate::{ModelError, gemma, gpt_neox, llama, llama::LlamaConfig, olmo2, parts::Parts, phi3};

/// The layout of a decoder family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// Norms before attention and feed-forward: [`crate::llama`].
    #[default]
    Llama,
    /// Norms before and after both: [`crate::gemma`].
    Gemma,
    /// Norms after both: [`crate::olmo2`].
    Olmo2,
    /// As Llama, with fused projections: [`crate::phi3`].
    Phi3,
    /// Attention and feed-forward in parallel: [`crate::gpt_neox`].
    GptNeoX,
}

/// Names of the layers outside of the blocks.
pub(crate) struct Names {
    /// Module that contains everything except the head.
    pub(crate) trunk: &'static str,
    /// The same with a dot: prefix of its weights.
    pub(crate) prefix: &'static str,
    pub(crate) embedding: &'static str,
    pub(crate) norm: &'static str,
    pub(crate) head: &'static str,
}

impl Layout {
    /// Hugging Face's names.
    pub(crate) fn names(self) -> Names {
        match self {
            Self::GptNeoX => Names {
                trunk: "gpt_neox",
                prefix: "gpt_neox.",
                embedding: "embed_in",
                norm: "final_layer_norm",
                head: "embed_out",
            },
            _ => Names {
                trunk: "model",
                prefix: "model.",
                embedding: "embed_tokens",
                norm: "norm",
                head: "lm_head",
            },
        }
    }

    /// HF PEFT's default targets of LoRA.
    pub(crate) fn default_targets(self) -> &'static [&'static str] {
        match self {
            Self::Phi3 => &["qkv_proj"],
            Self::GptNeoX => &["query_key_value"],
            _ => &["q_proj", "v_proj"],
        }
    }

    /// Builds the block at `path`.
    pub(crate) fn block(
        self,
        parts: &mut Parts<'_, '_>,
        config: &LlamaConfig,
        path: &str,
        heads: Heads,
    ) -> Result<Arc<dyn DecoderBlock>, ModelError> {
        Ok(match self {
            Self::Llama => Arc::new(llama::Block::build(parts, config, path, heads)?),
            Self::Gemma => Arc::new(gemma::Block::build(parts, config, path, heads)?),
            Self::Olmo2 => Arc::new(olmo2::Block::build(parts, config, path, heads)?),
            Self::Phi3 => Arc::new(phi3::Block::build(parts, config, path, heads)?),
            Self::GptNeoX => Arc::new(gpt_neox::Block::build(parts, config, path, heads)?),
        })
    }
}
