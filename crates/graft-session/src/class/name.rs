//! Names of students and exercises. The name of a student is also the name of a file.

use crate::SessionError;

/// Most characters of a name.
const MAX_CHARACTERS: usize = 64;
/// Most bytes of a name: with its extension it must be a valid file name.
const MAX_BYTES: usize = 200;

/// Checks the name of a student.
///
/// # Errors
/// [`SessionError::ClassName`].
pub(crate) fn check_name(name: &str) -> Result<(), SessionError> {
    checked("name", name)
}

/// Checks the name of an exercise.
///
/// # Errors
/// [`SessionError::ClassName`].
pub(crate) fn check_exercise(name: &str) -> Result<(), SessionError> {
    checked("exercise", name)
}

fn checked(what: &'static str, name: &str) -> Result<(), SessionError> {
    match problem(name) {
        None => Ok(()),
        Some(problem) => {
            Err(SessionError::ClassName { what, name: name.chars().take(80).collect(), problem })
        }
    }
}

/// Returns what is wrong with a name.
fn problem(name: &str) -> Option<&'static str> {
    let wrong = name.chars().find(|next| !is_allowed(*next));
    if name.is_empty() {
        Some("it is empty")
    } else if name.chars().count() > MAX_CHARACTERS || name.len() > MAX_BYTES {
        Some("it is longer than 64 characters")
    } else if matches!(wrong, Some('/' | '\\')) {
        Some("it contains a path separator")
    } else if wrong.is_some_and(|next| next.is_ascii_punctuation()) {
        Some("of punctuation it may contain only . - _ ' @ + and commas")
    } else if wrong.is_some() {
        Some("it contains a control or invisible character")
    } else if name.starts_with(['.', '-', ' ']) || name.ends_with(' ') {
        Some("it begins with a dot, a dash or a space, or ends with a space")
    } else {
        None
    }
}

fn is_allowed(next: char) -> bool {
    if next.is_ascii() {
        return next.is_ascii_alphanumeric() || " .-_'@+,".contains(next);
    }
    let is_invisible = matches!(next,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{e000}'..='\u{f8ff}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{fff0}'..='\u{ffff}' | '\u{e0000}'..);
    !next.is_control() && !next.is_whitespace() && !is_invisible
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_people_are_allowed_and_paths_are_not() {
        for name in ["ada", "Ada Lovelace", "Zoë O'Brien", "李雷", "अर्जुन", "a.b-c_d", "x@y.org"]
        {
            assert_eq!(problem(name), None, "{name}");
        }
        let long = "a".repeat(65);
        for name in [
            "",
            ".",
            "..",
            "../ada",
            "a/b",
            "a\\b",
            ".hidden",
            "-rf",
            " ada",
            "ada ",
            "a\nb",
            "a\0b",
            "a\u{202e}b",
            "a\u{200b}",
            "<b>",
            "a*",
            "$HOME",
            "`id`",
            &long,
        ] {
            assert!(problem(name).is_some(), "{name:?}");
        }
    }
}
