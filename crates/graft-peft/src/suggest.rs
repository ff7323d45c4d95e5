//! Suggestions for misspelled names.

/// The candidate that is closest in spelling, if one is similar.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    graft_spec::suggest::nearest(word, candidates).first().copied()
}

/// The start of a hint: "did you mean `name`? ", or nothing.
pub(crate) fn question(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("did you mean `{name}`? ")).unwrap_or_default()
}
