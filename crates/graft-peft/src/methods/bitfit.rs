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

use super::{Built, Method, Part, Start};
use crate::{
    AttachContext, PeftError, config_file::ConfigFile, fields, layers::leaf, opened, selected,
    shared::Shared,
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
        _bench: &AttachContext<'_>,
        settings: &Settings,
    ) -> Result<ConfigFile, PeftError> {
        fields::from_settings(&SPEC, DEFAULTS, settings, &[])
    }

    fn build(
        &self,
        bench: &AttachContext<'_>,
        config: &ConfigFile,
        start: Start,
    ) -> Result<Built, PeftError> {
        let (shared, saved) = (Arc::new(Shared::new()), opened::names(config));
        let mut parts = Vec::new();
        for site in selected::sites(bench, config, start)?
            .into_iter()
            .filter(|site| !opened::is_named(site.path, &saved))
        {
            for parameter in site
                .layer
                .parameters()
                .into_iter()
                .filter(|parameter| leaf(parameter.path()) == "bias")
            {
                let (var, hook) = opened::copy(bench, parameter, &shared)?;
                let key = format!("base_model.model.{}", parameter.path());
                parts.push(Part { in_place: true, ..Part::new(site.path, hook, vec![(key, var)]) });
            }
        }
        if parts.is_empty() {
            let problem = format!(
                "the modules of `{}` that are meant have no bias, so BitFit has nothing to train",
                bench.base_name
            );
            return Err(PeftError::refused(
                "peft::no_bias",
                problem,
                "train the norms with %ln_tuning attach, or a %lora attach; BERT, GPT-2 and Qwen2 have biases",
            ));
        }
        Ok(Built::new(fields::plain_settings(&SPEC, config, &[]), parts, shared))
    }
}
