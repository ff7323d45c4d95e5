//! Prompt tuning: trained vectors in front of the embedded input, `x' = [E; embed(ids)]`.
//!
//! `prompt_tuning_init` initializes E from N(0, 1), from random rows of the embedding, or from the
//! tokens of a text.
//!
//! # Shapes
//! `E: (P, C)` with P virtual tokens, `x': (B, P+T, C)`; the model returns logits for all P+T
//! positions, as in HF PEFT
//! # Source
//! Lester et al. 2021, arXiv:2104.08691. Golden `prompt-tuning`.

use std::sync::Arc;

use graft_nn::{Context, DType, Model, Result, Rng, SoftPrompt, Tensor, Var};
use graft_spec::{
    Settings, Value as Setting,
    methods::{MethodSpec, prompt_tuning::SPEC},
};

use super::prompt_encoder::{KEY, count, device, submodules};
use crate::{
    AttachContext, PeftError,
    adapter_state::AdapterState,
    config_file::ConfigFile,
    init_source::InitSource,
    method::{AdapterPart, Attachment, Built, Method},
};

/// Every field of PEFT 0.21's `PromptTuningConfig` with its default.
const DEFAULTS: &str = r#"{"auto_mapping": null, "base_model_name_or_path": null, "inference_mode": true, "modules_to_save": null,
    "num_attention_heads": null, "num_layers": null, "num_transformer_submodules": 1, "num_virtual_tokens": null, "peft_type": "PROMPT_TUNING",
    "prompt_tuning_init": "RANDOM", "prompt_tuning_init_text": null, "revision": null, "task_type": "CAUSAL_LM", "token_dim": null,
    "tokenizer_kwargs": null, "tokenizer_name_or_path": null}"#;

/// The method.
pub(super) struct PromptTuning;

struct Prompt {
    vectors: Var,
    count: usize,
}

impl SoftPrompt for Prompt {
    fn embeddings(&self, _cx: &Context) -> Result<Tensor> {
        Ok(self.vectors.as_tensor().narrow(0, 0, self.count)?) // (P, C)
    }

    fn len(&self) -> usize {
        self.count
    }
}

impl Method for PromptTuning {
    fn spec(&self) -> &'static MethodSpec {
        &SPEC
    }

    fn defaults(&self) -> &'static str {
        DEFAULTS
    }

    fn config(
        &self,
        cx: &AttachContext<'_>,
        settings: &Settings,
    ) -> std::result::Result<ConfigFile, PeftError> {
        let text =
            settings.text(SPEC.keys, "prompt_tuning_init_text").filter(|text| !text.is_empty());
        let chosen = settings.values.get("prompt_tuning_init").map(Setting::to_string);
        let init = match (chosen.as_deref(), &text) {
            (None | Some("TEXT"), Some(_)) => "TEXT".to_owned(),
            (Some(_), Some(_)) => {
                return Err(PeftError::RequiresKey {
                    key: "prompt_tuning_init_text",
                    needs: "prompt_tuning_init=TEXT",
                });
            }
            (Some("TEXT"), None) => {
                return Err(PeftError::MissingPromptText);
            }
            (other, None) => other.unwrap_or("SAMPLE_VOCAB").to_owned(),
        };
        let shape = cx.model.shape();
        // HF PEFT refuses a configuration with TEXT that names no tokenizer.
        let tokenizer = if init == "TEXT" { cx.base_name.into() } else { serde_json::Value::Null };
        Ok(ConfigFile::new(
            DEFAULTS,
            [
                (
                    "num_virtual_tokens",
                    settings.integer(SPEC.keys, "num_virtual_tokens").unwrap_or(20).into(),
                ),
                ("prompt_tuning_init", init.into()),
                ("prompt_tuning_init_text", text.into()),
                ("tokenizer_name_or_path", tokenizer),
                ("token_dim", shape.hidden.into()),
                ("num_layers", shape.layers.into()),
                ("num_transformer_submodules", submodules(cx.model).into()),
                ("num_attention_heads", shape.heads.into()),
            ],
        ))
    }

    fn build(
        &self,
        cx: &AttachContext<'_>,
        config: &ConfigFile,
        init: InitSource,
    ) -> std::result::Result<Built, PeftError> {
        let shape = cx.model.shape();
        let count = count(cx, config, shape.hidden)?;
        let rows = count * submodules(cx.model);
        let kind = config.text("prompt_tuning_init").unwrap_or("RANDOM").to_owned();
        let text = config.text("prompt_tuning_init_text").unwrap_or_default().to_owned();
        let vectors = match (init, kind.as_str()) {
            (InitSource::Checkpoint, _) => {
                Tensor::zeros((rows, shape.hidden), DType::F32, &device(cx.model))?
            }
            (InitSource::Fresh, "RANDOM") => random(cx, rows)?,
            (InitSource::Fresh, "TEXT") => from_text(cx, &text, rows)?,
            (InitSource::Fresh, _) => rows_of(cx.model, &sampled(cx, rows))?,
        };
        let vectors = Var::from_tensor(&vectors)?; // (P, C), or (2P, C) of an encoder and a decoder
        let attachment = Attachment::Prompt(Arc::new(Prompt { vectors: vectors.clone(), count }));
        let parts = vec![AdapterPart::new(
            cx.model.embedding().path(),
            attachment,
            vec![(KEY.to_owned(), vectors)],
        )];
        let mut settings = Settings::default()
            .with("num_virtual_tokens", Setting::Integer(count as i64))
            .with("prompt_tuning_init", Setting::Text(kind));
        if !text.is_empty() {
            settings.set("prompt_tuning_init_text", Setting::Text(text));
        }
        Ok(Built::new(settings, parts, Arc::new(AdapterState::new())))
    }
}

/// N(0, 1), like PyTorch's embeddings.
fn random(cx: &AttachContext<'_>, count: usize) -> std::result::Result<Tensor, PeftError> {
    let hidden = cx.model.shape().hidden;
    let values =
        Rng::new(cx.seed).stream("prompt_tuning", "random").normal(0.0, 1.0, count * hidden);
    Ok(Tensor::from_vec(values, (count, hidden), &device(cx.model))?) // (P, C)
}

/// Uniformly drawn tokens, with repetition, as in HF PEFT.
fn sampled(cx: &AttachContext<'_>, count: usize) -> Vec<u32> {
    let mut stream = Rng::new(cx.seed).stream("prompt_tuning", "sample_vocab");
    (0..count).map(|_| stream.below(cx.model.shape().vocab as u64) as u32).collect()
}

/// The rows of a text's tokens, with the special tokens of the tokenizer, repeated or cut to
/// `count` as in HF PEFT.
fn from_text(
    cx: &AttachContext<'_>,
    text: &str,
    count: usize,
) -> std::result::Result<Tensor, PeftError> {
    let tokenizer = cx.tokenizer.ok_or_else(|| PeftError::MissingTokenizer)?;
    let ids: Vec<u32> = [tokenizer.prefix(), tokenizer.encode(text)?, tokenizer.suffix()]
        .concat()
        .into_iter()
        .cycle()
        .take(count)
        .collect();
    if ids.is_empty() {
        return Err(PeftError::MissingPromptText);
    }
    rows_of(cx.model, &ids)
}

/// A copy of these rows of the embedding, (P, C).
fn rows_of(model: &dyn Model, ids: &[u32]) -> std::result::Result<Tensor, PeftError> {
    let ids = Tensor::from_slice(ids, (1, ids.len()), &device(model))?; // (1, P)
    Ok(model.embedding().base_forward(&ids)?.squeeze(0)?.detach().to_dtype(DType::F32)?) // (P, C)
}
