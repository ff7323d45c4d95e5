//! Data sets by their files: what is read, refused, replaced, stopped, and what the user is told.

use std::path::Path;
use std::time::Duration;

use graft_protocol::{Block, Command, Event, Level, Reply};
use graft_spec::{Failure, Settings, training};

use crate::world::{World, keys_of};

fn load(world: &World, file: &Path, keys: &str) -> Result<Reply, Failure> {
    world.run(Command::DataLoad {
        source: file.display().to_string(),
        settings: keys_of(training::DATA, keys),
    })
}

fn inline(world: &World, name: &str, text: &str) -> String {
    said(
        world
            .run(Command::DataInline {
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

/// What was said besides the replies.
fn notes(world: &World) -> Vec<(Level, String)> {
    world
        .ear
        .events()
        .into_iter()
        .filter_map(|event| {
            if let Event::Note { level, text } = event { Some((level, text)) } else { None }
        })
        .collect()
}

fn written(world: &World, name: &str, bytes: &[u8]) -> std::path::PathBuf {
    let path = world.folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn a_tsv_file_with_labels_is_a_set_with_labels_and_its_columns_are_said() {
    let world = World::new();
    let rows: String =
        (0..20).map(|row| format!("{row}\tsome words\t{}\n", ["good", "bad"][row % 2])).collect();
    let reply = said(
        load(
            &world,
            &written(&world, "moods.tsv", format!("id\ttext\tlabels\n{rows}").as_bytes()),
            "",
        )
        .unwrap(),
    );
    assert_eq!(
        reply,
        "data `moods`: text with 2 labels; 16 training, 2 validation and 2 test examples\nread as tsv: `text`, `labels` as label"
    );
    assert_eq!(notes(&world), [(Level::Info, "data `moods`: ignored `id`".to_owned())]);
}

#[test]
fn a_table_of_texts_whose_other_columns_are_ignored_is_a_warning() {
    let world = World::new();
    load(&world, &written(&world, "reviews.csv", b"text,category\na,x\nb,y\nc,x\n"), "").unwrap();
    let warning =
        "data `reviews`: ignored `category`; a column named `label` would make it text with labels";
    assert_eq!(notes(&world), [(Level::Warning, warning.to_owned())]);
}

#[test]
fn a_set_that_takes_the_place_of_another_says_so() {
    let world = World::new();
    let first = written(&world, "moods.csv", b"text,label\na,x\nb,y\nc,x\n");
    load(&world, &first, "").unwrap();
    load(&world, &first, "").unwrap();
    assert_eq!(
        notes(&world),
        [(Level::Info, "data `moods` was loaded again and is unchanged".to_owned())]
    );
    inline(
        &world,
        "moods",
        "{\"text\": \"a\", \"label\": \"x\"}\n{\"text\": \"b\", \"label\": \"y\"}\n",
    );
    let (level, text) = notes(&world).pop().unwrap();
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
    assert_eq!(world.session.state().data.len(), 1);
}

#[test]
fn a_run_trained_on_the_replaced_set_is_named_and_goes_on_with_its_own() {
    let world = World::attached();
    world.train("steps=2 batch=2 eval_every=0").unwrap();
    let run = world.session.snapshot().runs[0].clone();
    inline(&world, "colours", "{\"text\": \"a\"}\n{\"text\": \"b\"}\n");
    let (_, text) = notes(&world).pop().unwrap();
    assert!(
        text.starts_with("replaced data `colours` (")
            && text.ends_with(&format!(
                "runs trained on the earlier data: `{run}` (their weights and curves are unchanged)"
            )),
        "{text}"
    );
    world
        .run(Command::Resume { run: Some(run), settings: keys_of(training::TRAIN, "steps=4") })
        .unwrap();
}

#[test]
fn a_file_that_is_refused_leaves_the_session_as_it_was() {
    let world = World::ready();
    let refused = |bytes: &[u8], code: &str| {
        let failure = load(&world, &written(&world, "x.jsonl", bytes), "").unwrap_err();
        assert_eq!(failure.code, code);
        assert!(failure.hint.is_some(), "{failure}");
    };
    refused(b"PAR1\x15\x04", "data::format");
    refused(b"{\"messages\": []}\n", "data::unsupported");
    refused(b"{\"text\": \"a\", \"label\": 0.5}\n", "data::float_label");
    refused(b"{\"text\": \"a\", \"label\": [1, 0]}\n", "data::list_label");
    refused(b"{\"text\": \"a\0\"}\n", "data::binary");
    assert_eq!(load(&world, Path::new("/dev/zero"), "").unwrap_err().code, "file::not_regular");
    assert_eq!(load(&world, world.folder.path(), "").unwrap_err().code, "file::not_regular");
    assert_eq!(world.session.snapshot().data, ["colours"]);
}

#[test]
fn loading_a_large_file_can_be_stopped() {
    let world = World::new();
    let path = written(
        &world,
        "large.jsonl",
        "{\"prompt\": \"a question\", \"completion\": \" an answer\"}\n"
            .repeat(2_000_000)
            .as_bytes(),
    );
    let session = world.session.clone();
    let source = path.display().to_string();
    let loading = std::thread::spawn(move || {
        session.execute(Command::DataLoad { source, settings: Settings::default() })
    });
    while world.session.interrupt().is_none() && !loading.is_finished() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let failure = loading.join().unwrap().unwrap_err();
    assert_eq!(failure.code, "data::interrupted");
    assert!(world.session.state().data.is_empty());
}
