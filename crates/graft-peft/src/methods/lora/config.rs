//! The fields of `adapter_config.json` that mean something for LoRA, and those that must not be set.

use graft_nn::Linear;
use graft_protocol::{Settings, methods::lora::SPEC};
use serde_json::Value;

use crate::{
    PeftError, Workbench,
    config_file::{ConfigFile, plain_number},
    targets::{Selection, Targets, by_pattern},
};

/// Every field of PEFT 0.21's `LoraConfig` with its default.
pub(super) const DEFAULTS: &str = r#"{"alora_invocation_tokens": null, "alpha_pattern": {}, "arrow_config": null, "auto_mapping": null,
    "base_model_name_or_path": null, "bias": "none", "corda_config": null, "ensure_weight_tying": false, "eva_config": null,
    "exclude_modules": null, "fan_in_fan_out": false, "inference_mode": true, "init_lora_weights": true, "kasa_config": null,
    "layer_replication": null, "layers_pattern": null, "layers_to_transform": null, "loftq_config": {}, "lora_alpha": 8, "lora_bias": false,
    "lora_dropout": 0.0, "lora_ga_config": null, "megatron_config": null, "megatron_core": "megatron.core", "modules_to_save": null,
    "monteclora_config": null, "peft_type": "LORA", "qalora_group_size": 16, "r": 8, "rank_pattern": {}, "revision": null,
    "target_modules": null, "target_parameters": null, "task_type": "CAUSAL_LM", "trainable_token_indices": null, "use_bdlora": null,
    "use_dora": false, "use_qalora": false, "use_rslora": false, "velora_config": null}"#;

/// Fields that change what the adapter computes in a way that is not built in.
const UNSUPPORTED: &[&str] = &[
    "use_dora",
    "use_qalora",
    "use_bdlora",
    "lora_bias",
    "modules_to_save",
    "trainable_token_indices",
    "target_parameters",
    "layer_replication",
    "alora_invocation_tokens",
    "arrow_config",
    "kasa_config",
    "monteclora_config",
    "velora_config",
];

/// What the fields mean.
#[derive(Clone, Debug)]
pub(super) struct LoraConfig {
    pub(super) r: usize,
    pub(super) alpha: f64,
    pub(super) dropout: f64,
    pub(super) use_rslora: bool,
    pub(super) gaussian: bool,
    pub(super) selection: Selection,
    rank_pattern: Vec<(String, usize)>,
    alpha_pattern: Vec<(String, f64)>,
}

/// The fields of a fresh adapter.
///
/// # Errors
/// [`PeftError::Settings`] when the targets are an empty list.
pub(super) fn from_settings(bench: &Workbench<'_>, settings: &Settings) -> Result<ConfigFile, PeftError> {
    let defaults = || bench.model.default_targets().iter().map(|name| (*name).to_owned()).collect();
    let words = settings.list(SPEC.keys, "target_modules").unwrap_or_else(defaults);
    if words.is_empty() {
        let hint = format!("name modules such as {}", bench.model.default_targets().join(","));
        return Err(PeftError::refused("peft::no_targets", "`target_modules` is empty", hint));
    }
    let number = |key| settings.float(SPEC.keys, key).unwrap_or_default();
    let gaussian = settings.text(SPEC.keys, "init_lora_weights").as_deref() == Some("gaussian");
    let init = if gaussian { Value::from("gaussian") } else { Value::from(true) };
    Ok(ConfigFile::new(
        DEFAULTS,
        [
            ("r", settings.integer(SPEC.keys, "r").unwrap_or(8).into()),
            ("lora_alpha", plain_number(number("lora_alpha"))),
            ("lora_dropout", number("lora_dropout").into()),
            ("use_rslora", settings.bool(SPEC.keys, "use_rslora").into()),
            ("init_lora_weights", init),
            ("target_modules", Targets::from_words(&words).to_json()),
        ],
    ))
}

impl LoraConfig {
    /// Reads the fields.
    ///
    /// # Errors
    /// [`PeftError::Malformed`] for a value of another kind, [`PeftError::Unsupported`] for a field that asks for what is not built in.
    pub(super) fn read(config: &ConfigFile) -> Result<Self, PeftError> {
        refuse_unsupported(config)?;
        let flag = |name: &str| config.get(name).and_then(Value::as_bool).unwrap_or(false);
        let dropout = config.number("lora_dropout")?;
        if !(0.0..1.0).contains(&dropout) {
            return Err(config.wrong("lora_dropout", "a probability below 1"));
        }
        Ok(Self {
            r: config.count("r")?,
            alpha: config.number("lora_alpha")?,
            dropout,
            use_rslora: flag("use_rslora"),
            gaussian: config.text("init_lora_weights") == Some("gaussian"),
            selection: selection(config)?,
            rank_pattern: pattern(config, "rank_pattern", |value| value.as_u64().filter(|r| *r > 0).map(|r| r as usize))?,
            alpha_pattern: pattern(config, "alpha_pattern", Value::as_f64)?,
        })
    }

    /// `r` and `lora_alpha` of one layer.
    pub(super) fn rank_and_alpha(&self, path: &str) -> Result<(usize, f64), PeftError> {
        let r = by_pattern(&self.rank_pattern, path)?.unwrap_or(self.r);
        Ok((r, by_pattern(&self.alpha_pattern, path)?.unwrap_or(self.alpha)))
    }

    /// A warning for each pattern that fits no chosen layer: HF PEFT says nothing then.
    pub(super) fn unmatched_patterns(&self, chosen: &[&Linear]) -> Result<Vec<String>, PeftError> {
        let keys = self.rank_pattern.iter().map(|(key, _)| ("rank_pattern", key)).chain(self.alpha_pattern.iter().map(|(key, _)| ("alpha_pattern", key)));
        let mut warnings = Vec::new();
        for (field, key) in keys {
            let pattern = [(key.clone(), ())];
            let mut fits = false;
            for linear in chosen {
                fits |= by_pattern(&pattern, linear.path())?.is_some();
            }
            if !fits {
                warnings.push(format!("`{key}` in {field} fits no layer of the adapter"));
            }
        }
        Ok(warnings)
    }
}

fn refuse_unsupported(config: &ConfigFile) -> Result<(), PeftError> {
    let unsupported = |feature: String| PeftError::Unsupported { folder: config.folder(), feature };
    if let Some(name) = UNSUPPORTED.iter().find(|name| config.is_set(name)) {
        return Err(unsupported(format!("`{name}`")));
    }
    if let Some(bias) = config.text("bias").filter(|bias| *bias != "none") {
        return Err(unsupported(format!("`bias` = {bias}")));
    }
    // These change the base weights when the adapter is made, so the file alone does not say what it does.
    let init = config.text("init_lora_weights").unwrap_or_default();
    match ["pissa", "olora", "corda", "loftq", "lora_ga", "mica"].iter().find(|name| init.starts_with(*name)) {
        Some(name) => Err(unsupported(format!("`init_lora_weights` = {name}"))),
        None => Ok(()),
    }
}

fn selection(config: &ConfigFile) -> Result<Selection, PeftError> {
    let targets = |name: &str| match config.get(name) {
        None => Ok(None),
        Some(value) => Targets::from_json(value).map(Some).ok_or_else(|| config.wrong(name, "a list of module names or a regular expression")),
    };
    let layers = match config.get("layers_to_transform") {
        None => Vec::new(),
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_u64).map(|layer| layer as usize).collect(),
        Some(one) => vec![one.as_u64().ok_or_else(|| config.wrong("layers_to_transform", "layer numbers"))? as usize],
    };
    let layers_pattern = match config.get("layers_pattern") {
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Some(Value::String(one)) => vec![one.clone()],
        _ => Vec::new(),
    };
    let chosen = targets("target_modules")?.ok_or_else(|| config.wrong("target_modules", "a list of module names or a regular expression"))?;
    Ok(Selection { targets: chosen, excluded: targets("exclude_modules")?, layers, layers_pattern })
}

fn pattern<T>(config: &ConfigFile, name: &str, read: impl Fn(&Value) -> Option<T>) -> Result<Vec<(String, T)>, PeftError> {
    let fields = config.get(name).and_then(Value::as_object).into_iter().flatten();
    fields.map(|(key, value)| Ok((key.clone(), read(value).ok_or_else(|| config.wrong(name, "numbers by module name"))?))).collect()
}
