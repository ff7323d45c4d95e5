//! Builds adapters: from keys, or from a folder that HF PEFT or Graft wrote.

use std::path::Path;

use graft_nn::Model;
use graft_spec::Settings;

use crate::{
    Adapter, Allowance, AttachContext, PeftError, adapter::AdapterSource, config_file::ConfigFile,
    default_targets, fields, init_source::InitSource, layers::linears, limits, method::AdapterPart,
    methods, modules_to_save, own_weights, stored_weights, trained_modules,
    weights_file::WeightsFile,
};

/// Builds an adapter of a method, inserts it into the model under its `adapter_name` and activates
/// it alone.
///
/// An adapter of the same name is replaced, so a cell can be run twice.
///
/// # Errors
/// [`PeftError::UnknownMethod`], [`PeftError::Settings`] for an invalid key,
/// [`PeftError::NoMatch`], [`PeftError::RankTooLarge`], [`PeftError::TooLarge`] and the errors of
/// the method. The model is then unchanged.
pub fn attach(
    cx: &AttachContext<'_>,
    method: &str,
    settings: &Settings,
) -> Result<Adapter, PeftError> {
    let method = methods::by_verb(method)
        .ok_or_else(|| PeftError::UnknownMethod { method: method.to_owned() })?;
    let keys = method.spec().keys;
    settings.check(keys)?;
    let name = settings.text(keys, "adapter_name").unwrap_or_else(|| "default".to_owned());
    check_name(&name)?;
    let allowance = Allowance::of_memory(cx.model.embedding().weight().base_value().device());
    let cx = &AttachContext { allowance: Some(&allowance), ..*cx };
    let mut config = method.config(cx, settings)?;
    config.set("task_type", cx.model.task().as_str().into());
    modules_to_save::add_heads(cx, &mut config);
    limits::check(&config, method.spec())?;
    let mut built = method.build(cx, &config, InitSource::Fresh)?;
    trained_modules::unfreeze(cx, &config, &mut built, InitSource::Fresh)?;
    if let Some(decided) = built.config.take() {
        config = decided;
    }
    if config.get("fan_in_fan_out").is_some() {
        config.set("fan_in_fan_out", is_stored_transposed(cx.model, &built.parts).into());
    }
    if let Some(ratio) = settings.values.get(fields::LORAPLUS) {
        built.settings.set(fields::LORAPLUS, ratio.clone());
    }
    let adapter = Adapter::new(name, method, AdapterSource { config, built });
    adapter.install(cx.model);
    Ok(adapter)
}

/// Loads an adapter from a folder, inserts it into the model under `name` and activates it alone.
/// Returns the adapter and warnings.
///
/// # Errors
/// [`PeftError::MissingFile`], [`PeftError::Malformed`], [`PeftError::Unsupported`],
/// [`PeftError::Pickled`], [`PeftError::MissingKeys`], [`PeftError::WrongShape`],
/// [`PeftError::WrongType`], [`PeftError::ResizedVocabulary`], [`PeftError::NotFinite`],
/// [`PeftError::NotAFile`], [`PeftError::TooLarge`] and the errors of the method. The model is then
/// unchanged.
pub fn load(
    cx: &AttachContext<'_>,
    directory: &Path,
    name: &str,
) -> Result<(Adapter, Vec<String>), PeftError> {
    check_name(name)?;
    let mut config = ConfigFile::read(directory)?;
    let peft_type = config
        .text("peft_type")
        .ok_or_else(|| config.invalid("peft_type", "the name of a method, such as LORA"))?
        .to_owned();
    let unsupported = || PeftError::Unsupported {
        folder: directory.to_owned(),
        feature: format!("the method {peft_type}"),
    };
    let method = methods::of(&config).ok_or_else(unsupported)?;
    let mut warnings = base_warning(&config, cx.base_name);
    warnings.extend(unknown_warning(&config.complete(method.defaults())));
    limits::check(&config, method.spec())?;
    default_targets::fill(&mut config, method.spec(), cx.model)?;
    let allowance = Allowance::of_file(WeightsFile::open(directory, &config)?);
    let cx = &AttachContext { allowance: Some(&allowance), ..*cx };
    let mut built = method.build(cx, &config, InitSource::Checkpoint)?;
    trained_modules::unfreeze(cx, &config, &mut built, InitSource::Checkpoint)?;
    if let Some(file) = allowance.file() {
        let left_over = stored_weights::fill(&built.parts, file, file.path())
            .map_err(|error| own_weights::explain_resized(error, cx.model))?;
        let left_over: Vec<_> =
            left_over.into_iter().filter(|key| !built.read.contains(key)).collect();
        warnings.extend(own_weights::use_base_weights(cx.model, &mut built, file, &left_over)?);
    }
    warnings.extend(built.warnings.iter().cloned());
    let adapter = Adapter::new(name.to_owned(), method, AdapterSource { config, built });
    adapter.install(cx.model);
    Ok((adapter, warnings))
}

/// Whether a part adapts a layer whose weight is stored transposed in files, such as GPT-2's: HF
/// PEFT needs `fan_in_fan_out` for these.
fn is_stored_transposed(model: &dyn Model, parts: &[AdapterPart]) -> bool {
    let linears = linears(model);
    parts.iter().filter_map(|part| linears.get(&part.site)).any(|linear| linear.fan_in_fan_out())
}

/// A name must also be a valid folder name, because HF PEFT saves each adapter in a folder of its
/// name.
pub(crate) fn check_name(name: &str) -> Result<(), PeftError> {
    if name.is_empty() || name.contains(['/', '\\', '.']) || name.chars().any(char::is_control) {
        return Err(PeftError::InvalidName { name: name.to_owned() });
    }
    Ok(())
}

/// Compares only the last component of the base model's name: the same model is in different
/// folders on different machines.
fn base_warning(config: &ConfigFile, base_name: &str) -> Vec<String> {
    let last = |name: &str| {
        name.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_lowercase()
    };
    match config.text("base_model_name_or_path") {
        Some(trained) if !trained.is_empty() && last(trained) != last(base_name) => {
            vec![format!(
                "this adapter was trained on `{trained}`, but the model is `{base_name}`; its output \
                 may be meaningless"
            )]
        }
        _ => Vec::new(),
    }
}

fn unknown_warning(names: &[String]) -> Vec<String> {
    if names.is_empty() {
        return Vec::new();
    }
    vec![format!(
        "adapter_config.json has fields that Graft ignores and preserves: {}",
        names.join(", ")
    )]
}
