//! Converts cursor positions: the protocol counts Unicode code points, Rust counts bytes.

/// The byte offset of a code point; the length of the text if there are fewer code points.
pub(crate) fn to_byte(text: &str, cursor: usize) -> usize {
    text.char_indices().nth(cursor).map_or(text.len(), |(byte, _)| byte)
}

/// The number of code points before `byte`.
pub(crate) fn from_byte(text: &str, byte: usize) -> usize {
    text.char_indices().take_while(|(at, _)| *at < byte).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emoji_and_combining_marks_count_by_code_point() {
        let text = "e\u{301}😀x";
        assert_eq!(to_byte(text, 2), 3);
        assert_eq!(to_byte(text, 3), 7);
        assert_eq!(to_byte(text, 99), text.len());
        assert_eq!(from_byte(text, 7), 3);
        assert_eq!(from_byte(text, text.len()), 4);
    }
}
