//! evcxr's `:commands`: which ones are refused because they would break the session, and `:dep`
//! lines for crates that cells have already.

use std::borrow::Cow;

use crate::errors::plain;
use crate::rust_error::RustError;

const SECOND_WRAPPER: &str = "the session's compiler wrapper already reuses compiled crates and cannot be combined with another one";

/// A `:command` line of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ColonCommand<'a> {
    /// The name with the colon.
    pub(crate) name: &'a str,
    /// The rest of the line.
    pub(crate) argument: &'a str,
}

/// The commands of a cell: as in evcxr, lines that begin with a colon and a letter.
pub(crate) fn of(code: &str) -> impl Iterator<Item = ColonCommand<'_>> {
    code.lines().filter_map(|line| {
        let line = line.trim();
        if !line.starts_with(':')
            || !line
                .get(1..2)
                .is_some_and(|letter| letter.starts_with(|first: char| first.is_ascii_alphabetic()))
        {
            return None;
        }
        let (name, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        Some(ColonCommand { name, argument: argument.trim() })
    })
}

/// The error if a command is refused.
pub(crate) fn refusal(command: &ColonCommand<'_>) -> Option<RustError> {
    let key = command.argument.split(['=', ' ']).next().unwrap_or_default();
    let reason = match (command.name, key) {
        (":quit", _) => "it would end the kernel; use the kernel menu",
        (":toolchain", "") => return None,
        (":toolchain", _) => {
            "cells must be compiled by the compiler that built the library they use; \
             set the compiler with `rustup default` or RUSTUP_TOOLCHAIN, run `graft install`, and restart the kernel"
        }
        (":allow_static_linking", "0") => {
            "the library that cells use is always linked dynamically; other crates are linked into their cell"
        }
        (":fmt", _)
            if !matches!(
                command.argument,
                "" | "{:?}" | "{:#?}" | "{:x?}" | "{:X?}" | "{:#x?}"
            ) =>
        {
            "the supported formats are `{:?}`, `{:#?}`, `{:x?}`, `{:X?}` and `{:#x?}`"
        }
        (":sccache", "1") => SECOND_WRAPPER,
        (":cache", size) if !matches!(size, "" | "0") => SECOND_WRAPPER,
        (
            ":build_env",
            "RUSTC" | "RUSTC_WRAPPER" | "RUSTC_WORKSPACE_WRAPPER" | "CARGO_ENCODED_RUSTFLAGS",
        ) => {
            "the session's compiler wrapper links cells with the library of the child; without it they could not be loaded"
        }
        (":dep", "graft") => {
            "the crate `graft` is available already and contains the session; a second copy would have no access to it"
        }
        (":dep", "candle-core" | "candle_core" | "candle-nn" | "candle_nn") => {
            return second_candle(command.argument);
        }
        _ => return None,
    };
    Some(unsupported(command.name, key, reason))
}

/// The error for a command, or a key of it, that does not work here.
fn unsupported(name: &str, key: &str, reason: &str) -> RustError {
    plain(
        "UsageError",
        format!(
            "{} {}is not supported: {reason}",
            name,
            if key.is_empty() { String::new() } else { format!("{key} ") }
        ),
    )
}

/// Crates that cells have already. The copies in the facade have the default features.
const PRESENT: [&str; 3] = ["candle-core", "candle-nn", "serde_json"];

/// A `:dep` of one of [`PRESENT`].
struct Dependency {
    package: &'static str,
    /// The version in the facade.
    ours: String,
    /// Whether the facade's version satisfies the request.
    is_ours: bool,
}

impl Dependency {
    fn read(argument: &str) -> Option<Self> {
        let (name, setting) = argument
            .split_once('=')
            .map_or((argument, "*"), |(name, setting)| (name.trim(), setting.trim()));
        let package = PRESENT
            .into_iter()
            .find(|package| package.replace('-', "_") == name.replace('-', "_"))?;
        let ours = graft_prebuilt::shared_version(package)?;
        let version = setting.strip_prefix('{').map_or(setting, |table| {
            // Any key but `version` requests other code or other features.
            let plain = table.trim_end_matches('}').split(',').all(|entry| {
                entry.split('=').next().is_some_and(|key| matches!(key.trim(), "version" | ""))
            });
            if plain {
                table.split_once('=').map_or("*", |(_, version)| version)
            } else {
                "another"
            }
        });
        let wanted =
            version.trim_matches(['"', '\'', ' ', '}']).trim_start_matches(['=', '^', '~', ' ']);
        let begins = |text: &str, start: &str| {
            text.strip_prefix(start).is_some_and(|rest| rest.starts_with('.'))
        };
        let is_ours = wanted == "*"
            || ours == wanted
            || begins(&ours, wanted) && wanted.contains('.')
            || !ours.contains('.') && begins(wanted, &ours);
        Some(Self { package, ours, is_ours })
    }
}

/// The error if a `:dep` requests another candle than the facade's. The tensors of a second copy
/// would have different types.
fn second_candle(argument: &str) -> Option<RustError> {
    let Dependency { package, ours, is_ours } = Dependency::read(argument)?;
    let text = format!(
        ":dep {package} is not supported: cells already have {package} {ours}, and the tensors of a second copy would have different \
         types\nhint: remove the `:dep`; `use candle_core::Tensor;` and `use candle_nn::Linear;` work without it"
    );
    (!is_ours).then(|| plain("UsageError", text))
}

/// Removes the `:dep` lines of crates that cells have already, without moving other lines; a second
/// copy would take minutes to compile and have different types. The second value is the answer if
/// nothing else is left.
pub(crate) fn without_present(code: &str) -> (Cow<'_, str>, Option<String>) {
    let present: Vec<(&str, Dependency)> = code
        .lines()
        .filter_map(|line| {
            let command = of(line).next().filter(|command| command.name == ":dep")?;
            Some((line, Dependency::read(command.argument).filter(|asked| asked.is_ours)?))
        })
        .collect();
    if present.is_empty() {
        return (Cow::Borrowed(code), None);
    }
    let rest: Vec<&str> = code
        .lines()
        .map(|line| if present.iter().any(|(dep, _)| *dep == line) { "" } else { line })
        .collect();
    let rest = rest.join("\n");
    let answers: Vec<String> = present
        .iter()
        .map(|(_, dep)| {
            format!(
                "{} {} is available already; `use {}` works without `:dep`",
                dep.package,
                dep.ours,
                dep.package.replace('-', "_")
            )
        })
        .collect();
    let answer = rest.trim().is_empty().then(|| answers.join("\n") + "\n");
    (Cow::Owned(rest), answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_candle_is_refused_and_the_same_version_is_accepted() {
        let ours = graft_prebuilt::shared_version("candle-core").unwrap();
        let minor = ours.rsplit_once('.').unwrap().0.to_owned();
        for argument in [
            "candle-core = \"0.8\"".to_owned(),
            "candle_nn = \"0.9.1\"".to_owned(),
            format!("candle-core = {{ version = \"{minor}\", features = [\"mkl\"] }}"),
            "candle-core = { git = \"https://x\" }".to_owned(),
        ] {
            let refused = refusal(&ColonCommand { name: ":dep", argument: &argument })
                .unwrap_or_else(|| panic!("{argument}"));
            assert!(
                refused.evalue.contains(&ours)
                    && refused.traceback.join("\n").contains("candle_core"),
                "{refused:?}"
            );
        }
        for argument in [
            "candle-core".to_owned(),
            format!("candle-core = \"{minor}\""),
            format!("candle-nn = \"={ours}\""),
            format!("candle-core = {{ version = \"{ours}\" }}"),
        ] {
            assert_eq!(
                refusal(&ColonCommand { name: ":dep", argument: &argument }),
                None,
                "{argument}"
            );
        }
    }

    #[test]
    fn a_crate_of_the_facade_is_not_compiled_again() {
        let (rest, answer) =
            without_present("\n:dep serde_json = \"1.0\"\n:dep rand = \"0.9\"\nlet x = 1;");
        assert_eq!((rest.as_ref(), answer), ("\n\n:dep rand = \"0.9\"\nlet x = 1;", None));
        let (rest, answer) = without_present(":dep candle-core = \"*\"");
        assert_eq!(rest.trim(), "");
        assert!(answer.unwrap().starts_with("candle-core 0."));
        for code in [
            ":dep serde_json = { version = \"1\", features = [\"preserve_order\"] }",
            ":dep serde = \"1\"",
            "let x = 1;",
        ] {
            assert_eq!(without_present(code), (Cow::Borrowed(code), None));
        }
    }

    fn names(code: &str) -> Vec<&str> {
        of(code).map(|command| command.name).collect()
    }

    #[test]
    fn commands_are_lines_that_begin_with_a_colon_and_a_letter() {
        assert_eq!(
            names(":dep rand = \"0.9\"\nlet x = 1;\n  :vars\n::std::process::exit(0)"),
            [":dep", ":vars"]
        );
        assert_eq!(of(":env A=b c").next(), Some(ColonCommand { name: ":env", argument: "A=b c" }));
    }

    #[test]
    fn commands_that_would_break_the_session_are_refused_with_a_reason() {
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
        for line in [
            ":fmt {:#?}",
            ":fmt",
            ":dep graft-utils = \"1\"",
            ":linker lld",
            ":toolchain",
            ":cache 0",
            ":build_env A=b",
            ":clear",
        ] {
            let command = of(line).next().unwrap();
            assert!(refusal(&command).is_none(), "{line}");
        }
    }
}
