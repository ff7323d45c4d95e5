use graft_spec::{Value, methods};

use super::*;

#[test]
fn arguments_with_special_characters_are_quoted() {
    let plain = ["tiny", "ORG/NAME-7.1", "my_data.jsonl"];
    assert!(plain.iter().all(|text| word(text) == *text));
    assert_eq!(word(""), "\"\"");
    assert_eq!(word("my \"data\".csv"), "\"my \\\"data\\\".csv\"");
    assert_eq!(word("--rust"), "\"--rust\"");
    assert_eq!(word("a=b?"), "\"a=b?\"");
    assert_eq!(word("a\n!rm -rf /\\"), "\"a\\n!rm -rf /\\\\\"");
    assert_eq!(word("\u{1b}[2J\u{202e}"), "\"\\u{1b}[2J\\u{202e}\"");
}

#[test]
fn a_comment_is_one_line_and_does_not_start_a_cell() {
    let mut script = Script::new();
    script.comment("%% a\n%%data x\u{1b}]52;c;x\u{7}");
    assert_eq!(
        script.finish(),
        "// %% a\\n%%data x\\u{1b}]52;c;x\\u{7}\n",
        "callers start comments with a word of their own"
    );
}

#[test]
fn keys_and_values_that_no_magic_accepts_are_refused() {
    let lora = methods::lora::SPEC.keys;
    let failed = |settings: Settings| keys(&settings, lora).unwrap_err().to_string();
    assert!(
        failed(Settings::default().with("r\n!x", Value::Integer(1)))
            .contains("unknown key `r\\n!x`")
    );
    assert!(
        failed(Settings::default().with("r", Value::Text("8 9".to_owned())))
            .contains("`r` cannot be `8 9`")
    );
    assert!(
        failed(Settings::default().with("target_modules", Value::List(vec![" q".to_owned()])))
            .contains("target_modules")
    );
    assert!(
        failed(Settings::default().with("adapter_name", Value::Text("None".to_owned())))
            .contains("cannot be `None`")
    );
    let comma = Settings::default().with("adapter_name", Value::Text("a,".to_owned()));
    assert_eq!(keys(&comma, lora).ok().as_deref(), Some(" adapter_name=\"a,\""));
    let empty = Settings::default()
        .with("modules_to_save", Value::List(Vec::new()))
        .with("r", Value::Integer(2));
    assert_eq!(keys(&empty, lora).ok().as_deref(), Some(" r=2"));
}
