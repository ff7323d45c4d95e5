//! What the classes of a classifier are called: in messages, beside a saved adapter, and for the adapter that is in use.

use std::{collections::BTreeMap, io::Read, path::Path, sync::Arc};

use graft_nn::{LabelNames, Task, atomic_file};
use graft_protocol::Failure;
use graft_train::{TrainError, label_map};
use serde_json::{Value, json};

use crate::{
    Desk, State,
    state::{Attached, LoadedData, LoadedModel},
};

/// The file beside `adapter_config.json`, which has no place for names. HF PEFT ignores it.
const FILE: &str = "label_names.json";

/// Largest file that is read.
const LARGEST: u64 = 16 << 20;

/// Says where labels of the data are not among the classes of the model.
///
/// # Errors
/// Those of [`graft_train::label_map`], when the data cannot be scored by this model at all.
pub(crate) fn warn(desk: &Desk, state: &State, data: &LoadedData) -> Result<(), Failure> {
    let model = state.model()?;
    label_map(model.loaded.model.as_ref(), &data.dataset)?.warning.into_iter().for_each(|warning| desk.warn(warning));
    Ok(())
}

/// Gives an adapter the names that its head was trained with; they are the model's while it is in use.
pub(crate) fn put(desk: &Desk, attached: &Attached, names: Option<Vec<String>>) {
    attached.set_label_names(names.map(Arc::new));
    desk.change(|_| ());
}

/// Writes the names beside a saved adapter, and takes those of an older one away.
///
/// # Errors
/// Those of writing the file.
pub(crate) fn save(folder: &Path, names: Option<Arc<Vec<String>>>) -> Result<(), TrainError> {
    let path = folder.join(FILE);
    let failed = |source| TrainError::Io { action: "write", path: path.clone(), source };
    let Some(names) = names else {
        return if path.exists() { std::fs::remove_file(&path).map_err(failed) } else { Ok(()) };
    };
    let id2label: BTreeMap<usize, &String> = names.iter().enumerate().collect();
    atomic_file::write(&path, format!("{:#}\n", json!({ "id2label": id2label })).as_bytes()).map_err(failed)
}

/// The names of an adapter's classes. One without the file was trained elsewhere: where the model does not name its classes either, they are `LABEL_0`,
/// `LABEL_1`, …, as in transformers.
///
/// # Errors
/// In words, where the file cannot be used.
pub(crate) fn of_adapter(folder: &Path, model: &LoadedModel) -> Result<Option<Vec<String>>, String> {
    let Task::SequenceClassification { labels } = model.loaded.model.task() else { return Ok(None) };
    let path = folder.join(FILE);
    if !path.is_file() {
        let own = model.loaded.model.label_names().and_then(LabelNames::get);
        return Ok(own.map(|names| names.to_vec()).or_else(|| Some((0..labels).map(|class| format!("LABEL_{class}")).collect())));
    }
    let unusable = |problem: String| format!("the class names in `{}` are not used: {problem}", path.display());
    let mut text = String::new();
    let file = std::fs::File::open(&path).map_err(|error| unusable(error.to_string()))?;
    file.take(LARGEST).read_to_string(&mut text).map_err(|error| unusable(error.to_string()))?;
    let value: Value = serde_json::from_str(&text).map_err(|error| unusable(format!("it is not JSON ({error})")))?;
    let name = |class: usize| value.get("id2label")?.get(class.to_string())?.as_str().map(str::to_owned);
    let names: Option<Vec<String>> = (0..labels).map(name).collect();
    let count = value.get("id2label").and_then(Value::as_object).map_or(0, serde_json::Map::len);
    names.filter(|names| names.len() == count).map(Some).ok_or_else(|| unusable(format!("expected an `id2label` with {labels} names, found {count}")))
}
