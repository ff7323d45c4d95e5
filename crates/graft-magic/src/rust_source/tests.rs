use graft_protocol::{AdapterAction, ChatAction, Command, RunsAction, Snapshot};
use graft_spec::{Settings, Value, methods::METHODS, training};

use crate::{PartKind, parse_cell, rust_source};

#[test]
fn each_verb_prints_its_rust() {
    for (magic, rust) in [
        ("%model load tiny", r#"lab().load_model("tiny")?;"#),
        (
            "%model load tiny dtype=bf16",
            r#"lab().load_model_with("tiny", ModelOptions::new().dtype("bf16"))?;"#,
        ),
        (
            "%lora attach r=8 alpha=16 targets=q_proj,v_proj",
            r#"lab().model()?.attach(Lora::new().lora_alpha(16.0).r(8).target_modules(["q_proj", "v_proj"]))?;"#,
        ),
        (
            "%prompt_tune tokens=20 steps=3",
            "lab().model()?.attach(PromptTuning::new().num_virtual_tokens(20))?;\nlab().train(Train::new().steps(3))?;",
        ),
        ("%lora scale 0.5", "lab().model()?.active_adapter()?.set_scale(0.5)?;"),
        ("%lora save \"my dir\" name=a", r#"lab().model()?.adapter("a")?.save("my dir")?;"#),
        ("%train steps=200 lr=1e-3", "lab().train(Train::new().lr(0.001).steps(200))?;"),
        ("%train batch=auto", "lab().train(Train::new().batch_auto())?;"),
        (
            "%data load a.csv validation=b.csv test=0.2",
            "lab().load_data_with(\"a.csv\", DataOptions::new().test(0.2).validation_file(\"b.csv\"))?;",
        ),
        ("%lora off", "lab().model()?.disable_adapters()?;"),
        ("%resume", "lab().resume(None)?;"),
        (
            "%generate A trait is tokens=40",
            r#"println!("{}", lab().generate("A trait is", Generate::new().max_new_tokens(40))?);"#,
        ),
        ("%seed 7", "lab().set_seed(7)?;"),
        ("%runs use lora-001", r#"lab().runs().adapter("lora-001", RunWeights::new())?;"#),
        (
            "%runs use lora-001 step=last as=longer",
            r#"lab().runs().adapter("lora-001", RunWeights::new().adapter_name("longer").step("last"))?;"#,
        ),
    ] {
        let parts = parse_cell(&format!("{magic} --rust"), &Snapshot::default()).unwrap();
        assert_eq!(parts[0].kind, PartKind::ShowRust(rust.to_owned()));
    }
}

/// Reads the sources of the facade, which contain its public functions.
fn facade() -> String {
    let mut text = String::new();
    let mut folders =
        vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../graft/src"))];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => text.push_str(&std::fs::read_to_string(path).unwrap()),
            }
        }
    }
    text
}

/// Returns settings with a value for every key of a specification.
fn every_key(specs: &[graft_spec::KeySpec]) -> Settings {
    specs.iter().fold(Settings::default(), |settings, key| {
        settings.with(key.name, key.default_value().unwrap_or(Value::Integer(2)))
    })
}

/// Returns one command of each kind, with every key it takes.
fn every_command() -> Vec<Command> {
    let name = || Some("a".to_owned());
    let adapter = |action| Command::Adapter { method: "lora".to_owned(), action };
    let mut commands = vec![
        Command::ModelLoad { source: "tiny".to_owned(), settings: every_key(training::MODEL) },
        Command::ModelResize { settings: every_key(training::MODEL_RESIZE) },
        Command::ModelCard,
        Command::ModelTree,
        Command::ModelSave { directory: "a".to_owned(), settings: Settings::default() },
        Command::ModelSave { directory: "a".to_owned(), settings: every_key(training::MODEL_SAVE) },
        Command::DataLoad { source: "which-book".to_owned(), settings: every_key(training::DATA) },
        Command::DataInline {
            name: "a".to_owned(),
            text: "b".to_owned(),
            settings: every_key(training::DATA),
        },
        Command::DataInline {
            name: "a".to_owned(),
            text: "b".to_owned(),
            settings: Settings::default(),
        },
        Command::DataShow { name: name(), rows: 3, tokens: None },
        Command::DataShow { name: name(), rows: 3, tokens: Some(Settings::default()) },
        Command::DataUse { name: "a".to_owned() },
        Command::Train { attach: None, settings: every_key(training::TRAIN) },
        Command::Resume { run: None, settings: Settings::default() },
        Command::Resume { run: name(), settings: every_key(training::TRAIN) },
        Command::Eval { settings: every_key(training::EVAL) },
        Command::Check { checks: vec!["r == 8".to_owned(), "loss < 3".to_owned()] },
        Command::Jobs,
        Command::Stop,
        Command::Watch { run: None },
        Command::Train {
            attach: None,
            settings: Settings::default().with("bg", Value::Bool(true)),
        },
        Command::Resume { run: None, settings: Settings::default().with("bg", Value::Bool(true)) },
        Command::Forgetting {
            methods: Vec::new(),
            keys: vec![("domain".to_owned(), "rust-docs".to_owned())],
        },
        Command::Ablate {
            methods: vec!["lora".to_owned()],
            keys: vec![("r".to_owned(), "1,2".to_owned())],
        },
        Command::Generate { prompt: "a".to_owned(), settings: every_key(training::GENERATE) },
        Command::Compare { prompt: "a".to_owned(), settings: every_key(training::GENERATE) },
        Command::Chat {
            action: ChatAction::Say {
                text: "a".to_owned(),
                settings: every_key(graft_spec::chat::CHAT),
            },
        },
        Command::Chat { action: ChatAction::Show },
        Command::Chat { action: ChatAction::Reset },
        Command::Memory { of: None, settings: every_key(training::MEMORY) },
        Command::Memory { of: name(), settings: Settings::default() },
        Command::Params,
        Command::TrialStop { number: 3 },
        Command::TrialClone { number: 2, keys: vec![("r".into(), "32".into())] },
        Command::Ablate {
            methods: vec!["lora".into()],
            keys: vec![("r".into(), "1,4".into()), ("bg".into(), "true".into())],
        },
        Command::Weights { module: Some("q_proj".into()) },
        Command::Seed { seed: None },
        Command::Seed { seed: Some(1) },
        Command::Device { device: None },
        Command::Device { device: name() },
        Command::Status,
        Command::Runs { action: RunsAction::List },
        Command::Runs { action: RunsAction::Show { run: name() } },
        Command::Runs { action: RunsAction::Diff { one: "a".to_owned(), other: "b".to_owned() } },
        Command::Runs {
            action: RunsAction::Plot {
                runs: vec!["a".to_owned()],
                settings: every_key(training::PLOT),
            },
        },
        Command::Runs {
            action: RunsAction::Use {
                run: "a".to_owned(),
                settings: every_key(training::RUN_WEIGHTS),
            },
        },
        Command::Runs {
            action: RunsAction::Export { run: "a".to_owned(), file: "b.csv".to_owned() },
        },
        adapter(AdapterAction::Detach { name: name() }),
        adapter(AdapterAction::Merge { name: None }),
        adapter(AdapterAction::Unmerge { name: None }),
        adapter(AdapterAction::Scale { name: None, factor: None }),
        adapter(AdapterAction::Scale { name: None, factor: Some(0.5) }),
        adapter(AdapterAction::Save { name: None, directory: "a".to_owned() }),
        adapter(AdapterAction::Load { directory: "a".to_owned(), name: None }),
        adapter(AdapterAction::Load { directory: "a".to_owned(), name: name() }),
        adapter(AdapterAction::List),
        adapter(AdapterAction::Use { name: "a".to_owned() }),
        adapter(AdapterAction::Enable { on: false }),
        adapter(AdapterAction::Enable { on: true }),
    ];
    let attach = |spec: &&graft_spec::methods::MethodSpec| Command::Adapter {
        method: spec.verb.to_owned(),
        action: AdapterAction::Attach { settings: every_key(spec.keys) },
    };
    commands.extend(METHODS.iter().map(attach));
    commands
}

#[test]
fn every_function_it_prints_is_one_of_the_facade() {
    let facade = facade();
    for command in every_command() {
        let rust = rust_source(&command);
        assert!(rust.ends_with(';'), "{rust}");
        let calls = rust.match_indices('(').filter_map(|(at, _)| {
            rust[..at].rsplit(|next: char| !next.is_alphanumeric() && next != '_').next()
        });
        for call in calls.filter(|call| !matches!(*call, "" | "Some")) {
            assert!(
                facade.contains(&format!("pub fn {call}("))
                    || facade.contains(&format!("pub fn {call}<")),
                "the facade has no `{call}`, which is in {rust}"
            );
        }
    }
}
