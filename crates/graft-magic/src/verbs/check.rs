//! `%check` and `%%check`.

use graft_protocol::Command;
use graft_spec::{
    Failure, Settings, Span,
    check::{self, Check},
};

use crate::{
    part::{Context, PartKind},
    rust_source::rust_source,
    verb::{Form, Invocation, Slot, SlotKind, VerbSpec},
};

const CONDITION: &[Slot] = &[Slot::rest(
    "METRIC [OPERATOR VALUE] [on SPLIT]",
    SlotKind::Raw,
    "the condition; operators: < <= > >= == !=; splits: train, validation, test (default)",
)];

/// Defines the magic.
pub(super) fn verb() -> VerbSpec {
    VerbSpec {
        name: "check",
        aliases: &[],
        summary: "check a condition, such as an accuracy or a number of parameters, for exercises and grading",
        help: "Measures the session now and shows green or red with the measured value. A failed \
            check fails the cell, unless soft=true. With points=N it never fails the cell; the \
            result of the cell is the sum of the points, which nbgrader takes as partial credit. \
            Metrics on a split: accuracy (the value may be a number, base or majority), loss and \
            perplexity (a number or base), and loss_fell, which has no value: the loss with the \
            adapter is below that of the base (default split: train). Other metrics: forgotten, \
            trainable, trainable_percent, parameters, steps, seed; the names method, adapter, \
            model, data, device; the facts trained and merged; and every key of the attached \
            method, such as r or lora_alpha. Numbers: 0.4, 40%, 50_000, 50k. In Rust: \
            lab().check(\"r == 8\").",
        forms: vec![Form::bare("", "check one condition", build).slots(CONDITION).keys(check::KEYS)],
        cell: Some(
            Form::bare(
                "",
                "check the conditions in this cell, one per line; the keys are for lines that do not have them, and lines that begin with // are comments",
                build_cell,
            )
            .keys(check::KEYS),
        ),
        examples: vec![
            "%check accuracy >= 0.4 on test".into(),
            "%check loss < base on validation examples=50".into(),
            "%check loss_fell".into(),
            "%check r == 8 soft=true".into(),
            "%%check\ntrainable <= 50_000 points=1\naccuracy > majority points=2".into(),
        ],
    }
}

fn build(line: &Invocation<'_>, _: &mut Context<'_>) -> Result<PartKind, Failure> {
    let (text, shows_rust) = without_rust_flag(line.raw);
    let check = Check::parse(&text)
        .map_err(|failure| shifted(failure, line.raw_at.line, line.raw_at.start, line.span))?;
    Ok(part(vec![check.to_string()], shows_rust))
}

fn build_cell(line: &Invocation<'_>, _: &mut Context<'_>) -> Result<PartKind, Failure> {
    let (text, shows_rust) = without_rust_flag(line.raw);
    let shared = Check::parse_keys(&text)
        .map_err(|failure| shifted(failure, line.raw_at.line, line.raw_at.start, line.span))?;
    let mut checks = Vec::new();
    for (index, source) in line.body.lines().enumerate() {
        let text = without_comment(source);
        let trimmed = text.trim_start();
        let text = trimmed.strip_prefix("%check ").unwrap_or(trimmed);
        if text.trim().is_empty() {
            continue;
        }
        let column = source.chars().count() - source.trim_start().chars().count()
            + (trimmed.chars().count() - text.chars().count());
        let mut check = Check::parse(text)
            .map_err(|failure| shifted(failure, line.body_line + index, column, line.span))?;
        add(&mut check.settings, &shared);
        checks.push(check.to_string());
    }
    if checks.is_empty() {
        return Err(Failure::new("magic::empty_cell", "no conditions below this line")
            .hint("write one condition per line, such as accuracy >= 0.4 on test points=2")
            .span(line.span));
    }
    Ok(part(checks, shows_rust))
}

/// Adds the keys that are not given.
fn add(settings: &mut Settings, shared: &Settings) {
    for (key, value) in &shared.values {
        settings.values.entry(key.clone()).or_insert_with(|| value.clone());
    }
}

fn part(checks: Vec<String>, shows_rust: bool) -> PartKind {
    let command = Command::Check { checks };
    match shows_rust {
        true => PartKind::ShowRust(rust_source(&command)),
        false => PartKind::Session(command),
    }
}

/// The text with spaces in place of `--rust`, and whether it was there.
fn without_rust_flag(text: &str) -> (String, bool) {
    let is_there = text.split_whitespace().any(|word| word == "--rust");
    (text.replace("--rust", "      "), is_there)
}

/// The line without a comment: `//` or `#` at its start, or `//` after a space.
fn without_comment(line: &str) -> &str {
    let start = line.trim_start();
    if start.starts_with("//") || start.starts_with('#') {
        return "";
    }
    line.find(" //").and_then(|at| line.get(..at)).unwrap_or(line)
}

/// The failure with its span moved to the cell.
fn shifted(mut failure: Failure, line: usize, column: usize, otherwise: Span) -> Failure {
    failure.span = Some(failure.span.map_or(otherwise, |span| Span {
        line,
        start: column + span.start,
        end: column + span.end,
    }));
    failure
}

#[cfg(test)]
mod tests {
    use graft_protocol::Snapshot;

    use super::*;

    fn parsed(cell: &str) -> Result<PartKind, Failure> {
        crate::parse_cell(cell, &Snapshot::default()).map(|mut parts| parts.remove(0).kind)
    }

    fn checks(cell: &str) -> Vec<String> {
        match parsed(cell).unwrap_or_else(|failure| panic!("{cell}: {failure}")) {
            PartKind::Session(Command::Check { checks }) => checks,
            other => panic!("{cell}: {other:?}"),
        }
    }

    #[test]
    fn a_line_is_one_check_and_a_cell_one_per_line() {
        assert_eq!(checks("%check r==8"), ["r == 8"]);
        assert_eq!(checks("%check loss<3 on val n=5"), ["loss < 3 on validation examples=5"]);
        let cell = "%%check examples=9\n// BEGIN HIDDEN TESTS\n  r == 8 points=1.5 // one\n\n\
                    # two\n%check loss < base examples=5\n// END HIDDEN TESTS";
        assert_eq!(
            checks(cell),
            ["r == 8 examples=9 points=1.5", "loss < base on test examples=5"]
        );
    }

    #[test]
    fn a_failure_points_at_the_word_in_the_cell() {
        let span = |cell: &str| {
            let span = parsed(cell).unwrap_err().span.unwrap();
            (span.line, span.start, span.end)
        };
        assert_eq!(span("%check r == 8 point=2"), (0, 14, 21));
        assert_eq!(span("%%check\nr == 8\n  loss < 3 on tset"), (2, 14, 18));
        assert_eq!(span("%%check pts=2\nr == 8"), (0, 8, 13));
        assert_eq!(parsed("%%check\n// nothing\n").unwrap_err().code, "magic::empty_cell");
        assert_eq!(parsed("%check").unwrap_err().code, "check::empty");
    }

    #[test]
    fn the_help_names_every_metric() {
        let help = verb().help;
        for metric in check::METRICS {
            assert!(help.contains(metric.name), "{} is not in the help", metric.name);
        }
    }

    #[test]
    fn rust_does_the_same() {
        let PartKind::ShowRust(rust) = parsed("%check loss_fell --rust").unwrap() else {
            panic!("no Rust")
        };
        assert_eq!(rust, "println!(\"{}\", lab().check(\"loss_fell on train\")?.require()?);");
        let PartKind::ShowRust(rust) = parsed("%%check --rust\nr == 8\nloss < 3").unwrap() else {
            panic!("no Rust")
        };
        assert!(rust.contains(r#"lab().check("r == 8\nloss < 3 on test")?"#), "{rust}");
    }
}
