//! Data sets: files that are read, refused, replaced or stopped, and the messages about them.
#![allow(unsafe_code)]

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
    assert_eq!(notes(&test).pop(), Some((Level::Warning, warning.to_owned())));
}

#[test]
fn a_replaced_set_is_reported() {
    let test = TestSession::new();
    let first = written(&test, "moods.csv", b"text,label\na,x\nb,y\nc,x\n");
    load(&test, &first, "").unwrap();
    load(&test, &first, "").unwrap();
    let again = (Level::Info, "loaded data `moods` again: unchanged".to_owned());
    assert_eq!(notes(&test).pop(), Some(again));
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
    refused(b"PAR1\x15\x04", "data::damaged_parquet");
    refused(b"{\"messages\": []}\n", "data::malformed");
    refused(b"{\"text\": \"a\", \"label\": 0.5}\n", "data::float_label");
    refused(b"{\"text\": \"a\", \"label\": [1, 0]}\n", "data::list_label");
    refused(b"{\"text\": \"a\0\"}\n", "data::binary");
    assert_eq!(load(&test, Path::new("/dev/zero"), "").unwrap_err().code, "file::not_regular");
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

fn rows(count: usize, row: impl Fn(usize) -> String) -> Vec<u8> {
    (0..count).map(|number| row(number) + "\n").collect::<String>().into_bytes()
}

#[test]
fn files_of_splits_and_given_columns_are_loaded_and_reported() {
    let test = TestSession::new();
    let table = |label: &str| format!("body,stars\na,{label}\nb,bad\n").into_bytes();
    let train = written(&test, "a.csv", &table("good"));
    let dev = written(&test, "b.csv", &table("good"));
    let keys = format!(
        "train={} validation={} columns=text:body,label:stars",
        train.display(),
        dev.display()
    );
    let reply = said(load(&test, Path::new(""), &keys).unwrap());
    assert_eq!(
        reply,
        "data `a`: text with 2 labels; 2 training, 2 validation and 0 test examples\nread as 2 files, csv: `body` as text, `stars` as label"
    );
    let both = load(&test, &train, &format!("train={}", dev.display())).unwrap_err();
    assert_eq!(both.code, "session::data_sources");
    assert_eq!(load(&test, Path::new(""), "").unwrap_err().code, "session::no_data_source");
    let wrong = written(&test, "c.csv", &table("godo"));
    let keys = format!("test={} columns=text:body,label:stars", wrong.display());
    let failure = load(&test, &train, &keys).unwrap_err();
    assert_eq!(failure.code, "data::unseen_label");
    assert!(
        failure.message.contains("c.csv` line 2: the label `godo` is in the test split"),
        "{failure}"
    );
}

#[test]
fn conversations_are_trained_on_with_a_template_and_without_one_it_is_named() {
    let test = TestSession::attached();
    let chat = |number: usize| {
        format!(
            r#"{{"messages": [{{"role": "user", "content": "red {number}"}}, {{"role": "assistant", "content": "blue"}}]}}"#
        )
    };
    let path = written(&test, "chat.jsonl", &rows(10, chat));
    let reply = said(load(&test, &path, "").unwrap());
    assert_eq!(
        reply,
        "data `chat`: conversations; 8 training, 1 validation and 1 test examples\nread as jsonl: `messages`"
    );
    let table = test.run(Command::DataShow { name: None, rows: 1, tokens: None }).unwrap();
    assert!(format!("{table:?}").contains("| assistant: blue"), "{table:?}");
    let failure = test.train("steps=1").unwrap_err();
    assert_eq!(failure.code, "chat::no_template");
    assert!(failure.hint.unwrap().contains("`%data load FILE chat_template=plain`"));
    load(&test, &path, "chat_template=plain").unwrap();
    test.train("steps=1 eval_every=0").unwrap();
}

#[test]
fn preferences_are_loaded_and_the_chosen_answers_can_be_trained_on() {
    let test = TestSession::attached();
    let pair = |number: usize| {
        format!(r#"{{"prompt": "red {number}", "chosen": "blue", "rejected": "green"}}"#)
    };
    let path = written(&test, "pairs.jsonl", &rows(10, pair));
    let reply = said(load(&test, &path, "").unwrap());
    assert!(reply.contains("prompts with chosen and rejected answers"), "{reply}");
    let failure = test.train("steps=1").unwrap_err();
    assert_eq!(failure.code, "train::preferences");
    let hint = failure.hint.unwrap();
    assert!(hint.contains("%train loss=dpo"), "{hint}");
    test.train("steps=1 eval_every=0 loss=dpo").unwrap();
    load(&test, &path, "columns=prompt:prompt,completion:chosen").unwrap();
    test.train("steps=1 eval_every=0").unwrap();
}

#[test]
fn skipped_rows_are_counted_in_a_warning() {
    let test = TestSession::new();
    let path = written(&test, "a.jsonl", b"{\"text\": \"a\"}\nnonsense\n{\"text\": \"b\"}\n");
    let failure = load(&test, &path, "").unwrap_err();
    assert!(failure.hint.unwrap().contains("skip_bad=true"));
    load(&test, &path, "skip_bad=true").unwrap();
    let [(level, text), (_, small)] = &notes(&test)[..] else { panic!("{:?}", notes(&test)) };
    assert_eq!(*level, Level::Warning);
    assert!(text.starts_with("data `a`: skipped 1 bad row: ") && text.contains("line 2"), "{text}");
    assert!(small.starts_with("data `a`: 2 examples: too few to hold any out"), "{small}");
}

/// Writes a snapshot of the data set `o/n` into a cache of the Hugging Face Hub.
fn cached(home: &Path, files: &[(&str, &str)]) {
    let repository = home.join("hub/datasets--o--n");
    std::fs::create_dir_all(repository.join("refs")).unwrap();
    std::fs::write(repository.join("refs/main"), "abc").unwrap();
    for (name, text) in files {
        let path = repository.join("snapshots/abc").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

#[test]
fn a_data_set_of_the_hub_is_read_from_the_local_cache_without_a_network() {
    let test = TestSession::new();
    let home = test.folder.path().join("home");
    let before = std::env::var_os("HF_HOME");
    // SAFETY: tests that read or write the environment hold the lock of TestSession.
    unsafe {
        std::env::set_var("HF_HOME", &home);
        std::env::set_var("HF_HUB_OFFLINE", "1");
    }
    let hub = Path::new("o/n");
    let missing = load(&test, hub, "").unwrap_err();
    assert_eq!(missing.code, "session::hub_data");
    assert!(missing.message.contains("is not in the local cache"), "{missing}");
    let row = "text,label\na,x\nb,y\n";
    cached(
        &home,
        &[
            ("README.md", "#"),
            ("one/train.csv", row),
            ("one/test.csv", row),
            ("one/other.csv", row),
        ],
    );
    let reply = said(load(&test, hub, "").unwrap());
    assert_eq!(
        reply,
        "data `n`: text with 2 labels; 2 training, 0 validation and 2 test examples\nread as 2 files, csv: `text`, `label`"
    );
    cached(&home, &[("two/train.csv", row)]);
    let failure = load(&test, hub, "subset=oen").unwrap_err();
    assert_eq!(
        failure.hint.as_deref(),
        Some("%data load o/n subset=one; subsets: one, two"),
        "{failure}"
    );
    load(&test, hub, "subset=two").unwrap();
    // SAFETY: as above.
    unsafe {
        std::env::remove_var("HF_HUB_OFFLINE");
        before.map_or_else(
            || std::env::remove_var("HF_HOME"),
            |home| std::env::set_var("HF_HOME", home),
        );
    }
}
