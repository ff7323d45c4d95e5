//! Reads files, folders, cells and built-in data sets.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use graft_spec::Settings;

use super::collect::Collector;
use super::dataset::Dataset;
use super::format::{self, Format};
use super::lines::Lines;
use super::open::{Stream, open};
use super::options::ReadOptions;
use super::sources::{self, SourceFile};
use super::{DataError, csv, json_array, jsonl, parquet_file, plain_text, split, template};

/// Names of the built-in data sets.
pub const BUILTIN: &[&str] = &["which-book", "error-codes", "rust-docs", "prose-or-code"];

/// Prompt template of the built-in classification data set.
const WHICH_BOOK_TEMPLATE: &str = "{text}\nThis is from:";

/// The flag of a reading that is never stopped.
static NEVER: AtomicBool = AtomicBool::new(false);

/// The limits of reading.
#[derive(Clone, Copy, Debug)]
pub struct Limits<'a> {
    /// Ends the reading when it is set.
    pub stop: &'a AtomicBool,
    /// Memory that is available, in bytes. The examples may use half of it.
    pub available: u64,
}

impl Limits<'static> {
    /// No limits.
    pub const NONE: Self = Self { stop: &NEVER, available: u64::MAX };
}

/// The folder of the built-in data sets: `$GRAFT_DATA`, or the folder `assets` of this crate.
pub fn assets() -> PathBuf {
    std::env::var_os("GRAFT_DATA")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("assets"), PathBuf::from)
}

/// The built-in data set of that name; `None` if there is no such set.
///
/// # Errors
/// [`DataError`] when its file is missing or damaged.
pub fn builtin(name: &str) -> Result<Option<Dataset>, DataError> {
    builtin_with(name, &Settings::default())
}

/// [`builtin`] with keys of `%data load`, such as a template.
///
/// # Errors
/// As [`builtin`].
pub fn builtin_with(name: &str, settings: &Settings) -> Result<Option<Dataset>, DataError> {
    if !BUILTIN.contains(&name) {
        return Ok(None);
    }
    let path = assets().join(format!("{name}.jsonl"));
    let mut settings = settings.clone();
    settings.values.remove("format");
    let options = ReadOptions::new(&settings, WHICH_BOOK_TEMPLATE)?;
    load(&path, name, &options, Limits::NONE).map(Some)
}

/// Reads a file, or the data files of a folder. The settings are the keys of `%data load`.
///
/// # Errors
/// [`DataError`] with file and line.
pub fn load_file(
    path: &Path,
    settings: &Settings,
    limits: Limits<'_>,
) -> Result<Dataset, DataError> {
    let options = ReadOptions::new(settings, template::LABELED)?;
    let name = options.name.clone().unwrap_or_else(|| file_name(path));
    load(path, &name, &options, limits)
}

/// Reads several files as one data set, such as those of a repository. `source_name` is their
/// origin in errors about all of them.
///
/// # Errors
/// As [`load_file`].
pub fn load_files(
    name: &str,
    source_name: &str,
    files: Vec<SourceFile>,
    settings: &Settings,
    limits: Limits<'_>,
) -> Result<Dataset, DataError> {
    let options = ReadOptions::new(settings, template::LABELED)?;
    let name = options.name.as_deref().unwrap_or(name);
    let files = sources::with_held_out(files, &options)?;
    load_all(files, (name, source_name), &options, limits)
}

/// Reads examples from a text, in any of the text formats.
///
/// # Errors
/// [`DataError`] with the line of the text.
/// # Examples
/// ```
/// use graft_data::{Kind, parse_inline};
/// use graft_spec::Settings;
///
/// let csv = "text,label\nfine day,good\nawful day,bad\n";
/// let data = parse_inline("moods", csv, &Settings::default())?;
/// assert_eq!(data.kind, Kind::Labels(vec!["bad".to_owned(), "good".to_owned()]));
/// assert_eq!(data.train[0].completion, " good");
/// # Ok::<(), graft_data::DataError>(())
/// ```
pub fn parse_inline(name: &str, text: &str, settings: &Settings) -> Result<Dataset, DataError> {
    load_text(name, text, settings, Limits::NONE)
}

/// As [`parse_inline`], with limits.
///
/// # Errors
/// As [`parse_inline`], and [`DataError::Interrupted`].
pub fn load_text(
    name: &str,
    text: &str,
    settings: &Settings,
    limits: Limits<'_>,
) -> Result<Dataset, DataError> {
    let options = ReadOptions::new(settings, template::LABELED)?;
    let mut collector = Collector::new(&options, u64::MAX);
    let lines = Lines::new(Box::new(text.as_bytes()), name, limits.stop);
    let format = collect(lines, (Path::new(name), &[]), None, &options, &mut collector)?;
    // validation=FILE and test=FILE have their examples in files.
    let mut formats = vec![format];
    for file in sources::held_out_files(&options)? {
        formats.push(read_file(&file, &options, limits, &mut collector)?);
    }
    let collected = collector.finish(name, format::listed(&formats))?;
    split::dataset(name, collected, &options)
}

/// The name of the data set in a file or folder, without the extensions.
fn file_name(path: &Path) -> String {
    let plain = format::unpacked(path);
    let name = if path.is_dir() { path.file_name() } else { plain.file_stem() };
    name.unwrap_or_default().to_string_lossy().into_owned()
}

fn load(
    path: &Path,
    name: &str,
    options: &ReadOptions,
    limits: Limits<'_>,
) -> Result<Dataset, DataError> {
    let files = sources::files(path, options)?;
    load_all(files, (name, &path.display().to_string()), options, limits)
}

fn load_all(
    files: Vec<SourceFile>,
    (name, source_name): (&str, &str),
    options: &ReadOptions,
    limits: Limits<'_>,
) -> Result<Dataset, DataError> {
    let mut collector = Collector::new(options, limits.available / 2);
    let mut formats = Vec::new();
    for file in files {
        formats.push(read_file(&file, options, limits, &mut collector)?);
    }
    let collected = collector.finish(source_name, format::listed(&formats))?;
    split::dataset(name, collected, options)
}

/// Reads one file and returns the description of its format.
fn read_file(
    file: &SourceFile,
    options: &ReadOptions,
    limits: Limits<'_>,
    collector: &mut Collector<'_>,
) -> Result<String, DataError> {
    let source_name = file.path.display().to_string();
    let as_text = options.format.as_deref() == Some("txt");
    let opened = open(&file.path, as_text, limits.available)?;
    let decoded = opened.decoded.clone();
    let (stream, unchanged) = opened.into_parts();
    let read = match stream {
        Stream::Text(text) => {
            let lines = Lines::new(text, &source_name, limits.stop);
            collect(lines, (&file.path, &decoded), file.split, options, collector)
        }
        Stream::Parquet(parquet) => {
            collector.begin(&source_name, file.split, true);
            let check = |row| check_stop(&source_name, row, limits.stop);
            parquet_file::parse(parquet, &check, collector).map(|()| "parquet".to_owned())
        }
    };
    // A file that changed may be cut anywhere, so this error is reported first.
    unchanged.check()?;
    read
}

fn check_stop(source_name: &str, row: usize, stop: &AtomicBool) -> Result<(), DataError> {
    if stop.load(std::sync::atomic::Ordering::Relaxed) {
        return Err(DataError::Interrupted { source_name: source_name.to_owned(), line: row });
    }
    Ok(())
}

/// Reads the rows of a text, and returns the description of its format. `decoded` lists the
/// decoding steps of the file.
fn collect(
    mut lines: Lines<'_>,
    (path, decoded): (&Path, &[&str]),
    split: Option<super::SplitName>,
    options: &ReadOptions,
    collector: &mut Collector<'_>,
) -> Result<String, DataError> {
    let source_name = lines.name().to_owned();
    let head = String::from_utf8_lossy(lines.head()?).into_owned();
    let extension = format::extension(path);
    let found = format::of(&head, &extension, options);
    collector.begin(&source_name, split, matches!(found, Format::Jsonl | Format::Json));
    match found {
        Format::Jsonl => jsonl::parse(&mut lines, collector)?,
        Format::Json => json_array::parse(lines, collector)?,
        Format::Table(dialect) => csv::parse(&mut lines, dialect, collector)?,
        Format::Txt(unit) => plain_text::parse(&mut lines, unit, collector)?,
    }
    if let Some(note) = format::doubt(found, &head, options) {
        collector.note(note);
    }
    Ok(found.described(&extension, decoded))
}

#[cfg(test)]
mod tests;
