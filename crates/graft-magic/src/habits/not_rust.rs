//! Recognizes text that is not Rust: a magic without its `%`, a shell line, Python.
//!
//! Text that can never be Rust is certain. For text that is Rust once the user has defined a name
//! (`help`, `model.train()`), the result contains that name, so that the kernel can let the
//! compiler decide.

use graft_spec::{Failure, Span};

use super::{magics, python, stub};
use crate::{
    cell::RustLines,
    part::{HostCommand, PartKind},
    verbs,
};

/// The intended meaning of such a text.
#[derive(Clone, Debug, PartialEq)]
pub struct NotRust {
    /// The name that makes the text Rust if it is defined; `None` if the text cannot be Rust.
    pub unless_defined: Option<String>,
    /// The reply: a failure, or the requested help.
    pub answer: Result<PartKind, Failure>,
}

/// Shell commands that users type without `!`.
const PROGRAMS: &[&str] = &[
    "pip",
    "pip3",
    "conda",
    "mamba",
    "uv",
    "apt",
    "git",
    "python",
    "python3",
    "bash",
    "wget",
    "curl",
    "cat",
    "mkdir",
    "rm",
    "cp",
    "mv",
    "ls",
    "head",
    "tail",
    "echo",
    "grep",
    "cargo",
    "rustup",
    "nvidia",
    "huggingface",
    "hf",
];

/// Words after which another word may follow in Rust.
const KEYWORDS: &[&str] = &[
    "as",
    "async",
    "auto",
    "await",
    "box",
    "break",
    "const",
    "continue",
    "crate",
    "default",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "macro_rules",
    "match",
    "mod",
    "move",
    "mut",
    "pub",
    "raw",
    "ref",
    "return",
    "safe",
    "self",
    "static",
    "struct",
    "super",
    "trait",
    "true",
    "try",
    "type",
    "union",
    "unsafe",
    "use",
    "where",
    "while",
    "yield",
];

/// Returns the intended meaning of `code`, if it is not or may not be Rust, or is only a stub. Line
/// numbers are those of `code`.
pub fn not_rust(code: &str) -> Option<NotRust> {
    if let Some(failure) = stub::of(code) {
        return Some(NotRust { unless_defined: None, answer: Err(failure) });
    }
    let mut lines = RustLines::default();
    let mut first = None;
    for (number, line) in code.split_inclusive('\n').enumerate() {
        if lines.may_begin_statement() {
            let place = Place {
                code,
                text: line.trim(),
                line: number,
                start: line.chars().take_while(|next| next.is_whitespace()).count(),
            };
            if let Some(failure) = place.certain() {
                return Some(NotRust { unless_defined: None, answer: Err(failure) });
            }
            if first.is_none() && !place.text.is_empty() && !place.text.starts_with("//") {
                first = Some(place);
            }
        }
        lines.feed(line);
    }
    first?.possible()
}

/// Returns the reply to an indented `%name` after a block, which may continue the expression in
/// Rust and is therefore not parsed as a magic.
pub fn magic_after_rust(code: &str) -> Option<String> {
    let mut lines = RustLines::default();
    for line in code.split_inclusive('\n') {
        let text = line.trim();
        if let Some(magic) = text.strip_prefix('%').filter(|_| lines.is_top_level()) {
            let name = magic
                .trim_start()
                .split(|next: char| !next.is_alphanumeric() && next != '_')
                .next()
                .unwrap_or_default();
            if verbs::find(name).is_some() {
                return Some(format!(
                    "after Rust code, a magic must begin in the first column: `%{}`",
                    magic.trim_start()
                ));
            }
        }
        lines.feed(line);
    }
    None
}

/// A line that begins a statement.
struct Place<'a> {
    /// The text of the cell.
    code: &'a str,
    /// The trimmed line.
    text: &'a str,
    /// Its number, starting at 0.
    line: usize,
    /// Code points before `text`.
    start: usize,
}

impl<'a> Place<'a> {
    fn span(&self) -> Span {
        Span { line: self.line, start: self.start, end: self.start + self.text.chars().count() }
    }

    /// Returns the first word, and the rest of the line.
    fn split(&self) -> (&'a str, &'a str) {
        self.text.split_at(
            self.text
                .find(|next: char| !next.is_alphanumeric() && next != '_')
                .unwrap_or(self.text.len()),
        )
    }

    /// Returns the second word.
    fn second(&self) -> &'a str {
        let rest = self.split().1.trim_start();
        rest.split(|next: char| !next.is_alphanumeric() && next != '_').next().unwrap_or_default()
    }

    /// Returns whether the line begins with two adjacent words of which the first is not a keyword.
    /// In Rust this only occurs in a cast.
    fn is_two_words(&self) -> bool {
        let (first, rest) = self.split();
        let after = rest.trim_start();
        let is_value =
            after.starts_with(|next: char| next.is_alphanumeric() || matches!(next, '_' | '"'));
        is_name(first)
            && !KEYWORDS.contains(&first)
            && rest.starts_with([' ', '\t'])
            && is_value
            && self.second() != "as"
    }

    /// Returns the reason why the line cannot be Rust.
    fn certain(&self) -> Option<Failure> {
        let (first, rest) = self.split();
        if python::is_statement(self.text)
            || self.is_two_words() && matches!(first, "import" | "from")
        {
            return Some(self.python());
        }
        if self.is_two_words() && verbs::find(first).is_some() {
            return Some(self.magic(first));
        }
        (self.is_two_words() && PROGRAMS.contains(&first)).then(|| self.program(first, rest))
    }

    /// Returns the intended meaning of a single statement, if its first name is not defined.
    fn possible(&self) -> Option<NotRust> {
        let (first, rest) = self.split();
        if !is_name(first) || KEYWORDS.contains(&first) {
            return None;
        }
        let unless = |answer| Some(NotRust { unless_defined: Some(first.to_owned()), answer });
        let alone = self.code.trim().lines().count() == 1;
        match rest.trim_end_matches(';').trim() {
            "?" | "??" if alone && verbs::find(first).is_some() => {
                unless(Ok(PartKind::Host(HostCommand::Help {
                    verb: verbs::find(first).map(|verb| verb.name.to_owned()).unwrap_or_default(),
                })))
            }
            "" | "()" if alone && verbs::find(first).is_some() => unless(Err(self.magic(first))),
            "" | "()" if alone && PROGRAMS.contains(&first) => unless(Err(self.program(first, ""))),
            "" | "()" if alone && magics::of(first).is_some() => unless(Err(self.habit(first))),
            option if alone && option.starts_with('-') && PROGRAMS.contains(&first) => {
                unless(Err(self.program(first, rest)))
            }
            ".." if alone && first == "cd" => unless(Err(self.magic(first))),
            arguments
                if alone
                    && verbs::find(first).is_some()
                    && python::has_named_arguments(arguments) =>
            {
                unless(Err(self.call(first, arguments)))
            }
            _ if python::is_expression(self.text) => unless(Err(self.python())),
            rest if first == "model" && rest.starts_with('.') => unless(Err(self.model())),
            _ => None,
        }
    }

    fn magic(&self, verb: &str) -> Failure {
        let line = self.text.trim_end_matches(';').trim_end_matches("()");
        Failure::new(
            "cell::magic_without_sign",
            format!("`{verb}` is a magic and must begin with `%`"),
        )
        .hint(format!("did you mean `%{line}`?"))
        .span(self.span())
    }

    /// The failure for a magic that is written as a call, such as `train(steps=10)`.
    fn call(&self, verb: &str, arguments: &str) -> Failure {
        let inside = arguments.trim_start_matches('(').trim_end_matches(')').trim();
        Failure::new(
            "cell::magic_without_sign",
            format!("`{verb}` is a magic and must begin with `%`"),
        )
        .hint(format!("did you mean `%{verb} {inside}`?"))
        .span(self.span())
    }

    /// The failure for a method of `model` before there is such a variable.
    fn model(&self) -> Failure {
        Failure::new("cell::no_model_variable", "the Rust variable `model` is not defined")
            .hint("`let model = lab().model()?;` defines it")
            .span(self.span())
    }

    fn program(&self, program: &str, rest: &str) -> Failure {
        let crates = matches!(program, "pip" | "pip3" | "conda" | "mamba" | "uv" | "cargo")
            && rest.trim_start().starts_with(['i', 'a']);
        let hint = match crates {
            true => format!(
                "`:dep NAME = \"1\"` adds a crate to Rust cells; `!{}` runs the line in the shell",
                self.text
            ),
            false => format!("did you mean `!{}`?", self.text),
        };
        Failure::new(
            "cell::shell_without_sign",
            format!("`{program}` is a shell command, not Rust"),
        )
        .hint(hint)
        .span(self.span())
    }

    fn habit(&self, name: &str) -> Failure {
        let hint = match magics::of(name) {
            Some(magics::Habit::Hint(hint) | magics::Habit::Note(hint)) => hint,
            None => "`%lsmagic` lists the magics",
        };
        Failure::new("cell::not_rust", format!("`{name}` is neither defined in Rust nor a magic"))
            .hint(hint)
            .span(self.span())
    }

    fn python(&self) -> Failure {
        Failure::new("cell::python", "this is Python; cells contain Rust and magics")
            .hint(python::next_step(self.code, self.text))
            .span(self.span())
    }
}

fn is_name(word: &str) -> bool {
    word.starts_with(|first: char| first.is_alphabetic() || first == '_') && word != "_"
}

#[cfg(test)]
mod tests;
