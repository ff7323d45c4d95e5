//! `%data load`, `%%data`, `%data show`, `%data use`.

use std::{path::Path, sync::Arc};

use graft_protocol::{Block, Reply, Table};
use graft_spec::{Failure, Settings, training};
use graft_train::{
    Control,
    data::{self, Dataset, Kind},
    runs::RunFolder,
};

use super::{
    runs,
    words::{counted, quoted, thousands},
};
use crate::{
    CommandContext, SessionError, State,
    state::{DataOrigin, LoadedData},
};

/// Runs that a note on replaced data names.
const RUNS: usize = 5;

/// Loads a built-in set or a file and makes it the current set; a set of the same name is replaced, and the user is told.
///
/// # Errors
/// [`SessionError::UnknownDataSource`], and those of the reader.
pub fn load(
    desk: &CommandContext,
    source: &str,
    settings: &Settings,
) -> Result<Arc<LoadedData>, Failure> {
    remember(
        desk,
        DataOrigin::Source {
            source: if data::BUILTIN.contains(&source) {
                source.to_owned()
            } else {
                lasting(source)
            },
            settings: settings.clone(),
        },
    )
}

/// Reads examples from a cell and makes them the current set.
///
/// # Errors
/// Those of the reader.
pub fn inline(
    desk: &CommandContext,
    name: &str,
    text: &str,
    settings: &Settings,
) -> Result<Arc<LoadedData>, Failure> {
    remember(
        desk,
        DataOrigin::Inline {
            name: name.to_owned(),
            text: text.to_owned(),
            settings: settings.clone(),
        },
    )
}

/// The first `rows` examples of each split of a set; of the current one without a name.
///
/// # Errors
/// [`SessionError::NoData`], [`SessionError::UnknownData`].
pub fn show(desk: &CommandContext, name: Option<&str>, rows: usize) -> Result<Table, Failure> {
    Ok(desk.state().data(name)?.dataset.table(rows))
}

/// Makes a set the current one.
///
/// # Errors
/// [`SessionError::UnknownData`].
pub fn choose(desk: &CommandContext, name: &str) -> Result<Arc<LoadedData>, Failure> {
    let data = desk.state().data(Some(name))?;
    desk.change(|state| state.remember_data(&data));
    Ok(data)
}

pub(crate) fn open(origin: &DataOrigin, control: &Control) -> Result<Dataset, Failure> {
    match origin {
        DataOrigin::Source { source, settings } => {
            settings.check(training::DATA)?;
            match data::builtin_with(source, settings)? {
                Some(dataset) => Ok(named(dataset, settings)),
                None => from_file(source, settings, control),
            }
        }
        DataOrigin::Inline { name, text, settings } => {
            settings.check(training::DATA)?;
            Ok(data::load_text(name, text, settings, control)?)
        }
    }
}

/// Reads a set from where it comes from and makes it the current one.
pub(crate) fn remember(
    desk: &CommandContext,
    origin: DataOrigin,
) -> Result<Arc<LoadedData>, Failure> {
    let data = Arc::new(LoadedData {
        dataset: open(&origin, &Control::from_flag(desk.stop_flag()))?,
        origin,
    });
    let before = desk.state().data(Some(&data.dataset.name)).ok();
    desk.change(|state| state.remember_data(&data));
    tell_columns(desk, &data.dataset);
    if let Some(before) = before {
        tell_replaced(desk, &before, &data);
    }
    Ok(data)
}

/// A set for a single use: one that is loaded, else a built-in one or a file, which does not become the current one.
pub(crate) fn lent(
    desk: &CommandContext,
    state: &State,
    source: &str,
) -> Result<Arc<LoadedData>, Failure> {
    if let Ok(loaded) = state.data(Some(source)) {
        return Ok(loaded);
    }
    let origin = DataOrigin::Source { source: source.to_owned(), settings: Settings::default() };
    let dataset = open(&origin, &Control::from_flag(desk.stop_flag()))?;
    tell_columns(desk, &dataset);
    Ok(Arc::new(LoadedData { dataset, origin }))
}

/// Warns about labels and formats that may be a mistake, and about columns that were not used.
fn tell_columns(desk: &CommandContext, set: &Dataset) {
    set.report.notes.iter().for_each(|note| desk.warn(format!("data `{}`: {note}", set.name)));
    if set.report.ignored.is_empty() {
        return;
    }
    let ignored = format!("data `{}`: ignored {}", set.name, set.report.ignored_names());
    match set.kind {
        Kind::Text => {
            desk.warn(format!("{ignored}; a column named `label` would make it text with labels"))
        }
        Kind::Completion | Kind::Labels(_) => desk.note(ignored),
    }
}

/// Tells the user that a data set of the same name was replaced, and which runs were trained on it.
fn tell_replaced(desk: &CommandContext, before: &LoadedData, now: &LoadedData) {
    let name = &now.dataset.name;
    if before.dataset.kind == now.dataset.kind
        && before.dataset.fingerprint() == now.dataset.fingerprint()
    {
        return desk.note(format!("data `{name}` was loaded again and is unchanged"));
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
        let more = if trained.len() > RUNS {
            format!(" and {} more", trained.len() - RUNS)
        } else {
            String::new()
        };
        let named = quoted(&trained[..trained.len().min(RUNS)]);
        text.push_str(&format!("; runs trained on the earlier data: {named}{more} (their weights and curves are unchanged)"));
    }
    desk.warn(text);
}

fn examples(data: &LoadedData) -> usize {
    let set = &data.dataset;
    set.train.len() + set.validation.len() + set.test.len()
}

/// Where a set came from, in words.
fn place(data: &LoadedData) -> String {
    match &data.origin {
        DataOrigin::Source { source, .. } => format!("from `{source}`"),
        DataOrigin::Inline { .. } => "from a cell".to_owned(),
    }
}

/// A file by its full path: `%cd` and a later session must find it too.
pub(crate) fn lasting(source: &str) -> String {
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

fn from_file(source: &str, settings: &Settings, control: &Control) -> Result<Dataset, Failure> {
    let path = Path::new(source);
    // A word without an ending or a folder is a name: its alternatives are the names there are.
    if path.symlink_metadata().is_err()
        && path.extension().is_none()
        && path.components().count() == 1
    {
        let builtin = data::BUILTIN.iter().map(|name| (*name).to_owned()).collect();
        return Err(
            SessionError::UnknownDataSource { source_name: source.to_owned(), builtin }.into()
        );
    }
    Ok(data::load_file(path, settings, control)?)
}

/// `which-book: text with 6 labels; 2,400 training, 300 validation, 300 test examples`.
pub fn line(data: &LoadedData) -> String {
    let set = &data.dataset;
    let kind = match &set.kind {
        Kind::Text => "running text".to_owned(),
        Kind::Completion => "prompts with completions".to_owned(),
        Kind::Labels(labels) => format!("text with {}", counted(labels.len(), "label")),
    };
    let [train, validation, test] =
        [&set.train, &set.validation, &set.test].map(|split| thousands(split.len() as u64));
    format!(
        "data `{}`: {kind}; {train} training, {validation} validation and {test} test examples",
        set.name
    )
}

/// The answer to every verb that changes the current set.
pub fn reply(data: &LoadedData) -> Reply {
    let is_builtin = matches!(&data.origin, DataOrigin::Source { source, .. } if data::BUILTIN.contains(&source.as_str()));
    let text = line(data);
    Reply::one(Block::Text(if is_builtin {
        text
    } else {
        format!("{text}\n{}", data.dataset.report.read_as())
    }))
}
