//! What to type after an error of reading data.

use std::path::Path;

use graft_spec::Hint;
use graft_spec::suggest::nearest;

use super::DataError;
use crate::detect::with_name;

const SHAPES: &str = "an example has the columns prompt and completion, text, text and label, messages, or chosen and rejected";
const SKIP: &str = "correct it, or skip such rows with skip_bad=true";

/// The next step.
pub(super) fn hint(error: &DataError) -> Option<String> {
    use DataError as E;
    let step = match error {
        E::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            "give a file or a folder (jsonl, json, csv, tsv, txt or parquet), a data set on the Hugging Face Hub (ORG/NAME), or a built-in set: which-book, error-codes, rust-docs"
        }
        E::Io { .. } | E::Interrupted { .. } => return None,
        E::File(error) => return error.hint(),
        E::Foreign { hint, .. } => hint,
        E::EmptyFolder { .. } => {
            "it needs files that end with .jsonl, .json, .csv, .tsv, .txt or .parquet, also with .gz"
        }
        E::TooManyFiles { .. } => "name one of its folders or files",
        E::DamagedParquet { .. } => "copy or download the file again",
        E::TooLarge { .. } => "load a part of it with limit=100000",
        E::Changed { .. } => "load it again once it is complete",
        E::LongLine { .. } => {
            "write one example per line, or skip such lines with skip_bad=true; for running text, text=running cuts it into pieces"
        }
        E::LongParagraph { .. } => {
            "text=running cuts the text into pieces, text=lines at line ends"
        }
        E::Binary { .. } => "inspect it: head -c 200 FILE | od -c; skip_bad=true skips such lines",
        E::OpenQuote { .. } => {
            "close the quote; if quotes are letters in this file, write them twice"
        }
        E::Columns { .. } => {
            "for example columns=text:review,label:sentiment; roles: text, text_pair, label, prompt, input, completion, chosen, rejected, messages, tools, system, split"
        }
        E::UnknownColumn { role, column, found, .. } => return Some(unknown(role, column, found)),
        E::MixedShapes { .. } => {
            "put rows of different kinds into different files, or skip rows unlike the first one with skip_bad=true"
        }
        E::FloatLabel { .. } => {
            "write classes such as low and high into a column `label`, or remove the column to train on the text alone"
        }
        E::MissingLabel { .. } => "fill it in, or skip rows without a label with skip_bad=true",
        E::UnseenLabel { label, known, .. } => return Some(unseen(label, known)),
        E::ListLabel { .. } => {
            "write one label for each example, or remove the field to train on the text alone"
        }
        E::TooManyLabels { .. } => {
            "if each text has its own answer, use it as the completion: columns=prompt:COLUMN,completion:COLUMN"
        }
        E::TooManyFields { .. } => "keep the columns text and label, or prompt and completion",
        E::Empty { skipped: 0, .. } => SHAPES,
        E::Empty { .. } => "correct the rows, or name the columns with columns=ROLE:COLUMN",
        E::MissingField { found, is_given, .. } => return Some(missing(found, *is_given)),
        E::NotUtf8 { source_name, .. } => return Some(to_utf8(source_name)),
        E::Malformed { problem, .. } if problem.ends_with(" is empty") => {
            "fill it in, or skip such rows with skip_bad=true"
        }
        E::Malformed { problem, .. } if problem.contains("fields, but the header has") => {
            "correct it, or skip such rows with skip_bad=true; if the file is not a table, use format=txt"
        }
        E::Malformed { problem, .. } if problem.contains("which one is the") => {
            "name it, for example columns=text:COLUMN,label:COLUMN"
        }
        E::Malformed { problem, .. } if problem.contains("JSON") => {
            "correct it, skip such rows with skip_bad=true, or set the format with format=jsonl, json, csv, tsv or txt"
        }
        E::Malformed { .. } => SKIP,
        E::OneLabel { .. } => {
            "add examples with another label, or train on the text alone, for example columns=text:text"
        }
        E::Template { needed: "{text}", .. } => "for example template=\"{text}\\nThis is from:\"",
        E::Template { needed: "{prompt}", .. } => "for example template=\"{prompt}\\nAnswer:\"",
        E::Template { .. } => "for example template=\"{text}\\n{text_pair}\\nLabel:\"",
        E::NothingLeft { .. } => "use smaller values",
    };
    Some(step.to_owned())
}

fn unknown(role: &str, column: &str, found: &[String]) -> String {
    match nearest(column, found.iter().map(String::as_str)).first() {
        Some(name) => format!("did you mean columns={role}:{name}?"),
        None => format!("name one of its columns: columns={role}:COLUMN"),
    }
}

fn unseen(label: &str, known: &[String]) -> String {
    let step = "add training examples with this label, or remove it from the file";
    match nearest(label, known.iter().map(String::as_str)).first() {
        Some(name) => format!("did you mean `{name}`? otherwise {step}"),
        None => step.to_owned(),
    }
}

/// For columns of other names the entries to type, with the names of the file.
fn missing(found: &[String], is_given: bool) -> String {
    if is_given {
        return format!(
            "a data set needs more: {SHAPES}; for example columns=text:COLUMN,label:COLUMN"
        );
    }
    match found {
        [one] => format!("{SHAPES}; to use this column: columns=text:{one}"),
        [first, second, ..] => format!(
            "{SHAPES}; name them, for example columns=text:{first},label:{second} or columns=prompt:{first},completion:{second}"
        ),
        [] => SHAPES.to_owned(),
    }
}

/// Commands that convert a file from Windows-1252 to UTF-8.
fn to_utf8(source_name: &str) -> String {
    let path = Path::new(source_name);
    let ending =
        path.extension().map_or_else(String::new, |ending| format!(".{}", ending.display()));
    let target = path.with_extension(format!("utf8{ending}")).display().to_string();
    let step = with_name("iconv -f WINDOWS-1252 -t UTF-8 'FILE'", source_name);
    format!(
        "if the file is in the Windows-1252 encoding: {step} > '{target}', then %data load {target}; skip_bad=true skips such lines"
    )
}
