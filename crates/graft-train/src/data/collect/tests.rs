use super::*;
use graft_spec::Hint;

fn text(text: &str) -> Field {
    Field::Text(text.to_owned())
}

fn collected(typed: bool, rows: &[&[(&str, Field)]]) -> Result<Collected, DataError> {
    let mut collector = Collector::new("a.x", typed, u64::MAX);
    for (index, row) in rows.iter().enumerate() {
        collector.fields(
            index + 1,
            row.iter().map(|(name, field)| ((*name).to_owned(), field.clone())).collect(),
        )?;
    }
    collector.finish("x".to_owned())
}

fn labels(collected: &Collected) -> Vec<String> {
    let label = |record: &Record| {
        if let Content::Labeled { label, .. } = &record.content {
            label.to_string()
        } else {
            String::new()
        }
    };
    collected.records.iter().map(label).collect()
}

fn problem(typed: bool, row: &[(&str, Field)]) -> String {
    collected(typed, &[row]).err().expect("refused").to_string()
}

#[test]
fn a_column_labels_is_the_label_and_said_to_be_unless_there_is_one() {
    let found =
        collected(true, &[&[("text", text("a")), ("labels", text("x")), ("id", text("7"))]])
            .expect("reads");
    assert_eq!(labels(&found), ["x"]);
    assert_eq!(found.report.line(), "read as x: `text`, `labels` as label; ignored: `id`");
    let found =
        collected(true, &[&[("text", text("a")), ("labels", text("x")), ("label", text("y"))]])
            .expect("reads");
    assert_eq!(
        (labels(&found), found.report.ignored),
        (vec!["y".to_owned()], vec!["labels".to_owned()])
    );
    let both = problem(true, &[("text", text("a")), ("labels", text("x")), ("Label", text("y"))]);
    assert_eq!(both, "`a.x` line 1: it has both `labels` and `Label`: which one is the label?");
    let twice = problem(true, &[("text", text("a")), ("text", text("b"))]);
    assert_eq!(twice, "`a.x` line 1: it has both `text` and `text`: which one is the text?");
}

#[test]
fn what_a_completion_does_not_use_is_named() {
    let found = collected(
        true,
        &[&[
            ("prompt", text("a")),
            ("completion", text("b")),
            ("label", text("x")),
            ("meta", Field::Object),
        ]],
    )
    .expect("reads");
    assert_eq!(found.report.line(), "read as x: `prompt`, `completion`; ignored: `label`, `meta`");
}

#[test]
fn lists_objects_null_and_fractions_are_refused_as_labels() {
    let label = |field| problem(true, &[("text", text("a")), ("label", field)]);
    assert!(
        label(Field::List)
            .starts_with("`a.x` line 1: the label is a list; each example needs one label")
    );
    assert_eq!(
        label(Field::Object),
        "`a.x` line 1: the label is an object; expected a name or a whole number"
    );
    assert_eq!(
        label(Field::Null),
        "`a.x` line 1: the label is null: remove the example, or add a label"
    );
    assert!(label(Field::Float(0.5)).starts_with(
        "`a.x` line 1: the label is the number 0.5; a label must be a name or a whole number"
    ));
    assert_eq!(
        problem(true, &[("text", Field::List)]),
        "`a.x` line 1: the text is a list; expected a string"
    );
}

#[test]
fn labels_such_as_1_0_are_whole_numbers_and_fractions_in_csv_are_refused() {
    let found = collected(
        true,
        &[
            &[("text", text("a")), ("label", Field::Float(1.0))],
            &[("text", text("b")), ("label", text("0"))],
        ],
    )
    .expect("reads");
    assert_eq!(labels(&found), ["1", "0"]);
    assert_eq!(found.report.notes, ["labels such as 1.0 were read as whole numbers"]);
    let csv = |labels: &[&str]| {
        let rows: Vec<[(&str, Field); 2]> =
            labels.iter().map(|label| [("text", text("a")), ("label", text(label))]).collect();
        collected(false, &rows.iter().map(|row| row.as_slice()).collect::<Vec<_>>())
    };
    assert_eq!(labels(&csv(&["1.0", "0.0", "-1"]).expect("reads")), ["1", "0", "-1"]);
    let error = csv(&["1.0", "0.25"]).err().expect("refused");
    assert!(
        error.to_string().starts_with("`a.x` line 2: the label is the number 0.25;"),
        "{error}"
    );
    assert_eq!(labels(&csv(&["v1.5", "0.25", "nan"]).expect("names")), ["v1.5", "0.25", "nan"]);
}

#[test]
fn other_kinds_of_data_sets_are_named_with_a_step() {
    let step = |row: &[(&str, Field)]| {
        let error = collected(true, &[row]).err().expect("refused");
        (error.to_string(), error.hint().expect("a hint"))
    };
    let (message, hint) = step(&[("messages", Field::List)]);
    assert_eq!(
        message,
        "`a.x` line 1 is from a chat data set (`messages`), which is not supported yet"
    );
    let program = r#"(.messages | map(.role) | index("assistant")) as $i | {prompt: (.messages[:$i] | map(.content) | join("\n")), completion: (" " + .messages[$i].content)}"#;
    assert!(
        hint.contains(&format!(
            "jq -c '{program}' 'a.x' > pairs.jsonl, then %data load pairs.jsonl"
        )),
        "{hint}"
    );
    assert!(
        step(&[("conversations", Field::List)])
            .1
            .contains(r#"(.conversations | map(.from) | index("gpt")) as $i"#)
    );
    assert!(
        step(&[("prompt", Field::List), ("completion", Field::List)])
            .0
            .contains("a chat data set (`prompt`)")
    );
    assert!(
        step(&[("prompt", text("a")), ("chosen", text("b")), ("rejected", text("c"))])
            .0
            .contains("a preference data set")
    );
    let (message, hint) =
        step(&[("instruction", text("a")), ("input", text("")), ("output", text("b"))]);
    assert!(
        message.contains("an instruction data set (`instruction`, `output`)")
            && hint.contains("[.instruction, .input]"),
        "{message} {hint}"
    );
    assert!(
        step(&[("instruction", text("a")), ("output", text("b"))])
            .1
            .contains("{prompt: .instruction, completion: (\" \" + .output)}")
    );
}

#[test]
fn many_labels_are_doubted_and_too_many_refused() {
    let mut collector = Collector::new("a.x", true, u64::MAX);
    let mut result = Ok(());
    for number in 0..=MOST_LABELS {
        result = collector.fields(
            number + 1,
            vec![("text".to_owned(), text("a")), ("label".to_owned(), text(&number.to_string()))],
        );
    }
    let error = result.expect_err("too many");
    assert_eq!(
        (error.code(), error.to_string().contains("line 10001")),
        ("data::many_labels", true),
        "{error}"
    );
    let found = collector.finish(String::new()).expect("reads");
    assert_eq!(
        found.report.notes,
        [
            "10000 different labels in 10000 examples: is the label column an identifier, a number or free text?"
        ]
    );
}

#[test]
fn what_does_not_fit_into_memory_is_refused_before_it_is_kept() {
    let mut collector = Collector::new("a.x", true, 1000);
    let results: Vec<bool> =
        (1..6).map(|line| collector.text(line, "word".to_owned()).is_ok()).collect();
    assert_eq!(results, [true, true, true, false, false]);
}
