//! Prefix tuning: trained keys and values in front of those of the input,
//! `softmax(q [Pk; k]ᵀ / √D) [Pv; v]` in every block.
//!
//! E is initialized from N(0, 1), or with zeros by `init_weights=zero`.
//!
//! # Shapes
//! `E: (P, L * 2 * K*D)`: for each of L blocks the keys, then the values, of K heads of width D;
//! with projection `E = W₂ tanh(W₁ e + b₁) + b₂` with `e: (P, K*D)`
//! # Source
//! Li and Liang 2021, arXiv:2101.00190. Golden `prefix-tuning`.

use std::sync::Arc;

use graft_nn::{Context, Prefix, Result, Tensor, Var};
use graft_spec::{
    Settings,
    methods::{MethodSpec, prefix_tuning::SPEC},
};

use super::prompt_encoder::{self, Activation, Dense, Encoder, Vectors};
use crate::{
    AttachContext, PeftError,
    adapter_state::AdapterState,
    config_file::ConfigFile,
    fields,
    init_source::InitSource,
    initializer::Initializer,
    method::{AdapterPart, Attachment, Built, Method},
};

/// Every field of PEFT 0.21's `PrefixTuningConfig` with its default.
const DEFAULTS: &str = r#"{"auto_mapping": null, "base_model_name_or_path": null, "encoder_hidden_size": null, "inference_mode": true,
    "init_weights": null, "modules_to_save": null, "num_attention_heads": null, "num_layers": null, "num_transformer_submodules": 1,
    "num_virtual_tokens": null, "peft_type": "PREFIX_TUNING", "prefix_projection": false, "revision": null, "task_type": "CAUSAL_LM",
    "token_dim": null}"#;

/// The method.
pub(super) struct PrefixTuning;

struct KeysAndValues {
    vectors: Vectors,
    count: usize,
    /// L.
    blocks: usize,
    /// K*D.
    width: usize,
    /// HF PEFT's number of parts per block: keys and values, in an encoder-decoder twice.
    stride: usize,
}

impl Prefix for KeysAndValues {
    fn keys_values(&self, cx: &Context) -> Result<Vec<(Tensor, Tensor)>> {
        let all = self.vectors.tensor(cx)?; // (P, L * 2 * K*D)
        let part = |number: usize| all.narrow(1, number * self.width, self.width); // (P, K*D)
        let parts = 2 * self.blocks;
        (0..self.blocks)
            .map(|block| self.stride * block % parts)
            .map(|first| Ok((part(first)?, part(first + 1)?)))
            .collect()
    }

    fn len(&self) -> usize {
        self.count
    }
}

impl Method for PrefixTuning {
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
        let mut config = fields::from_settings(&SPEC, DEFAULTS, settings, &[])?;
        let shape = cx.model.shape();
        prompt_encoder::set_dimensions(&mut config, cx.model, width(cx), shape.kv_heads);
        if config.text("init_weights") == Some("random") {
            config.set("init_weights", serde_json::Value::Null);
        }
        Ok(config)
    }

    fn build(
        &self,
        cx: &AttachContext<'_>,
        config: &ConfigFile,
        init: InitSource,
    ) -> std::result::Result<Built, PeftError> {
        let (width, blocks) = (width(cx), cx.model.shape().layers);
        let count = prompt_encoder::count(cx, config, width)?;
        let device = prompt_encoder::device(cx.model);
        let vectors = match init {
            InitSource::Checkpoint => {
                cx.reserve(prompt_encoder::KEY, "prefix_tuning", &[count, 2 * blocks * width])?;
                Vectors::empty(count, 2 * blocks * width, &device)?
            }
            InitSource::Fresh => fresh(
                cx,
                config,
                &Initializer::named("prefix_tuning", device, cx.seed).within(cx),
                (count, width, 2 * blocks * width),
            )?,
        };
        let export = vectors.export();
        let weights = vectors.weights();
        // An encoder-decoder gets the prefix in the decoder only. HF PEFT repeats the parts for the
        // attention to the encoded text, deals them out to the blocks, and drops those of that
        // attention, so that a block uses every second pair.
        let stride = 2 * prompt_encoder::submodules(cx.model);
        let prefix = KeysAndValues { vectors, count, blocks, width, stride };
        let part = AdapterPart::new(
            cx.model.embedding().path(),
            Attachment::Prefix(Arc::new(prefix)),
            weights,
        );
        let projects = if config.flag("prefix_projection") {
            "encoder_hidden_size"
        } else {
            "num_virtual_tokens"
        };
        let mut settings = fields::plain_settings(&SPEC, config, &["num_virtual_tokens", projects]);
        if !config.flag("prefix_projection") {
            settings.values.remove("encoder_hidden_size");
        }
        Ok(Built { export, ..Built::new(settings, vec![part], Arc::new(AdapterState::new())) })
    }
}

/// K*D.
fn width(cx: &AttachContext<'_>) -> usize {
    cx.model.shape().kv_heads * cx.model.shape().head_dim
}

fn fresh(
    cx: &AttachContext<'_>,
    config: &ConfigFile,
    initializer: &Initializer<'_>,
    (count, width, all): (usize, usize, usize),
) -> std::result::Result<Vectors, PeftError> {
    let is_zero_init = match config.text("init_weights") {
        None => false,
        Some("zero") => true,
        Some(_) => return Err(config.invalid("init_weights", "null or zero")),
    };
    if !config.flag("prefix_projection") {
        let vectors = initializer.normal("embedding.weight", (count, all), 1.0)?; // (P, L * 2 * K*D)
        return Ok(Vectors::Plain(if is_zero_init {
            Var::from_tensor(&vectors.zeros_like()?)?
        } else {
            vectors
        }));
    }
    let hidden = config.count("encoder_hidden_size")?;
    cx.check_fits("prompt encoder", cx.model.embedding().path(), &[hidden, width + all])?;
    let last = Dense::new(initializer, "transform.2", (all, hidden))?;
    Ok(Vectors::Encoded(Encoder {
        embedding: initializer.normal("embedding.weight", (count, width), 1.0)?,
        lstm: None,
        layers: vec![
            Dense::new(initializer, "transform.0", (hidden, width))?,
            if is_zero_init { last.zeroed()? } else { last },
        ],
        activation: Activation::Tanh,
    }))
}
