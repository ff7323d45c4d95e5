//! P-tuning: a soft prompt computed by a small trained network, `x' = [f(E); embed(ids)]`.
//!
//! E is initialized from N(0, 1), the network like PyTorch's layers.
//!
//! # Shapes
//! `x': (B, P+T, C)`, `E: (P, C)`; MLP: C -> H -> H -> C with ReLU in between; LSTM: C -> 2H
//! (bidirectional), then 2H -> 2H -> C
//! # Source
//! Liu et al. 2021, arXiv:2103.10385. Golden `p-tuning` (MLP); the LSTM is tested against values
//! from PyTorch. HF PEFT ignores `encoder_num_layers` for the MLP.

use std::sync::Arc;

use graft_nn::{Context, Result, SoftPrompt, Tensor};
use graft_spec::{
    Settings,
    methods::{MethodSpec, p_tuning::SPEC},
};

use super::prompt_encoder::{self, Activation, Dense, Encoder, Lstm, Vectors};
use crate::{
    AttachContext, PeftError,
    adapter_state::AdapterState,
    config_file::ConfigFile,
    fields,
    init_source::InitSource,
    initializer::Initializer,
    method::{AdapterPart, Attachment, Built, Method},
};

/// Every field of PEFT 0.21's `PromptEncoderConfig` with its default.
const DEFAULTS: &str = r#"{"auto_mapping": null, "base_model_name_or_path": null, "encoder_dropout": 0.0, "encoder_hidden_size": null,
    "encoder_num_layers": 2, "encoder_reparameterization_type": "MLP", "inference_mode": true, "modules_to_save": null,
    "num_attention_heads": null, "num_layers": null, "num_transformer_submodules": 1, "num_virtual_tokens": null, "peft_type": "P_TUNING",
    "revision": null, "task_type": "CAUSAL_LM", "token_dim": null}"#;

/// The method.
pub(super) struct PTuning;

struct Prompt {
    vectors: Vectors,
    count: usize,
}

impl SoftPrompt for Prompt {
    fn embeddings(&self, cx: &Context) -> Result<Tensor> {
        Ok(self.vectors.tensor(cx)?.narrow(0, 0, self.count)?) // (P, C)
    }

    fn len(&self) -> usize {
        self.count
    }
}

impl Method for PTuning {
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
        prompt_encoder::set_dimensions(&mut config, cx.model, shape.hidden, shape.heads);
        Ok(config)
    }

    fn build(
        &self,
        cx: &AttachContext<'_>,
        config: &ConfigFile,
        init: InitSource,
    ) -> std::result::Result<Built, PeftError> {
        let width = cx.model.shape().hidden;
        let count = prompt_encoder::count(cx, config, width)?;
        let device = prompt_encoder::device(cx.model);
        let rows = count * prompt_encoder::submodules(cx.model);
        let vectors = match init {
            InitSource::Checkpoint => Vectors::empty(rows, width, &device)?,
            InitSource::Fresh => Vectors::Encoded(encoder(
                cx,
                config,
                &Initializer::named("p_tuning", device, cx.seed).within(cx),
                (rows, width),
            )?),
        };
        let export = vectors.export();
        let weights = vectors.weights();
        let part = AdapterPart::new(
            cx.model.embedding().path(),
            Attachment::Prompt(Arc::new(Prompt { vectors, count })),
            weights,
        );
        let settings = fields::plain_settings(
            &SPEC,
            config,
            &["num_virtual_tokens", "encoder_reparameterization_type", "encoder_hidden_size"],
        );
        Ok(Built { export, ..Built::new(settings, vec![part], Arc::new(AdapterState::new())) })
    }
}

fn encoder(
    cx: &AttachContext<'_>,
    config: &ConfigFile,
    initializer: &Initializer<'_>,
    (count, width): (usize, usize),
) -> std::result::Result<Encoder, PeftError> {
    let hidden = config.count("encoder_hidden_size")?;
    check_encoder_fits(cx, config, width, hidden)?;
    let embedding = initializer.normal("embedding.weight", (count, width), 1.0)?;
    let (lstm, layers) = network(config, initializer, width, hidden)?;
    Ok(Encoder { embedding, lstm, layers, activation: Activation::Relu })
}

/// Checks that the memory is sufficient for the encoder.
fn check_encoder_fits(
    cx: &AttachContext<'_>,
    config: &ConfigFile,
    width: usize,
    hidden: usize,
) -> std::result::Result<(), PeftError> {
    // An LSTM has two directions with four gates each, which read the layer below, of up to twice
    // the width, and the state.
    let rows = if config.text("encoder_reparameterization_type") == Some("LSTM") {
        hidden.saturating_mul(8 * config.count("encoder_num_layers")?)
    } else {
        hidden
    };
    cx.check_fits(
        "prompt encoder",
        cx.model.embedding().path(),
        &[rows, hidden.saturating_mul(3).saturating_add(2 * width)],
    )
}

/// The LSTM, if there is one, and the linear layers after it.
fn network(
    config: &ConfigFile,
    initializer: &Initializer<'_>,
    width: usize,
    hidden: usize,
) -> std::result::Result<(Option<Lstm>, Vec<Dense>), PeftError> {
    let dense =
        |name: &str, d_out: usize, d_in: usize| Dense::new(initializer, name, (d_out, d_in));
    match config.text("encoder_reparameterization_type") {
        Some("MLP") => Ok((
            None,
            vec![
                dense("mlp_head.0", hidden, width)?,
                dense("mlp_head.2", hidden, hidden)?,
                dense("mlp_head.4", width, hidden)?,
            ],
        )),
        Some("LSTM") => {
            let lstm = Lstm::new(
                initializer,
                (width, hidden),
                config.count("encoder_num_layers")?,
                config.probability("encoder_dropout")?,
            )?;
            Ok((
                Some(lstm),
                vec![
                    dense("mlp_head.0", 2 * hidden, 2 * hidden)?,
                    dense("mlp_head.2", width, 2 * hidden)?,
                ],
            ))
        }
        _ => Err(config.invalid("encoder_reparameterization_type", "MLP or LSTM")),
    }
}
