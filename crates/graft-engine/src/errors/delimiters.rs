//! Finds unbalanced brackets of a cell. rustc parses them together with those of evcxr's code and
//! reports the wrong ones.

use ra_ap_syntax::{AstNode, Edition, NodeOrToken, SourceFile, SyntaxKind};

use super::diagnostic::{Diagnostic, Mark};
use super::source_map::{Place, place_of};

/// The first error in the brackets of a cell.
pub(super) fn unbalanced(cell: &str) -> Option<Diagnostic> {
    let parsed = SourceFile::parse(cell, Edition::Edition2024).tree();
    let mut open: Vec<(SyntaxKind, usize)> = Vec::new();
    for token in parsed.syntax().descendants_with_tokens().filter_map(NodeOrToken::into_token) {
        let place = usize::from(token.text_range().start());
        let opener = match token.kind() {
            SyntaxKind::L_PAREN | SyntaxKind::L_BRACK | SyntaxKind::L_CURLY => {
                open.push((token.kind(), place));
                continue;
            }
            SyntaxKind::R_PAREN => SyntaxKind::L_PAREN,
            SyntaxKind::R_BRACK => SyntaxKind::L_BRACK,
            SyntaxKind::R_CURLY => SyntaxKind::L_CURLY,
            _ => continue,
        };
        match open.pop() {
            Some((kind, _)) if kind == opener => {}
            Some((_, begun)) => return Some(mismatched(cell, token.text(), begun, place)),
            None => return Some(unexpected(cell, token.text(), place)),
        }
    }
    let (_, begun) = open.pop()?;
    Some(diagnostic(
        "this cell contains an unclosed delimiter".to_owned(),
        vec![mark(cell, begun, "unclosed delimiter", true)],
    ))
}

/// The error for a closing delimiter of another kind than the opening one at `begun`.
fn mismatched(cell: &str, text: &str, begun: usize, place: usize) -> Diagnostic {
    let marks = vec![
        mark(cell, begun, "unclosed delimiter", false),
        mark(cell, place, "mismatched closing delimiter", true),
    ];
    diagnostic(format!("mismatched closing delimiter: `{text}`"), marks)
}

/// The error for a closing delimiter without an opening one.
fn unexpected(cell: &str, text: &str, place: usize) -> Diagnostic {
    let marks = vec![mark(cell, place, "unexpected closing delimiter", true)];
    diagnostic(format!("unexpected closing delimiter: `{text}`"), marks)
}

fn diagnostic(message: String, marks: Vec<Mark>) -> Diagnostic {
    Diagnostic { level: "error".to_owned(), message, marks, ..Diagnostic::default() }
}

fn mark(cell: &str, byte: usize, label: &str, primary: bool) -> Mark {
    let start = place_of(cell, byte);
    Mark {
        start,
        end: Place { column: start.column + 1, ..start },
        label: label.to_owned(),
        primary,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_unbalanced_bracket_is_found() {
        let found = |cell: &str| {
            unbalanced(cell).map(|found| {
                (
                    found.message.clone(),
                    found.marks.last().map(|mark| (mark.start.line, mark.start.column)).unwrap(),
                )
            })
        };
        assert_eq!(
            found("for i in 0..3 {\n}}"),
            Some(("unexpected closing delimiter: `}`".to_owned(), (2, 2)))
        );
        assert_eq!(
            found("let a = (1 + 2;"),
            Some(("this cell contains an unclosed delimiter".to_owned(), (1, 9)))
        );
        assert_eq!(found("f(1];"), Some(("mismatched closing delimiter: `]`".to_owned(), (1, 4))));
        for fine in ["let s = \"(\"; // {", "let c = '(';", "vec![f(|x| { x })]", "r#\"[\"#"] {
            assert_eq!(found(fine), None, "{fine}");
        }
    }
}
