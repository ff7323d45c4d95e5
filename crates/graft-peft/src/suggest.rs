//! Suggestions for misspelled names.

/// The candidate that is closest in spelling, if its similarity is at least `least`. Of equally
/// close candidates the first is taken.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl DoubleEndedIterator<Item = &'a str>,
    least: f64,
) -> Option<&'a str> {
    let word = word.to_lowercase();
    let similarity =
        |candidate: &str| strsim::normalized_damerau_levenshtein(&word, &candidate.to_lowercase());
    candidates
        .rev()
        .map(|candidate| (similarity(candidate), candidate))
        .filter(|(similarity, _)| *similarity >= least)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// The start of a hint: "did you mean `name`? ", or nothing.
pub(crate) fn question(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("did you mean `{name}`? ")).unwrap_or_default()
}
