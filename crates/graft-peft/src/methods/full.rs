//! Full fine-tuning, the baseline: trains a copy of every weight, or of the weights of some
//! modules, `y = W' x + b'`.
//!
//! The copies are initialized with the base weights.
//!
//! # Shapes
//! Those of the weights. A weight that GPT-2 stores transposed is saved as (d_out, d_in), like all
//! others.
//! # Source
//! No golden: HF PEFT has no such method. Freezing by layers: Lee et al. 2019, arXiv:1911.03090.

use std::sync::Arc;

use graft_nn::{Parameter, Weight};
use graft_spec::{
    Settings,
    methods::{MethodSpec, full::SPEC},
};

use crate::{
    AttachContext, PeftError,
    adapter_state::AdapterState,
    config_file::ConfigFile,
    fields,
    init_source::InitSource,
    method::{Built, Method},
    selected,
};

/// The fields, named as in HF PEFT where it has them.
const DEFAULTS: &str = r#"{"auto_mapping": null, "base_model_name_or_path": null, "exclude_modules": null, "inference_mode": true, "peft_type": "FULL",
    "revision": null, "target_modules": null, "task_type": "CAUSAL_LM"}"#;

/// The method.
pub(super) struct Full;

impl Method for Full {
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
        let parts = selected::unfreeze_selected(cx, config, init, &state, |_, parameter| {
            refuse_quantized(parameter).map(|()| true)
        })?;
        Ok(Built::new(fields::plain_settings(&SPEC, config, &[]), parts, state))
    }
}

/// Refuses a quantized weight: an update smaller than the distance between two quantization levels
/// would be lost.
fn refuse_quantized(parameter: &Parameter) -> Result<(), PeftError> {
    match parameter.base_weight() {
        Weight::Dense(_) => Ok(()),
        Weight::Packed(_) => Err(PeftError::Packed { path: parameter.path().to_owned() }),
    }
}
