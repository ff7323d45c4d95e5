//! The fields of `adapter_config.json` that LoRA uses, and those that it does not support.

use super::Init;
use crate::{PeftError, config_file::ConfigFile, ranks::Ranks, targets::Selection};

/// Every field of PEFT 0.21's `LoraConfig` with its default.
pub(in crate::methods) const DEFAULTS: &str = r#"{"alora_invocation_tokens": null, "alpha_pattern": {}, "arrow_config": null, "auto_mapping": null,
    "base_model_name_or_path": null, "bias": "none", "corda_config": null, "ensure_weight_tying": false, "eva_config": null,
    "exclude_modules": null, "fan_in_fan_out": false, "inference_mode": true, "init_lora_weights": true, "kasa_config": null,
    "layer_replication": null, "layers_pattern": null, "layers_to_transform": null, "loftq_config": {}, "lora_alpha": 8, "lora_bias": false,
    "lora_dropout": 0.0, "lora_ga_config": null, "megatron_config": null, "megatron_core": "megatron.core", "modules_to_save": null,
    "monteclora_config": null, "peft_type": "LORA", "qalora_group_size": 16, "r": 8, "rank_pattern": {}, "revision": null,
    "target_modules": null, "target_parameters": null, "task_type": "CAUSAL_LM", "trainable_token_indices": null, "use_bdlora": null,
    "use_dora": false, "use_qalora": false, "use_rslora": false, "velora_config": null}"#;

/// Fields that change the output in a way that is not implemented.
pub(in crate::methods) const UNSUPPORTED: &[&str] = &[
    "use_qalora",
    "use_bdlora",
    "lora_bias",
    "target_parameters",
    "layer_replication",
    "alora_invocation_tokens",
    "arrow_config",
    "kasa_config",
    "monteclora_config",
    "velora_config",
];

/// The parsed fields.
#[derive(Clone, Debug)]
pub(in crate::methods) struct LoraConfig {
    pub(in crate::methods) dropout: f64,
    pub(in crate::methods) init: Init,
    pub(in crate::methods) selection: Selection,
    pub(in crate::methods) ranks: Ranks,
}

impl LoraConfig {
    /// Reads the fields.
    ///
    /// # Errors
    /// [`PeftError::Malformed`] for an invalid value, [`PeftError::Unsupported`] for a field that
    /// is not implemented.
    pub(in crate::methods) fn read(config: &ConfigFile) -> Result<Self, PeftError> {
        config.refuse(UNSUPPORTED)?;
        Ok(Self {
            dropout: config.probability("lora_dropout")?,
            init: Init::read(config)?,
            selection: Selection::read(config)?,
            ranks: Ranks::read(config, "lora_alpha")?
                .with_rank_stabilization(config.flag("use_rslora")),
        })
    }
}
