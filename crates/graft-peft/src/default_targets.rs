//! HF PEFT's default target modules, for files where `target_modules` is null: one table per
//! method, by `model_type`.
//!
//! # Source
//! peft 0.21, `utils/constants.py`: `TRANSFORMERS_MODELS_TO_*_TARGET_MODULES_MAPPING`

use graft_nn::Model;
use graft_spec::methods::MethodSpec;

use crate::{PeftError, config_file::ConfigFile, layers::leaf};

type Table = &'static [(&'static str, &'static [&'static str])];

const QV: &[&str] = &["q_proj", "v_proj"];

/// LoRA and every method that has no table of its own.
const LORA: Table = &[
    ("llama", QV),
    ("mistral", QV),
    ("mixtral", QV),
    ("qwen2", QV),
    ("qwen3", QV),
    ("gemma", QV),
    ("gemma2", QV),
    ("gemma3_text", QV),
    ("stablelm", QV),
    ("opt", QV),
    ("gpt2", &["c_attn"]),
    ("gpt_neox", &["query_key_value"]),
    ("bert", &["query", "value"]),
    ("roberta", &["query", "value"]),
    ("xlm-roberta", &["query", "value"]),
    ("electra", &["query", "value"]),
    ("t5", &["q", "v"]),
    ("mt5", &["q", "v"]),
];

const ADALORA: Table = &[
    ("llama", QV),
    ("qwen2", QV),
    ("qwen3", QV),
    ("gemma", QV),
    ("gemma2", QV),
    ("gemma3_text", QV),
    ("opt", &["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"]),
    ("gpt2", &["c_attn"]),
    ("gpt_neox", &["query_key_value"]),
    ("bert", &["query", "value"]),
    ("roberta", &["query", "key", "value", "dense"]),
    ("t5", &["q", "k", "v", "o", "wi", "wo"]),
    ("mt5", &["q", "k", "v", "o", "wi_0", "wi_1", "wo"]),
];

const IA3: Table = &[
    ("llama", &["k_proj", "v_proj", "down_proj"]),
    ("mistral", &["k_proj", "v_proj", "down_proj"]),
    ("mixtral", &["k_proj", "v_proj", "w2"]),
    ("qwen2", &["q_proj", "v_proj", "down_proj"]),
    ("qwen3", &["q_proj", "v_proj", "down_proj"]),
    ("gemma", &["q_proj", "v_proj", "down_proj"]),
    ("gemma2", &["q_proj", "v_proj", "down_proj"]),
    ("gemma3_text", &["q_proj", "v_proj", "down_proj"]),
    ("opt", &["q_proj", "k_proj", "fc2"]),
    ("gpt2", &["c_attn", "mlp.c_proj"]),
    ("gpt_neox", &["query_key_value", "dense_4h_to_h"]),
    ("bert", &["key", "value", "output.dense"]),
    ("roberta", &["key", "value", "output.dense"]),
    ("t5", &["k", "v", "wo"]),
    ("mt5", &["k", "v", "wi_1"]),
];

const IA3_FEEDFORWARD: Table = &[
    ("llama", &["down_proj"]),
    ("mistral", &["down_proj"]),
    ("mixtral", &["w2"]),
    ("qwen2", &["down_proj"]),
    ("qwen3", &["down_proj"]),
    ("gemma", &["down_proj"]),
    ("gemma2", &["down_proj"]),
    ("gemma3_text", &["down_proj"]),
    ("opt", &["fc2"]),
    ("gpt2", &["mlp.c_proj"]),
    ("gpt_neox", &["dense_4h_to_h"]),
    ("bert", &["output.dense"]),
    ("roberta", &["output.dense"]),
    ("t5", &["wo"]),
    ("mt5", &[]),
];

const LN_TUNING: Table = &[
    ("llama", &["input_layernorm", "post_attention_layernorm", "norm"]),
    ("mistral", &["input_layernorm", "post_attention_layernorm", "norm"]),
    ("qwen2", &["post_attention_layernorm"]),
    ("qwen3", &["post_attention_layernorm"]),
    ("gemma", &["input_layernorm", "post_attention_layernorm", "norm"]),
    (
        "gemma2",
        &[
            "input_layernorm",
            "post_attention_layernorm",
            "pre_feedforward_layernorm",
            "post_feedforward_layernorm",
            "norm",
        ],
    ),
    (
        "gemma3_text",
        &[
            "input_layernorm",
            "post_attention_layernorm",
            "pre_feedforward_layernorm",
            "post_feedforward_layernorm",
            "norm",
        ],
    ),
    ("gpt2", &["ln_1", "ln_2", "ln_f"]),
    ("t5", &["layer_norm", "final_layer_norm"]),
    ("mt5", &["layer_norm", "final_layer_norm"]),
];

/// Fills in `target_modules`, and IA³'s `feedforward_modules`, if they are null in a file. Methods
/// for which null means all modules are not changed.
///
/// # Errors
/// [`PeftError::NoDefaultTargets`] if HF PEFT has no default for the family.
pub(crate) fn fill(
    config: &mut ConfigFile,
    spec: &MethodSpec,
    model: &dyn Model,
) -> Result<(), PeftError> {
    let table = match spec.verb {
        "full" | "bitfit" => return Ok(()),
        "trainable_tokens" => {
            if config.get("target_modules").is_none() {
                config
                    .set("target_modules", vec![leaf(model.embedding().path()).to_owned()].into());
            }
            return Ok(());
        }
        "adalora" => ADALORA,
        "ia3" => IA3,
        "ln_tuning" => LN_TUNING,
        _ => LORA,
    };
    if spec.keys.iter().any(|key| key.name == "target_modules") {
        fill_field(config, "target_modules", table, model)?;
    }
    if spec.verb == "ia3" {
        fill_field(config, "feedforward_modules", IA3_FEEDFORWARD, model)?;
    }
    Ok(())
}

fn fill_field(
    config: &mut ConfigFile,
    field: &str,
    table: Table,
    model: &dyn Model,
) -> Result<(), PeftError> {
    if config.get(field).is_some() {
        return Ok(());
    }
    let family = &model.shape().family;
    let Some((_, names)) = table.iter().find(|(known, _)| known == family) else {
        return Err(PeftError::NoDefaultTargets {
            field: field.to_owned(),
            family: family.clone(),
        });
    };
    config.set(field, names.to_vec().into());
    Ok(())
}
