//! Makes text from data, models and files safe to show: control and invisible characters become
//! symbols.
//!
//! This crate passes everything through [`Visible`] before layout, so that no escape sequence,
//! bidirectional control or hidden character of a data set, a README or an error message reaches a
//! terminal or a page.

use std::borrow::Cow;
use std::fmt::Write as _;

use graft_protocol::{
    Block, Cell, Chart, CheckResult, Column, ConfusionMatrix, HeatMap, Series, ShownToken,
    SideText, Table, TokenList, TreeLine,
};
use graft_spec::Failure;

/// Replaces each control character in `text` by its symbol (`␛` for escape) and each invisible
/// character by its code (`\u{202e}`).
///
/// Line feeds and tabs are kept; a carriage return before a line feed is dropped. The joiners
/// U+200C and U+200D are kept between letters outside ASCII, because scripts and emoji need them.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|next| is_hidden(next) || is_joiner(next)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    let mut before = None;
    let mut rest = text.chars().peekable();
    while let Some(next) = rest.next() {
        let joins = is_joiner(next)
            && [before, rest.peek().copied()].into_iter().all(|near| near.is_some_and(is_joinable));
        match next {
            '\r' if rest.peek() == Some(&'\n') => {}
            _ if joins || !(is_hidden(next) || is_joiner(next)) => out.push(next),
            _ => push_symbol(&mut out, next),
        }
        before = Some(next);
    }
    Cow::Owned(out)
}

/// [`visible`] for lines that are already colored: it keeps the colors and weights that Graft uses
/// (`\x1b[1m`, `\x1b[31m`).
pub fn visible_painted(text: &str) -> Cow<'_, str> {
    if !text.contains('\u{1b}') {
        return visible(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    let mut rest = text;
    while let Some(at) = rest.find('\u{1b}') {
        let (before, sequence) = rest.split_at(at);
        out.push_str(&visible(before));
        let length = paint_length(sequence).unwrap_or(0);
        out.push_str(&sequence[..length]);
        if length == 0 {
            push_symbol(&mut out, '\u{1b}');
        }
        rest = &sequence[length.max(1)..];
    }
    out.push_str(&visible(rest));
    Cow::Owned(out)
}

/// Returns the length of the color sequence at the start of `text`: reset, bold, or one of the six
/// foreground colors, none of which can hide the text after it.
fn paint_length(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\u{1b}[")?;
    let end = parameters.find(|next: char| !(next.is_ascii_digit() || next == ';'))?;
    let allowed = |code: &str| matches!(code, "0" | "1" | "31" | "32" | "33" | "34" | "35" | "36");
    (parameters[end..].starts_with('m') && parameters[..end].split(';').all(allowed))
        .then_some(2 + end + 1)
}

/// Returns whether a character is a control character other than line feed and tab, or a format
/// character that has no width or reorders others.
fn is_hidden(next: char) -> bool {
    match next {
        '\n' | '\t' => false,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' => true,
        // Soft hyphen, joiner of graphemes, Arabic letter mark, Mongolian vowel separator, blank
        // Hangul letters.
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{3164}' | '\u{ffa0}' => true,
        // Zero-width space, directional marks, line and paragraph separators, embeddings,
        // overrides, isolates, invisible operators.
        '\u{200b}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' => true,
        // Byte order mark, annotations, invisible music signs, tags.
        '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e00ff}' => true,
        _ => false,
    }
}

fn is_joiner(next: char) -> bool {
    matches!(next, '\u{200c}' | '\u{200d}')
}

fn is_joinable(near: char) -> bool {
    !near.is_ascii() && !is_hidden(near) && !is_joiner(near)
}

fn push_symbol(out: &mut String, hidden: char) {
    match u32::from(hidden) {
        code @ 0..=0x1f => out.extend(char::from_u32(0x2400 + code)),
        0x7f => out.push('␡'),
        code => {
            let _ = write!(out, "\\u{{{code:x}}}");
        }
    }
}

/// A drawable value whose texts can all be made safe to show. Implementations destructure every
/// field, so that a new field does not compile until it is handled.
pub(crate) trait Visible: Clone {
    /// Replaces the hidden characters in every text.
    fn make_visible(&mut self);

    /// Returns a copy that is safe to show.
    fn shown(&self) -> Self {
        let mut copy = self.clone();
        copy.make_visible();
        copy
    }
}

impl Visible for String {
    fn make_visible(&mut self) {
        if let Cow::Owned(changed) = visible(self) {
            *self = changed;
        }
    }
}

impl<T: Visible> Visible for Vec<T> {
    fn make_visible(&mut self) {
        self.iter_mut().for_each(T::make_visible);
    }
}

impl<T: Visible> Visible for Option<T> {
    fn make_visible(&mut self) {
        self.iter_mut().for_each(T::make_visible);
    }
}

/// A piece of a text with its log-probability.
impl Visible for (String, f64) {
    fn make_visible(&mut self) {
        self.0.make_visible();
    }
}

impl Visible for Block {
    fn make_visible(&mut self) {
        match self {
            Self::Text(text) | Self::Note(_, text) => text.make_visible(),
            Self::Table(table) => table.make_visible(),
            Self::Chart(chart) => chart.make_visible(),
            Self::Heat(maps) => maps.make_visible(),
            Self::Generated { prompt, text, pieces } => {
                prompt.make_visible();
                text.make_visible();
                pieces.make_visible();
            }
            Self::SideBySide { prompt, columns } => {
                prompt.make_visible();
                columns.make_visible();
            }
            Self::Tree(lines) => lines.make_visible(),
            Self::Checks(results) => results.make_visible(),
            Self::Tokens(list) => list.make_visible(),
            Self::Confusion(matrix) => matrix.make_visible(),
        }
    }
}

impl Visible for CheckResult {
    fn make_visible(&mut self) {
        let Self { condition, passed: _, reason, next, points: _ } = self;
        one_line(condition);
        reason.make_visible();
        next.iter_mut().for_each(Visible::make_visible);
    }
}

impl Visible for SideText {
    fn make_visible(&mut self) {
        let Self { title, text, pieces, note } = self;
        [title, text, note].into_iter().for_each(Visible::make_visible);
        pieces.make_visible();
    }
}

impl Visible for TreeLine {
    fn make_visible(&mut self) {
        let Self { depth: _, name, note, strong: _ } = self;
        [name, note].into_iter().for_each(one_line);
    }
}

impl Visible for ConfusionMatrix {
    fn make_visible(&mut self) {
        let Self { title, names, counts: _, note } = self;
        [title, note].into_iter().for_each(Visible::make_visible);
        names.make_visible();
    }
}

impl Visible for TokenList {
    fn make_visible(&mut self) {
        let Self { title, tokens, note } = self;
        [title, note].into_iter().for_each(Visible::make_visible);
        tokens.make_visible();
    }
}

impl Visible for ShownToken {
    fn make_visible(&mut self) {
        let Self { id: _, text, has_loss: _, is_special: _ } = self;
        text.make_visible();
    }
}

impl Visible for Table {
    fn make_visible(&mut self) {
        let Self { title, columns, rows, footer } = self;
        title.make_visible();
        columns.make_visible();
        rows.make_visible();
        footer.make_visible();
    }
}

impl Visible for Column {
    fn make_visible(&mut self) {
        let Self { name, align: _ } = self;
        one_line(name);
    }
}

impl Visible for Cell {
    fn make_visible(&mut self) {
        match self {
            Self::Text(text) | Self::Code(text) | Self::Strong(text) => text.make_visible(),
            Self::Empty
            | Self::Integer(_)
            | Self::Float(..)
            | Self::Percent(..)
            | Self::Bytes(_) => {}
        }
    }
}

impl Visible for Chart {
    fn make_visible(&mut self) {
        let Self { title, x_label, y_label, x_max: _, log_y: _, log_x: _, series, caption } = self;
        [title, x_label, y_label].into_iter().for_each(one_line);
        series.make_visible();
        caption.make_visible();
    }
}

impl Visible for Series {
    fn make_visible(&mut self) {
        let Self { name, style: _, points: _, labels } = self;
        one_line(name);
        labels.iter_mut().for_each(one_line);
    }
}

impl Visible for HeatMap {
    fn make_visible(&mut self) {
        let Self { title, row_label, column_label, rows: _, columns: _, values: _ } = self;
        [title, row_label, column_label].into_iter().for_each(one_line);
    }
}

impl Visible for Failure {
    fn make_visible(&mut self) {
        let Self { code, message, hint, site, causes, span: _ } = self;
        [code, message].into_iter().for_each(Visible::make_visible);
        [hint, site].into_iter().for_each(Visible::make_visible);
        causes.make_visible();
    }
}

/// Replaces line breaks and tabs of a one-line text by spaces.
pub(crate) fn one_line(text: &mut String) {
    text.make_visible();
    if text.contains(['\n', '\t']) {
        *text = text.replace(['\n', '\t'], " ");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_become_symbols_and_invisible_ones_codes() {
        assert_eq!(visible("a\u{1b}]52;c;eHg=\u{7}b\0\u{7f}"), "a␛]52;c;eHg=␇b␀␡");
        assert_eq!(
            visible("\u{9b}31m \u{202e}abc\u{2066} \u{200e}\u{feff}\u{ad}"),
            "\\u{9b}31m \\u{202e}abc\\u{2066} \\u{200e}\\u{feff}\\u{ad}"
        );
        assert_eq!(visible("one\r\ntwo\rthree\tfour\u{2028}"), "one\ntwo␍three\tfour\\u{2028}");
    }

    #[test]
    fn ordinary_text_is_not_copied_and_joiners_of_scripts_are_kept() {
        assert!(matches!(visible("Grüße, 日本 — 😀\n\tx"), Cow::Borrowed(_)));
        for kept in ["👨\u{200d}👩\u{200d}👧", "می\u{200c}خواهم"] {
            assert_eq!(visible(kept), kept);
        }
        assert_eq!(visible("la\u{200d}bel \u{200c}x"), "la\\u{200d}bel \\u{200c}x");
    }

    #[test]
    fn a_painted_line_keeps_only_its_colors() {
        assert_eq!(visible_painted("\u{1b}[1;31mE\u{1b}[0m: v"), "\u{1b}[1;31mE\u{1b}[0m: v");
        assert_eq!(visible_painted("\u{1b}[2J\u{1b}[8mx\u{1b}[0m\u{1b}"), "␛[2J␛[8mx\u{1b}[0m␛");
        assert_eq!(visible_painted("\u{1b}[m\u{1b}[31;40m"), "␛[m␛[31;40m");
    }
}
