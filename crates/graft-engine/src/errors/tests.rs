//! How the most common compile errors are shown, with messages of evcxr and rustc recorded in a
//! session (`recorded.json`).

use serde_json::Value;

use super::*;

/// A cell that did not compile.
struct Recorded {
    cell: String,
    /// The rendered error without colors.
    shown: String,
}

fn recorded() -> Vec<Recorded> {
    let all: Vec<Value> = serde_json::from_str(include_str!("recorded.json")).unwrap();
    let one = |entry: &Value| {
        let text = |name: &str| entry[name].as_str().unwrap().to_owned();
        let (cell, generated) = (text("cell"), text("generated"));
        let map = SourceMap::new(&cell, &generated, &[]);
        let found: Vec<Diagnostic> = entry["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|json| Diagnostic::read(json, &map).expect("it is about this source"))
            .collect();
        let found = match found.iter().any(|one| one.message.contains("delimiter")) {
            true => delimiters::unbalanced(&cell).into_iter().collect(),
            false => found,
        };
        let error = render(found, &cell);
        assert!(!error.evalue.is_empty());
        Recorded { cell, shown: plain_text(&error.traceback.join("\n")) }
    };
    all.iter().map(one).collect()
}

fn plain_text(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        out.push_str(before);
        rest = after.split_once('m').map_or("", |(_, after)| after);
    }
    out + rest
}

/// The rendered error of the cell that begins with `cell`.
fn of(cell: &str) -> String {
    let mut all = recorded();
    let place = all
        .iter()
        .position(|one| one.cell.starts_with(cell))
        .unwrap_or_else(|| panic!("{cell} is not recorded"));
    all.swap_remove(place).shown
}

#[test]
fn no_message_mentions_code_that_the_user_has_not_written() {
    let all = recorded();
    assert!(all.len() >= 40, "{}", all.len());
    for Recorded { cell, shown } in all {
        for word in [
            "evcxr",
            "Evcxr",
            "run_user_code",
            "lib.rs",
            "this file",
            "catch_unwind",
            "cargo add",
            "keyword `fn`",
            "keyword `struct`",
            "found `#`",
        ] {
            assert!(!shown.contains(word), "{word} in\n{shown}");
        }
        assert!(shown.starts_with("error"), "{shown}");
        assert!(shown.contains(" | "), "no line is shown for\n{cell}\n{shown}");
    }
}

#[test]
fn each_message_shows_a_line_of_the_cell_once() {
    for Recorded { cell, shown } in recorded() {
        let lines: Vec<&str> = cell.lines().collect();
        for message in shown.split("\n\n") {
            // Notes and suggestions may repeat a line.
            let head: Vec<&str> = message
                .lines()
                .take_while(|line| !line.starts_with("help:") && !line.starts_with("note:"))
                .collect();
            let mut numbers = Vec::new();
            for (number, text) in head
                .iter()
                .filter_map(|line| line.split_once(" | "))
                .filter_map(|(number, text)| Some((number.trim().parse::<usize>().ok()?, text)))
            {
                assert_eq!(text, lines[number - 1], "{shown}");
                assert!(!numbers.contains(&number), "line {number} twice in\n{shown}");
                numbers.push(number);
            }
            assert!(!numbers.is_empty(), "{shown}");
        }
    }
}

#[test]
fn marks_and_labels_are_under_their_places() {
    assert_eq!(
        of("let a = 1;\nlet n: i32 = \"seven\";"),
        "error[E0308]: mismatched types\n\
         2 | let n: i32 = \"seven\";\n  |        ---   ^^^^^^^ expected `i32`, found `&str`\n  |        |\n  |        expected due to this"
    );
    assert!(of("let é = ").contains("1 | let é = \"ü\"; let n: i32 = é;\n  |                     ---   ^ expected `i32`, found `&str`"));
    // The last expression is inside code of evcxr's own.
    assert!(
        of("let v = vec![1, 2];\nlet w = v;\nv")
            .contains("3 | v\n  | ^ value borrowed here after move"),
        "{}",
        of("let v = vec![1, 2];\nlet w = v;\nv")
    );
}

#[test]
fn a_missing_token_is_reported_in_the_cell() {
    assert_eq!(
        of("let x = 5\nlet y"),
        "error: expected `;`, found keyword `let`\n1 | let x = 5\n  |          ^\n2 | let y = 6;\n  | --- unexpected token\nhelp: add `;` here\n1 | let x = 5;\n  |          +"
    );
    let alone = recorded().into_iter().find(|one| one.cell == "let x = 5").unwrap().shown;
    assert_eq!(
        alone,
        "error: expected `;`, found the end of the cell\n1 | let x = 5\n  |          ^\nhelp: add `;` here\n1 | let x = 5;\n  |          +"
    );
    assert_eq!(
        of("fn f() {\n    let a"),
        "error: this cell contains an unclosed delimiter\n1 | fn f() {\n  |        ^ unclosed delimiter"
    );
    assert_eq!(
        of("for i in 0..3 {"),
        "error: unexpected closing delimiter: `}`\n3 | }}\n  |  ^ unexpected closing delimiter"
    );
    assert_eq!(
        of("let a = (1"),
        "error: this cell contains an unclosed delimiter\n1 | let a = (1 + 2;\n  |         ^ unclosed delimiter"
    );
    assert!(
        of("let s = \"never").contains("1 | let s = \"never closed;\n  |         ^^^^^^^^^^^^^^")
    );
}

/// The rendered suggestion of each cell.
#[test]
fn suggestions_are_shown_as_the_changed_lines() {
    for (cell, wanted) in [
        ("println(", "help: use `!` to invoke the macro\n1 | println!(\"hello\");\n  |        +"),
        (
            "let a = 1; let b = 2;\nif a = b",
            "help: you might have meant to compare for equality\n2 | if a == b { println!(\"same\"); }\n  |       +",
        ),
        (
            "let s = String::from(\"a\"); let t",
            "1 | let s = String::from(\"a\"); let t = s.clone(); println!(\"{s}\");\n  |                                     ++++++++",
        ),
        (
            "fn longest",
            "1 | fn longest<'a>(a: &'a str, b: &'a str) -> &'a str {\n  |           ++++     +++         +++         +++",
        ),
        (
            "let v = vec![1, 2, 3];\nv.push_front",
            "help: there is a method `push_mut` with a similar name\n2 - v.push_front(4);\n2 + v.push_mut(4);",
        ),
        (
            "fn half",
            "help: remove this semicolon to return this value\n2 -     n / 2;\n2 +     n / 2",
        ),
        (
            "let m = HashMap",
            "help: consider importing this struct\n  + use std::collections::HashMap;",
        ),
        ("let mut file", "help: consider importing one of these structs\n  + use std::fs::File;"),
        (
            "struct P { x: i32 }\nlet same",
            "help: consider annotating `P` with `#[derive(PartialEq)]`\n  + #[derive(PartialEq)]\n1 | struct P { x: i32 }",
        ),
        ("enum Shade", "5 |     Shade::Dark => 2,\n  +     Shade::Grey => todo!(),"),
        ("let count = 0;", "1 | let mut count = 0;\n  |     ++++"),
        ("let c = 'ab'", "1 - let c = 'ab';\n1 + let c = \"ab\";"),
        ("use rand::Rng", "= help: `:dep rand` at the top of a cell adds the crate `rand`"),
    ] {
        let shown = of(cell);
        assert!(shown.contains(wanted), "{wanted}\nis not in\n{shown}");
    }
}

/// The first message of each cell, its code, and the line and column of its first primary mark.
#[test]
fn each_error_has_its_code_and_its_line() {
    for (cell, head, line) in [
        ("let s = String::from(\"a\"); let t", "error[E0382]: borrow of moved value: `s`", 1),
        (
            "let a = 1;\nprintln!(\"{}\", lenght",
            "error[E0425]: cannot find value `lenght` in this scope",
            2,
        ),
        ("use std::colections", "error[E0432]: unresolved import `std::colections`", 1),
        ("let v: Vec<i32>", "error[E0277]: cannot add `i32` to `{float}`", 1),
        (
            "let mut v = vec![1, 2, 3];\nlet first",
            "error[E0502]: cannot borrow `v` as mutable because it is also borrowed as immutable",
            3,
        ),
        ("{\n    let s", "error[E0505]: cannot move out of `s` because it is borrowed", 4),
        ("struct P", "error[E0369]: binary operation `==` cannot be applied to type `P`", 2),
        (
            "println!(\"{} {}\", 1)",
            "error: 2 positional arguments in format string, but there is 1 argument",
            1,
        ),
        ("enum Shade", "error[E0004]: non-exhaustive patterns: `Shade::Grey` not covered", 3),
        ("mod inner", "error[E0616]: field `balance` of struct `Account` is private", 6),
        ("let v = Vec::new()", "error[E0282]: type annotations needed for `Vec<_>`", 1),
        (
            "let text",
            "error[E0596]: cannot borrow `text` as mutable, as it is not declared as mutable",
            2,
        ),
        ("fn half", "error[E0308]: mismatched types", 1),
        (
            "let t = Tensor",
            "error[E0599]: no method named `dims` found for enum `Result<T, E>` in the current scope",
            2,
        ),
        ("let n = 5;", "error[E0597]: `n` does not live long enough", 2),
        ("struct Point", "error[E0063]: missing field `y` in initializer of `Point`", 2),
        ("let t = ndarray", "error[E0433]: cannot find module or crate `ndarray` in this scope", 1),
    ] {
        let shown = of(cell);
        assert_eq!(shown.lines().next(), Some(head), "{shown}");
        let marked = shown
            .lines()
            .zip(shown.lines().skip(1))
            .find(|(_, below)| below.contains('^'))
            .map(|(line, _)| line.split_once(" | ").unwrap().0.trim().to_owned());
        assert_eq!(marked, Some(line.to_string()), "{shown}");
    }
}

#[test]
fn a_panic_shows_its_message_and_the_line_of_the_cell() {
    let stderr = "\nthread 'main' (7) panicked at cell/src/lib.rs:2:1:\nindex out of bounds: the len is 3\nnote: run with `RUST_BACKTRACE=1`\n";
    let error = panic(
        stderr,
        &Compiled {
            cell: TypedCell::unchanged("let a = 1;\nv[3];"),
            generated: "fn run_user_code_1() {\nv[3];".to_owned(),
        },
        &VecDeque::new(),
    );
    assert_eq!(error.evalue, "index out of bounds: the len is 3");
    assert!(
        error.traceback[1].contains("2 |") && error.traceback[1].ends_with("v[3];"),
        "{:?}",
        error.traceback
    );
    assert_eq!(panic("", &Compiled::default(), &VecDeque::new()).ename, "Panic");
}

#[test]
fn a_question_mark_shows_the_message_with_its_hint() {
    let error = question_mark("", "earlier text\nno model is loaded\nhint: `%model load tiny`\n");
    assert_eq!(error.evalue, "no model is loaded");
    assert!(error.traceback[1].contains("%model load tiny"));
    assert_eq!(question_mark("", "earlier\nboom\n").evalue, "boom");
    assert_eq!(question_mark("", "").evalue, "the cell ended with an error");
}

#[test]
fn a_reported_message_is_shown_completely() {
    let error = question_mark("outer\n\ncaused by: inner", "mine\n");
    assert_eq!((error.evalue.as_str(), error.traceback.len()), ("outer", 3));
}
