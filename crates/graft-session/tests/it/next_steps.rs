//! Every command in a message is valid, and following the hints succeeds.
//!
//! One test reads the string literals of all crates with messages: text in backticks that starts
//! with `%` must be a valid command, and every `%name` must be a magic. Another one types commands
//! into an empty session and follows the hints of the failures until each command succeeds. In
//! addition, [`TestSession::run`] checks the hint of every failure in all tests.

use std::path::{Path, PathBuf};

use graft_magic::{Part, PartKind, parse_cell};
use graft_protocol::{Reply, Snapshot};
use graft_spec::Failure;

use crate::test_session::TestSession;

/// Crates with messages for users.
const CRATES: [&str; 9] = [
    "crates/graft-magic",
    "crates/graft-protocol",
    "crates/graft-nn",
    "crates/graft-models",
    "crates/graft-peft",
    "crates/graft-train",
    "crates/graft-session",
    "crates/graft",
    "kernel",
];

/// Samples for a `{}`.
const SAMPLES: [&str; 9] = ["lora", "r", "1", "r=8", "load", "x.svg", "%seed", "time", ""];

/// The commands in backticks in a text.
pub(crate) fn commands(text: &str) -> impl Iterator<Item = &str> {
    text.split('`')
        .skip(1)
        .step_by(2)
        .filter(|quoted| quoted.len() > 1 && quoted.starts_with('%') && *quoted != "%%")
}

/// Whether the parser accepts a command, with samples for its placeholders.
pub(crate) fn is_understood(command: &str, snapshot: &Snapshot) -> bool {
    let named = command
        .replace("%%name", "%%time")
        .replace("%name", "%lora")
        .replace("%NAME", "%lora")
        .replace("%...", "%lora");
    filled(&named).iter().any(|line| {
        let line = if line.starts_with("%%") {
            format!("{line}\n{{\"text\": \"a\"}}")
        } else {
            line.clone()
        };
        // A message may name a magic without arguments.
        let is_name = line
            .trim_start_matches('%')
            .chars()
            .all(|next| next.is_ascii_alphanumeric() || next == '_');
        parse_cell(&line, snapshot).is_ok()
            || is_name && parse_cell(&format!("{line}?"), snapshot).is_ok()
    })
}

/// The line with every combination of samples for its placeholders.
fn filled(line: &str) -> Vec<String> {
    let Some(start) = line.find('{') else { return vec![line.to_owned()] };
    let Some(end) = line[start..].find('}').map(|end| start + end + 1) else {
        return vec![line.to_owned()];
    };
    SAMPLES
        .iter()
        .flat_map(|sample| filled(&format!("{}{sample}{}", &line[..start], &line[end..])))
        .collect()
}

#[test]
fn every_command_in_a_text_is_understood() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let (mut wrong, mut count) = (Vec::new(), 0);
    for file in CRATES.iter().flat_map(|name| sources(&root.join(name).join("src"))) {
        let text = std::fs::read_to_string(&file).unwrap();
        for literal in literals(text.split("#[cfg(test)]\nmod").next().unwrap()) {
            for command in commands(&literal) {
                count += 1;
                if !is_understood(command, &Snapshot::default()) {
                    wrong.push(format!("{}: `{command}`", file.display()));
                }
            }
            for name in magics(&literal).filter(|name| !matches!(*name, "name" | "s" | "d")) {
                if parse_cell(&format!("%{name}?"), &Snapshot::default()).is_err() {
                    wrong.push(format!("{}: unknown magic %{name}", file.display()));
                }
            }
        }
    }
    assert!(count > 100, "only {count} commands were found");
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}

/// The source files of a folder, without tests.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "tests" {
            files.extend(sources(&path));
        } else if name.ends_with(".rs") && name != "tests.rs" {
            files.push(path);
        }
    }
    files
}

/// The string literals of a source file, without comments.
fn literals(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = source;
    while let Some(place) = rest.find(['"', '/', '\'']) {
        let (before, at) = rest.split_at(place);
        rest = match at.as_bytes()[0] {
            b'/' if at.starts_with("//") => at.find('\n').map_or("", |end| &at[end..]),
            b'/' => &at[1..],
            // A character literal; a lifetime is only its quote.
            b'\'' if at[1..].starts_with('\\') => {
                at[2..].find('\'').map_or("", |end| &at[2 + end + 1..])
            }
            b'\'' if at.chars().nth(2) == Some('\'') => {
                &at[at.char_indices().nth(3).map_or(at.len(), |(place, _)| place)..]
            }
            b'\'' => &at[1..],
            _ => {
                let hashes = before.len() - before.trim_end_matches('#').len();
                let is_raw = before.trim_end_matches('#').ends_with('r');
                let (text, after) = if is_raw { raw(&at[1..], hashes) } else { quoted(&at[1..]) };
                found.push(text);
                after
            }
        };
    }
    found
}

fn raw(text: &str, hashes: usize) -> (String, &str) {
    let end = format!("\"{}", "#".repeat(hashes));
    let place = text.find(&end).unwrap_or(text.len());
    (text[..place].to_owned(), text.get(place + end.len()..).unwrap_or(""))
}

fn quoted(text: &str) -> (String, &str) {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((place, next)) = chars.next() {
        match next {
            '"' => return (out, &text[place + 1..]),
            '\\' => match chars.next().map(|(_, escaped)| escaped) {
                Some('n') => out.push('\n'),
                // A continued line: the indentation of the next one is not part of the literal.
                Some('\n') => {
                    let (more, rest) = quoted(chars.as_str().trim_start());
                    return (out + &more, rest);
                }
                Some(other) => out.push(other),
                None => {}
            },
            other => out.push(other),
        }
    }
    (out, "")
}

/// Names after a `%` at the start of a word.
fn magics(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices('%').filter_map(|(place, _)| {
        let before = text[..place].chars().next_back().unwrap_or(' ');
        let after = &text[place + 1..];
        let end = after
            .find(|next: char| !next.is_ascii_lowercase() && !next.is_ascii_digit() && next != '_')
            .unwrap_or(after.len());
        (end > 1
            && after.starts_with(|first: char| first.is_ascii_lowercase())
            && (before.is_whitespace() || "`(\"".contains(before)))
        .then(|| &after[..end])
    })
}

#[test]
fn the_scanner_finds_commands_in_literals() {
    let source =
        "// `%no`\nf(\"take `%lora atach` or \\\n   \\\"%x\\\"\", 'a', '\"', r#\"`%b` \"q\" \"#);";
    let found = literals(source);
    assert_eq!(found, ["take `%lora atach` or \"%x\"", "`%b` \"q\" "]);
    assert_eq!(commands(&found[0]).collect::<Vec<_>>(), ["%lora atach"]);
    assert!(
        !is_understood("%lora atach", &Snapshot::default())
            && is_understood("%{} attach r={}", &Snapshot::default())
    );
    assert_eq!(magics("see %train, 5 % of it or (%eval)").collect::<Vec<_>>(), ["train", "eval"]);
}

/// Executes a line. Commands of the host are only parsed.
fn typed(test: &TestSession, line: &str) -> Result<(), Failure> {
    let parts: Vec<Part> = parse_cell(line, &test.session.snapshot())?;
    for part in parts {
        if let PartKind::Session(command) = part.kind {
            let _: Reply = test.run(command)?;
        }
    }
    Ok(())
}

/// Commands without placeholders, with fewer steps than usual.
fn steps_of(hint: &str) -> Vec<String> {
    let has_gap = |command: &&str| {
        command
            .split([' ', '='])
            .any(|word| word.len() > 1 && word.chars().all(|next| next.is_ascii_uppercase()))
    };
    commands(hint)
        .filter(|command| !has_gap(command))
        .map(|command| {
            command.replace("steps=200", "steps=2 eval_every=0").replace(
                "bg=true",
                if command.starts_with("%ablate") {
                    "bg=true steps=2"
                } else {
                    "bg=true steps=2 eval_every=0"
                },
            )
        })
        .collect()
}

/// Executes a line and the commands of its hints until the line succeeds, and returns the commands
/// that were executed before it. Ends at a failure without an executable hint.
fn follow(test: &TestSession, line: &str, depth: usize) -> Result<Vec<String>, Failure> {
    let mut done: Vec<String> = Vec::new();
    for _ in 0..6 {
        let Err(failure) = typed(test, line) else { return Ok(done) };
        let hint =
            failure.hint.clone().unwrap_or_else(|| panic!("{line}: no hint after {failure}"));
        // A hint may name alternatives; the first is the next step.
        let Some(step) = steps_of(&hint).into_iter().find(|step| !done.contains(step)) else {
            return Err(failure);
        };
        assert!(depth < 5, "{line}: {done:?} does not lead to it");
        // The step may itself lack something and give a hint.
        let before = follow(test, &step, depth + 1).unwrap_or_else(|after| {
            panic!("{line}: `{step}`, the hint of `{failure}`, gave {after}")
        });
        if step.contains("bg=true") {
            let _ = typed(test, "%watch");
        }
        done.extend(before);
        done.push(step);
    }
    panic!("{line}: {done:?} does not lead to it")
}

#[test]
fn following_the_hints_of_an_empty_session_succeeds() {
    for (line, expected) in [
        (
            "%train steps=1 eval_every=0",
            &["%model load tiny", "%data load which-book", "%lora attach"][..],
        ),
        ("%generate \"a\" max_new_tokens=1", &["%model load tiny"]),
        ("%eval examples=1", &["%model load tiny", "%data load which-book"]),
        ("%params", &["%model load tiny"]),
        ("%model tree", &["%model load tiny"]),
        ("%data show", &["%data load which-book"]),
        ("%lora attach r=2", &["%model load tiny"]),
        ("%lora merge", &["%model load tiny", "%lora attach"]),
        ("%lora scale 0.5", &["%model load tiny", "%lora attach"]),
    ] {
        let test = TestSession::new();
        assert_eq!(follow(&test, line, 0).unwrap(), expected, "{line}");
    }
}

#[test]
fn each_step_that_a_hint_names_succeeds() {
    for line in [
        "%compare \"a\" max_new_tokens=1",
        "%weights",
        "%memory",
        "%resume",
        "%runs show",
        "%plot lora-009",
        "%watch",
        "%lora use poet",
        "%lora unmerge",
        "%lora combine a,b",
        "%data use x",
        "%stop",
        "%trial stop 1",
        "%forgetting",
    ] {
        // Some need a name that only the user knows.
        let _ = follow(&TestSession::new(), line, 0);
    }
}
