//! Whatever a user types: the parser, completion, inspection and the judgement of completeness answer, and what they say of places in the
//! text lies inside it.
//!
//! A failure is kept with its seed in `proptest-regressions` and runs first from then on; `PROPTEST_CASES=100000` looks longer.

#![allow(clippy::unwrap_used)]

use graft_magic::{complete, inspect, is_complete, parse_cell};
use graft_protocol::Snapshot;
use proptest::prelude::*;

/// Pieces of real cells, so that most texts get past the first word.
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

/// So many, or as many as `PROPTEST_CASES` asks for.
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
    fn a_failure_points_inside_the_cell(text in cell()) {
        if let Err(failure) = parse_cell(&text, &Snapshot::default()) {
            prop_assert!(!failure.code.is_empty() && !failure.message.is_empty());
            if let Some(span) = failure.span {
                let line = text.split('\n').nth(span.line).map(|line| line.chars().count());
                prop_assert!(span.start <= span.end && line.is_some_and(|length| span.end <= length + 1), "{span:?} is no place in {text:?}");
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
