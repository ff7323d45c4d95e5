//! Hints for unknown names.

pub(crate) use graft_spec::suggest::nearest;

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

#[cfg(test)]
mod tests {
    use super::*;

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
