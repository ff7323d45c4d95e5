//! What the classes of a classifier are called: in messages, beside a saved adapter, and for the adapter that is in use.

use std::{collections::BTreeMap, io::Read, path::Path, sync::Arc};

use graft_nn::{LabelNames, Task, atomic_folder};
use graft_spec::Failure;
use graft_train::label_map;
use serde_json::{Value, json};

use crate::{
    CommandContext, State,
    state::{Attached, LoadedData, LoadedModel},
};

/// The file beside `adapter_config.json`, which has no place for names. HF PEFT ignores it.
const FILE: &str = "label_names.json";

/// Largest file that is read.
const LARGEST: u64 = 16 << 20;

/// What to say where labels of the data are not among the classes of the model, as they are called now.
///
/// # Errors
/// Those of [`graft_train::label_map`], when the data cannot be scored by this model at all.
pub(crate) fn warning(state: &State, data: &LoadedData) -> Result<Option<String>, Failure> {
    let model = state.model()?;
    Ok(label_map(model.loaded.model.as_ref(), &data.dataset)?.warning)
}

/// Gives an adapter the names that its head was trained with; they are the model's while it is in use.
pub(crate) fn put(desk: &CommandContext, attached: &Attached, names: Option<Vec<String>>) {
    attached.set_label_names(names.map(Arc::new));
    desk.change(|_| ());
}

/// The file of the names and what it contains; nothing where the classes have no names, so that the file of an older adapter must go.
pub(crate) fn file(names: Option<&[String]>) -> (&'static str, Option<Vec<u8>>) {
    let contents = |names: &[String]| {
        let id2label: BTreeMap<usize, &String> = names.iter().enumerate().collect();
        format!("{:#}\n", json!({ "id2label": id2label })).into_bytes()
    };
    (FILE, names.map(contents))
}

/// The names of an adapter's classes. One without the file was trained elsewhere: where the model does not name its classes either, they are `LABEL_0`,
/// `LABEL_1`, …, as in transformers.
///
/// # Errors
/// In words, where the file cannot be used.
pub(crate) fn of_adapter(
    folder: &Path,
    model: &LoadedModel,
) -> Result<Option<Vec<String>>, String> {
    let Task::SequenceClassification { labels } = model.loaded.model.task() else {
        return Ok(None);
    };
    let path = atomic_folder::locate(folder, FILE);
    if !path.is_file() {
        let own = model.loaded.model.label_names().and_then(LabelNames::get);
        return Ok(own
            .map(|names| names.to_vec())
            .or_else(|| Some((0..labels).map(|class| format!("LABEL_{class}")).collect())));
    }
    let unusable = |problem: String| {
        format!("the class names in `{}` are not used: {problem}", path.display())
    };
    let mut text = String::new();
    let file = std::fs::File::open(&path).map_err(|error| unusable(error.to_string()))?;
    file.take(LARGEST).read_to_string(&mut text).map_err(|error| unusable(error.to_string()))?;
    let value: Value = serde_json::from_str(&text)
        .map_err(|error| unusable(format!("it is not JSON ({error})")))?;
    let name =
        |class: usize| value.get("id2label")?.get(class.to_string())?.as_str().map(str::to_owned);
    let names: Option<Vec<String>> = (0..labels).map(name).collect();
    let count = value.get("id2label").and_then(Value::as_object).map_or(0, serde_json::Map::len);
    names.filter(|names| names.len() == count).map(Some).ok_or_else(|| {
        unusable(format!("expected an `id2label` with {labels} names, found {count}"))
    })
}
