//! Bottleneck adapters: `h' = h + s (U f(D z + d) + u)` replaces the output h of a sublayer before
//! it is added to the residual stream x.
//!
//! `init_weights=bert` draws D and U from N(0, 0.02²); `mam_adapter` draws D uniformly and sets U
//! to zero. The biases are zero.
//!
//! # Shapes
//! `h, x, z: (B, T, C)`, `D: (b, C)`, `d: (b)`, `U: (C, b)`, `u: (C)` with
//! `b = C / reduction_factor`; z is h + x (pfeiffer; normalized if a norm follows the sum), h
//! (houlsby) or x (parallel)
//! # Source
//! Houlsby et al. 2019, arXiv:1902.00751; Pfeiffer et al. 2020, arXiv:2005.00052; He et al. 2021,
//! arXiv:2110.04366. Goldens `adapter-houlsby`, `adapter-pfeiffer`, `adapter-parallel`, computed by
//! AdapterHub's `adapters`.

mod network;

use std::sync::Arc;

use graft_nn::{ResidualAdd, Sublayer, Var};
use graft_spec::{
    Settings, Value as Setting,
    methods::{MethodSpec, bottleneck::SPEC},
};
use serde_json::Value;

use crate::{
    AttachContext, PeftError,
    adapter_state::AdapterState,
    config_file::{ConfigFile, plain_number},
    fields,
    init_source::InitSource,
    initializer::Initializer,
    method::{AdapterPart, Attachment, Built, Method},
};
use network::{Activation, Network, Reads};

/// All fields of `BnConfig` of adapters 1.3 with the defaults of `seq_bn`, flattened, and the
/// fields around them.
const DEFAULTS: &str = r#"{"adapter_residual_before_ln": false, "cross_adapter": false, "dropout": 0.0, "factorized_phm_W": true,
    "factorized_phm_rule": false, "hypercomplex_nonlinearity": "glorot-uniform", "init_weights": "bert", "init_weights_seed": null,
    "inv_adapter": null, "inv_adapter_reduction_factor": null, "is_parallel": false, "learn_phm": true, "leave_out": [], "ln_after": false,
    "ln_before": false, "mh_adapter": false, "non_linearity": "relu", "original_ln_after": true, "original_ln_before": true,
    "output_adapter": true, "phm_bias": true, "phm_c_init": "normal", "phm_dim": 4, "phm_init_range": 0.0001, "phm_layer": false, "phm_rank": 1,
    "reduction_factor": 16, "residual_before_ln": true, "scaling": 1.0, "shared_W_phm": false, "shared_phm_rule": true, "stochastic_depth": 0.0,
    "use_gating": false, "peft_type": "ADAPTERHUB", "hidden_size": null, "model_class": null, "model_name": null, "model_type": null, "name": null,
    "version": "adapters.1.3.0", "modules_to_save": null, "task_type": "CAUSAL_LM", "base_model_name_or_path": null}"#;

/// Fields that change the output in a way that is not implemented.
const UNSUPPORTED: &[&str] = &[
    "cross_adapter",
    "inv_adapter",
    "ln_after",
    "ln_before",
    "phm_layer",
    "use_gating",
    "factorized_phm_rule",
];

/// The method.
pub(super) struct Bottleneck;

impl Method for Bottleneck {
    fn spec(&self) -> &'static MethodSpec {
        &SPEC
    }

    fn defaults(&self) -> &'static str {
        DEFAULTS
    }

    fn config(&self, cx: &AttachContext<'_>, settings: &Settings) -> Result<ConfigFile, PeftError> {
        let preset = settings.text(SPEC.keys, "config").unwrap_or_default();
        let (is_houlsby, is_parallel) = (preset == "houlsby", preset == "parallel");
        let mut config = fields::from_settings(&SPEC, DEFAULTS, settings, &[])?;
        config.remove("config");
        config.remove("peft_version");
        let (activation, scaling) =
            (if is_houlsby { "swish" } else { "relu" }, if is_parallel { 4.0 } else { 1.0 });
        config.set(
            "non_linearity",
            settings
                .text(SPEC.keys, "non_linearity")
                .unwrap_or_else(|| activation.to_owned())
                .into(),
        );
        config.set("scaling", settings.float(SPEC.keys, "scaling").unwrap_or(scaling).into());
        config.set(
            "reduction_factor",
            plain_number(settings.float(SPEC.keys, "reduction_factor").unwrap_or(16.0)),
        );
        for (name, value) in [
            ("mh_adapter", is_houlsby),
            ("original_ln_before", !is_houlsby && !is_parallel),
            ("is_parallel", is_parallel),
        ] {
            config.set(name, value.into());
        }
        let shape = cx.model.shape();
        config.set("hidden_size", shape.hidden.into());
        config.set("model_type", shape.family.clone().into());
        config.set(
            "name",
            settings.text(SPEC.keys, "adapter_name").unwrap_or_else(|| "default".to_owned()).into(),
        );
        Ok(config)
    }

    fn build(
        &self,
        cx: &AttachContext<'_>,
        config: &ConfigFile,
        init: InitSource,
    ) -> Result<Built, PeftError> {
        config.refuse(UNSUPPORTED)?;
        if config.number("stochastic_depth").is_ok_and(|depth| depth != 0.0) {
            return Err(config.unsupported("`stochastic_depth`".to_owned()));
        }
        let width = cx.model.shape().hidden;
        let shape = (bottleneck_width(config, width)?, width);
        let name =
            config.text("name").ok_or_else(|| config.invalid("name", "the adapter's name"))?;
        let left_out = left_out_blocks(config);
        check_left_out(cx, config, &left_out)?;
        cx.check_fits(
            "networks",
            &cx.model.shape().family,
            &[cx.model.residual_adds().len() * 2 * width, shape.0],
        )?;
        let state = Arc::new(AdapterState::new());
        let mut parts = Vec::new();
        for residual_add in cx.model.residual_adds().into_iter().filter(|residual_add| {
            is_meant(config, residual_add) && !left_out.contains(&(residual_add.block() as u64))
        }) {
            parts.push(part(cx, config, residual_add, (name, shape, init), &state)?);
        }
        if parts.is_empty() {
            return Err(PeftError::AllExcluded {
                model: cx.base_name.to_owned(),
                keys: "leave_out",
            });
        }
        Ok(Built::new(settings(config), parts, state))
    }
}

/// The size b of the bottleneck, from the width C of the model.
fn bottleneck_width(config: &ConfigFile, width: usize) -> Result<usize, PeftError> {
    let factor = config.number("reduction_factor").ok().filter(|factor| *factor > 0.0);
    let factor = factor
        .ok_or_else(|| config.invalid("reduction_factor", "a positive number for all blocks"))?;
    Ok(((width as f64 / factor) as usize).max(1))
}

/// The numbers of the blocks that are excluded.
fn left_out_blocks(config: &ConfigFile) -> Vec<u64> {
    config
        .get("leave_out")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_u64)
        .collect()
}

/// The settings that attach the same adapter again.
fn settings(config: &ConfigFile) -> Settings {
    let mut settings = fields::plain_settings(&SPEC, config, &["reduction_factor"])
        .with("config", Setting::Text(preset(config).to_owned()));
    if config.number("dropout").is_ok_and(|dropout| dropout == 0.0) {
        settings.values.remove("dropout");
    }
    settings
}

/// Checks that every excluded block exists: an unknown block would be ignored silently.
fn check_left_out(
    cx: &AttachContext<'_>,
    config: &ConfigFile,
    left_out: &[u64],
) -> Result<(), PeftError> {
    let blocks = cx
        .model
        .residual_adds()
        .iter()
        .map(|residual_add| residual_add.block() + 1)
        .max()
        .unwrap_or(0);
    if left_out.iter().any(|block| *block >= blocks as u64) {
        return Err(config.invalid(
            "leave_out",
            &format!("block numbers of `{}`, which must be below {blocks}", cx.base_name),
        ));
    }
    Ok(())
}

fn is_meant(config: &ConfigFile, residual_add: &ResidualAdd) -> bool {
    config.flag(if residual_add.sublayer() == Sublayer::Attention {
        "mh_adapter"
    } else {
        "output_adapter"
    })
}

/// The value of the key `config` that is closest to the fields.
fn preset(config: &ConfigFile) -> &'static str {
    match (config.flag("is_parallel"), config.flag("mh_adapter")) {
        (true, _) => "parallel",
        (false, true) => "houlsby",
        (false, false) => "pfeiffer",
    }
}

fn part(
    cx: &AttachContext<'_>,
    config: &ConfigFile,
    residual_add: &ResidualAdd,
    (name, (narrow, width), init): (&str, (usize, usize), InitSource),
    state: &Arc<AdapterState>,
) -> Result<AdapterPart, PeftError> {
    let initializer = Initializer::named(
        residual_add.path(),
        cx.model.embedding().weight().base_value().device().clone(),
        cx.seed,
    )
    .within(cx);
    let weight = |leaf: &str, shape| initial_weight(config, &initializer, leaf, shape, init);
    let down = (weight("adapter_down", (narrow, width))?, initializer.full(0.0, &[narrow])?);
    let up = (weight("adapter_up", (width, narrow))?, initializer.full(0.0, &[width])?);
    let key = |leaf: &str| format!("{}.adapters.{name}.{leaf}", residual_add.path());
    let weights = [
        ("adapter_down.0.weight", &down.0),
        ("adapter_down.0.bias", &down.1),
        ("adapter_up.weight", &up.0),
        ("adapter_up.bias", &up.1),
    ]
    .map(|(leaf, var)| (key(leaf), var.clone()))
    .to_vec();
    let (activation, scaling, dropout) =
        (Activation::read(config)?, config.number("scaling")?, config.probability("dropout")?);
    check_residual(config)?;
    let network = Network {
        down,
        up,
        reads: reads(config),
        activation,
        scaling,
        dropout,
        path: residual_add.path().to_owned(),
        state: state.clone(),
    };
    Ok(AdapterPart::new(residual_add.path(), Attachment::ResidualAdd(Arc::new(network)), weights))
}

/// D or U; the weights of a saved adapter are read later.
fn initial_weight(
    config: &ConfigFile,
    initializer: &Initializer,
    leaf: &str,
    shape: (usize, usize),
    init: InitSource,
) -> Result<Var, PeftError> {
    match (init, config.text("init_weights")) {
        (InitSource::Fresh, Some("mam_adapter")) if leaf == "adapter_up" => {
            initializer.full(0.0, &[shape.0, shape.1])
        }
        (InitSource::Fresh, Some("mam_adapter")) => initializer.kaiming(leaf, shape),
        (InitSource::Fresh, Some("bert")) => initializer.normal(leaf, shape, 0.02),
        (InitSource::Checkpoint, _) => initializer.full(0.0, &[shape.0, shape.1]),
        _ => Err(config.unsupported("these `init_weights`".to_owned())),
    }
}

/// The input of the network.
fn reads(config: &ConfigFile) -> Reads {
    match (config.flag("is_parallel"), config.flag("original_ln_before")) {
        (true, _) => Reads::Stream,
        (false, true) => Reads::Sum,
        (false, false) => Reads::Output,
    }
}

/// Refuses positions of the residual connection that are not implemented.
fn check_residual(config: &ConfigFile) -> Result<(), PeftError> {
    if !config.flag("is_parallel")
        && config.get("residual_before_ln").and_then(Value::as_bool) != Some(true)
        || !config.flag("original_ln_after")
    {
        return Err(config.unsupported(
            "another position of the residual connection (`residual_before_ln`, `original_ln_after`)".to_owned(),
        ));
    }
    Ok(())
}
