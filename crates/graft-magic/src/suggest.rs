//! "Did you mean": the names nearest to an unknown one.

/// Returns at most three of `names` that resemble `word`, best first.
pub(crate) fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = word.to_ascii_lowercase();
    let mut scored: Vec<(f64, &str)> = names
        .into_iter()
        .map(|name| (likeness(&wanted, &name.to_ascii_lowercase()), name))
        .filter(|(score, _)| *score >= 0.75)
        .collect();
    scored.sort_by(|left, right| right.0.total_cmp(&left.0));
    scored.dedup_by(|left, right| left.1 == right.1);
    scored.into_iter().take(3).map(|(_, name)| name).collect()
}

/// Formats `did you mean `a` or `b`?`, with `sign` before each name, or returns `otherwise` if no
/// name is near.
pub(crate) fn did_you_mean<'a>(
    word: &str,
    names: impl IntoIterator<Item = &'a str>,
    sign: &str,
    otherwise: impl FnOnce() -> String,
) -> String {
    let near: Vec<_> =
        nearest(word, names).into_iter().map(|name| format!("`{sign}{name}`")).collect();
    match near.split_last() {
        None => otherwise(),
        Some((only, [])) => format!("did you mean {only}?"),
        Some((last, rest)) => format!("did you mean {} or {last}?", rest.join(", ")),
    }
}

/// Rates the similarity of two names; 1 is equal. A prefix counts as near, so that `target` finds
/// `target_modules`.
fn likeness(word: &str, name: &str) -> f64 {
    if word.len() >= 2 && name.starts_with(word) {
        return 0.95;
    }
    strsim::jaro_winkler(word, name)
        .min(0.6 + 0.4 * strsim::normalized_damerau_levenshtein(word, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_its_name() {
        assert_eq!(nearest("tme", ["time", "train", "status"]), ["time"]);
        assert_eq!(nearest("ranl", ["r", "rank", "lora_alpha"]), ["rank"]);
        assert_eq!(nearest("target", ["target_modules", "r"]), ["target_modules"]);
    }

    #[test]
    fn nothing_near_gives_the_other_hint() {
        assert_eq!(
            did_you_mean("xyzzy", ["time", "train"], "%", || "see %lsmagic".to_owned()),
            "see %lsmagic"
        );
        assert_eq!(
            did_you_mean("trian", ["time", "train"], "%", String::new),
            "did you mean `%train`?"
        );
    }
}
