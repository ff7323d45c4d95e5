use super::*;

fn names(code: &str) -> Vec<String> {
    untyped_variables(code).into_iter().map(|variable| variable.name).collect()
}

fn typed(code: &str, kinds: &[&str]) -> TypedCell {
    let types = kinds.iter().map(|kind| (*kind).to_owned()).enumerate().collect();
    TypedCell::new(code, &untyped_variables(code), &types)
}

#[test]
fn only_top_level_variables_without_a_full_type_are_untyped() {
    assert_eq!(names("let a = 1; let b: u8 = 2; let c: Vec<_> = d();"), ["a", "c"]);
    assert_eq!(names("{ let inner = 1; }\nfn f() { let x = 1; }\nx + 1"), Vec::<String>::new());
    assert_eq!(names("let (mut a, Point { x, y: (b, _) }) = f();"), ["a", "x", "b"]);
    assert_eq!(names("let Some(v) = f() else { return };\nlet (None, w) = g();"), ["v", "w"]);
    assert_eq!(names("let (a, b): (u8, Vec<u8>) = f();"), ["a", "b"], "evcxr infers the parts");
}

#[test]
fn a_cell_that_does_not_parse_is_left_to_evcxr() {
    assert_eq!(names("let a = ;"), Vec::<String>::new());
    assert_eq!(names("let a = 5"), Vec::<String>::new());
}

#[test]
fn the_type_follows_the_statement_and_the_statement_is_unchanged() {
    let cell = typed("let a = f(); let mut b = a; // two\nb + 1", &["u8", "std::vec::Vec<u8>"]);
    assert_eq!(
        cell.text,
        "let a = f(); let a: u8 = a; let mut b = a; // two\nlet mut b: std::vec::Vec<u8> = b; b + 1"
    );
    assert_eq!(typed("let a = 1; // one", &["i32"]).text, "let a = 1; // one\nlet a: i32 = a;");
    assert_eq!(typed("let late;\nlate = 1u8;", &["u8"]).text, "let late: u8;\nlate = 1u8;");
}

#[test]
fn a_command_line_stays_in_front() {
    let code = ":dep rand = \"0.9\"\nlet a = rand::random::<u8>();";
    let text = typed(code, &["u8"]).text;
    assert_eq!(text, format!("{code}\nlet a: u8 = a;"));
    let probe = probe(code, &untyped_variables(code));
    assert!(probe.starts_with("struct GraftVariable"), "{probe}");
    assert!(is_probe(&probe));
}

#[test]
fn positions_in_the_text_are_mapped_to_the_cell() {
    let code = "let a = 1; let b = a;";
    let cell = typed(code, &["i32", "i32"]);
    let second = cell.text.find("let b = a").unwrap();
    assert_eq!(cell.original(second), 11);
    let inserted = cell.text.find("let a: i32").unwrap();
    assert_eq!(cell.original(inserted + 4), 4, "the name in the user's statement");
    assert_eq!(cell.original(2), 2);
}

#[test]
fn types_are_read_from_the_messages_of_the_compiler() {
    let read = |kind: &str| {
        let message = format!("non-primitive cast: `{kind}` as `GraftVariable<12>`");
        type_in_message(&message).map(|(number, kind)| (number, kind.to_owned()))
    };
    assert_eq!(read("std::vec::Vec<&str>"), Some((12, "std::vec::Vec<&str>".to_owned())));
    assert_eq!(type_in_message("mismatched types"), None);
    assert_eq!(type_in_message("non-primitive cast: `u8` as `Other`"), None);
}

#[test]
fn only_types_that_code_can_name_are_written() {
    assert_eq!(nameable("fn(i32) -> i32 {double}").as_deref(), Some("fn(i32) -> i32"));
    assert_eq!(nameable("&'static str").as_deref(), Some("&'static str"));
    assert_eq!(nameable("[[f64; 3]; 2]").as_deref(), Some("[[f64; 3]; 2]"));
    let dynamic = "std::boxed::Box<dyn std::ops::Fn(i32) -> i32 + std::marker::Send>";
    assert_eq!(nameable(dynamic).as_deref(), Some(dynamic));
    for unnamed in [
        "{closure@cell/src/lib.rs:3:9: 3:17}",
        "{async block@cell/src/lib.rs:3:9: 3:17}",
        "impl std::iter::Iterator<Item = u8>",
        "std::iter::Map<std::str::Chars<'_>, {closure@a.rs:1:2: 3:4}>",
        "std::vec::Vec<_>",
        "!",
    ] {
        assert_eq!(nameable(unnamed), None, "{unnamed}");
    }
}

#[test]
fn displayed_types_have_no_paths() {
    assert_eq!(short_type("std::vec::Vec<graft::candle::Tensor>"), "Vec<Tensor>");
    assert_eq!(short_type("&'static str"), "&'static str");
    assert_eq!(short_type("Box<dyn std::ops::Fn(i32) -> m::Q<'_>>"), "Box<dyn Fn(i32) -> Q<'_>>");
    assert_eq!(short_type("[u8; 3]"), "[u8; 3]");
}
