//! `%generate data=NAME`: continues the prompts of a data set, into a file or a table.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use graft_models::{GenerateOptions, Generated, StopReason};
use graft_nn::atomic_file;
use graft_protocol::{Block, Cell, Reply, Table};
use graft_spec::{Failure, Settings, training::GENERATE_DATA};
use graft_train::{TrainError, data::SplitName};
use serde_json::{Value, json};

use crate::{
    CommandContext, SessionError, SessionState,
    state::LoadedData,
    verbs::{
        answers::{Question, Questions, stop_word, stopped},
        format::{counted, thousands},
        named_adapter::NamedAdapterActive,
    },
};

/// Most texts in the table.
const SHOWN: usize = 10;

/// The texts of a data set.
#[derive(Clone, Debug, PartialEq)]
pub struct DataTexts {
    /// Name of the data set and the split.
    pub title: String,
    /// One text per example.
    pub texts: Vec<DataText>,
    /// The file with the texts.
    pub file: Option<PathBuf>,
    /// Facts about the texts, such as how many reached the maximum length.
    pub notes: Vec<String>,
}

/// The text of one example.
#[derive(Clone, Debug, PartialEq)]
pub struct DataText {
    /// Number of the example in its split, from 1.
    pub example: usize,
    /// The prompt; for a conversation its messages as JSON.
    pub prompt: String,
    /// Whether the prompt is a conversation.
    pub is_conversation: bool,
    /// The generated text.
    pub text: String,
    /// The text of the data, if it has one.
    pub expected: Option<String>,
    /// Number of generated tokens.
    pub tokens: usize,
    /// Why the text ended.
    pub stop: StopReason,
}

/// Continues the prompts of a data set with the active adapter or that of `adapter_name`.
///
/// # Errors
/// [`SessionError::NoModel`], [`SessionError::NoData`], [`SessionError::UnknownData`],
/// [`SessionError::CannotWrite`], [`SessionError::Interrupted`] after the file has been written
/// with the texts so far, and those of the chat template and the model.
pub fn generate_data(cx: &CommandContext, settings: &Settings) -> Result<DataTexts, Failure> {
    settings.check(GENERATE_DATA)?;
    let state = cx.state();
    let model = state.model()?;
    let (data, split) = chosen(&state, settings)?;
    let file = settings.text(GENERATE_DATA, "out").filter(|path| !path.is_empty());
    let file = file.map(|path| writable(Path::new(&path))).transpose()?;
    let whole =
        |key| settings.integer(GENERATE_DATA, key).and_then(|value| usize::try_from(value).ok());
    let examples = data.dataset.scored(split, whole("examples").unwrap_or(usize::MAX));
    let title = format!("{}, {split} split", data.dataset.name);
    if examples.is_empty() {
        let data = data.dataset.name.clone();
        return Err(TrainError::EmptySplit { data, split: split.name() }.into());
    }
    let _named = NamedAdapterActive::of_settings(&state, settings, GENERATE_DATA)?;
    let options = GenerateOptions::from_settings(settings, state.seed);
    let questions = Questions::new(&model, &data.dataset, examples, options)?;
    let label = format!("generating texts for {title}");
    let answers = questions.answer(cx, &model, whole("batch").unwrap_or(16), &label)?;
    let total = answers.len();
    let notes = notes(&questions.all, &answers);
    let texts = texts(questions.all, answers);
    if let Some(file) = file.as_ref().filter(|_| !texts.is_empty()) {
        write(file, &texts)?;
    }
    if texts.len() < total {
        let kept = match &file {
            Some(file) if !texts.is_empty() => format!(", which are in `{}`", file.display()),
            _ => String::new(),
        };
        return Err(stopped(format!("stopped after {} of {total} texts{kept}", texts.len())));
    }
    Ok(DataTexts { title, texts, file, notes })
}

/// The data set and the split that `data` and `split` name.
fn chosen(
    state: &SessionState,
    settings: &Settings,
) -> Result<(Arc<LoadedData>, SplitName), SessionError> {
    let name = settings.text(GENERATE_DATA, "data").filter(|name| !name.is_empty());
    let split = settings.text(GENERATE_DATA, "split");
    let split = split.and_then(|split| SplitName::parse(&split)).unwrap_or(SplitName::Test);
    match (state.data(name.as_deref()), name.as_deref().and_then(SplitName::parse)) {
        // A data set may have the name of a split.
        (Ok(data), _) => Ok((data, split)),
        (Err(_), Some(split)) => Ok((state.data(None)?, split)),
        (Err(error), None) => Err(error),
    }
}

/// Checks that a file can be written, before the long work.
fn writable(path: &Path) -> Result<PathBuf, SessionError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let problem = if path.is_dir() {
        "it is a folder"
    } else if folder.is_some_and(|folder| !folder.is_dir()) {
        "its folder does not exist"
    } else {
        return Ok(path.to_owned());
    };
    let file = path.display().to_string();
    Err(SessionError::CannotWrite { file, problem: problem.to_owned() })
}

fn texts(questions: Vec<Question>, answers: Vec<Option<Generated>>) -> Vec<DataText> {
    let text = |((question, answer), example): ((Question, Option<Generated>), usize)| {
        let Generated { text, tokens, stop, .. } = answer?;
        let Question { prompt, is_conversation, gold: expected, .. } = question;
        Some(DataText { example, prompt, is_conversation, text, expected, tokens, stop })
    };
    questions.into_iter().zip(answers).zip(1..).filter_map(text).collect()
}

/// Writes one JSON object per line.
fn write(file: &Path, texts: &[DataText]) -> Result<(), SessionError> {
    let written = atomic_file::write_with(file, |out| {
        for text in texts {
            writeln!(out, "{}", line(text))?;
        }
        Ok(())
    });
    written.map_err(|error| SessionError::CannotWrite {
        file: file.display().to_string(),
        problem: error.to_string(),
    })
}

fn line(text: &DataText) -> Value {
    let mut line = json!({ "example": text.example });
    if text.is_conversation {
        line["messages"] = serde_json::from_str(&text.prompt).unwrap_or(Value::Null);
    } else {
        line["prompt"] = json!(text.prompt);
    }
    line["text"] = json!(text.text);
    if let Some(expected) = &text.expected {
        line["expected"] = json!(expected);
    }
    line["tokens"] = json!(text.tokens);
    line["stop"] = json!(stop_word(text.stop));
    line
}

/// Facts that the reader should know.
fn notes(questions: &[Question], answers: &[Option<Generated>]) -> Vec<String> {
    let count = |holds: &dyn Fn(&Generated) -> bool| {
        answers.iter().flatten().filter(|answer| holds(answer)).count()
    };
    let empty = |it: &Generated| it.text.trim().is_empty() && it.stop == StopReason::EndOfText;
    let cut = questions.iter().filter(|question| question.is_cut).count();
    let facts = [
        (count(&empty), "text", "empty: the model ended it at once"),
        (count(&|it| it.stop == StopReason::Length), "text", "reached max_new_tokens"),
        (cut, "prompt", "too long and lost its start"),
    ];
    let facts = facts.into_iter().filter(|(number, ..)| *number > 0);
    facts.map(|(number, what, fact)| format!("{} {fact}", counted(number, what))).collect()
}

impl DataTexts {
    /// The reply: where the texts are, or the first of them.
    pub fn reply(&self) -> Reply {
        let Some(file) = &self.file else { return Reply::one(Block::Table(self.table())) };
        let tokens: usize = self.texts.iter().map(|text| text.tokens).sum();
        let mut lines = vec![format!(
            "wrote `{}`: {} of {}, {} tokens",
            file.display(),
            counted(self.texts.len(), "text"),
            self.title,
            thousands(tokens as u64)
        )];
        lines.extend(self.notes.iter().cloned());
        Reply::text(lines.join("\n"))
    }

    /// The first texts.
    pub fn table(&self) -> Table {
        let has_expected = self.texts.iter().any(|text| text.expected.is_some());
        let headers: &[&str] =
            if has_expected { &["prompt", "text", "expected"] } else { &["prompt", "text"] };
        let mut table = Table::new(self.title.clone(), headers);
        for text in self.texts.iter().take(SHOWN) {
            let mut cells =
                vec![Cell::Text(shortened(&text.prompt)), Cell::Text(text.text.trim().to_owned())];
            cells.extend(
                text.expected.as_ref().filter(|_| has_expected).map(|it| Cell::Text(it.clone())),
            );
            table.row(cells);
        }
        if self.texts.len() > SHOWN {
            let more = thousands((self.texts.len() - SHOWN) as u64);
            table.footer.push(format!("{more} more; out=FILE.jsonl writes all of them"));
        }
        table.footer.extend(self.notes.iter().cloned());
        table
    }
}

/// The end of a long prompt.
fn shortened(prompt: &str) -> String {
    const LONGEST: usize = 200;
    let length = prompt.chars().count();
    if length <= LONGEST {
        return prompt.to_owned();
    }
    let end: String = prompt.chars().skip(length - LONGEST).collect();
    format!("…{end}")
}
