//! An exported script of a ledger that another person wrote has exactly the intended cells.

use graft_magic::{PartKind, parse_cell, script_cells};
use graft_protocol::{AdapterAction, Command, RunsAction, Snapshot};
use graft_spec::{Settings, Value};
use graft_train::runs::{RunFolder, RunHeader, Start};
use proptest::prelude::*;

use crate::test_session::TestSession;

/// Fragments that could break a script.
const HOSTILE: &[&str] = &[
    "\n",
    "\r\n",
    "\n// %%\n",
    "// %%",
    "// \\%%",
    "//\\\\%% x",
    "%%",
    "\n%%sh\n",
    "\n!touch /tmp/x\n",
    "%train",
    "\"",
    "'",
    "\\",
    "\\\n",
    "=",
    "--rust",
    "?",
    "-h",
    "`",
    "\u{1b}[2J",
    "\u{202e}",
    "\u{2028}",
    "\u{0}",
    "\t",
    " ",
    ",",
    "[",
    "]",
    "{",
    "}",
    "/*",
    "*/",
    "#!",
    "a",
    "é",
    "r=8",
    "\\u{41}",
    "\\n",
    "#",
    ":dep x",
];

fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        proptest::sample::select(HOSTILE).prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
        "[a-z]{1,4}"
    ];
    // `None` alone is the default; another test checks that it is refused.
    proptest::collection::vec(piece, 0..8)
        .prop_map(|pieces| pieces.concat())
        .prop_filter("a value", |text| text != "None")
}

fn not_empty() -> impl Strategy<Value = String> {
    hostile().prop_map(|text| if text.is_empty() { "x".to_owned() } else { text })
}

fn data_text() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![hostile(), Just("// %%".to_owned()), Just("//  \\\\%% y".to_owned())],
        1..6,
    )
    .prop_map(|lines| lines.join("\n"))
    .prop_filter("there are examples", |text| !text.trim().is_empty())
}

/// A header with arbitrary values.
fn header() -> impl Strategy<Value = RunHeader> {
    let texts = (hostile(), not_empty(), not_empty(), hostile(), hostile());
    let data = (any::<bool>(), data_text(), hostile());
    (texts, data, hostile(), (any::<u64>(), any::<u64>(), 1..64i64, any::<bool>())).prop_map(
        |(
            (title, model, source, version, name),
            (inline, text, template),
            adapter,
            (seed, start, r, fresh),
        )| RunHeader {
            title,
            model,
            version,
            data: name,
            data_source: if inline { String::new() } else { source },
            data_inline: inline.then_some(text),
            data_settings: Settings::default().with("template", Value::Text(template)),
            method: "lora".to_owned(),
            adapter: adapter.clone(),
            adapter_settings: Settings::default().with("r", Value::Integer(r)),
            train: Settings::default()
                .with("steps", Value::Integer(r))
                .with("data", Value::Text(adapter)),
            default_lr: 0.001,
            seed,
            session_seed: Some(seed),
            start: fresh.then_some(Start::Fresh { seed: start, data: None }),
            ..RunHeader::default()
        },
    )
}

/// The commands that the script of a header must contain.
fn meant(header: &RunHeader) -> Vec<Command> {
    let (first, train) = match header.start {
        Some(Start::Fresh { seed, .. }) => (seed, header.seed),
        _ => (header.seed, header.seed),
    };
    let data = match &header.data_inline {
        Some(text) => {
            let (name, text) = (header.data.clone(), format!("{}\n", text.trim_end_matches('\n')));
            Command::DataInline { name, text, settings: header.data_settings.clone() }
        }
        None => Command::DataLoad {
            source: header.data_source.clone(),
            settings: header.data_settings.clone(),
        },
    };
    let mut attach = header.adapter_settings.clone();
    if !matches!(header.adapter.as_str(), "" | "default") && !header.adapter.starts_with('_') {
        attach.set("adapter_name", Value::Text(header.adapter.clone()));
    }
    let mut commands = vec![
        Command::Seed { seed: Some(first) },
        Command::ModelLoad { source: header.model.clone(), settings: Settings::default() },
        data,
        Command::Adapter {
            method: "lora".to_owned(),
            action: AdapterAction::Attach { settings: attach },
        },
    ];
    if train != first {
        commands.push(Command::Seed { seed: Some(train) });
    }
    commands.push(Command::Train {
        attach: None,
        settings: header.train.clone().with("lr", Value::Float(header.default_lr)),
    });
    commands
}

#[test]
fn an_exported_script_of_hostile_values_has_only_the_intended_cells() {
    let test = TestSession::new();
    let run = RunFolder::create(&test.folder.path().join("runs"), "lora").unwrap();
    let (ledger, file) = (run.path().join("ledger.jsonl"), test.folder.path().join("x.graft"));
    let export = Command::Runs {
        action: RunsAction::Export { run: "lora-001".to_owned(), file: file.display().to_string() },
    };
    proptest!(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() }, |(header in header())| {
        std::fs::write(&ledger, format!("{{\"header\":{}}}\n", serde_json::to_string(&header).unwrap())).unwrap();
        test.run(export.clone()).unwrap();
        let script = std::fs::read_to_string(&file).unwrap();
        let mut found = Vec::new();
        for cell in script_cells(&script) {
            for part in parse_cell(&cell, &Snapshot::default()).unwrap_or_else(|failure| panic!("{failure}\n{script}")) {
                match part.kind {
                    PartKind::Session(command) => found.push(command),
                    other => panic!("{other:?} in\n{script}"),
                }
            }
        }
        prop_assert_eq!(found, meant(&header), "{}", script);
    });
}

#[test]
fn unknown_keys_and_methods_are_refused_and_nothing_is_written() {
    let test = TestSession::new();
    let run = RunFolder::create(&test.folder.path().join("runs"), "lora").unwrap();
    let good = RunHeader {
        method: "lora".to_owned(),
        model: "tiny".to_owned(),
        data_source: "which-book".to_owned(),
        ..RunHeader::default()
    };
    let evil = "r=1\n!touch /tmp/x\n%lora";
    let headers = [
        RunHeader { method: evil.to_owned(), ..good.clone() },
        RunHeader { train: Settings::default().with(evil, Value::Integer(1)), ..good.clone() },
        RunHeader {
            model_settings: Settings::default().with(evil, Value::Integer(1)),
            ..good.clone()
        },
        RunHeader {
            adapter_settings: Settings::default().with("r", Value::Text(evil.to_owned())),
            ..good.clone()
        },
        RunHeader {
            data_settings: Settings::default().with(evil, Value::Bool(true)),
            ..good.clone()
        },
        RunHeader { start: Some(Start::Run { run: evil.to_owned(), step: 1 }), ..good },
    ];
    let file = test.folder.path().join("x.graft");
    for header in headers {
        std::fs::write(
            run.path().join("ledger.jsonl"),
            format!("{{\"header\":{}}}\n", serde_json::to_string(&header).unwrap()),
        )
        .unwrap();
        let failure = test
            .run(Command::Runs {
                action: RunsAction::Export {
                    run: "lora-001".to_owned(),
                    file: file.display().to_string(),
                },
            })
            .unwrap_err();
        assert_eq!(failure.code, "session::export");
        assert!(!file.exists());
    }
}
