//! Arguments of Hugging Face's Python classes (`LoraConfig`, `TrainingArguments`, `SFTConfig`,
//! `GenerationConfig`, `from_pretrained`) that are not keys here.

use graft_spec::methods::{self, MethodSpec};

/// The meaning of an argument from Python.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The argument is this key, with the same value.
    Key(&'static str),
    /// The argument is this key, with another value.
    KeyWith(&'static str, &'static str),
    /// The argument has no effect, with the reason; empty if no note is needed.
    NoEffect(&'static str),
    /// The argument is not available, with what to use instead.
    Instead(String),
}

use Meaning::{Instead, Key, KeyWith, NoEffect};

/// The Python values that switch an argument off.
const OFF: [&str; 2] = ["None", "False"];

/// Returns the meaning of `key=value` after `%verb word`, a form that has no such key.
pub(crate) fn of(verb: &str, word: &str, key: &str, value: &str) -> Option<Meaning> {
    let method = methods::by_verb(verb).filter(|_| matches!(word, "" | "attach"));
    let trains = matches!(verb, "train" | "resume") || method.is_some() && word.is_empty();
    let found =
        method.and_then(|method| of_method(method, key, value)).or_else(|| match (verb, word) {
            _ if trains => of_training(key, value),
            ("generate" | "compare" | "chat", _) => of_generation(key, value),
            ("model", "load") => of_model(key, value),
            _ => None,
        });
    // An argument that is switched off needs neither a key nor a note.
    found.map(|meaning| {
        if OFF.contains(&value) && !matches!(meaning, Key(_)) { NoEffect("") } else { meaning }
    })
}

/// Interprets an argument of `LoraConfig` or of another method's configuration.
fn of_method(method: &MethodSpec, key: &str, value: &str) -> Option<Meaning> {
    Some(match key {
        "task_type" => NoEffect("the model determines it"),
        "inference_mode" => NoEffect("`%train` trains an attached adapter, `%lora off` disables it"),
        "fan_in_fan_out" => NoEffect("the layers of the model determine it"),
        "base_model_name_or_path" | "auto_mapping" | "revision" | "peft_version" => NoEffect("the adapter is attached to the current model"),
        "layers_pattern" => NoEffect("the layers of every model are numbered without it"),
        "ensure_weight_tying" | "runtime_config" | "lora_bias" | "use_qalora" | "alora_invocation_tokens" | "arrow_config" => {
            Instead(format!("`{key}` is not supported; leave it out"))
        }
        "use_dora" if method.verb != "dora" => Instead("DoRA is a separate method: `%dora attach r=8`".to_owned()),
        "use_dora" => NoEffect(""),
        "peft_type" if value == method.peft_type => NoEffect(""),
        "peft_type" => match methods::by_peft_type(value) {
            Some(other) => Instead(format!("that is another method: `%{} attach`", other.verb)),
            None => Instead(format!("unknown method `{value}`; `%lsmagic` lists the methods")),
        },
        "load_in_4bit" | "load_in_8bit" | "quantization_config" | "bnb_4bit_quant_type" => Instead(
            "quantization belongs to the model: `%model load DIR load_in_4bit=true`, then `%lora attach r=8`".to_owned(),
        ),
        "loftq_config" => Instead(
            "use `%lora attach init_lora_weights=loftq` on a model quantized by `%model load DIR load_in_4bit=true`".to_owned(),
        ),
        "eva_config" => Instead("set `eva_rho` instead: `%lora attach init_lora_weights=eva eva_rho=2`".to_owned()),
        "trainable_token_indices" => Instead("it is a key of LoRA and DoRA: `%lora attach trainable_token_indices=17,40`; `%trainable_tokens` trains nothing else".to_owned()),
        "megatron_config" | "megatron_core" | "corda_config" | "layer_replication" | "target_parameters" | "qalora_group_size" => {
            Instead(format!("`{key}` is not supported; leave it out"))
        }
        _ => return None,
    })
}

/// Interprets an argument of `TrainingArguments` or `SFTConfig`.
fn of_training(key: &str, value: &str) -> Option<Meaning> {
    Some(match key {
        "train_batch_size" | "bs" | "bsz" | "batchsize" => Key("batch"),
        "max_seq_len" | "model_max_length" => Key("max_length"),
        "num_epoch" | "n_epochs" => Key("epochs"),
        "task_type" => NoEffect("the model determines it"),
        "fp16" | "bf16" | "tf32" => {
            NoEffect("the model sets the number type: `%model load DIR dtype=bf16`")
        }
        "output_dir" | "logging_dir" | "run_name" => {
            NoEffect("runs are recorded in .graft/runs, `%runs` lists them")
        }
        "logging_steps" | "logging_strategy" | "logging_first_step" | "report_to"
        | "disable_tqdm" => NoEffect("every step is plotted and recorded"),
        "save_strategy" | "save_steps" | "save_total_limit" => {
            NoEffect("a checkpoint is written every save_every=60 seconds")
        }
        "eval_strategy" | "evaluation_strategy" => {
            NoEffect("eval_every=20 sets the interval of the validation")
        }
        "chat_template" | "chat_template_path" => Instead(
            "the template belongs to the data: `%data load FILE chat_template=chatml`".to_owned(),
        ),
        "assistant_only_loss" if !OFF.contains(&value) => KeyWith("loss_on", "assistant"),
        "completion_only_loss" if OFF.contains(&value) => KeyWith("loss_on", "all"),
        "assistant_only_loss" | "completion_only_loss" => {
            NoEffect("loss_on=all adds the prompt to the loss")
        }
        "packing_strategy" => NoEffect("rows are packed by best-fit decreasing"),
        "do_train"
        | "do_eval"
        | "per_device_eval_batch_size"
        | "eval_batch_size"
        | "push_to_hub"
        | "remove_unused_columns"
        | "dataset_text_field"
        | "dataset_kwargs"
        | "group_by_length"
        | "dataloader_num_workers"
        | "dataloader_pin_memory"
        | "label_names"
        | "ddp_find_unused_parameters" => NoEffect("no setting is needed for it"),
        "greater_is_better" => NoEffect("the metric determines it"),
        "early_stopping_threshold"
        | "lr_scheduler_kwargs"
        | "optim_args"
        | "deepspeed"
        | "fsdp" => Instead(format!("`{key}` is not supported; leave it out")),
        _ => return None,
    })
}

/// Interprets an argument of `GenerationConfig`.
fn of_generation(key: &str, value: &str) -> Option<Meaning> {
    Some(match key {
        "do_sample" if OFF.contains(&value) => NoEffect(""),
        "do_sample" => KeyWith("temperature", "1"),
        "max_length" | "max_tokens" => Key("max_new_tokens"),
        "stop_strings" => Key("stop"),
        "pad_token_id" | "eos_token_id" | "use_cache" | "return_full_text" => {
            NoEffect("no setting is needed for it")
        }
        "num_beams" | "num_return_sequences" | "no_repeat_ngram_size" | "min_p" => {
            Instead(format!("`{key}` is not supported; `temperature`, `top_k` and `top_p` sample"))
        }
        _ => return None,
    })
}

/// Interprets an argument of `from_pretrained`.
fn of_model(key: &str, value: &str) -> Option<Meaning> {
    Some(match key {
        "torch_dtype" => match value.trim_start_matches("torch.") {
            "float32" | "float" | "auto" => KeyWith("dtype", "f32"),
            "bfloat16" => KeyWith("dtype", "bf16"),
            "float16" | "half" => KeyWith("dtype", "f16"),
            _ => Key("dtype"),
        },
        "device_map" | "device" => NoEffect("`%device` shows and chooses the device"),
        "trust_remote_code" => NoEffect("code in a model folder is never executed"),
        "attn_implementation"
        | "use_cache"
        | "low_cpu_mem_usage"
        | "use_safetensors"
        | "cache_dir" => NoEffect("no setting is needed for it"),
        "quantization_config" => {
            Instead("`%model load DIR load_in_4bit=true` quantizes the weights".to_owned())
        }
        "token" | "use_auth_token" => Instead("`%env HF_TOKEN=TOKEN` sets the token".to_owned()),
        _ => return None,
    })
}

/// Formats one note about all arguments without effect.
pub(crate) fn note(arguments: &[(String, &'static str)]) -> Option<String> {
    let notes: Vec<String> = arguments
        .iter()
        .filter(|(_, reason)| !reason.is_empty())
        .map(|(name, reason)| format!("`{name}` ({reason})"))
        .collect();
    (!notes.is_empty()).then(|| format!("no effect here: {}", notes.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verbs;

    #[test]
    fn what_is_off_needs_no_word_and_a_renamed_key_exists() {
        assert_eq!(of("lora", "attach", "use_dora", "False"), Some(NoEffect("")));
        assert_eq!(of("lora", "attach", "megatron_config", "None"), Some(NoEffect("")));
        assert_eq!(of("lora", "save", "task_type", "CAUSAL_LM"), None);
        assert_eq!(of("seed", "", "task_type", "CAUSAL_LM"), None);
        let names = [
            "train_batch_size",
            "model_max_length",
            "n_epochs",
            "do_sample",
            "max_tokens",
            "stop_strings",
            "torch_dtype",
        ];
        for (verb, word) in [("train", ""), ("generate", ""), ("model", "load")] {
            for name in names {
                let key = match of(verb, word, name, "float16") {
                    Some(Key(key) | KeyWith(key, _)) => key,
                    _ => continue,
                };
                assert!(
                    verbs::find(verb)
                        .and_then(|verb| verb.form(word))
                        .and_then(|form| form.key(key))
                        .is_some(),
                    "{name} -> {key}"
                );
            }
        }
    }
}
