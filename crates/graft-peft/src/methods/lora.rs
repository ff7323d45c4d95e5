//! LoRA: a low-rank update added to each frozen linear layer, `y = W x + s B A x`.
//!
//! A is initialized uniformly in `±1/sqrt(d_in)` and B with zeros; `init_lora_weights` selects
//! other initializations.
//!
//! # Shapes
//! `x: (.., d_in)`, `A: (r, d_in)`, `B: (d_out, r)`, `W: (d_out, d_in)` frozen;
//! `s = lora_alpha / r`, in rsLoRA `lora_alpha / sqrt(r)`
//! # Source
//! Hu et al. 2021, arXiv:2106.09685; rsLoRA: Kalajdzievski 2023, arXiv:2312.03732. Goldens `lora`,
//! `lora-all-linear`, `lora-mlp-regex`, `rslora`, `lora-rank-pattern`, `lora-layers`,
//! `lora-bias-all`, `lora-bias-lora-only`, `lora-modules-to-save`, `lora-embedding`, `lora-tokens`,
//! `lora-tokens-head`.

mod config;
mod data_init;
mod embedding;
mod eva;
mod init;
mod loftq;
mod tokens;

use std::sync::Arc;

use graft_nn::{
    Context, Embedding, Linear, LinearAdapter, Result, Role, Tensor, Var,
    ops::{self, LowRank},
};
use graft_spec::{
    Settings,
    methods::{MethodSpec, lora::SPEC},
};

use crate::{
    AttachContext, PeftError,
    adapter_state::AdapterState,
    config_file::ConfigFile,
    fields,
    init_source::InitSource,
    layers::{chosen_layers, leaf},
    method::{AdapterPart, Built, Method},
    ranks::check_rank,
};

pub(super) use config::{DEFAULTS, LoraConfig, UNSUPPORTED};
use data_init::{Chosen, DataInit};
pub(super) use init::{Init, LowRankInit};
pub(super) use tokens::parts as token_parts;

/// The method.
pub(super) struct Lora;

/// The update of one layer.
struct LoraLayer {
    a: Var,
    b: Var,
    /// `A₀` and `B₀`: the part of W that the update includes initially, which is subtracted.
    base_offset: Option<(Tensor, Tensor)>,
    /// `s` without the adapter's scale.
    scaling: f64,
    /// Dropout probability of the inputs of A, in training only.
    dropout: f64,
    state: Arc<AdapterState>,
}

impl LinearAdapter for LoraLayer {
    fn forward(&self, base: &Linear, x: &Tensor, cx: &Context) -> Result<Tensor> {
        let scale = self.scaling * self.state.scale();
        let update = LowRank {
            a: self.a.as_tensor().clone(), // (r, d_in)
            b: self.b.as_tensor().clone(), // (d_out, r)
            scale,
            dropout: cx.mask(base.path(), self.dropout),
        };
        let mut y = ops::lora_linear(x, base.effective_weight(), &update)?; // (.., d_out)
        if let Some((a, b)) = &self.base_offset {
            y = (y - (ops::linear(&ops::linear(x, a)?, b)? * scale)?)?; // (.., d_out)
        }
        match base.bias() {
            Some(bias) => ops::bias_add(&y, &bias.tensor()),
            None => Ok(y),
        }
    }

    fn delta(&self, _base: &Linear) -> Result<Option<Tensor>> {
        let mut product = self.b.as_detached_tensor().matmul(&self.a.as_detached_tensor())?; // (d_out, d_in)
        if let Some((a, b)) = &self.base_offset {
            product = (product - b.matmul(a)?)?; // (d_out, d_in)
        }
        Ok(Some((product * (self.scaling * self.state.scale()))?))
    }

    fn is_merged(&self) -> bool {
        self.state.is_merged()
    }
}

impl Method for Lora {
    fn spec(&self) -> &'static MethodSpec {
        &SPEC
    }

    fn defaults(&self) -> &'static str {
        DEFAULTS
    }

    fn reads(&self, config: &ConfigFile) -> bool {
        config.text("peft_type") == Some(SPEC.peft_type) && !config.flag("use_dora")
    }

    fn config(
        &self,
        cx: &AttachContext<'_>,
        settings: &Settings,
    ) -> std::result::Result<ConfigFile, PeftError> {
        let mut config = fields::on_default_targets(&SPEC, DEFAULTS, cx, settings)?;
        match (config.text("init_lora_weights"), settings.values.get(fields::EVA_RHO)) {
            (Some("eva"), _) => config.set(
                "eva_config",
                eva::eva_config(settings.float(SPEC.keys, fields::EVA_RHO).unwrap_or(2.0)),
            ),
            (_, Some(_)) => {
                return Err(PeftError::RequiresKey {
                    key: fields::EVA_RHO,
                    needs: "init_lora_weights=eva",
                });
            }
            _ => {}
        }
        Ok(config)
    }

    fn build(
        &self,
        cx: &AttachContext<'_>,
        config: &ConfigFile,
        init: InitSource,
    ) -> std::result::Result<Built, PeftError> {
        let mut lora = LoraConfig::read(config)?;
        let state = Arc::new(AdapterState::new());
        let mut chosen = chosen_layers(cx, &lora.selection, init)?;
        let mut warnings = rank_warnings(&lora, &chosen.0, init)?;
        let data_init = data_init(cx, config, &lora, &chosen, init)?;
        if let Some(changed) = &data_init.config {
            lora = LoraConfig::read(changed)?;
            chosen = chosen_layers(cx, &lora.selection, init)?;
        }
        let (layers, embeddings) = chosen;
        let mut parts = Vec::new();
        for linear in &layers {
            parts.push(linear_part(cx, &lora, linear, &data_init, init, &state)?);
        }
        for table in &embeddings {
            let (r, scaling) = lora.ranks.rank_and_scaling(table.path());
            parts.push(embedding::part(cx, table, (r, scaling), init, &state)?);
        }
        let targeted: Vec<&str> = embeddings
            .iter()
            .map(|table| table.path())
            .chain(layers.iter().map(|linear| linear.path()))
            .collect();
        let (rows, read) = tokens::parts(cx, config, &targeted, &state)?;
        parts.extend(rows);
        warnings.extend(
            lora.ranks.unmatched(
                layers
                    .iter()
                    .map(|linear| linear.path())
                    .chain(embeddings.iter().map(|table| table.path())),
                init,
            )?,
        );
        warnings.extend(data_init.note);
        let searched = data_init.config.as_ref();
        let settings = settings(cx, config, searched, &lora, &layers, &embeddings);
        let config = data_init.config;
        Ok(Built { warnings, config, read, ..Built::new(settings, parts, state) })
    }
}

/// Runs the initialization that `init_lora_weights` selects, if it reads data or the weights before
/// quantization.
///
/// # Errors
/// Those of [`eva::find`] and [`loftq::find`]; [`PeftError::Unsupported`] for an adapter from a
/// file that needs its own quantized base.
fn data_init(
    cx: &AttachContext<'_>,
    config: &ConfigFile,
    lora: &LoraConfig,
    chosen: &Chosen<'_>,
    init: InitSource,
) -> std::result::Result<DataInit, PeftError> {
    match (lora.init, init) {
        (Init::Eva, InitSource::Fresh) => eva::find(cx, config, lora, chosen),
        (Init::Loftq, InitSource::Fresh) => loftq::find(cx, config, lora, &chosen.0),
        (Init::Loftq, InitSource::Checkpoint) => Err(config.unsupported(
            "`init_lora_weights` = loftq, which quantizes the base model itself".to_owned(),
        )),
        _ => Ok(DataInit::default()),
    }
}

/// Checks the rank of each layer and returns the warnings.
fn rank_warnings(
    lora: &LoraConfig,
    linears: &[&Linear],
    init: InitSource,
) -> std::result::Result<Vec<String>, PeftError> {
    let mut warnings = Vec::new();
    for linear in linears {
        check_rank(lora.ranks.rank_and_scaling(linear.path()).0, linear, init, &mut warnings)?;
    }
    Ok(warnings)
}

/// The initialized update of one linear layer.
fn linear_part(
    cx: &AttachContext<'_>,
    lora: &LoraConfig,
    linear: &Linear,
    data_init: &DataInit,
    init: InitSource,
    state: &Arc<AdapterState>,
) -> std::result::Result<AdapterPart, PeftError> {
    let (r, scaling) = lora.ranks.rank_and_scaling(linear.path());
    let initialized = lora.init.initialize(linear, (r, scaling), cx, init)?;
    data_init.put(linear.path(), &initialized)?;
    let LowRankInit { a, b, base_offset } = initialized;
    let weights = vec![("lora_A.weight", a.clone()), ("lora_B.weight", b.clone())];
    let adapter = Arc::new(LoraLayer {
        a,
        b,
        base_offset,
        scaling,
        dropout: lora.dropout,
        state: state.clone(),
    });
    Ok(AdapterPart { copies: copies(linear), ..AdapterPart::linear(linear, adapter, weights) })
}

/// The settings that attach the same adapter again; `searched` is the configuration that the
/// initialization from data has changed.
fn settings(
    cx: &AttachContext<'_>,
    config: &ConfigFile,
    searched: Option<&ConfigFile>,
    lora: &LoraConfig,
    layers: &[&Linear],
    embeddings: &[&Embedding],
) -> Settings {
    let mut settings = fields::to_settings(
        &SPEC,
        searched.unwrap_or(config),
        &["r", "lora_alpha"],
        &lora.selection,
        cx.model,
        layers,
    );
    if matches!(lora.init, Init::Eva) || searched.is_some() {
        // The result is in the patterns and the weights; a resumed run must not search again.
        settings.values.remove("init_lora_weights");
    }
    fields::add_targets(
        &mut settings,
        &lora.selection,
        embeddings.iter().map(|table| leaf(table.path())),
    );
    settings
}

/// HF PEFT includes the weight of a targeted head in the file, because it may have been resized.
pub(super) fn copies(linear: &Linear) -> Vec<(String, Tensor)> {
    let copy = || {
        (
            format!("base_model.model.{}.base_layer.weight", linear.path()),
            linear.weight().tensor().detach(),
        )
    };
    (linear.role() == Role::Head).then(copy).into_iter().collect()
}
