//! Running a template with limits, and explaining its errors.

use std::{
    io,
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use minijinja::{Error, ErrorKind, State, Template, Value, value::Kwargs};

use crate::{ChatError, Rendered, generation};

/// Maximum number of steps of one rendering; a conversation of 1,000 messages takes about 100,000.
pub(crate) const MOST_STEPS: u64 = 10_000_000;

/// Maximum size of the rendered text in bytes.
const MOST_BYTES: usize = 256 << 20;

/// The message of `raise_exception`, as the source of the engine's error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refusal(pub(crate) String);

/// The written text, and its length for the generation function.
struct Writer<'a> {
    text: &'a mut Vec<u8>,
    length: Arc<AtomicUsize>,
}

impl io::Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.text.len() + bytes.len() > MOST_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.text.extend_from_slice(bytes);
        self.length.store(self.text.len(), Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Renders a template. The text of a generation block starts where the output ends at that moment,
/// as in transformers.
pub(crate) fn run(
    template: &Template<'_, '_>,
    mut context: Vec<(String, Value)>,
) -> Result<Rendered, Error> {
    let length = Arc::new(AtomicUsize::new(0));
    let marked: Arc<Mutex<Vec<Range<usize>>>> = Arc::default();
    let (start, ranges) = (Arc::clone(&length), Arc::clone(&marked));
    let support = move |state: &mut State, kwargs: Kwargs| -> Result<Value, Error> {
        let text = kwargs.get::<Value>("caller")?.call(state, &[])?;
        let start = start.load(Ordering::Relaxed);
        let range = start..start + text.as_str().unwrap_or_default().len();
        ranges.lock().unwrap_or_else(PoisonError::into_inner).push(range);
        Ok(text)
    };
    context.push((generation::FUNCTION.to_owned(), Value::from_function(support)));
    let mut text = Vec::new();
    template.render_captured_to(Value::from_pairs(context), Writer { text: &mut text, length })?;
    let text = String::from_utf8(text)
        .map_err(|_| Error::new(ErrorKind::InvalidOperation, "the text is not valid UTF-8"))?;
    let generated = std::mem::take(&mut *marked.lock().unwrap_or_else(PoisonError::into_inner));
    let inside = |range: &Range<usize>| text.get(range.clone()).is_some();
    let generated = generated.into_iter().filter(inside).collect();
    Ok(Rendered { text, generated })
}

/// An error of the engine as an error of a chat template.
pub(crate) fn explain(error: &Error, template: &str) -> ChatError {
    let template = template.to_owned();
    let mut line = error.line().unwrap_or(1);
    let mut limit = None;
    let mut deepest = error;
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = source {
        if let Some(Refusal(message)) = cause.downcast_ref() {
            return ChatError::Refused { template, line, message: message.clone() };
        }
        if let Some(inner) = cause.downcast_ref::<Error>() {
            line = inner.line().unwrap_or(line);
            deepest = inner;
            limit = limit.or_else(|| reached(inner));
        }
        source = cause.source();
    }
    if let Some(limit) = limit {
        return ChatError::Limit { template, limit };
    }
    let problem = problem(deepest);
    if error.kind() == ErrorKind::SyntaxError {
        return ChatError::Syntax { template, line, problem };
    }
    ChatError::Failed { template, line, problem }
}

/// The limit that an error reports.
fn reached(error: &Error) -> Option<String> {
    match error.kind() {
        ErrorKind::OutOfFuel => Some(format!("it takes more than {MOST_STEPS} steps")),
        ErrorKind::WriteFailure => {
            Some(format!("it writes more than {} MB", MOST_BYTES / 1_000_000))
        }
        _ => None,
    }
}

/// The kind and the detail of an error, with the names that the user wrote.
fn problem(error: &Error) -> String {
    let kind = error.kind().to_string();
    let text = match error.detail() {
        Some(detail) if error.kind() == ErrorKind::InvalidOperation => detail.to_owned(),
        Some(detail) => format!("{kind}: {detail}"),
        None => kind,
    };
    text.replace("endcall", "endgeneration").replace(generation::FUNCTION, "generation")
}
