//! BitFit: trains copies of the biases, `y = W x + b'`.
//!
//! `b'` is initialized with the bias of the base model.
//!
//! # Shapes
//! `x: (.., d_in)`, `b': (d_out)`
//! # Source
//! Ben Zaken et al. 2021, arXiv:2106.10199. HF PEFT has no such method; the keys are those of its
//! LoRA with `bias=all`. No golden.

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
    method::{Built, Method},
    modules_to_save, selected,
};

/// The fields, named as in HF PEFT where it has them.
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
        let state = Arc::new(AdapterState::new());
        let saved = modules_to_save::names(config);
        let parts = selected::unfreeze_selected(cx, config, init, &state, |site, parameter| {
            let is_saved = modules_to_save::is_named(site.path, &saved);
            Ok(!is_saved && leaf(parameter.path()) == "bias")
        })?;
        if parts.is_empty() {
            let model = cx.base_name.to_owned();
            return Err(PeftError::NoBias { setting: "BitFit".to_owned(), model });
        }
        Ok(Built::new(fields::plain_settings(&SPEC, config, &[]), parts, state))
    }
}
