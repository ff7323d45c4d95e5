//! Splits a cell into statements as evcxr does.

use std::ops::Range;

use ra_ap_syntax::ast::{self, AstNode};
use ra_ap_syntax::{Edition, SourceFile, SyntaxKind, SyntaxNode};

/// The code in front of a cell that makes it parse as the body of a function.
const PRELUDE: &str = "fn f(){";

/// A statement of a cell: with the spaces and comments after it, the first also with those before
/// it.
pub(crate) struct Statement {
    /// The whole range in the cell.
    pub(crate) range: Range<usize>,
    /// End without trailing spaces and comments.
    pub(crate) end: usize,
    /// The syntax tree. Positions in it are those of a larger text; see [`Self::range_of`].
    pub(crate) node: SyntaxNode,
    /// Distance from positions in the tree to positions in the cell.
    offset: isize,
}

impl Statement {
    /// Whether evcxr moves the statement out of its function.
    pub(crate) fn is_item(&self) -> bool {
        ast::Item::can_cast(self.node.kind())
    }

    /// Whether the statement is a `use`.
    pub(crate) fn is_import(&self) -> bool {
        self.node.kind() == SyntaxKind::USE
    }

    /// The range of a part of the tree in the cell.
    pub(crate) fn range_of(&self, node: &SyntaxNode) -> Range<usize> {
        let range = node.text_range();
        let place = |at: ra_ap_syntax::TextSize| usize::from(at).saturating_add_signed(self.offset);
        place(range.start())..place(range.end())
    }
}

/// The statements of a cell, without its `:commands`.
pub(crate) fn statements(cell: &str) -> Vec<Statement> {
    let before = commands_end(cell);
    let code = cell.get(before..).unwrap_or_default();
    let parsed = SourceFile::parse(&format!("{PRELUDE}{code}\n}}"), Edition::Edition2024).tree();
    let function = parsed.syntax().children().find_map(ast::Fn::cast);
    let Some(list) =
        function.and_then(|function| function.body()).and_then(|body| body.stmt_list())
    else {
        return Vec::new();
    };
    let offset = before.cast_signed() - PRELUDE.len().cast_signed();
    let nodes: Vec<_> = list.syntax().children().collect();
    let starts: Vec<usize> = nodes
        .iter()
        .map(|node| usize::from(node.text_range().start()).saturating_sub(PRELUDE.len()))
        .collect();
    let mut found = Vec::new();
    let mut start = 0;
    for (index, node) in nodes.into_iter().enumerate() {
        let end = starts.get(index + 1).copied().unwrap_or(code.len()).min(code.len());
        if start >= end {
            break;
        }
        let node_end =
            usize::from(node.text_range().end()).saturating_sub(PRELUDE.len()).min(code.len());
        found.push(Statement {
            range: before + start..before + end,
            end: before + node_end,
            node,
            offset,
        });
        start = end;
    }
    found
}

/// Whether the parser accepts the cell without an error.
pub(crate) fn is_well_formed(cell: &str) -> bool {
    let code = cell.get(commands_end(cell)..).unwrap_or_default();
    SourceFile::parse(&format!("{PRELUDE}{code}\n}}"), Edition::Edition2024).errors().is_empty()
}

/// The end of the `:commands`, comments and blank lines at the beginning of a cell.
pub(crate) fn commands_end(cell: &str) -> usize {
    let is_before = |line: &&str| {
        line.trim().is_empty()
            || line.starts_with("//")
            || line.trim_start_matches(' ').starts_with(':') && !line.trim_start().starts_with("::")
    };
    cell.split_inclusive('\n').take_while(is_before).map(str::len).sum()
}
