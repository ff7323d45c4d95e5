//! The Porter stemmer of NLTK, in its default mode with NLTK's extensions.

/// Forms that the rules would not conflate, with their stems.
const IRREGULAR: [(&str, &str); 16] = [
    ("sky", "sky"),
    ("skies", "sky"),
    ("dying", "die"),
    ("lying", "lie"),
    ("tying", "tie"),
    ("news", "news"),
    ("innings", "inning"),
    ("inning", "inning"),
    ("outings", "outing"),
    ("outing", "outing"),
    ("cannings", "canning"),
    ("canning", "canning"),
    ("howe", "howe"),
    ("proceed", "proceed"),
    ("exceed", "exceed"),
    ("succeed", "succeed"),
];

/// Suffixes of step 2 and their replacements, if the rest has a positive measure.
const STEP_2: [(&str, &str); 21] = [
    ("ational", "ate"),
    ("tional", "tion"),
    ("enci", "ence"),
    ("anci", "ance"),
    ("izer", "ize"),
    ("bli", "ble"),
    ("alli", "al"),
    ("entli", "ent"),
    ("eli", "e"),
    ("ousli", "ous"),
    ("ization", "ize"),
    ("ation", "ate"),
    ("ator", "ate"),
    ("alism", "al"),
    ("iveness", "ive"),
    ("fulness", "ful"),
    ("ousness", "ous"),
    ("aliti", "al"),
    ("iviti", "ive"),
    ("biliti", "ble"),
    ("fulli", "ful"),
];

/// Suffixes of step 3 and their replacements, if the rest has a positive measure.
const STEP_3: [(&str, &str); 7] = [
    ("icate", "ic"),
    ("ative", ""),
    ("alize", "al"),
    ("iciti", "ic"),
    ("ical", "ic"),
    ("ful", ""),
    ("ness", ""),
];

/// Suffixes of step 4, which are removed if the rest has a measure above 1.
const STEP_4: [&str; 19] = [
    "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou",
    "ism", "ate", "iti", "ous", "ive", "ize",
];

/// The stem of a word in lower case.
///
/// # Source
/// Porter 1980, Program 14(3); NLTK's `PorterStemmer` with `NLTK_EXTENSIONS`; golden `metrics`
pub fn stem(word: &str) -> String {
    if let Some((_, stem)) = IRREGULAR.iter().find(|(form, _)| *form == word) {
        return (*stem).to_owned();
    }
    // The rules concern letters; `rouge_score` removes all others before.
    if word.len() <= 2 || !word.is_ascii() {
        return word.to_owned();
    }
    let steps = [step_1a, step_1b, step_1c, step_2, step_3, step_4, step_5a, step_5b];
    steps.into_iter().fold(word.to_owned(), |word, step| step(word))
}

fn step_1a(word: String) -> String {
    if word.len() == 4 && word.ends_with("ies") {
        return replaced(&word, 3, "ie");
    }
    for (suffix, by) in [("sses", "ss"), ("ies", "i"), ("ss", "ss"), ("s", "")] {
        if word.ends_with(suffix) {
            return replaced(&word, suffix.len(), by);
        }
    }
    word
}

fn step_1b(word: String) -> String {
    if word.ends_with("ied") {
        return replaced(&word, 3, if word.len() == 4 { "ie" } else { "i" });
    }
    if let Some(rest) = word.strip_suffix("eed") {
        return if measure(rest) > 0 { format!("{rest}ee") } else { word };
    }
    let rest = ["ed", "ing"]
        .iter()
        .find_map(|suffix| word.strip_suffix(suffix).filter(|rest| has_vowel(rest)));
    let Some(rest) = rest else { return word };
    if ["at", "bl", "iz"].iter().any(|end| rest.ends_with(end)) {
        return format!("{rest}e");
    }
    if ends_with_double_consonant(rest) {
        let cut = if rest.ends_with(['l', 's', 'z']) { 0 } else { 1 };
        return replaced(rest, cut, "");
    }
    if measure(rest) == 1 && ends_cvc(rest) { format!("{rest}e") } else { rest.to_owned() }
}

fn step_1c(word: String) -> String {
    match word.strip_suffix('y') {
        Some(rest) if rest.len() > 1 && ends_with_consonant(rest) => format!("{rest}i"),
        _ => word,
    }
}

fn step_2(word: String) -> String {
    if let Some(rest) = word.strip_suffix("alli").filter(|rest| measure(rest) > 0) {
        return step_2(format!("{rest}al"));
    }
    for (suffix, by) in STEP_2 {
        if let Some(rest) = word.strip_suffix(suffix) {
            return if measure(rest) > 0 { format!("{rest}{by}") } else { word };
        }
    }
    // NLTK measures the word with the l of `logi`.
    match word.strip_suffix("ogi") {
        Some(rest) if rest.ends_with('l') && measure(rest) > 0 => format!("{rest}og"),
        _ => word,
    }
}

fn step_3(word: String) -> String {
    for (suffix, by) in STEP_3 {
        if let Some(rest) = word.strip_suffix(suffix) {
            return if measure(rest) > 0 { format!("{rest}{by}") } else { word };
        }
    }
    word
}

fn step_4(word: String) -> String {
    for suffix in STEP_4 {
        if let Some(rest) = word.strip_suffix(suffix) {
            let is_removed = measure(rest) > 1 && (suffix != "ion" || rest.ends_with(['s', 't']));
            return if is_removed { rest.to_owned() } else { word };
        }
    }
    word
}

fn step_5a(word: String) -> String {
    match word.strip_suffix('e') {
        Some(rest) if measure(rest) > 1 || (measure(rest) == 1 && !ends_cvc(rest)) => {
            rest.to_owned()
        }
        _ => word,
    }
}

fn step_5b(word: String) -> String {
    if word.ends_with("ll") && measure(&word[..word.len() - 1]) > 1 {
        return replaced(&word, 1, "");
    }
    word
}

/// The word with `by` in place of its last `length` bytes.
fn replaced(word: &str, length: usize, by: &str) -> String {
    format!("{}{by}", &word[..word.len() - length])
}

/// Whether each letter is a consonant. A `y` is one at the start and after a vowel.
fn consonants(word: &str) -> Vec<bool> {
    let mut flags: Vec<bool> = Vec::with_capacity(word.len());
    for letter in word.bytes() {
        flags.push(match letter {
            b'a' | b'e' | b'i' | b'o' | b'u' => false,
            b'y' => flags.last().is_none_or(|before| !before),
            _ => true,
        });
    }
    flags
}

/// The number of consonants that follow a vowel.
fn measure(word: &str) -> usize {
    consonants(word).windows(2).filter(|pair| !pair[0] && pair[1]).count()
}

fn has_vowel(word: &str) -> bool {
    consonants(word).contains(&false)
}

fn ends_with_consonant(word: &str) -> bool {
    consonants(word).last() == Some(&true)
}

fn ends_with_double_consonant(word: &str) -> bool {
    let mut letters = word.bytes().rev();
    letters.next() == letters.next() && word.len() > 1 && ends_with_consonant(word)
}

/// Whether the word ends with consonant, vowel, consonant, the last one not `w`, `x` or `y`; or
/// consists of a vowel and a consonant.
fn ends_cvc(word: &str) -> bool {
    match consonants(word).as_slice() {
        [false, true] => true,
        [.., true, false, true] => !word.ends_with(['w', 'x', 'y']),
        _ => false,
    }
}
