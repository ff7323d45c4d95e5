//! For arbitrary input, parser, completion, inspection and completeness return without a panic, and
//! the positions they return are within the text.
//!
//! Failing cases are stored in `proptest-regressions` and run first; `PROPTEST_CASES=100000` runs
//! more cases.

#![allow(clippy::unwrap_used)]

use graft_magic::{complete, inspect, is_complete, parse_cell};
use graft_protocol::Snapshot;
use proptest::prelude::*;

/// Pieces of real cells, so that most texts parse beyond the first word.
fn piece() -> impl Strategy<Value = String> {
    let words = [
        "%",
        "%%",
        "!",
        ":dep ",
        "%lora",
        "%lora attach",
        " r=8",
        " r=",
        "=",
        "%train steps=5",
        " lr=1e-3",
        " target_modules=q_proj,v_proj",
        "%%data x\n",
        "%%time",
        "%model load tiny",
        "%generate \"a",
        "\"",
        "'",
        "\\",
        "\n",
        "\n\n",
        " ",
        "\t",
        "--rust",
        "-h",
        "?",
        "let x = 1;",
        "{",
        "}",
        "//",
        "/*",
        "*/",
        "r#\"",
        "é🦀",
        "\u{301}",
        "\u{0}",
        "%ablate lora r=1,4 seeds=3",
        ",",
        "[",
        "]",
        "%run f",
        "%time %status",
        "%env A=b",
        "1e999",
        "-",
        "9999999999999999999",
    ];
    prop_oneof![5 => proptest::sample::select(words.to_vec()).prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from), 1 => "[ -~]{0,12}"]
}

fn cell() -> impl Strategy<Value = String> {
    proptest::collection::vec(piece(), 0..12).prop_map(|pieces| pieces.concat())
}

/// Test configuration with `number` cases, or with `PROPTEST_CASES` if that is set.
fn cases(number: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    if std::env::var_os("PROPTEST_CASES").is_some() {
        default
    } else {
        ProptestConfig { cases: number, ..default }
    }
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn the_span_of_a_failure_is_within_the_cell(text in cell()) {
        if let Err(failure) = parse_cell(&text, &Snapshot::default()) {
            prop_assert!(!failure.code.is_empty() && !failure.message.is_empty());
            if let Some(span) = failure.span {
                let line = text.split('\n').nth(span.line).map(|line| line.chars().count());
                prop_assert!(span.start <= span.end && line.is_some_and(|length| span.end <= length + 1), "{span:?} is outside {text:?}");
            }
        }
    }

    #[test]
    fn completions_replace_a_part_of_the_cell(text in cell(), at in any::<prop::sample::Index>()) {
        let length = text.chars().count();
        let cursor = at.index(length + 1);
        if let Some(completion) = complete(&text, cursor, &Snapshot::default(), &|_| vec!["file.txt".to_owned()]) {
            prop_assert!(completion.start <= cursor && cursor <= completion.end && completion.end <= length, "{completion:?} at {cursor} of {text:?}");
        }
        let _ = inspect(&text, cursor, &Snapshot::default(), 1);
        let _ = is_complete(&text);
    }
}
