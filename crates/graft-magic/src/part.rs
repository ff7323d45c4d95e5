//! The parts of a cell: the result of parsing, and the context in which magics are parsed.

use graft_protocol::{Command, Snapshot};

use crate::expressions::Deferred;

/// A part of a cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Its kind.
    pub kind: PartKind,
    /// Its first line in the cell, starting at 0.
    pub line: usize,
    /// Its text in the cell.
    pub text: String,
}

/// The kind of a [`Part`].
#[derive(Clone, Debug, PartialEq)]
pub enum PartKind {
    /// A command for the session.
    Session(Command),
    /// Rust code, preceded by one blank line per earlier line of the cell, so that the compiler
    /// reports line numbers of the cell.
    Rust(String),
    /// A command of evcxr, such as `:dep serde = "1"`.
    EvcxrCommand(String),
    /// A line (or, with `%%sh`, a text) for the shell.
    Shell(String),
    /// A command that the host executes.
    Host(HostCommand),
    /// The Rust code that is equivalent to the magic: `--rust`.
    ShowRust(String),
    /// A magic with Rust expressions in braces, which are evaluated first.
    Deferred(Deferred),
}

/// A command that the host executes without the session.
#[derive(Clone, Debug, PartialEq)]
pub enum HostCommand {
    /// `%lsmagic`.
    ListMagics,
    /// `%lora?`, `%lora -h`, `?%lora`.
    Help {
        /// Name of an existing magic.
        verb: String,
    },
    /// `%quickref`.
    Quickref,
    /// `%env`, `%env NAME`, `%env NAME=VALUE`.
    Env {
        /// The variable; `None` lists all.
        name: Option<String>,
        /// Its new value; `None` shows it.
        value: Option<String>,
    },
    /// `%cd FOLDER`; `~` is not yet resolved, an empty text is the home folder.
    Cd(String),
    /// `%pwd`.
    Pwd,
    /// `%history [N]`.
    History {
        /// The number of recent cells; `None` for all of this session.
        count: Option<usize>,
    },
    /// `%load FILE`: replaces the cell by the text of the file.
    Load(String),
    /// `%run FILE`: runs the file as a cell.
    Run(String),
    /// `%time LINE`.
    Time(Box<Part>),
    /// `%%time` over the rest of the cell.
    TimeCell(Vec<Part>),
    /// `%who`: the Rust variables.
    Who,
    /// `%reset`: starts a new child process with an empty session.
    Reset,
    /// `%%writefile FILE`: writes the rest of the cell into a file.
    WriteFile {
        /// The file, in which `~` is not yet resolved.
        file: String,
        /// Whether to append the text.
        append: bool,
        /// The text.
        text: String,
    },
    /// A note about a magic, such as a key that has no effect here.
    Note(String),
}

/// The context of the parser.
pub struct Context<'a> {
    /// The latest snapshot of the session.
    pub snapshot: &'a Snapshot,
    /// Whether an earlier part of this cell may change the model, so that module names cannot be
    /// checked.
    pub model_changes: bool,
    /// Notes about the current magic. Each becomes a [`HostCommand::Note`] before the magic.
    pub notes: Vec<String>,
    /// The values of the expressions in the magic; `None` before they are evaluated.
    pub values: Option<Vec<String>>,
}

impl<'a> Context<'a> {
    /// Creates the context of the first part of a cell.
    pub(crate) fn new(snapshot: &'a Snapshot) -> Self {
        Self { snapshot, model_changes: false, notes: Vec::new(), values: None }
    }
}
