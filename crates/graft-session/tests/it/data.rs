//! Data sets: files that are read, refused, replaced or stopped, and the messages about them.

use std::path::Path;
use std::time::Duration;

use graft_protocol::{Block, Command, Event, Level, Reply};
use graft_spec::{Failure, Settings, training};

use crate::test_session::{TestSession, keys_of};

fn load(test: &TestSession, file: &Path, keys: &str) -> Result<Reply, Failure> {
    test.run(Command::DataLoad {
        source: file.display().to_string(),
        settings: keys_of(training::DATA, keys),
    })
}

fn inline(test: &TestSession, name: &str, text: &str) -> String {
    said(
        test.run(Command::DataInline {
            name: name.to_owned(),
            text: text.to_owned(),
            settings: Settings::default(),
        })
        .unwrap(),
    )
}

fn said(reply: Reply) -> String {
    let texts = reply
        .blocks
        .into_iter()
        .map(|block| if let Block::Text(text) = block { text } else { panic!("{block:?}") });
    texts.collect::<Vec<_>>().join("\n")
}

/// The notes and warnings.
fn notes(test: &TestSession) -> Vec<(Level, String)> {
    test.sink
        .events()
        .into_iter()
        .filter_map(|event| {
            if let Event::Note { level, text } = event { Some((level, text)) } else { None }
        })
        .collect()
}

fn written(test: &TestSession, name: &str, bytes: &[u8]) -> std::path::PathBuf {
    let path = test.folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn a_tsv_file_with_labels_is_loaded_and_its_columns_are_reported() {
    let test = TestSession::new();
    let rows: String =
        (0..20).map(|row| format!("{row}\tsome words\t{}\n", ["good", "bad"][row % 2])).collect();
    let reply = said(
        load(
            &test,
            &written(&test, "moods.tsv", format!("id\ttext\tlabels\n{rows}").as_bytes()),
            "",
        )
        .unwrap(),
    );
    assert_eq!(
        reply,
        "data `moods`: text with 2 labels; 16 training, 2 validation and 2 test examples\nread as tsv: `text`, `labels` as label"
    );
    assert_eq!(notes(&test), [(Level::Info, "data `moods`: ignored `id`".to_owned())]);
}

#[test]
fn ignored_columns_of_a_text_table_cause_a_warning() {
    let test = TestSession::new();
    load(&test, &written(&test, "reviews.csv", b"text,category\na,x\nb,y\nc,x\n"), "").unwrap();
    let warning =
        "data `reviews`: ignored `category`; a column named `label` would make it text with labels";
    assert_eq!(notes(&test), [(Level::Warning, warning.to_owned())]);
}

#[test]
fn a_replaced_set_is_reported() {
    let test = TestSession::new();
    let first = written(&test, "moods.csv", b"text,label\na,x\nb,y\nc,x\n");
    load(&test, &first, "").unwrap();
    load(&test, &first, "").unwrap();
    assert_eq!(notes(&test), [(Level::Info, "loaded data `moods` again: unchanged".to_owned())]);
    inline(
        &test,
        "moods",
        "{\"text\": \"a\", \"label\": \"x\"}\n{\"text\": \"b\", \"label\": \"y\"}\n",
    );
    let (level, text) = notes(&test).pop().unwrap();
    assert_eq!(
        (level, text),
        (
            Level::Warning,
            format!(
                "replaced data `moods` (3 examples, from `{}`); `%%data OTHER` keeps both",
                first.display()
            )
        )
    );
    assert_eq!(test.session.state().data.len(), 1);
}

#[test]
fn runs_of_a_replaced_set_are_named_and_resume_on_their_own_data() {
    let test = TestSession::attached();
    test.train("steps=2 batch=2 eval_every=0").unwrap();
    let run = test.session.snapshot().runs[0].clone();
    inline(&test, "colors", "{\"text\": \"a\"}\n{\"text\": \"b\"}\n");
    let (_, text) = notes(&test).pop().unwrap();
    assert!(
        text.starts_with("replaced data `colors` (")
            && text.ends_with(&format!(
                "runs trained on the earlier data: `{run}` (their weights and curves are unchanged)"
            )),
        "{text}"
    );
    test.run(Command::Resume { run: Some(run), settings: keys_of(training::TRAIN, "steps=4") })
        .unwrap();
}

#[test]
fn a_file_that_is_refused_leaves_the_session_as_it_was() {
    let test = TestSession::ready();
    let refused = |bytes: &[u8], code: &str| {
        let failure = load(&test, &written(&test, "x.jsonl", bytes), "").unwrap_err();
        assert_eq!(failure.code, code);
        assert!(failure.hint.is_some(), "{failure}");
    };
    refused(b"PAR1\x15\x04", "data::format");
    refused(b"{\"messages\": []}\n", "data::unsupported");
    refused(b"{\"text\": \"a\", \"label\": 0.5}\n", "data::float_label");
    refused(b"{\"text\": \"a\", \"label\": [1, 0]}\n", "data::list_label");
    refused(b"{\"text\": \"a\0\"}\n", "data::binary");
    assert_eq!(load(&test, Path::new("/dev/zero"), "").unwrap_err().code, "file::not_regular");
    assert_eq!(load(&test, test.folder.path(), "").unwrap_err().code, "file::not_regular");
    assert_eq!(test.session.snapshot().data, ["colors"]);
}

#[test]
fn loading_a_large_file_can_be_stopped() {
    let test = TestSession::new();
    let path = written(
        &test,
        "large.jsonl",
        "{\"prompt\": \"a question\", \"completion\": \" an answer\"}\n"
            .repeat(2_000_000)
            .as_bytes(),
    );
    let session = test.session.clone();
    let source = path.display().to_string();
    let loading = std::thread::spawn(move || {
        session.execute(Command::DataLoad { source, settings: Settings::default() })
    });
    while test.session.interrupt().is_none() && !loading.is_finished() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let failure = loading.join().unwrap().unwrap_err();
    assert_eq!(failure.code, "data::interrupted");
    assert!(test.session.state().data.is_empty());
}

#[test]
fn a_name_with_a_line_break_is_refused() {
    let test = TestSession::new();
    let failure = test
        .run(Command::DataInline {
            name: "colors\n%seed 1".to_owned(),
            text: crate::tiny::colors(),
            settings: Settings::default(),
        })
        .unwrap_err();
    assert_eq!(failure.code, "session::data_name", "{failure}");
    assert!(failure.message.contains(r"colors\n%seed 1"), "{failure}");
    assert!(test.session.state().data.is_empty());
}
