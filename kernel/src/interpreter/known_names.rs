//! Completion of Rust code without rust-analyzer, which needs seconds to start and may be switched
//! off: words of the cell, variables with their types, the prelude, and methods of Graft's handles.

use graft_jupyter::{CompletionItem, Completions};
use graft_prebuilt::{method_names, prelude_names};

use super::code_points;

/// Keywords that cells use, and common names of the standard library.
const WORDS: [&str; 34] = [
    "Box", "Err", "HashMap", "None", "Ok", "Option", "Result", "Some", "String", "Vec", "async",
    "await", "break", "const", "continue", "else", "enum", "false", "for", "format!", "impl",
    "loop", "match", "move", "mut", "println!", "return", "static", "struct", "trait", "true",
    "use", "vec!", "while",
];

/// Completes the word before a cursor, in code points. After a dot only methods of a known type are
/// offered, and nothing in a path.
pub(super) fn complete(code: &str, cursor: usize, variables: &[(String, String)]) -> Completions {
    let byte = code_points::to_byte(code, cursor);
    let before = code.get(..byte).unwrap_or_default();
    let typed = trailing_word(before);
    let start = code_points::from_byte(code, byte - typed.len());
    let before_word = before.strip_suffix(typed).unwrap_or_default();
    let found = match before_word.strip_suffix('.') {
        Some(receiver) => methods(receiver, variables),
        None if typed.is_empty() || before_word.ends_with("::") => Vec::new(),
        None => names(code, byte - typed.len(), variables),
    };
    let mut items: Vec<CompletionItem> = Vec::new();
    for item in found.into_iter().filter(|item| item.text.starts_with(typed)) {
        if !items.iter().any(|known| known.text == item.text) {
            items.push(item);
        }
    }
    Completions { start, end: cursor, items }
}

/// The methods of the value before a dot, if it is a variable or a call of `lab`.
fn methods(receiver: &str, variables: &[(String, String)]) -> Vec<CompletionItem> {
    let kind = match receiver.ends_with("lab()") {
        true => "Lab",
        false => {
            let name = trailing_word(receiver);
            let variable = variables.iter().find(|(variable, _)| variable == name);
            variable.map_or("", |(_, kind)| kind.rsplit("::").next().unwrap_or_default())
        }
    };
    let item =
        |text| CompletionItem { text, kind: "function".to_owned(), signature: String::new() };
    method_names(kind).into_iter().map(item).collect()
}

/// Everything that a word can be; `typed_at` is the byte of the word that is being typed.
fn names(code: &str, typed_at: usize, variables: &[(String, String)]) -> Vec<CompletionItem> {
    let item = |text: String, kind: &str, signature: &str| CompletionItem {
        text,
        kind: kind.to_owned(),
        signature: signature.to_owned(),
    };
    let of_session = variables.iter().map(|(name, kind)| item(name.clone(), "instance", kind));
    let of_cell = words(code)
        .filter(|(at, _)| *at != typed_at)
        .map(|(_, word)| item(word.to_owned(), "instance", ""));
    let of_prelude = prelude_names().into_iter().map(|name| {
        let kind = if name.starts_with(char::is_uppercase) { "class" } else { "function" };
        item(name, kind, "")
    });
    let known = WORDS.iter().map(|word| item((*word).to_owned(), "keyword", ""));
    of_session.chain(of_cell).chain(of_prelude).chain(known).collect()
}

/// The names in a text, each with its first byte; numbers are none.
fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let parts = code.split(|character: char| !is_part_of_word(character));
    let at = |word: &str| word.as_ptr() as usize - code.as_ptr() as usize;
    let is_name =
        |word: &&str| word.starts_with(|first: char| first.is_alphabetic() || first == '_');
    parts.filter(is_name).map(move |word| (at(word), word))
}

/// The name at the end of a text; empty if there is none.
fn trailing_word(text: &str) -> &str {
    let begin = text.rfind(|character: char| !is_part_of_word(character));
    let word = begin.map_or(text, |at| {
        let width = text.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8);
        text.get(at + width..).unwrap_or_default()
    });
    if word.starts_with(char::is_numeric) { "" } else { word }
}

fn is_part_of_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(code: &str, variables: &[(&str, &str)]) -> Vec<String> {
        let owned = |(name, kind): &(&str, &str)| ((*name).to_owned(), (*kind).to_owned());
        let variables: Vec<_> = variables.iter().map(owned).collect();
        let found = complete(code, code.chars().count(), &variables);
        found.items.into_iter().map(|item| item.text).collect()
    }

    #[test]
    fn variables_come_before_words_of_the_cell_and_the_prelude() {
        let found = texts("let Tension = 1;\nTen", &[("Tens", "i32")]);
        assert_eq!(found, ["Tens", "Tension", "Tensor"]);
        assert_eq!(texts("let 😀 = 1; le", &[("length", "usize")]), ["length", "let"]);
    }

    #[test]
    fn the_replaced_range_is_the_typed_word_in_code_points() {
        let code = "/* 😀 */ foo_bar; foo_";
        let found = complete(code, code.chars().count(), &[]);
        assert_eq!((found.start, found.end), (17, 21));
        assert_eq!(found.items[0].text, "foo_bar");
    }

    #[test]
    fn the_type_of_a_variable_is_shown() {
        let found = complete("wei", 3, &[("weights".to_owned(), "Vec<f32>".to_owned())]);
        assert_eq!(found.items[0].signature, "Vec<f32>");
    }

    #[test]
    fn after_a_dot_only_methods_of_a_known_type_are_offered() {
        assert_eq!(texts("lab().on_st", &[]), ["on_step"]);
        assert!(
            texts("m.trainable_par", &[("m", "graft::Model")])
                .contains(&"trainable_parameters".to_owned())
        );
        assert!(texts("let ends = 1; unknown.en", &[]).is_empty());
        assert!(texts("words.le", &[("words", "Vec<String>")]).is_empty());
    }

    #[test]
    fn nothing_is_offered_for_nothing_in_paths_and_for_numbers() {
        assert!(texts("let zeros = 1; Tensor::ze", &[]).is_empty());
        assert!(texts("", &[]).is_empty() && texts("let x = ", &[]).is_empty());
        assert!(texts("let x = 12", &[("x12", "i32")]).is_empty());
    }
}
