//! The types of a cell's variables: evcxr keeps a variable for later cells under the type that its
//! `let` states, so Graft writes the types that the compiler has inferred into the cell.
//!
//! After a `let` without a full type annotation, the typed cell contains `let NAME: TYPE = NAME;`.
//! The user's own statements are unchanged, so messages about them keep their places.

use std::collections::BTreeMap;
use std::ops::Range;

use ra_ap_syntax::ast::{self, AstNode, HasName};
use ra_ap_syntax::{Edition, SourceFile, SyntaxKind, SyntaxNode};

use crate::statement::{Statement, commands_end, is_well_formed, statements};

/// The type to which the probe casts each variable. The error message of the cast contains the
/// variable's type.
const TARGET: &str = "GraftVariable";

/// A variable of a top-level `let` that does not state its full type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UntypedVariable {
    /// The name.
    pub(crate) name: String,
    is_mutable: bool,
    /// The range of the name in the cell.
    place: Range<usize>,
    /// The end of the statement, which is where the next one begins.
    end: usize,
    /// The end of the pattern if the `let` has no value; its type must be stated there.
    declared: Option<usize>,
}

/// A piece of text that the cell does not contain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Insertion {
    /// Position in the cell.
    pub(crate) at: usize,
    /// The text.
    pub(crate) text: String,
    /// The range of the variable's name in the cell.
    pub(crate) name: Range<usize>,
}

/// A cell with the types of its variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TypedCell {
    /// The cell as the user wrote it.
    pub(crate) code: String,
    /// The cell as evcxr compiles it.
    pub(crate) text: String,
    /// The differences, in their order.
    pub(crate) insertions: Vec<Insertion>,
}

impl TypedCell {
    /// A cell that evcxr compiles as it is.
    pub(crate) fn unchanged(code: &str) -> Self {
        Self { code: code.to_owned(), text: code.to_owned(), insertions: Vec::new() }
    }

    /// The cell with the types of `variables`. `types` maps their positions in the list to types;
    /// the list may lack variables that a later one of the same name replaces.
    pub(crate) fn new(
        code: &str,
        variables: &[UntypedVariable],
        types: &BTreeMap<usize, String>,
    ) -> Self {
        let insertions: Vec<Insertion> = variables
            .iter()
            .enumerate()
            .filter_map(|(number, variable)| variable.annotation(code, types.get(&number)?))
            .collect();
        let text = with_insertions(code, &insertions);
        Self { code: code.to_owned(), text, insertions }
    }

    /// The position in the cell of a position in the text. Positions in an insertion become that of
    /// the variable's name.
    pub(crate) fn original(&self, position: usize) -> usize {
        let mut inserted = 0;
        for insertion in &self.insertions {
            let begin = insertion.at + inserted;
            if position < begin {
                break;
            }
            if position < begin + insertion.text.len() {
                return insertion.name.start;
            }
            inserted += insertion.text.len();
        }
        position.saturating_sub(inserted).min(self.code.len())
    }
}

impl UntypedVariable {
    fn annotation(&self, code: &str, kind: &str) -> Option<Insertion> {
        let kind = nameable(kind)?;
        let name = self.place.clone();
        if let Some(at) = self.declared {
            return Some(Insertion { at, text: format!(": {kind}"), name });
        }
        let mutable = if self.is_mutable { "mut " } else { "" };
        let text = format!("let {mutable}{0}: {kind} = {0};", self.name);
        // The cell may end with a comment.
        let text = if self.end >= code.len() { format!("\n{text}") } else { format!("{text} ") };
        Some(Insertion { at: self.end, text, name })
    }
}

/// The variables whose types the cell does not state. Empty for a cell that does not parse, whose
/// errors evcxr reports.
pub(crate) fn untyped_variables(code: &str) -> Vec<UntypedVariable> {
    let mut found = Vec::new();
    for statement in statements(code) {
        let Some(binding) = ast::LetStmt::cast(statement.node.clone()) else { continue };
        collect(&statement, &binding, &mut found);
    }
    if found.is_empty() || !is_well_formed(code) { Vec::new() } else { found }
}

fn collect(statement: &Statement, binding: &ast::LetStmt, found: &mut Vec<UntypedVariable>) {
    let Some(pattern) = binding.pat() else { return };
    let is_stated = binding.ty().is_some_and(|kind| !has_placeholder(kind.syntax()));
    let is_name = matches!(&pattern, ast::Pat::IdentPat(_));
    if is_name && is_stated {
        return;
    }
    let pattern_end = statement.range_of(pattern.syntax()).end;
    let declared = (is_name && binding.initializer().is_none() && binding.ty().is_none())
        .then_some(pattern_end);
    let bound = pattern.syntax().descendants().filter_map(ast::IdentPat::cast);
    for variable in bound {
        let Some(name) = variable.name() else { continue };
        let text = name.text().to_string();
        // A name in a pattern may be that of a constant or of a variant.
        if !is_name && text == "None" {
            continue;
        }
        found.push(UntypedVariable {
            name: text,
            is_mutable: variable.mut_token().is_some(),
            place: statement.range_of(name.syntax()),
            end: statement.range.end,
            declared,
        });
    }
}

fn has_placeholder(kind: &SyntaxNode) -> bool {
    kind.descendants().any(|node| matches!(node.kind(), SyntaxKind::INFER_TYPE | SyntaxKind::ERROR))
}

/// The cell with a cast of each variable, from whose error messages [`type_in_message`] reads the
/// types. `:commands` are removed.
pub(crate) fn probe(code: &str, variables: &[UntypedVariable]) -> String {
    let begin = commands_end(code);
    let cast = |(number, variable): (usize, &UntypedVariable)| Insertion {
        at: variable.end,
        text: format!("\n{} as {TARGET}<{number}>;\n", variable.name),
        name: variable.place.clone(),
    };
    let mut insertions = vec![Insertion {
        at: begin,
        text: format!("struct {TARGET}<const N: usize>;\n"),
        name: begin..begin,
    }];
    insertions.extend(variables.iter().enumerate().map(cast));
    let text = with_insertions(code, &insertions);
    text.get(begin..).unwrap_or_default().to_owned()
}

/// Whether `source`, which evcxr has generated, is that of a probe.
pub(crate) fn is_probe(source: &str) -> bool {
    source.contains(&format!("as {TARGET}<0>;"))
}

/// The number and the type of the variable that an error message of the probe is about.
pub(crate) fn type_in_message(message: &str) -> Option<(usize, &str)> {
    let (before, rest) = message.rsplit_once(&format!("` as `{TARGET}<"))?;
    let number = rest.strip_suffix(">`")?.parse().ok()?;
    let (_, kind) = before.split_once('`')?;
    Some((number, kind))
}

/// A type as code, from a compiler's message; `None` for a closure, an `async` block and other
/// types without a name.
pub(crate) fn nameable(kind: &str) -> Option<String> {
    let kind = without_function_names(kind);
    let source = format!("const _: {kind} = value();");
    let parsed = SourceFile::parse(&source, Edition::Edition2024);
    let is_unnamed = |node: SyntaxNode| {
        matches!(
            node.kind(),
            SyntaxKind::ERROR | SyntaxKind::INFER_TYPE | SyntaxKind::IMPL_TRAIT_TYPE
        )
    };
    let is_code = parsed.errors().is_empty()
        && !parsed.syntax_node().descendants().any(is_unnamed)
        && kind != "!";
    is_code.then_some(kind)
}

/// The type of a function item, `fn(i32) -> i32 {double}`, without the function's name.
fn without_function_names(kind: &str) -> String {
    match kind.rsplit_once(" {") {
        Some((pointer, name))
            if name.ends_with('}') && (pointer.contains("fn(")) && !name.contains('@') =>
        {
            pointer.to_owned()
        }
        _ => kind.to_owned(),
    }
}

/// A type for display: each path is reduced to its last name.
pub(crate) fn short_type(kind: &str) -> String {
    let mut short = String::with_capacity(kind.len());
    let mut rest = kind;
    while !rest.is_empty() {
        let is_word = |next: char| next.is_alphanumeric() || next == '_';
        let word = rest.len() - rest.trim_start_matches(is_word).len();
        let (name, after) = rest.split_at(word);
        if let Some(tail) = after.strip_prefix("::").filter(|_| !name.is_empty()) {
            rest = tail;
            continue;
        }
        short.push_str(name);
        let mut letters = after.chars();
        short.extend(letters.next());
        rest = letters.as_str();
    }
    short
}

fn with_insertions(code: &str, insertions: &[Insertion]) -> String {
    let mut ordered: Vec<&Insertion> = insertions.iter().collect();
    ordered.sort_by_key(|insertion| insertion.at);
    let mut text = String::with_capacity(code.len() + 64 * insertions.len());
    let mut done = 0;
    for insertion in ordered {
        text.push_str(code.get(done..insertion.at).unwrap_or_default());
        text.push_str(&insertion.text);
        done = insertion.at;
    }
    text.push_str(code.get(done..).unwrap_or_default());
    text
}

#[cfg(test)]
mod tests;
