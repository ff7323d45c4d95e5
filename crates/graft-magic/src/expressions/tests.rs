use graft_protocol::{AdapterAction, Command};

use super::*;
use crate::{PartKind, parse_cell};

fn parse(line: &str) -> PartKind {
    parse_cell(line, &Snapshot::default())
        .unwrap_or_else(|failure| panic!("{line}: {failure}"))
        .remove(0)
        .kind
}

fn deferred(line: &str) -> Deferred {
    match parse(line) {
        PartKind::Deferred(deferred) => deferred,
        other => panic!("{line}: {other:?}"),
    }
}

fn filled(line: &str, values: &[&str]) -> Result<PartKind, Failure> {
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    deferred(line).fill(values, &Snapshot::default()).map(|mut parts| parts.remove(0).kind)
}

fn rust(line: &str) -> String {
    match parse(line) {
        PartKind::ShowRust(rust) => rust,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn a_line_with_an_expression_is_the_line_with_its_value() {
    for (line, values, plain) in [
        ("%lora attach r={rank}", vec!["4"], "%lora attach r=4"),
        ("%train steps={n * 2} lr={lr:e}", vec!["20", "1e-3"], "%train steps=20 lr=1e-3"),
        (
            "%lora attach target_modules={names}",
            vec!["q_proj,v_proj"],
            "%lora attach target_modules=q_proj,v_proj",
        ),
        ("%lora save out/{name}", vec!["my adapter"], "%lora save \"out/my adapter\""),
        ("%lora scale {x}", vec!["0.5"], "%lora scale 0.5"),
        ("%model load {path}", vec!["tiny"], "%model load tiny"),
        (
            "%generate {prompt} max_new_tokens={n}",
            vec!["fn main() {", "8"],
            "%generate \"fn main() {\" max_new_tokens=8",
        ),
        ("%ablate lora r={a},{b} steps={n}", vec!["1", "4", "10"], "%ablate lora r=1,4 steps=10"),
        ("%trial clone {n} r={r}", vec!["2", "32"], "%trial clone 2 r=32"),
        (
            "%runs export {run} {run}.csv",
            vec!["lora-001", "lora-001"],
            "%runs export lora-001 lora-001.csv",
        ),
        ("%lora save {{x}}-{y}", vec!["1"], "%lora save \"{x}-1\""),
        (
            "%%data {name}\n{\"text\": \"a\", \"label\": \"b\"}",
            vec!["mine"],
            "%%data mine\n{\"text\": \"a\", \"label\": \"b\"}",
        ),
    ] {
        assert_eq!(filled(line, &values).unwrap(), parse(plain), "{line}");
    }
}

#[test]
fn a_value_remains_one_argument() {
    let PartKind::Session(Command::Adapter {
        action: AdapterAction::Save { directory, .. }, ..
    }) = filled("%lora save {name}", &["a b --rust r=3 \"x\""]).unwrap()
    else {
        panic!("not a save")
    };
    assert_eq!(directory, "a b --rust r=3 \"x\"");
    let failure = filled("%lora attach r={rank}", &["8 lora_alpha=3"]).unwrap_err();
    assert_eq!(failure.code, "settings::wrong_type");
    assert_eq!(failure.span, Some(Span { line: 0, start: 15, end: 21 }));
}

#[test]
fn braces_that_worked_before_still_do() {
    for line in [
        "%generate \"fn main() {\"",
        "%generate fn main() { println }",
        "%generate fn f() {x}",
        "%generate {x} {y}",
        "%generate \"{x}\"",
        "%data load a.jsonl template={text}=>",
        "%lora attach target_modules={q_proj,v_proj}",
        "%lora attach target_modules={'q_proj', \"v_proj\"}",
        r"%lora attach target_modules=.*layers\.[0-9]{1}\.q_proj",
        "%lora save \"{x}\"",
        "%env X={x}",
        "%cd a{b}c d",
    ] {
        assert!(!matches!(parse(line), PartKind::Deferred(_)), "{line}");
    }
    assert!(matches!(parse("!echo {x}"), PartKind::Shell(_)));
}

#[test]
fn a_wrong_key_fails_before_anything_is_evaluated() {
    let failure = parse_cell("%lora attach ranc={x}", &Snapshot::default()).unwrap_err();
    assert_eq!(failure.code, "magic::unknown_key");
    assert!(failure.to_string().contains("did you mean"), "{failure}");
    let failure = parse_cell("%lora attach r={x} r={y}", &Snapshot::default()).unwrap_err();
    assert_eq!(failure.code, "magic::repeated_key");
}

#[test]
fn the_position_of_an_expression_is_that_of_its_braces() {
    let found = deferred("\n%lora attach adapter_name=é r={rank + 1}");
    let spans: Vec<_> = found.expressions.iter().map(|one| one.span).collect();
    assert_eq!(spans.last(), Some(&Span { line: 1, start: 30, end: 40 }));
}

#[test]
fn rust_code_contains_the_expressions() {
    for (line, expected) in [
        ("%lora attach r={rank * 2} --rust", "lab().model()?.attach(Lora::new().r(rank * 2))?;"),
        (
            "%lora save out/{name} --rust",
            "lab().model()?.active_adapter()?.save(format!(\"out/{}\", name).as_str())?;",
        ),
        (
            "%lora attach target_modules={names} --rust",
            "lab().model()?.attach(Lora::new().target_modules(format!(\"{}\", names).split(',')))?;",
        ),
        (
            "%ablate lora r={a},{b} --rust",
            "println!(\"{}\", lab().ablate(Ablate::of([\"lora\"]).key(\"r\", format!(\"{},{}\", a, b).as_str()))?);",
        ),
        ("%model load {path:?} --rust", "lab().load_model(format!(\"{:?}\", path).as_str())?;"),
    ] {
        assert_eq!(rust(line), expected);
    }
    let failure = parse_cell("%data show n={n} --rust", &Snapshot::default()).unwrap_err();
    assert_eq!(failure.code, "magic::no_rust");
    assert!(failure.message.contains("`{n}`"), "{failure}");
}

#[test]
fn braces_of_a_literal_are_doubled_for_format() {
    assert_eq!(with_double_braces("a{b}\\u{1b}{"), "a{{b}}\\u{1b}{{");
}
