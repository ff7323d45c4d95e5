//! Writes magics as text that the parser reads back exactly.

use graft_spec::{Failure, KeyKind, KeySpec, Settings, training};

/// Longest comment, in characters.
const MAX_COMMENT: usize = 400;

/// A file for `graft run`, cell by cell.
pub(super) struct Script {
    cells: Vec<String>,
}

impl Script {
    pub(super) fn new() -> Self {
        Self { cells: vec![String::new()] }
    }

    /// Adds a line of a magic. Its arguments must already be quoted.
    pub(super) fn line(&mut self, line: &str) {
        if let Some(cell) = self.cells.last_mut() {
            cell.push_str(line);
            cell.push('\n');
        }
    }

    /// Adds a comment. The text must not start with `%%`, which would start a cell.
    pub(super) fn comment(&mut self, text: &str) {
        let shown: String = text.chars().take(MAX_COMMENT).map(visible).collect();
        self.line(&format!("// {shown}"));
    }

    /// Adds a cell that consists of a line and a verbatim text.
    pub(super) fn cell(&mut self, line: &str, text: &str) {
        let mut cell = format!("{line}\n");
        for line in text.trim_end_matches('\n').split('\n') {
            if is_like_a_cell_marker(line) {
                // `graft run` removes one backslash.
                cell.push_str(&line.replacen("%%", "\\%%", 1));
            } else {
                cell.push_str(line);
            }
            cell.push('\n');
        }
        self.cells.push(cell);
        self.cells.push(String::new());
    }

    pub(super) fn finish(self) -> String {
        let cells: Vec<_> = self.cells.into_iter().filter(|cell| !cell.is_empty()).collect();
        cells.join("// %%\n")
    }
}

/// Whether a line starts a cell in a file, or would with fewer backslashes: `// %%`, `// \%%`.
fn is_like_a_cell_marker(line: &str) -> bool {
    line.strip_prefix("//")
        .is_some_and(|rest| rest.trim_start().trim_start_matches('\\').starts_with("%%"))
}

/// A character in a form that a comment can contain.
fn visible(character: char) -> String {
    if character.is_control() || is_invisible(character) {
        character.escape_default().to_string()
    } else {
        character.to_string()
    }
}

/// Whether a character is invisible or changes the text direction, so that text looks like another
/// text.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// An argument of a magic, quoted if necessary.
pub(super) fn word(text: &str) -> String {
    let is_plain = |character: char| {
        character.is_ascii_alphanumeric() || matches!(character, '_' | '.' | '/' | '-')
    };
    if !text.is_empty() && !text.starts_with('-') && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        quoted(text)
    }
}

/// The value of a key, quoted if necessary.
fn value(text: &str) -> String {
    let is_plain = |character: char| {
        character.is_ascii_alphanumeric() || matches!(character, '_' | '.' | '/' | '-' | ',' | '+')
    };
    // A trailing comma would separate it from the next key.
    if !text.is_empty() && !text.ends_with(',') && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        quoted(text)
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            other if other.is_control() || is_invisible(other) => {
                out.extend(other.escape_unicode())
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// ` key=value` for each key.
///
/// # Errors
/// `session::export` for an unknown key and for a value that a magic cannot have: the ledger is
/// damaged or of another version.
pub(super) fn keys(settings: &Settings, specs: &[KeySpec]) -> Result<String, Failure> {
    let mut text = String::new();
    for (name, given) in &settings.values {
        let shown = given.to_string();
        let spec = specs
            .iter()
            .find(|spec| spec.name == name)
            .ok_or_else(|| not_a_magic(&format!("unknown key `{}`", brief(name))))?;
        let is_list = matches!(spec.kind, KeyKind::Modules | KeyKind::List);
        if shown.is_empty() && is_list && spec.default.is_empty() {
            continue;
        }
        let is_text = spec.kind == KeyKind::Text;
        // The parser reads `None` as the default.
        let is_mistaken = shown == "None"
            || (shown.is_empty() && !is_text)
            || (is_list
                && (shown.ends_with(',') || (shown.starts_with('[') && shown.ends_with(']'))));
        if is_mistaken || !spec.parse(&shown).is_ok_and(|parsed| parsed.to_string() == shown) {
            return Err(not_a_magic(&format!("`{name}` cannot be `{}`", brief(&shown))));
        }
        text.push_str(&format!(" {name}={}", value(&shown)));
    }
    Ok(text)
}

/// `%model load SOURCE KEYS`.
///
/// # Errors
/// As [`keys`].
pub(super) fn load_model(source: &str, settings: &Settings) -> Result<String, Failure> {
    Ok(format!("%model load {}{}", word(source), keys(settings, training::MODEL)?))
}

/// `%model load SOURCE KEYS` in a message.
pub(crate) fn load_line(source: &str, settings: &Settings) -> String {
    load_model(source, settings).unwrap_or_else(|_| format!("%model load {}", word(source)))
}

/// The failure for a run that magics cannot repeat.
pub(super) fn not_a_magic(problem: &str) -> Failure {
    Failure::new("session::export", format!("cannot write the run as magics: {problem}"))
        .hint("its ledger is damaged or of another version; export it as .json or .csv instead")
}

/// The start of a text for an error message.
fn brief(text: &str) -> String {
    text.chars().take(40).map(visible).collect()
}

#[cfg(test)]
mod tests;
