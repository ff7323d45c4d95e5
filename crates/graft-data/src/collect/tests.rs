use graft_spec::{Hint, Settings, Value};

use super::*;
use crate::dataset::Extra;
use crate::labels::MOST_LABELS;

type Fields<'a> = &'a [(&'a str, Field<'static>)];

fn text(text: &str) -> Field<'static> {
    Field::text(text)
}

fn list(json: &str) -> Field<'static> {
    Field::List(Some(json.to_owned()))
}

fn with(settings: &Settings, typed: bool, rows: &[Fields<'_>]) -> Result<Collected, DataError> {
    let options = ReadOptions::new(settings, "{text}\nLabel:")?;
    let mut collector = Collector::new(&options, u64::MAX);
    collector.begin("a.x", None, typed);
    for (index, row) in rows.iter().enumerate() {
        let fields = row.iter().map(|(name, field)| (Cow::Borrowed(*name), field.clone()));
        let _ = collector.row(Place::Line(index + 1), fields.collect())?;
    }
    collector.finish("a.x", "x".to_owned())
}

fn collected(typed: bool, rows: &[Fields<'_>]) -> Result<Collected, DataError> {
    with(&Settings::default(), typed, rows)
}

fn labels(collected: &Collected) -> Vec<&str> {
    collected.examples.iter().map(|example| example.completion.trim()).collect()
}

fn error(row: Fields<'_>) -> DataError {
    collected(true, &[row]).err().expect("refused")
}

fn problem(row: Fields<'_>) -> String {
    error(row).to_string()
}

const OTHER: Fields<'static> =
    &[("text", Field::Text(Cow::Borrowed("o"))), ("label", Field::Text(Cow::Borrowed("other")))];

#[test]
fn a_column_labels_is_the_label_and_said_to_be_unless_there_is_one() {
    let row: Fields<'_> = &[("text", text("a")), ("labels", text("x")), ("id", text("7"))];
    let other: Fields<'_> = &[("text", text("a")), ("labels", text("y")), ("id", text("7"))];
    let found = collected(true, &[row, other]).expect("reads");
    assert_eq!(labels(&found), ["x", "y"]);
    assert_eq!(found.report.line(), "read as x: `text`, `labels` as label; ignored: `id`");
    let both: Fields<'_> = &[("text", text("a")), ("labels", text("x")), ("label", text("y"))];
    let found = collected(true, &[both, OTHER]).expect("reads");
    assert_eq!(labels(&found), ["y", "other"]);
    assert_eq!(found.report.ignored, ["labels"]);
    assert_eq!(
        problem(&[("text", text("a")), ("text", text("b"))]),
        "`a.x` line 1: it has both `text` and `text`: which one is the text?"
    );
}

#[test]
fn what_a_completion_does_not_use_is_named() {
    let row: Fields<'_> = &[
        ("prompt", text("a")),
        ("completion", text("b")),
        ("label", text("x")),
        ("meta", Field::Object),
    ];
    let found = collected(true, &[row]).expect("reads");
    assert_eq!(found.report.line(), "read as x: `prompt`, `completion`; ignored: `label`, `meta`");
}

#[test]
fn an_instruction_with_its_input_becomes_a_prompt() {
    let row: Fields<'_> =
        &[("instruction", text("Add the numbers.")), ("input", text("1 2")), ("output", text("3"))];
    let found = collected(true, &[row]).expect("reads");
    assert_eq!(
        (&*found.examples[0].prompt, &*found.examples[0].completion),
        ("Add the numbers.\n\n1 2\n", "3")
    );
    assert_eq!(
        found.report.line(),
        "read as x: `instruction` as prompt, `input`, `output` as completion"
    );
    let without: Fields<'_> =
        &[("instruction", text("Say hello.")), ("input", Field::Null), ("output", text("Hello."))];
    let found = collected(true, &[without]).expect("reads");
    assert_eq!(&*found.examples[0].prompt, "Say hello.\n");
}

#[test]
fn conversations_of_all_forms_become_messages() {
    let open = r#"[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"}]"#;
    let share = r#"[{"from":"human","value":"Hi"},{"from":"gpt","value":"Hello"}]"#;
    let (user, assistant) = (&open[..31], "[{\"role\":\"assistant\",\"content\":\"Hello\"}]");
    let forms: [(Fields<'_>, usize); 4] = [
        (&[("messages", list(open))], 0),
        (&[("conversations", list(share))], 0),
        (&[("messages", text(open))], 0),
        (&[("prompt", list(&format!("{user}]"))), ("completion", list(assistant))], 1),
    ];
    for (row, prompt_messages) in forms {
        let found = collected(true, &[row]).expect("reads");
        let Some(Extra::Conversation(chat)) = found.examples[0].extra.as_deref() else {
            panic!("no conversation")
        };
        assert_eq!((&*chat.messages, chat.prompt_messages), (open, prompt_messages));
        assert_eq!(found.shape, Shape::Chat);
    }
    let tools = r#"[{"type":"function","function":{"name":"add"}}]"#;
    for tools_field in [list(tools), text(tools)] {
        let found = collected(true, &[&[("messages", list(open)), ("tools", tools_field)]]);
        let found = found.expect("reads");
        let Some(Extra::Conversation(chat)) = found.examples[0].extra.as_deref() else {
            panic!("no conversation")
        };
        assert_eq!(&*chat.tools, tools);
        assert_eq!(found.report.line(), "read as x: `messages`, `tools`");
    }
    let question: Fields<'_> = &[("messages", list(&format!("{user}]")))];
    assert!(
        problem(question).contains("no message of the assistant, so there is nothing to learn")
    );
    assert_eq!(
        problem(&[("messages", list("[]"))]),
        "`a.x` line 1: in the messages: the conversation has no messages"
    );
    assert_eq!(
        problem(&[("messages", text("Hi"))]),
        "`a.x` line 1: the messages are text; expected a list of messages"
    );
}

#[test]
fn preferences_keep_both_answers() {
    let row: Fields<'_> = &[("prompt", text("a")), ("chosen", text("b")), ("rejected", text("c"))];
    let found = collected(true, &[row]).expect("reads");
    assert_eq!(found.shape, Shape::Preference);
    assert_eq!(found.examples[0].extra.as_deref(), Some(&Extra::Rejected("c".into())));
    assert!(
        problem(&[("chosen", text("b")), ("rejected", text("b"))]).ends_with("answer are the same")
    );
    for (role, row) in [("chosen", ["", "b"]), ("rejected", ["b", " "])] {
        let [chosen, rejected] = row;
        let found = problem(&[("chosen", text(chosen)), ("rejected", text(rejected))]);
        assert_eq!(found, format!("`a.x` line 1: the {role} is empty"));
    }
}

#[test]
fn preferences_without_a_prompt_share_what_both_answers_start_with() {
    let row: Fields<'_> = &[("chosen", text("Q: A: yes")), ("rejected", text("Q: A: no"))];
    let found = collected(true, &[row]).expect("reads");
    let example = &found.examples[0];
    assert_eq!((&*example.prompt, &*example.completion), ("Q: A:", " yes"));
    assert_eq!(example.extra.as_deref(), Some(&Extra::Rejected(" no".into())));
}

#[test]
fn preferred_messages_are_two_conversations_with_the_same_start() {
    let user = r#"[{"role":"user","content":"a"}"#;
    let answer = |text: &str| format!(r#"{{"role":"assistant","content":"{text}"}}]"#);
    let whole = |text: &str| format!("{user},{}", answer(text));
    let both = [whole("b"), whole("c")];
    let rows: [Fields<'_>; 2] = [
        &[("chosen", list(&both[0])), ("rejected", list(&both[1]))],
        &[
            ("prompt", list(&format!("{user}]"))),
            ("chosen", list(&format!("[{}", answer("b")))),
            ("rejected", list(&format!("[{}", answer("c")))),
        ],
    ];
    for row in rows {
        let found = collected(true, &[row]).expect("reads");
        let Some(Extra::RejectedConversation { chosen, rejected, prompt_messages }) =
            found.examples[0].extra.as_deref()
        else {
            panic!("no conversations")
        };
        assert_eq!((&**chosen, &**rejected, *prompt_messages), (&*both[0], &*both[1], 1));
    }
    let found = problem(&[("chosen", list(&both[0])), ("rejected", text("c"))]);
    assert!(found.ends_with("one of the answers is text and the other a list of messages"));
    let row: Fields<'_> =
        &[("prompt", list(&both[0])), ("chosen", text("b")), ("rejected", text("c"))];
    assert!(problem(row).ends_with("the answers are text"));
}

#[test]
fn a_pair_of_texts_has_both_in_its_prompt() {
    let row = |label: &'static str| {
        [("premise", text("It rains.")), ("hypothesis", text("It is wet.")), ("label", text(label))]
    };
    let found = collected(true, &[&row("yes"), &row("no")]).expect("reads");
    assert_eq!(&*found.examples[0].prompt, "It rains.\nIt is wet.\nLabel:");
    assert_eq!(
        found.report.line(),
        "read as x: `premise` as text, `hypothesis` as text_pair, `label`"
    );
}

#[test]
fn lists_objects_and_fractions_are_refused_as_labels() {
    let label = |field| problem(&[("text", text("a")), ("label", field)]);
    assert!(
        label(Field::List(None))
            .starts_with("`a.x` line 1: the label is a list; each example needs one label")
    );
    assert_eq!(
        label(Field::Object),
        "`a.x` line 1: the label is an object; expected a name or a whole number"
    );
    assert!(label(Field::Float(0.5)).starts_with(
        "`a.x` line 1: the label is the number 0.5; a label must be a name or a whole number"
    ));
    assert_eq!(
        problem(&[("text", Field::List(None))]),
        "`a.x` line 1: the text is a list; expected a string"
    );
    assert_eq!(
        problem(&[("review", Field::Object), ("sentiment", text("x"))]),
        "`a.x` line 1: the text (column `review`) is an object; expected a string"
    );
}

#[test]
fn missing_labels_are_named_with_their_row() {
    let label = |field| {
        let error = error(&[("text", text("a")), ("label", field)]);
        assert_eq!(error.code(), "data::missing_label");
        assert!(error.hint().expect("a hint").contains("skip_bad=true"));
        error.to_string()
    };
    assert_eq!(label(Field::Null), "`a.x` line 1: the label is null, a missing value");
    assert_eq!(label(Field::Float(f64::NAN)), "`a.x` line 1: the label is `NaN`, a missing value");
    assert_eq!(label(text("NaN")), "`a.x` line 1: the label is `NaN`, a missing value");
    assert_eq!(label(text(" ")), "`a.x` line 1: the label is empty, a missing value");
    let csv: Vec<[(&str, Field<'static>); 2]> =
        ["1", "nan", "0"].map(|label| [("text", text("a")), ("label", text(label))]).into();
    let rows: Vec<Fields<'_>> = csv.iter().map(|row| row.as_slice()).collect();
    let error = collected(false, &rows).err().expect("refused").to_string();
    assert_eq!(error, "`a.x` line 2: the label is `nan`, a missing value");
}

#[test]
fn a_missing_number_is_skipped_when_asked_for_and_a_missing_name_is_reported() {
    let csv = |skips: bool, labels: &[&str]| {
        let rows: Vec<[(&str, Field<'static>); 2]> =
            labels.iter().map(|label| [("text", text("a")), ("label", text(label))]).collect();
        let settings = Settings::default().with("skip_bad", Value::Bool(skips));
        with(&settings, false, &rows.iter().map(|row| row.as_slice()).collect::<Vec<_>>())
    };
    let found = csv(true, &["1", "nan", "0", "nan", "2"]).expect("reads");
    assert_eq!((labels(&found), found.splits.len()), (vec!["1", "0", "2"], 3));
    assert_eq!(
        found.report.notes,
        ["skipped 2 bad rows: `a.x` line 2: the label is `nan`, a missing value; and 1 more"]
    );
    let found = csv(true, &["1", "nan", "0", "NaN", "n/a"]).expect("reads");
    assert_eq!(labels(&found), ["1", "0"]);
    let found = csv(false, &["good", "nan", "bad", "nan"]).expect("reads");
    assert_eq!(labels(&found), ["good", "nan", "bad", "nan"]);
    assert_eq!(
        found.report.notes,
        ["`nan` is the label of 2 examples: if it stands for a missing value, remove these rows"]
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
        let rows: Vec<[(&str, Field<'static>); 2]> =
            labels.iter().map(|label| [("text", text("a")), ("label", text(label))]).collect();
        collected(false, &rows.iter().map(|row| row.as_slice()).collect::<Vec<_>>())
    };
    assert_eq!(labels(&csv(&["1.0", "0.0", "-1", "1"]).expect("reads")), ["1", "0", "-1", "1"]);
    let error = csv(&["1.0", "0.25"]).err().expect("refused");
    assert!(
        error.to_string().starts_with("`a.x` line 2: the label is the number 0.25;"),
        "{error}"
    );
    assert_eq!(labels(&csv(&["v1.5", "0.25", "nan"]).expect("names")), ["v1.5", "0.25", "nan"]);
}

#[test]
fn given_columns_are_used_and_unknown_ones_are_named() {
    let keys = |columns: &str| {
        Settings::default()
            .with("columns", Value::List(columns.split(',').map(str::to_owned).collect()))
    };
    let row = |label: &'static str| {
        [("headline", text("a")), ("topic", text(label)), ("text", text("b"))]
    };
    let settings = keys("text:headline,label:topic");
    let found = with(&settings, true, &[&row("x"), &row("y")]).expect("reads");
    assert_eq!(labels(&found), ["x", "y"]);
    assert_eq!(
        found.report.line(),
        "read as x: `headline` as text, `topic` as label; ignored: `text`"
    );
    let error = with(&keys("text:headlin"), true, &[&row("x")]).err().expect("refused");
    assert_eq!(
        error.to_string(),
        "`a.x` line 1 has no column `headlin` for the text; its columns are `headline`, `topic`, `text`"
    );
    assert_eq!(error.hint().as_deref(), Some("did you mean columns=text:headline?"));
    let error = with(&keys("label:topic"), true, &[&row("x")]).err().expect("refused");
    assert!(error.hint().expect("a hint").contains("columns=text:COLUMN,label:COLUMN"));
}

#[test]
fn bad_rows_are_skipped_and_counted_when_asked_for() {
    let settings = Settings::default().with("skip_bad", Value::Bool(true));
    let good: Fields<'_> = &[("text", text("a"))];
    let bad: Fields<'_> = &[("body", text("a"))];
    let found = with(&settings, true, &[good, bad, good, bad]).expect("reads");
    assert_eq!(found.examples.len(), 2);
    assert_eq!(
        found.report.notes,
        [
            "skipped 2 bad rows: `a.x` line 2 has no `text`; its fields are `body`; `a.x` line 4 has no `text`; its fields are `body`"
        ]
    );
    let error = with(&settings, true, &[bad, bad]).err().expect("no good row");
    assert_eq!(
        error.to_string(),
        "`a.x` has no examples: all 2 rows are bad, the first one: `a.x` line 1 has no `text`; its fields are `body`"
    );
}

#[test]
fn a_label_without_training_examples_is_refused_with_its_row() {
    let row = |label: &'static str, split: &'static str| {
        [("text", text("a")), ("label", text(label)), ("split", text(split))]
    };
    let rows = [row("good", "train"), row("bad", "train"), row("goood", "test")];
    let error = collected(true, &[&rows[0], &rows[1], &rows[2]]).err().expect("refused");
    assert_eq!(
        error.to_string(),
        "`a.x` line 3: the label `goood` is in the test split, but no training example has it; labels for training: `good`, `bad`"
    );
    assert!(error.hint().expect("a hint").starts_with("did you mean `good`?"));
}

#[test]
fn many_labels_are_doubted_and_too_many_refused() {
    let options = ReadOptions::new(&Settings::default(), "{text}").expect("valid");
    let mut collector = Collector::new(&options, u64::MAX);
    collector.begin("a.x", None, true);
    let mut result = Ok(Flow::Continue(()));
    for number in 0..=MOST_LABELS {
        let fields = vec![
            (Cow::Borrowed("text"), text("a")),
            (Cow::Borrowed("label"), text(&number.to_string())),
        ];
        result = collector.row(Place::Line(number + 1), fields);
    }
    let error = result.expect_err("too many");
    assert_eq!(
        (error.code(), error.to_string().contains("line 10001")),
        ("data::many_labels", true),
        "{error}"
    );
    let found = collector.finish("a.x", String::new()).expect("reads");
    assert_eq!(
        found.report.notes,
        [
            "10000 different labels in 10000 examples: is the label column an identifier, a number or free text?"
        ]
    );
}

#[test]
fn what_does_not_fit_into_memory_is_refused_before_it_is_kept() {
    let options = ReadOptions::new(&Settings::default(), "{text}").expect("valid");
    let mut collector = Collector::new(&options, 350);
    collector.begin("a.x", None, true);
    let results: Vec<bool> =
        (1..6).map(|line| collector.text(Place::Line(line), "word").is_ok()).collect();
    assert_eq!(results, [true, true, true, false, false]);
}
