//! "Did you mean": the names closest to an unknown one.

/// Lowest similarity of a suggestion.
const THRESHOLD: f64 = 0.75;
/// Most suggestions for one name.
const MAX_SUGGESTIONS: usize = 3;

/// Returns at most three of `names` that resemble `word`, the most similar first. Case is ignored.
pub fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = word.to_lowercase();
    let mut scored: Vec<(f64, &str)> = names
        .into_iter()
        .map(|name| (similarity(&wanted, &name.to_lowercase()), name))
        .filter(|(score, _)| *score >= THRESHOLD)
        .collect();
    scored.sort_by(|left, right| right.0.total_cmp(&left.0));
    scored.dedup_by(|left, right| left.1 == right.1);
    scored.into_iter().take(MAX_SUGGESTIONS).map(|(_, name)| name).collect()
}

/// Similarity from 0 to 1. An abbreviation scores 0.95, so that `target` finds `target_modules`.
///
/// Jaro-Winkler favors a common prefix, which suits abbreviations and typing errors; the edit
/// distance keeps long names with the same letters in another order apart.
fn similarity(word: &str, name: &str) -> f64 {
    if word != name && word.chars().count() >= 2 && name.starts_with(word) {
        return 0.95;
    }
    strsim::jaro_winkler(word, name)
        .min(0.6 + 0.4 * strsim::normalized_damerau_levenshtein(word, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_finds_its_name() {
        assert_eq!(nearest("tme", ["time", "train", "status"]), ["time"]);
        assert_eq!(nearest("ranl", ["r", "rank", "lora_alpha"]), ["rank"]);
        assert_eq!(nearest("Defualt", ["default", "soft"]), ["default"]);
        assert_eq!(nearest("xyzzy", ["time", "train"]), [""; 0]);
    }

    #[test]
    fn a_prefix_finds_its_name_after_an_exact_match() {
        assert_eq!(nearest("target", ["target_modules", "r"]), ["target_modules"]);
        assert_eq!(nearest("lora", ["lora_alpha", "lora"]), ["lora", "lora_alpha"]);
    }

    #[test]
    fn at_most_three_names_are_suggested() {
        assert_eq!(nearest("run", ["run-1", "run-2", "run-3", "run-4"]).len(), 3);
    }
}
