//! Help from the definitions: `-h`, `%verb?`, `%lsmagic`, `%quickref`.

use graft_protocol::{Block, Cell, Reply, Table};
use graft_spec::{KeyKind, KeySpec, training};

use crate::{
    part::HostCommand,
    verb::{Form, Slot, VerbSpec},
    verbs,
};

/// The documentation of a magic.
#[derive(Clone, Debug)]
pub struct VerbDoc {
    /// Name without `%`.
    pub name: &'static str,
    /// Other names.
    pub aliases: &'static [&'static str],
    /// One line.
    pub summary: &'static str,
    /// A paragraph. May be empty.
    pub help: &'static str,
    /// Its forms; that of the cell magic last.
    pub forms: Vec<FormDoc>,
    /// Every key of its forms, once.
    pub keys: Vec<&'static KeySpec>,
    /// Keys that only the form without subcommand takes: those of `%train` for a method.
    pub more_keys: Vec<&'static KeySpec>,
    /// Keys of a subcommand with keys of its own: those of `combine` for a method.
    pub combine_keys: Vec<&'static KeySpec>,
    /// Example lines.
    pub examples: Vec<String>,
}

/// One form of a magic.
#[derive(Clone, Debug)]
pub struct FormDoc {
    /// The usage line, such as `%model load SOURCE [key=value ...]`.
    pub usage: String,
    /// One line.
    pub summary: &'static str,
    /// Name and meaning of each positional argument.
    pub slots: Vec<(&'static str, &'static str)>,
}

impl VerbDoc {
    /// Returns the documentation of a definition.
    pub fn of(verb: &VerbSpec) -> Self {
        let document = |sign: &str, form: &Form| FormDoc {
            usage: format!("{sign}{} {}", verb.name, form.usage()).trim_end().to_owned(),
            summary: form.summary,
            slots: form.slots.iter().map(|slot: &Slot| (slot.name, slot.help)).collect(),
        };
        let mut keys: Vec<&'static KeySpec> = Vec::new();
        for key in verb.forms.iter().chain(&verb.cell).flat_map(|form| &form.keys) {
            if !keys.iter().any(|known| known.name == key.name) {
                keys.push(key);
            }
        }
        let of_subcommands =
            |key: &KeySpec| verb.subcommands().any(|form| form.key(key.name).is_some());
        let has_keys = verb.subcommands().any(|form| !form.keys.is_empty());
        let (keys, more_keys): (Vec<&KeySpec>, Vec<_>) = keys.into_iter().partition(|key| {
            !has_keys
                || of_subcommands(key)
                || verb.cell.as_ref().is_some_and(|form| form.key(key.name).is_some())
        });
        let (combine_keys, keys): (Vec<_>, Vec<_>) = keys.into_iter().partition(|key| {
            verb.subcommands().all(|form| form.word == "combine" || form.key(key.name).is_none())
                && verb.form("combine").is_some_and(|form| form.key(key.name).is_some())
        });
        let grid = if verb.takes_grid() { grid_keys(verb.name) } else { Vec::new() };
        let keys = keys.into_iter().chain(grid).collect();
        let lines = verb.forms.iter().map(|form| document("%", form));
        Self {
            name: verb.name,
            aliases: verb.aliases,
            summary: verb.summary,
            help: verb.help,
            forms: lines.chain(verb.cell.iter().map(|form| document("%%", form))).collect(),
            keys,
            more_keys,
            combine_keys,
            examples: verb.examples.iter().map(ToString::to_string).collect(),
        }
    }

    /// Returns the help as blocks for the renderer.
    pub fn blocks(&self) -> Vec<Block> {
        let aliases = if self.aliases.is_empty() {
            String::new()
        } else {
            format!(" (also %{})", self.aliases.join(", %"))
        };
        let mut blocks = vec![Block::Text(format!("%{}{aliases}: {}", self.name, self.summary))];
        if !self.help.is_empty() {
            blocks.push(Block::Text(self.help.to_owned()));
        }
        blocks.push(Block::Table(self.usage_table()));
        if !self.keys.is_empty() {
            blocks.push(Block::Table(key_table("keys", &self.keys)));
        }
        if !self.combine_keys.is_empty() {
            let title = format!("keys of %{} combine", self.name);
            blocks.push(Block::Table(key_table(&title, &self.combine_keys)));
        }
        if !self.more_keys.is_empty() {
            blocks.push(Block::Table(key_table(
                &format!("keys of %train; with them, %{} attaches and trains", self.name),
                &self.more_keys,
            )));
        }
        if !self.examples.is_empty() {
            blocks.push(Block::Text(format!("Examples\n{}", indented(&self.examples))));
        }
        blocks
    }

    fn usage_table(&self) -> Table {
        let mut table = Table::new("", &["usage", "what it does"]);
        for form in &self.forms {
            let slots: Vec<_> =
                form.slots.iter().map(|(name, help)| format!("; {name}: {help}")).collect();
            table.row(vec![
                Cell::Code(form.usage.clone()),
                Cell::Text(format!("{}{}", form.summary, slots.concat())),
            ]);
        }
        table
    }
}

/// Returns the own keys of a comparison.
fn grid_keys(verb: &str) -> Vec<&'static KeySpec> {
    if verb == "trial" { Vec::new() } else { training::ABLATE.iter().collect() }
}

fn indented(examples: &[String]) -> String {
    let lines: Vec<_> = examples
        .iter()
        .flat_map(|example| example.lines())
        .map(|line| format!("  {line}"))
        .collect();
    lines.join("\n")
}

/// Keys as a table: name, short names, values, default, meaning.
pub(crate) fn key_table(title: &str, keys: &[&KeySpec]) -> Table {
    let mut table = Table::new(title, &["key", "short", "value", "default", "meaning"]);
    for key in keys {
        table.row(vec![
            Cell::Code(key.name.to_owned()),
            Cell::Text(key.aliases.join(", ")),
            Cell::Text(values(key)),
            Cell::Text(key.default.to_owned()),
            Cell::Text(key.help.to_owned()),
        ]);
    }
    table
}

/// Returns the valid values of a key, as text.
pub(crate) fn values(key: &KeySpec) -> String {
    match key.kind {
        KeyKind::Bool => "true or false".to_owned(),
        KeyKind::Integer { min, .. } => format!("integer ≥ {min}"),
        KeyKind::IntegerOrAuto { min, .. } => format!("integer ≥ {min} or auto"),
        KeyKind::Float { min, max } if max >= 1e3 => format!("number ≥ {min}"),
        KeyKind::Float { min, max } => format!("{min} to {max}"),
        KeyKind::FloatOrAuto { min, .. } => format!("number ≥ {min}, or auto"),
        KeyKind::FloatOrPath { min, max } => format!("{min} to {max}, or path"),
        KeyKind::Text => "text".to_owned(),
        KeyKind::Choice(words) => words.join(" | "),
        KeyKind::Modules => "names, regex or all-linear".to_owned(),
        KeyKind::List => "list".to_owned(),
        KeyKind::Path => "path".to_owned(),
    }
}

/// Returns the reply to `%lsmagic`, `%verb?` and `%quickref`; `None` for other host commands.
pub fn host_reply(command: &HostCommand) -> Option<Reply> {
    match command {
        HostCommand::ListMagics => Some(Reply { blocks: vec![Block::Table(list())] }),
        HostCommand::Help { verb } => {
            Some(Reply { blocks: VerbDoc::of(verbs::find(verb)?).blocks() })
        }
        HostCommand::Quickref => {
            Some(Reply { blocks: vec![Block::Text(PRIMER.to_owned()), Block::Table(list())] })
        }
        _ => None,
    }
}

fn list() -> Table {
    let mut table = Table::new("Magics", &["magic", "what it does"]);
    for verb in verbs::all() {
        let line = (!verb.forms.is_empty()).then(|| format!("%{}", verb.name));
        let cell = verb.cell.is_some().then(|| format!("%%{}", verb.name));
        let name: Vec<_> = line.into_iter().chain(cell).collect();
        table.row(vec![Cell::Code(name.join(", ")), Cell::Text(verb.summary.to_owned())]);
    }
    for (name, what) in [
        ("!command", "run a line in the shell"),
        (":dep NAME = \"1\"", "add a crate for Rust cells; `:help` lists evcxr's other commands"),
    ] {
        table.row(vec![Cell::Code(name.to_owned()), Cell::Text(what.to_owned())]);
    }
    table.footer.push("%NAME? explains a magic; Tab completes names, keys and values; --rust prints the equivalent Rust code".to_owned());
    table
}

const PRIMER: &str = "A complete example in six lines\n  \
    %model load tiny\n  \
    %data load which-book\n  \
    %lora attach r=8 target_modules=q_proj,v_proj\n  \
    %train steps=200\n  \
    %compare \"The borrow checker\"\n  \
    %lora save my-adapter\n\
    Magics and Rust share a cell: a magic begins with % in the first column, and Rust reaches the same objects through lab().";
