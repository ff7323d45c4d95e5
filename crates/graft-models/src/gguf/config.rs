//! Conversion of GGUF metadata to a config.json.

use candle_core::Device;
use graft_nn::message::first_line;
use serde_json::{Value, json};

use super::Gguf;
use crate::ModelError;

/// The tensor of Llama 3's rope factors, by which llama.cpp divides the frequencies.
pub(super) const ROPE_FACTORS: &str = "rope_freqs.weight";

/// Supported architectures and their classes in transformers.
const ARCHITECTURES: [(&str, &str); 3] =
    [("llama", "LlamaForCausalLM"), ("qwen2", "Qwen2ForCausalLM"), ("qwen3", "Qwen3ForCausalLM")];

/// Parameters of Llama 3's rope scaling, which are the same in all versions.
const LOW_FREQ_FACTOR: f64 = 1.0;
const HIGH_FREQ_FACTOR: f64 = 4.0;
const ORIGINAL_POSITIONS: u64 = 8192;

/// Reads the config.
pub(super) fn read(file: &Gguf) -> Result<Value, ModelError> {
    let architecture = file
        .text("general.architecture")
        .ok_or_else(|| file.malformed("`general.architecture` is missing".to_owned()))?;
    let Some((model_type, class)) =
        ARCHITECTURES.into_iter().find(|(known, _)| *known == architecture)
    else {
        return Err(ModelError::UnsupportedFamily {
            path: file.path.clone(),
            model_type: architecture,
            supported: ARCHITECTURES.iter().map(|(known, _)| *known).collect(),
        });
    };
    let size = |key: &str| file.size(&format!("{architecture}.{key}"));
    let number = |key: &str| file.number(&format!("{architecture}.{key}"));
    let needed = |key: &str| match size(key) {
        Some(size) if size > 0 => Ok(size),
        Some(_) => Err(file.malformed(format!("`{architecture}.{key}` must not be 0"))),
        None => Err(file.malformed(format!("`{architecture}.{key}` is missing"))),
    };
    let hidden = needed("embedding_length")?;
    let heads = needed("attention.head_count")?;
    let embeddings = file
        .shape("model.embed_tokens.weight")
        .ok_or_else(|| file.malformed("`token_embd.weight` is missing".to_owned()))?;
    let rope = rope(file, number("rope.freq_base").unwrap_or(10_000.0), &architecture)?;
    Ok(json!({
        "architectures": [class], "model_type": model_type, "hidden_act": "silu",
        "vocab_size": embeddings.first(), "hidden_size": hidden, "intermediate_size": needed("feed_forward_length")?,
        "num_hidden_layers": needed("block_count")?, "num_attention_heads": heads, "num_key_value_heads": size("attention.head_count_kv").unwrap_or(heads),
        "head_dim": size("attention.key_length").unwrap_or(hidden / heads),
        "max_position_embeddings": needed("context_length")?, "rms_norm_eps": number("attention.layer_norm_rms_epsilon").unwrap_or(1e-5),
        "rope_parameters": rope.clone(), "rope_theta": rope["rope_theta"], "rope_scaling": if rope["rope_type"] == "default" { Value::Null } else { rope.clone() },
        "tie_word_embeddings": file.shape("lm_head.weight").is_none(), "attention_bias": file.shape("model.layers.0.self_attn.o_proj.bias").is_some(),
        "bos_token_id": file.size("tokenizer.ggml.bos_token_id"), "eos_token_id": file.size("tokenizer.ggml.eos_token_id"),
    }))
}

/// The rope parameters: Llama 3's scaling if the file has its factors, linear scaling, or none.
fn rope(file: &Gguf, theta: f64, architecture: &str) -> Result<Value, ModelError> {
    if let Some(info) = file.content.tensor_infos.get(ROPE_FACTORS) {
        let read = |file: &Gguf| {
            let factors = info
                .read(
                    &mut graft_nn::regular_file::open(&file.path)?,
                    file.content.tensor_data_offset,
                    &Device::Cpu,
                )?
                .dequantize(&Device::Cpu)?;
            factors.flatten_all()?.to_vec1::<f32>()
        };
        let factors = read(file).map_err(|error| {
            file.malformed(format!("cannot read `{ROPE_FACTORS}` ({})", first_line(&error)))
        })?;
        // The lowest frequencies are divided by the full factor, which is the largest one.
        let factor = factors.iter().copied().fold(1.0, f32::max);
        return Ok(json!({
            "rope_theta": theta, "rope_type": "llama3", "factor": factor, "low_freq_factor": LOW_FREQ_FACTOR, "high_freq_factor": HIGH_FREQ_FACTOR,
            "original_max_position_embeddings": ORIGINAL_POSITIONS,
        }));
    }
    match file.text(&format!("{architecture}.rope.scaling.type")).as_deref() {
        None | Some("none") => Ok(json!({ "rope_theta": theta, "rope_type": "default" })),
        Some("linear") => {
            let factor = file.number(&format!("{architecture}.rope.scaling.factor")).unwrap_or(1.0);
            Ok(json!({ "rope_theta": theta, "rope_type": "linear", "factor": factor }))
        }
        Some(other) => Err(file
            .malformed(format!("rope scaling `{other}` is not supported (linear and llama3 are)"))),
    }
}
