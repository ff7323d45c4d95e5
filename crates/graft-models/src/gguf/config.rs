//! Conversion of GGUF metadata to a config.json.

use candle_core::Device;
use graft_nn::message::first_line;
use serde_json::{Value, json};

use super::Gguf;
use crate::ModelError;

/// The tensor of Llama 3's rope factors, by which llama.cpp divides the frequencies.
pub(super) const ROPE_FACTORS: &str = "rope_freqs.weight";

/// Supported architectures, and `model_type` and class in transformers.
const ARCHITECTURES: [(&str, &str, &str); 5] = [
    ("llama", "llama", "LlamaForCausalLM"),
    ("qwen2", "qwen2", "Qwen2ForCausalLM"),
    ("qwen3", "qwen3", "Qwen3ForCausalLM"),
    ("gemma2", "gemma2", "Gemma2ForCausalLM"),
    ("gemma3", "gemma3_text", "Gemma3ForCausalLM"),
];

/// Base of the rotary angles in Gemma 3's layers with a sliding window, which files do not contain.
const SLIDING_BASE: f64 = 10_000.0;

/// Layers of the models with 27 billion parameters of Gemma 2 and 3, whose scores are scaled by
/// C / H instead of D, as in llama.cpp.
const SCALED_BY_HIDDEN: [(&str, usize); 2] = [("gemma2", 46), ("gemma3", 62)];

/// Parameters of Llama 3's rope scaling, which are the same in all versions.
const LOW_FREQ_FACTOR: f64 = 1.0;
const HIGH_FREQ_FACTOR: f64 = 4.0;
const ORIGINAL_POSITIONS: u64 = 8192;

/// Reads the config.
pub(super) fn read(file: &Gguf) -> Result<Value, ModelError> {
    let architecture = file
        .text("general.architecture")
        .ok_or_else(|| file.malformed("`general.architecture` is missing".to_owned()))?;
    let Some((_, model_type, class)) =
        ARCHITECTURES.into_iter().find(|(known, ..)| *known == architecture)
    else {
        return Err(ModelError::UnsupportedFamily {
            path: file.path.clone(),
            model_type: architecture,
            supported: ARCHITECTURES.iter().map(|(known, ..)| *known).collect(),
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
    let mut config = json!({
        "architectures": [class], "model_type": model_type, "hidden_act": "silu",
        "vocab_size": embeddings.first(), "hidden_size": hidden, "intermediate_size": needed("feed_forward_length")?,
        "num_hidden_layers": needed("block_count")?, "num_attention_heads": heads, "num_key_value_heads": size("attention.head_count_kv").unwrap_or(heads),
        "head_dim": size("attention.key_length").unwrap_or(hidden / heads),
        "max_position_embeddings": needed("context_length")?, "rms_norm_eps": number("attention.layer_norm_rms_epsilon").unwrap_or(1e-5),
        "rope_parameters": rope.clone(), "rope_theta": rope["rope_theta"], "rope_scaling": if rope["rope_type"] == "default" { Value::Null } else { rope.clone() },
        "tie_word_embeddings": file.shape("lm_head.weight").is_none(), "attention_bias": file.shape("model.layers.0.self_attn.o_proj.bias").is_some(),
        "bos_token_id": file.size("tokenizer.ggml.bos_token_id"), "eos_token_id": file.size("tokenizer.ggml.eos_token_id"),
        "pad_token_id": file.size("tokenizer.ggml.padding_token_id"),
    });
    if super::names::is_gemma(&architecture) {
        add_gemma(&mut config, file, &architecture);
    }
    Ok(config)
}

/// Adds what only the Gemma families have.
fn add_gemma(config: &mut Value, file: &Gguf, architecture: &str) {
    let number = |key: &str| file.number(&format!("{architecture}.{key}"));
    let size = |key: &str| config.get(key).and_then(Value::as_u64).unwrap_or(1);
    let layers = size("num_hidden_layers") as usize;
    let scalar = if SCALED_BY_HIDDEN.contains(&(architecture, layers)) {
        size("hidden_size") / size("num_attention_heads")
    } else {
        size("head_dim")
    };
    let mut own = json!({
        "hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh", "query_pre_attn_scalar": scalar,
        "sliding_window": file.size(&format!("{architecture}.attention.sliding_window")),
        "attn_logit_softcapping": number("attn_logit_softcapping"), "final_logit_softcapping": number("final_logit_softcapping"),
    });
    if architecture == "gemma3" {
        own["rope_local_base_freq"] = SLIDING_BASE.into();
        own["rope_parameters"] = json!({
            "full_attention": config["rope_parameters"],
            "sliding_attention": { "rope_theta": SLIDING_BASE, "rope_type": "default" },
        });
    }
    if let (Some(config), Value::Object(own)) = (config.as_object_mut(), own) {
        config.extend(own);
    }
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
