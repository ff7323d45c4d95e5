//! `adapter_config.json`: reading, defaults and writing. Unknown fields are preserved.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use graft_nn::{atomic_file, atomic_folder};
use serde_json::Value;

use crate::{PeftError, adapterhub, regular_file};

/// Name of the file.
pub(crate) const NAME: &str = "adapter_config.json";
/// The version of HF PEFT whose format is written, unless a loaded file names another.
const PEFT_VERSION: &str = "0.21.2";

/// Maximum size of the file in bytes: the longest configurations in use contain a few thousand
/// names.
const MAX_BYTES: u64 = 8 << 20;
/// Maximum characters of a value in an error message.
const MAX_SHOWN_CHARS: usize = 80;

/// The fields of one adapter, with HF PEFT's names.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ConfigFile {
    fields: BTreeMap<String, Value>,
    /// Path of the file, for errors.
    path: PathBuf,
}

impl ConfigFile {
    /// A new configuration: `defaults` (a JSON object) with these fields set.
    pub(crate) fn new(
        defaults: &str,
        fields: impl IntoIterator<Item = (&'static str, Value)>,
    ) -> Self {
        let mut config =
            Self { fields: parse(defaults), path: PathBuf::from("the adapter's configuration") };
        config.fields.insert("peft_version".to_owned(), PEFT_VERSION.into());
        config.fields.extend(fields.into_iter().map(|(name, value)| (name.to_owned(), value)));
        config
    }

    /// Reads the configuration in a folder.
    ///
    /// # Errors
    /// [`PeftError::MissingFolder`], [`PeftError::MissingFile`], [`PeftError::NotAFile`],
    /// [`PeftError::Io`] and [`PeftError::Malformed`].
    pub(crate) fn read(folder: &Path) -> Result<Self, PeftError> {
        let path = atomic_folder::locate(folder, NAME);
        if !regular_file::exists(&path)? {
            if matches!(folder.try_exists(), Ok(false)) {
                return Err(PeftError::MissingFolder(folder.to_owned()));
            }
            return Err(PeftError::MissingFile {
                folder: folder.to_owned(),
                file: NAME.to_owned(),
                hint: missing_hint(folder),
            });
        }
        let bytes = regular_file::read(&path, MAX_BYTES)?;
        match serde_json::from_slice::<BTreeMap<String, Value>>(&bytes) {
            Ok(fields) => Ok(Self { fields: adapterhub::flat(fields), path }),
            Err(error) => Err(PeftError::Malformed {
                path,
                problem: format!("it is not a JSON object ({error})"),
            }),
        }
    }

    /// Adds the defaults of absent fields. Returns the names of fields that the method does not
    /// have; they are preserved.
    pub(crate) fn complete(&mut self, defaults: &str) -> Vec<String> {
        let defaults = parse(defaults);
        let known = |name: &str| name == "peft_version" || defaults.contains_key(name);
        let unknown = self.fields.keys().filter(|name| !known(name)).cloned().collect();
        for (name, value) in defaults {
            self.fields.entry(name).or_insert(value);
        }
        unknown
    }

    /// Writes the file as HF PEFT does: sorted keys, two spaces, `inference_mode` true.
    ///
    /// # Errors
    /// [`PeftError::Io`].
    pub(crate) fn write(&self, folder: &Path, base_name: &str) -> Result<(), PeftError> {
        let mut fields = self.fields.clone();
        fields.insert("inference_mode".to_owned(), true.into());
        fields.insert("base_model_name_or_path".to_owned(), base_name.into());
        fields.entry("peft_version".to_owned()).or_insert_with(|| PEFT_VERSION.into());
        if self.text("peft_type") == Some(adapterhub::PEFT_TYPE) {
            fields = adapterhub::nested(&self.fields, base_name);
        }
        let text = serde_json::to_string_pretty(&fields).unwrap_or_default();
        let path = folder.join(NAME);
        atomic_file::write(&path, format!("{text}\n").as_bytes()).map_err(|source| PeftError::Io {
            action: "write",
            path,
            source,
        })
    }

    /// Sets a field.
    pub(crate) fn set(&mut self, name: &str, value: Value) {
        self.fields.insert(name.to_owned(), value);
    }

    /// Removes a field.
    pub(crate) fn remove(&mut self, name: &str) {
        self.fields.remove(name);
    }

    /// Folder of the file.
    pub(crate) fn folder(&self) -> PathBuf {
        self.path.parent().map(PathBuf::from).unwrap_or_default()
    }

    /// Whether the configuration has this field, even if it is null.
    pub(crate) fn has_field(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    /// The field, unless it is absent or null.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    /// A string field.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    /// Whether a field has a value other than null, false, and the empty list, object and string.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        match self.get(name) {
            None | Some(Value::Null | Value::Bool(false)) => false,
            Some(Value::Array(items)) => !items.is_empty(),
            Some(Value::Object(fields)) => !fields.is_empty(),
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Bool(true) | Value::Number(_)) => true,
        }
    }

    /// A positive whole number.
    ///
    /// # Errors
    /// [`PeftError::Malformed`] if the field is absent or has another value.
    pub(crate) fn count(&self, name: &str) -> Result<usize, PeftError> {
        let value =
            self.get(name).and_then(Value::as_u64).filter(|value| *value > 0 && *value < 1 << 32);
        value
            .map(|value| value as usize)
            .ok_or_else(|| self.invalid(name, "a positive whole number"))
    }

    /// A finite number.
    ///
    /// # Errors
    /// [`PeftError::Malformed`] if the field is absent or has another value.
    pub(crate) fn number(&self, name: &str) -> Result<f64, PeftError> {
        self.get(name)
            .and_then(Value::as_f64)
            .filter(|value| value.is_finite())
            .ok_or_else(|| self.invalid(name, "a number"))
    }

    /// A probability below 1.
    ///
    /// # Errors
    /// [`PeftError::Malformed`] if the field is absent or has another value.
    pub(crate) fn probability(&self, name: &str) -> Result<f64, PeftError> {
        let value = self.number(name)?;
        if (0.0..1.0).contains(&value) {
            Ok(value)
        } else {
            Err(self.invalid(name, "a probability below 1"))
        }
    }

    /// A boolean field; false if it is absent.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    /// Refuses fields that change the output of the adapter and are not implemented.
    ///
    /// # Errors
    /// [`PeftError::Unsupported`] for the first of `names` that is set.
    pub(crate) fn refuse(&self, names: &[&str]) -> Result<(), PeftError> {
        match names.iter().find(|name| self.is_set(name)) {
            Some(name) => Err(self.unsupported(format!("`{name}`"))),
            None => Ok(()),
        }
    }

    /// The error for a feature that is not implemented.
    pub(crate) fn unsupported(&self, feature: String) -> PeftError {
        PeftError::Unsupported { folder: self.folder(), feature }
    }

    /// The error for an invalid field.
    pub(crate) fn invalid(&self, name: &str, wanted: &str) -> PeftError {
        let found = self
            .fields
            .get(name)
            .filter(|value| !value.is_null())
            .map_or_else(|| "nothing".to_owned(), shown);
        PeftError::Malformed {
            path: self.path.clone(),
            problem: format!("`{name}` must be {wanted}, got {found}"),
        }
    }

    /// The error for a list or an object with too many items.
    pub(crate) fn too_long(&self, name: &str, items: usize, most: usize) -> PeftError {
        PeftError::Malformed {
            path: self.path.clone(),
            problem: format!("`{name}` has {items} items, and at most {most} are allowed"),
        }
    }

    /// All fields with their names.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value))
    }
}

/// A value, shortened for an error message.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= MAX_SHOWN_CHARS {
        text
    } else {
        format!("{}…", text.chars().take(MAX_SHOWN_CHARS).collect::<String>())
    }
}

/// A number as HF PEFT writes `lora_alpha`: whole numbers without a fraction.
pub(crate) fn plain_number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 9e15 {
        Value::from(value as i64)
    } else {
        Value::from(value)
    }
}

fn parse(defaults: &str) -> BTreeMap<String, Value> {
    serde_json::from_str(defaults).unwrap_or_default()
}

/// The hint for a missing file. HF PEFT writes an adapter that is not called `default` to a
/// subfolder with its name.
fn missing_hint(folder: &Path) -> String {
    let inside = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.join(NAME).is_file());
    match inside {
        Some(path) => format!("`{}` has one: load that folder", path.display()),
        None => "an adapter folder contains adapter_config.json and adapter_model.safetensors"
            .to_owned(),
    }
}
