//! Label names of a classifier: in messages, in the folder of a saved adapter, and for the adapter
//! in use.

use std::{collections::BTreeMap, io::Read, path::Path, sync::Arc};

use graft_nn::{LabelNames, Task, atomic_folder};
use graft_spec::Failure;
use graft_train::label_map;
use serde_json::{Value, json};

use crate::{
    CommandContext, SessionState,
    state::{AttachedAdapter, LoadedData, LoadedModel},
};

/// The file in the adapter folder for the label names, for which `adapter_config.json` has no key.
/// HF PEFT ignores it.
const FILE: &str = "label_names.json";

/// Most bytes that are read from the file.
const MAX_BYTES: u64 = 16 << 20;

/// A warning if labels of the data are not among the current label names of the model.
///
/// # Errors
/// Those of [`graft_train::label_map`], when this model cannot be scored on the data.
pub(crate) fn warning(state: &SessionState, data: &LoadedData) -> Result<Option<String>, Failure> {
    let model = state.model()?;
    Ok(label_map(model.loaded.model.as_ref(), &data.dataset)?.warning)
}

/// Sets the label names that an adapter was trained with. The model has them while the adapter is
/// in use.
pub(crate) fn put(cx: &CommandContext, attached: &AttachedAdapter, names: Option<Vec<String>>) {
    attached.set_label_names(names.map(Arc::new));
    cx.change(|_| ());
}

/// The file of the label names and its contents; `None` without label names, so that the file of an
/// older adapter is removed.
pub(crate) fn file(names: Option<&[String]>) -> (&'static str, Option<Vec<u8>>) {
    let contents = |names: &[String]| {
        let id2label: BTreeMap<usize, &String> = names.iter().enumerate().collect();
        format!("{:#}\n", json!({ "id2label": id2label })).into_bytes()
    };
    (FILE, names.map(contents))
}

/// The label names of an adapter. An adapter without the file has those of the model, or `LABEL_0`,
/// `LABEL_1`, … as in transformers.
///
/// # Errors
/// A message, if the file cannot be used.
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
    let unusable =
        |problem: String| format!("ignored the label names in `{}`: {problem}", path.display());
    let mut text = String::new();
    let file = std::fs::File::open(&path).map_err(|error| unusable(error.to_string()))?;
    file.take(MAX_BYTES).read_to_string(&mut text).map_err(|error| unusable(error.to_string()))?;
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
