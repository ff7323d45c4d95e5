//! LayerNorm tuning: trains copies of the weight and the bias of the norms, `y = x̂ ∘ w' + b'`.
//!
//! The copies are initialized with the base weights.
//!
//! # Shapes
//! `x̂: (.., C)` normalized; `w', b': (C)`
//! # Source
//! Zhao et al. 2023, arXiv:2312.11420. Golden `ln-tuning`.

use std::sync::Arc;

use graft_nn::{Layer, Model, Norm};
use graft_spec::{
    Settings,
    methods::{MethodSpec, ln_tuning::SPEC},
};

use crate::{
    AttachContext, PeftError,
    adapter_state::AdapterState,
    config_file::ConfigFile,
    fields,
    init_source::InitSource,
    layers::leaf,
    method::{AdapterPart, Built, Method},
    selected,
    targets::Selection,
    trained_modules,
};

/// Every field of PEFT 0.21's `LNTuningConfig` with its default.
const DEFAULTS: &str = r#"{"auto_mapping": null, "base_model_name_or_path": null, "exclude_modules": null, "inference_mode": true, "modules_to_save": null,
    "peft_type": "LN_TUNING", "revision": null, "target_modules": null, "task_type": "CAUSAL_LM"}"#;

/// Norms inside attention, which HF PEFT's defaults do not include.
const INNER: &[&str] = &["q_norm", "k_norm"];

/// The method.
pub(super) struct LnTuning;

impl Method for LnTuning {
    fn spec(&self) -> &'static MethodSpec {
        &SPEC
    }

    fn defaults(&self) -> &'static str {
        DEFAULTS
    }

    fn config(&self, cx: &AttachContext<'_>, settings: &Settings) -> Result<ConfigFile, PeftError> {
        let mut names: Vec<String> = Vec::new();
        for name in norms(cx.model)
            .iter()
            .map(|norm| leaf(norm.path()))
            .filter(|name| !INNER.contains(name))
        {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        fields::from_settings(&SPEC, DEFAULTS, settings, &names)
    }

    fn build(
        &self,
        cx: &AttachContext<'_>,
        config: &ConfigFile,
        init: InitSource,
    ) -> Result<Built, PeftError> {
        let selection = Selection::read(config)?;
        selected::check_names(cx, &selection.targets, init, |site| {
            matches!(site.layer, Layer::Norm(_))
        })?;
        let (matcher, state) = (selection.matcher()?, Arc::new(AdapterState::new()));
        let mut parts = Vec::new();
        for norm in norms(cx.model).into_iter().filter(|norm| matcher.matches(norm.path(), false)) {
            for parameter in std::iter::once(norm.weight()).chain(norm.bias()) {
                let (var, attachment) = trained_modules::unfreeze_parameter(cx, parameter, &state)?;
                let key = format!(
                    "base_model.model.{}.ln_tuning_layers.{}",
                    norm.path(),
                    leaf(parameter.path())
                );
                parts.push(AdapterPart::new(norm.path(), attachment, vec![(key, var)]));
            }
        }
        if parts.is_empty() {
            return Err(selected::nothing_left(cx));
        }
        Ok(Built::new(fields::plain_settings(&SPEC, config, &["target_modules"]), parts, state))
    }
}

fn norms(model: &dyn Model) -> Vec<&Norm> {
    model
        .sites()
        .into_iter()
        .filter_map(|site| if let Layer::Norm(norm) = site.layer { Some(norm) } else { None })
        .collect()
}
