//! Text in a grid of terminal cells: width, cutting, padding, wrapping.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Returns the number of columns that `text` occupies.
pub(crate) fn of(text: &str) -> usize {
    text.width()
}

/// Pads `text` to `width` columns with spaces, on its right or (for numbers) on its left.
pub(crate) fn pad(text: &str, width: usize, right: bool) -> String {
    let blanks = " ".repeat(width.saturating_sub(of(text)));
    if right { format!("{blanks}{text}") } else { format!("{text}{blanks}") }
}

/// Shortens `text` to at most `width` columns, with an ellipsis if it was cut.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if of(text) <= width {
        return text.to_owned();
    }
    let mut used = 1;
    let kept = text.chars().take_while(|next| {
        used += next.width().unwrap_or(0);
        used <= width
    });
    format!("{}…", kept.collect::<String>().trim_end())
}

/// Wraps `text` into lines of at most `width` columns, at spaces if possible. Existing line breaks
/// are kept.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    text.split('\n').flat_map(|line| wrap_line(line, width)).collect()
}

fn wrap_line(line: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut current = String::new();
    for word in line.split_inclusive(' ') {
        if of(&current) + of(word.trim_end()) > width && !current.is_empty() {
            lines.push(std::mem::take(&mut current).trim_end().to_owned());
        }
        for letter in word.chars() {
            if of(&current) + letter.width().unwrap_or(0) > width && letter != ' ' {
                lines.push(std::mem::take(&mut current));
            }
            current.push(letter);
        }
    }
    lines.push(current.trim_end().to_owned());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_occupy_two_columns() {
        assert_eq!(of("日本"), 4);
        assert_eq!(pad("日", 4, false), "日  ");
        assert_eq!(cut("日本語", 5), "日本…");
    }

    #[test]
    fn long_words_are_broken_and_line_breaks_kept() {
        assert_eq!(wrap("a bc def\n\nlongword", 4), ["a bc", "def", "", "long", "word"]);
    }
}
