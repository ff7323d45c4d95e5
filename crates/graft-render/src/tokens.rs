//! The tokens of an example: text above, id below, those that carry loss in color.

use graft_protocol::tokens::{ShownToken, TokenList};
use maud::{Markup, html};

use crate::{paint::Paint, width};

/// Widest plain text, in columns.
const PLAIN_WIDTH: usize = 100;

/// Explains the colors and marks of the HTML.
const LEGEND: &str = "green and underlined: carries loss; dashed border: special token; number: id; ␣ space, ⏎ line feed, ⇥ tab";

/// Explains the marks of the text.
const TEXT_LEGEND: &str =
    "^ carries loss; number: id; «…» special token; ␣ space, ⏎ line feed, ⇥ tab";

/// A translucent background works on light and on dark pages.
const LOSS: &str = "background:rgba(46,160,67,0.25);border-bottom:2px solid #2ea043;";
const SPECIAL: &str = "outline:1px dashed rgba(128,128,128,0.9);font-style:italic;";

/// The tokens as boxes that flow like text.
pub(crate) fn html(list: &TokenList) -> Markup {
    html! {
        div style="margin:4px 0 8px;max-width:70em" {
            div { strong { (list.title) } }
            div style="line-height:1.25;font-family:monospace" {
                @for token in &list.tokens {
                    span style={ "display:inline-block;text-align:center;margin:2px 1px;padding:0 3px;white-space:pre;vertical-align:top;"
                        @if token.has_loss { (LOSS) } @if token.is_special { (SPECIAL) } } {
                        (label(token)) br; small style="opacity:0.7" { (token.id) }
                    }
                    @if ends_line(token) { br; }
                }
            }
            div style="white-space:pre-wrap" { (list.note) }
            div style="opacity:0.75" { small { (LEGEND) } }
        }
    }
}

/// As plain text.
pub(crate) fn plain(list: &TokenList) -> String {
    painted(list, PLAIN_WIDTH, Paint::Plain)
}

/// As lines of tokens, ids and marks, at most `columns` wide. Tokens that carry loss are green,
/// special tokens cyan.
pub(crate) fn painted(list: &TokenList, columns: usize, paint: Paint) -> String {
    let mut out = vec![paint.strong(&list.title)];
    for line in lines(&list.tokens, columns) {
        let rows = line.iter().map(|cell| cell.painted(paint)).collect::<Vec<_>>();
        for row in 0..3 {
            let cells: Vec<&str> = rows.iter().map(|cell| cell[row].as_str()).collect();
            let text = cells.join(" ");
            if row < 2 || line.iter().any(|cell| cell.token.has_loss) {
                out.push(text.trim_end().to_owned());
            }
        }
    }
    out.push(list.note.clone());
    out.push(TEXT_LEGEND.to_owned());
    out.join("\n")
}

/// One token in a line of text.
struct Cell<'a> {
    token: &'a ShownToken,
    text: String,
    width: usize,
}

impl Cell<'_> {
    /// The text, the id and the mark, all of the same width.
    fn painted(&self, paint: Paint) -> [String; 3] {
        let text = width::pad(&self.text, self.width, false);
        let text = match (self.token.has_loss, self.token.is_special) {
            (true, _) => paint.fresh(&text),
            (false, true) => paint.hint(&text),
            (false, false) => text,
        };
        let mark = if self.token.has_loss { "^" } else { " " };
        [text, width::pad(&self.token.id.to_string(), self.width, false), mark.repeat(self.width)]
    }
}

/// The tokens in lines that fit; a token with a line feed ends a line.
fn lines(tokens: &[ShownToken], columns: usize) -> Vec<Vec<Cell<'_>>> {
    let mut lines = Vec::new();
    let mut line: Vec<Cell<'_>> = Vec::new();
    let mut used = 0;
    for token in tokens {
        let mut text = label(token);
        if token.is_special {
            text = format!("«{text}»");
        }
        let text = width::cut(&text, columns);
        let width = width::of(&text).max(token.id.to_string().len());
        if used + width > columns && !line.is_empty() {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        used += width + 1;
        line.push(Cell { token, text, width });
        if ends_line(token) {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

fn ends_line(token: &ShownToken) -> bool {
    token.text.contains('\n')
}

/// The text of a token with visible spaces.
fn label(token: &ShownToken) -> String {
    if token.text.is_empty() {
        return "∅".to_owned();
    }
    token.text.replace(' ', "␣").replace('\n', "⏎").replace('\t', "⇥")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> TokenList {
        let token = |id, text: &str, has_loss, is_special| ShownToken {
            id,
            text: text.to_owned(),
            has_loss,
            is_special,
        };
        TokenList {
            title: "train, example 1".to_owned(),
            tokens: vec![
                token(1, "<s>", false, true),
                token(340, "Answer", false, false),
                token(13, ":\n", false, false),
                token(77, " <yes>", true, false),
                token(2, "</s>", true, true),
            ],
            note: "5 tokens, 2 with loss".to_owned(),
        }
    }

    #[test]
    fn every_token_has_its_id_and_those_with_loss_a_mark() {
        assert_eq!(
            plain(&list()),
            "train, example 1\n\
             «<s>» Answer :⏎\n\
             1     340    13\n\
             ␣<yes> «</s>»\n\
             77     2\n\
             ^^^^^^ ^^^^^^\n\
             5 tokens, 2 with loss\n\
             ^ carries loss; number: id; «…» special token; ␣ space, ⏎ line feed, ⇥ tab"
        );
    }

    #[test]
    fn a_narrow_terminal_has_more_lines_and_colors() {
        let narrow = painted(&list(), 12, Paint::Ansi);
        assert!(
            narrow.contains("\u{1b}[36m«<s>»\u{1b}[0m Answer\n1     340\n:⏎\n13\n"),
            "{narrow}"
        );
        assert!(narrow.contains("\u{1b}[32m␣<yes>\u{1b}[0m\n77\n^^^^^^\n"), "{narrow}");
    }

    #[test]
    fn html_escapes_texts_and_colors_what_carries_loss() {
        let page = html(&list()).into_string();
        assert!(page.contains("␣&lt;yes&gt;<br><small style=\"opacity:0.7\">77</small>"), "{page}");
        assert_eq!(page.matches("rgba(46,160,67,0.25)").count(), 2);
        assert_eq!(page.matches("1px dashed").count(), 2);
    }
}
