//! Names of weights in GGUF files.

/// Layers outside the blocks: Hugging Face's name and GGUF's name.
const WHOLE: &[(&str, &str)] =
    &[("model.embed_tokens", "token_embd"), ("model.norm", "output_norm"), ("lm_head", "output")];

/// Layers of a block: Hugging Face's name and GGUF's name.
const BLOCK: &[(&str, &str)] = &[
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("self_attn.q_norm", "attn_q_norm"),
    ("self_attn.k_norm", "attn_k_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
    ("input_layernorm", "attn_norm"),
    ("post_attention_layernorm", "ffn_norm"),
];

/// Norms of a block with other names in the Gemma families, where they are before and after
/// attention and feed-forward network.
const GEMMA: &[(&str, &str)] = &[
    ("post_attention_layernorm", "post_attention_norm"),
    ("pre_feedforward_layernorm", "ffn_norm"),
    ("post_feedforward_layernorm", "post_ffw_norm"),
];

/// Whether an architecture of llama.cpp is of the Gemma families.
pub(super) fn is_gemma(architecture: &str) -> bool {
    architecture.starts_with("gemma")
}

/// The GGUF name of a weight: `blk.3.attn_q.weight` for `model.layers.3.self_attn.q_proj.weight`.
/// `None` for an unknown name.
pub(super) fn of(name: &str, architecture: &str) -> Option<String> {
    let (layer, kind) = name.rsplit_once('.')?;
    let find = |table: &[(&str, &'static str)], layer: &str| {
        table.iter().find(|(known, _)| *known == layer).map(|(_, stored)| *stored)
    };
    match layer.strip_prefix("model.layers.") {
        Some(inside) => {
            let (number, part) = inside.split_once('.')?;
            let of_family = if is_gemma(architecture) { find(GEMMA, part) } else { None };
            Some(format!("blk.{number}.{}.{kind}", of_family.or_else(|| find(BLOCK, part))?))
        }
        None => Some(format!("{}.{kind}", find(WHOLE, layer)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn weights_and_biases_of_blocks_and_of_the_whole_have_their_names() {
        assert_eq!(
            of("model.layers.12.self_attn.k_proj.bias", "llama").as_deref(),
            Some("blk.12.attn_k.bias")
        );
        assert_eq!(of("lm_head.weight", "llama").as_deref(), Some("output.weight"));
        assert_eq!(of("model.layers.1.self_attn.unknown.weight", "llama"), None);
    }

    #[test]
    fn the_norm_after_attention_is_before_the_feed_forward_network_only_in_llama() {
        let name = "model.layers.0.post_attention_layernorm.weight";
        assert_eq!(of(name, "llama").as_deref(), Some("blk.0.ffn_norm.weight"));
        assert_eq!(of(name, "gemma3").as_deref(), Some("blk.0.post_attention_norm.weight"));
    }
}
