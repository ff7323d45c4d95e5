//! `%data load`, `%%data`, `%data show`, `%data use`.

mod hub;
pub mod tokens;

use std::{path::Path, sync::Arc};

use graft_chat::ChatTemplate;
use graft_data::{self as data, Dataset, Kind, Limits};
use graft_nn::{Device, TokenEncoder};
use graft_protocol::{Block, Reply, Table};
use graft_spec::{Failure, Settings, Value, training};
use graft_train::{Control, runs::RunFolder};

use super::{
    format::{counted, quoted, thousands},
    runs,
};
use crate::{
    CommandContext, SessionError, SessionState,
    state::{DataOrigin, LoadedData},
};

/// Most runs in the warning about replaced data.
const MAX_RUNS: usize = 5;

/// Loads a built-in set, a file, a folder or a data set of the Hugging Face Hub, and makes it the
/// current set. A set of the same name is replaced, with a warning.
///
/// # Errors
/// [`SessionError::UnknownDataSource`], [`SessionError::DataName`], [`SessionError::DataSources`],
/// [`SessionError::HubData`], and those of the reader.
pub fn load(
    cx: &CommandContext,
    source: &str,
    settings: &Settings,
) -> Result<Arc<LoadedData>, Failure> {
    let (source, settings) = located(source, settings)?;
    remember(cx, DataOrigin::Source { source, settings })
}

/// The source, which may be given with `train=`, and the keys, both with absolute paths.
fn located(source: &str, settings: &Settings) -> Result<(String, Settings), SessionError> {
    let mut settings = with_absolute_paths(settings);
    let train = match settings.values.remove("train") {
        Some(Value::Text(train)) => train,
        _ => String::new(),
    };
    let source = match (source.trim(), train.as_str()) {
        ("", "") => return Err(SessionError::NoDataSource),
        (source, "") | ("", source) => source,
        (source, train) => {
            return Err(SessionError::DataSources {
                source_name: source.to_owned(),
                train: train.to_owned(),
            });
        }
    };
    let is_builtin = data::BUILTIN.contains(&source);
    Ok((if is_builtin { source.to_owned() } else { absolute(source) }, settings))
}

/// The keys with absolute paths of files.
fn with_absolute_paths(settings: &Settings) -> Settings {
    let mut settings = settings.clone();
    for key in ["train", "validation", "test"] {
        if let Some(Value::Text(path)) = settings.values.get_mut(key) {
            *path = absolute(path);
        }
    }
    if let Some(Value::Text(template)) = settings.values.get_mut("chat_template") {
        *template = absolute(template);
    }
    settings
}

/// Reads examples from a cell and makes them the current set.
///
/// # Errors
/// [`SessionError::DataName`], and those of the reader.
pub fn inline(
    cx: &CommandContext,
    name: &str,
    text: &str,
    settings: &Settings,
) -> Result<Arc<LoadedData>, Failure> {
    remember(
        cx,
        DataOrigin::Inline {
            name: name.to_owned(),
            text: text.to_owned(),
            settings: with_absolute_paths(settings),
        },
    )
}

/// The table of the first `rows` examples of each split of a set; without a name, of the current
/// set.
///
/// # Errors
/// [`SessionError::NoData`], [`SessionError::UnknownData`].
pub fn show(cx: &CommandContext, name: Option<&str>, rows: usize) -> Result<Table, Failure> {
    Ok(cx.state().data(name)?.dataset.table(rows))
}

/// Makes a set the current one.
///
/// # Errors
/// [`SessionError::UnknownData`].
pub fn choose(cx: &CommandContext, name: &str) -> Result<Arc<LoadedData>, Failure> {
    let data = cx.state().data(Some(name))?;
    cx.change(|state| state.remember_data(&data));
    Ok(data)
}

pub(crate) fn open(
    cx: &CommandContext,
    origin: &DataOrigin,
    control: &Control,
) -> Result<Dataset, Failure> {
    let available = graft_nn::memory::left(&Device::Cpu).unwrap_or(u64::MAX);
    let limits = Limits { stop: control.stop_flag(), available };
    match origin {
        DataOrigin::Source { source, settings } => {
            settings.check(training::DATA)?;
            match data::builtin_with(source, settings)? {
                Some(dataset) => Ok(named(dataset, settings)),
                None => from_place(cx, source, settings, limits),
            }
        }
        DataOrigin::Inline { name, text, settings } => {
            settings.check(training::DATA)?;
            Ok(data::load_text(name, text, settings, limits)?)
        }
    }
}

/// Reads a set from its origin and makes it the current one.
pub(crate) fn remember(
    cx: &CommandContext,
    origin: DataOrigin,
) -> Result<Arc<LoadedData>, Failure> {
    let dataset = open(cx, &origin, &Control::from_flag(cx.stop_flag()))?;
    // A name appears in messages and in magics, which are single lines.
    if dataset.name.contains(char::is_control) {
        return Err(SessionError::DataName { name: dataset.name }.into());
    }
    check_chat_template(cx, &dataset)?;
    let data = Arc::new(LoadedData { dataset, origin });
    let before = cx.state().data(Some(&data.dataset.name)).ok();
    cx.change(|state| state.remember_data(&data));
    report_columns(cx, &data);
    if let Some(before) = before {
        report_replaced(cx, &before, &data);
    }
    Ok(data)
}

/// Refuses a chosen chat template that cannot be used, before anything is trained on the data. A
/// name can be that of a template of the model, so it is checked once a model is loaded.
fn check_chat_template(cx: &CommandContext, dataset: &Dataset) -> Result<(), Failure> {
    let Some(choice) = &dataset.chat_template else { return Ok(()) };
    match (&choice.source, cx.state().model()) {
        (Some(source), _) => drop(ChatTemplate::new(&choice.name, source, Vec::new())?),
        (None, Ok(model)) => {
            let templates = model.loaded.tokenizer.chat_templates();
            drop(templates.select(Some(&choice.name), false)?);
        }
        (None, Err(_)) => {}
    }
    Ok(())
}

/// A set for a single use: a loaded one, else a built-in set or a file, which does not become the
/// current set.
pub(crate) fn borrow_or_open(
    cx: &CommandContext,
    state: &SessionState,
    source: &str,
) -> Result<Arc<LoadedData>, Failure> {
    if let Ok(loaded) = state.data(Some(source)) {
        return Ok(loaded);
    }
    let origin = DataOrigin::Source { source: source.to_owned(), settings: Settings::default() };
    let dataset = open(cx, &origin, &Control::from_flag(cx.stop_flag()))?;
    let data = Arc::new(LoadedData { dataset, origin });
    report_columns(cx, &data);
    Ok(data)
}

/// Warns about likely mistakes in labels and formats, and about ignored columns. Those of a
/// built-in set are none of the user's concern.
fn report_columns(cx: &CommandContext, data: &LoadedData) {
    let set = &data.dataset;
    set.report.notes.iter().for_each(|note| cx.warn(format!("data `{}`: {note}", set.name)));
    if set.report.ignored.is_empty() || is_builtin(&data.origin) {
        return;
    }
    let ignored = format!("data `{}`: ignored {}", set.name, set.report.ignored_names());
    match set.kind {
        Kind::Text => {
            cx.warn(format!("{ignored}; a column named `label` would make it text with labels"))
        }
        _ => cx.note(ignored),
    }
}

/// Warns that a data set of the same name was replaced, and names the runs that were trained on it.
fn report_replaced(cx: &CommandContext, before: &LoadedData, now: &LoadedData) {
    let name = &now.dataset.name;
    if before.dataset.kind == now.dataset.kind
        && before.dataset.fingerprint() == now.dataset.fingerprint()
    {
        return cx.note(format!("loaded data `{name}` again: unchanged"));
    }
    let is_of_before = |run: &RunFolder| run.header().is_some_and(|header| header.data == *name);
    let trained: Vec<String> = RunFolder::list(&runs::base())
        .into_iter()
        .filter(is_of_before)
        .map(|run| run.name())
        .collect();
    let keep = if matches!(now.origin, DataOrigin::Inline { .. }) {
        "`%%data OTHER`"
    } else {
        "`name=OTHER`"
    };
    let mut text = format!(
        "replaced data `{name}` ({}, {}); {keep} keeps both",
        counted(examples(before), "example"),
        place(before)
    );
    if !trained.is_empty() {
        let more = if trained.len() > MAX_RUNS {
            format!(" and {} more", trained.len() - MAX_RUNS)
        } else {
            String::new()
        };
        let named = quoted(&trained[..trained.len().min(MAX_RUNS)]);
        text.push_str(&format!(
            "; runs trained on the earlier data: {named}{more} (their weights and curves are \
             unchanged)"
        ));
    }
    cx.warn(text);
}

fn examples(data: &LoadedData) -> usize {
    let set = &data.dataset;
    set.train.len() + set.validation.len() + set.test.len()
}

/// The origin of a set in a message.
fn place(data: &LoadedData) -> String {
    match &data.origin {
        DataOrigin::Source { source, .. } => format!("from `{source}`"),
        DataOrigin::Inline { .. } => "from a cell".to_owned(),
    }
}

/// The absolute path of a file, so that it is found after `%cd` and in a later session.
pub(crate) fn absolute(source: &str) -> String {
    let path = Path::new(source);
    let full = path.exists().then(|| std::path::absolute(path).ok()).flatten();
    full.map_or_else(|| source.to_owned(), |full| full.display().to_string())
}

fn named(mut dataset: Dataset, settings: &Settings) -> Dataset {
    if let Some(name) = settings.text(training::DATA, "name") {
        dataset.name = name;
    }
    dataset
}

fn from_place(
    cx: &CommandContext,
    source: &str,
    settings: &Settings,
    limits: Limits<'_>,
) -> Result<Dataset, Failure> {
    let path = Path::new(source);
    if path.symlink_metadata().is_err() && hub::is_repository(source) {
        return hub::load(cx, source, settings, limits);
    }
    // A word without an extension or a folder is a name: the hint lists the built-in sets.
    if path.symlink_metadata().is_err()
        && path.extension().is_none()
        && path.components().count() == 1
    {
        let builtin = data::BUILTIN.iter().map(|name| (*name).to_owned()).collect();
        return Err(
            SessionError::UnknownDataSource { source_name: source.to_owned(), builtin }.into()
        );
    }
    Ok(data::load_file(path, settings, limits)?)
}

/// `which-book: text with 6 labels; 2,400 training, 300 validation, 300 test examples`.
pub fn line(data: &LoadedData) -> String {
    let set = &data.dataset;
    let kind = match &set.kind {
        Kind::Text => "running text".to_owned(),
        Kind::Completion => "prompts with completions".to_owned(),
        Kind::Labels(labels) if set.has_pairs() => {
            format!("pairs of texts with {}", counted(labels.len(), "label"))
        }
        Kind::Labels(labels) => format!("text with {}", counted(labels.len(), "label")),
        Kind::Chat => "conversations".to_owned(),
        Kind::Preference => "prompts with chosen and rejected answers".to_owned(),
        _ => "examples".to_owned(),
    };
    let [train, validation, test] =
        [&set.train, &set.validation, &set.test].map(|split| thousands(split.len() as u64));
    format!(
        "data `{}`: {kind}; {train} training, {validation} validation and {test} test examples",
        set.name
    )
}

fn is_builtin(origin: &DataOrigin) -> bool {
    match origin {
        DataOrigin::Source { source, .. } => data::BUILTIN.contains(&source.as_str()),
        DataOrigin::Inline { .. } => false,
    }
}

/// The reply to every command that changes the current set.
pub fn reply(data: &LoadedData) -> Reply {
    let text = line(data);
    Reply::one(Block::Text(if is_builtin(&data.origin) {
        text
    } else {
        format!("{text}\n{}", data.dataset.report.read_as())
    }))
}
