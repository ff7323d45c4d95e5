//! BitFit: trained copies of the biases in the place of the base's own, `y = W x + b'`.
//!
//! # Shapes
//! `b': (d_out)`
//! # Source
//! Ben Zaken et al. 2021, arXiv:2106.10199. HF PEFT has no such method; the keys are those of its LoRA with `bias=all`.

use std::sync::Arc;

use graft_spec::{
    Settings,
    methods::{MethodSpec, bitfit::SPEC},
};

use crate::{
    AttachContext, PeftError,
    adapter_state::AdapterState,
    config_file::ConfigFile,
    fields,
    init_source::InitSource,
    layers::leaf,
    method::{AdapterPart, Built, Method},
    selected, trained_modules,
};

/// The fields, HF PEFT's words where it has them.
const DEFAULTS: &str = r#"{"auto_mapping": null, "base_model_name_or_path": null, "exclude_modules": null, "inference_mode": true, "modules_to_save": null,
    "peft_type": "BITFIT", "revision": null, "target_modules": null, "task_type": "CAUSAL_LM"}"#;

/// The method.
pub(super) struct BitFit;

impl Method for BitFit {
    fn spec(&self) -> &'static MethodSpec {
        &SPEC
    }

    fn defaults(&self) -> &'static str {
        DEFAULTS
    }

    fn config(
        &self,
        _cx: &AttachContext<'_>,
        settings: &Settings,
    ) -> Result<ConfigFile, PeftError> {
        fields::from_settings(&SPEC, DEFAULTS, settings, &[])
    }

    fn build(
        &self,
        cx: &AttachContext<'_>,
        config: &ConfigFile,
        init: InitSource,
    ) -> Result<Built, PeftError> {
        let (state, saved) = (Arc::new(AdapterState::new()), trained_modules::names(config));
        let mut parts = Vec::new();
        for site in selected::sites(cx, config, init)?
            .into_iter()
            .filter(|site| !trained_modules::is_named(site.path, &saved))
        {
            for parameter in site
                .layer
                .parameters()
                .into_iter()
                .filter(|parameter| leaf(parameter.path()) == "bias")
            {
                let (var, attachment) = trained_modules::unfreeze_parameter(cx, parameter, &state)?;
                let key = format!("base_model.model.{}", parameter.path());
                parts.push(AdapterPart {
                    in_place: true,
                    ..AdapterPart::new(site.path, attachment, vec![(key, var)])
                });
            }
        }
        if parts.is_empty() {
            return Err(PeftError::NoBias {
                setting: "BitFit".to_owned(),
                model: cx.base_name.to_owned(),
            });
        }
        Ok(Built::new(fields::plain_settings(&SPEC, config, &[]), parts, state))
    }
}
