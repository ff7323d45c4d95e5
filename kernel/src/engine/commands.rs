//! evcxr's `:commands` that mean something else here, or would break the session.

use super::RustError;
use super::errors::plain;

const SECOND_WRAPPER: &str = "the session's own compiler wrapper already reuses what is compiled; another cannot stand beside it";

/// One line of a cell that begins with `:`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ColonCommand<'a> {
    /// With the colon.
    pub(super) name: &'a str,
    /// The rest of the line.
    pub(super) argument: &'a str,
}

/// The commands of a cell, as evcxr finds them: lines that begin with a colon and a letter.
pub(super) fn of(code: &str) -> impl Iterator<Item = ColonCommand<'_>> {
    code.lines().filter_map(|line| {
        let line = line.trim();
        if !line.starts_with(':') || !line.get(1..2).is_some_and(|letter| letter.starts_with(|first: char| first.is_ascii_alphabetic())) {
            return None;
        }
        let (name, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        Some(ColonCommand { name, argument: argument.trim() })
    })
}

/// Why a command cannot be run, if it cannot.
pub(super) fn refusal(command: &ColonCommand<'_>) -> Option<RustError> {
    let key = command.argument.split(['=', ' ']).next().unwrap_or_default();
    let reason = match (command.name, key) {
        (":quit", _) => "it would end the kernel under the notebook; use the kernel menu",
        (":toolchain", "") => return None,
        (":toolchain", _) => {
            "the library that cells use was built by one compiler, and cells of another cannot be loaded beside it; \
             set the compiler with `rustup default` or RUSTUP_TOOLCHAIN, run `graft install`, and restart the kernel"
        }
        (":allow_static_linking", "0") => "the library that cells use is linked dynamically already; other crates must be linked into their cell",
        (":fmt", _) if !matches!(command.argument, "" | "{:?}" | "{:#?}" | "{:x?}" | "{:X?}" | "{:#x?}") => {
            "the library that cells use writes their values; it knows `{:?}`, `{:#?}`, `{:x?}`, `{:X?}` and `{:#x?}`"
        }
        (":sccache", "1") => SECOND_WRAPPER,
        (":cache", size) if !matches!(size, "" | "0") => SECOND_WRAPPER,
        (":build_env", "RUSTC" | "RUSTC_WRAPPER" | "RUSTC_WORKSPACE_WRAPPER" | "CARGO_ENCODED_RUSTFLAGS") => {
            "the session's compiler wrapper turns cells to the library that the child runs; without it they could not be loaded"
        }
        (":dep", "graft") => "the crate `graft` is there already, with the session in it; a second one would know nothing of it",
        _ => return None,
    };
    Some(plain("UsageError", format!("{} {}is not possible here: {reason}", command.name, if key.is_empty() { String::new() } else { format!("{key} ") })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(code: &str) -> Vec<&str> {
        of(code).map(|command| command.name).collect()
    }

    #[test]
    fn commands_are_lines_that_begin_with_a_colon_and_a_letter() {
        assert_eq!(names(":dep rand = \"0.9\"\nlet x = 1;\n  :vars\n::std::process::exit(0)"), [":dep", ":vars"]);
        assert_eq!(of(":env A=b c").next(), Some(ColonCommand { name: ":env", argument: "A=b c" }));
    }

    #[test]
    fn what_would_break_the_session_is_refused_with_a_reason() {
        for line in [
            ":quit",
            ":toolchain nightly",
            ":allow_static_linking 0",
            ":sccache 1",
            ":cache 500",
            ":build_env RUSTC_WRAPPER=x",
            ":fmt {}",
            ":dep graft = \"1\"",
        ] {
            let command = of(line).next().unwrap();
            assert!(refusal(&command).is_some(), "{line}");
        }
        for line in [":fmt {:#?}", ":fmt", ":dep graft-utils = \"1\"", ":linker lld", ":toolchain", ":cache 0", ":build_env A=b", ":clear"] {
            let command = of(line).next().unwrap();
            assert!(refusal(&command).is_none(), "{line}");
        }
    }
}
