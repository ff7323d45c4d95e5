//! Text classification with a BERT encoder.

use graft_models::{FolderParts, Tokenizer, random_model, save_folder};
use graft_nn::{DType, Device, TokenEncoder};
use graft_protocol::{AdapterAction, Block, Cell, Command, Event, Level, RunsAction};
use graft_spec::{Settings, training};

use crate::test_session::{TestSession, keys_of};
use crate::tiny::{byte_level, colors};

/// A bare encoder of a few kilobytes with the tokenizer of the test model.
fn encoder(test: &TestSession) -> String {
    let folder = test.folder.path().join("encoder");
    let config = serde_json::json!({"model_type": "bert", "architectures": ["BertModel"], "vocab_size": 258, "hidden_size": 16, "intermediate_size": 24,
        "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 64, "initializer_range": 0.3});
    let model = random_model(&config, 5, &Device::Cpu).unwrap();
    let tokenizer = Tokenizer::from_folder(&test.folder.path().join("model")).unwrap();
    save_folder(
        &folder,
        &FolderParts {
            model: &*model,
            dtype: DType::F32,
            config: &config,
            tokenizer: Some(&tokenizer),
            others: &[],
        },
    )
    .unwrap();
    folder.display().to_string()
}

fn with_data() -> (TestSession, String) {
    let test = TestSession::new();
    let folder = encoder(&test);
    test.run(Command::DataInline {
        name: "colors".to_owned(),
        text: colors(),
        settings: Settings::default(),
    })
    .unwrap();
    (test, folder)
}

fn load(test: &TestSession, folder: &str, keys: &str) -> String {
    let settings = keys_of(training::MODEL, keys);
    format!(
        "{:?}",
        test.run(Command::ModelLoad { source: folder.to_owned(), settings }).unwrap().blocks
    )
}

#[test]
fn a_lora_and_a_fresh_head_learn_the_labels_and_are_scored() {
    let (test, folder) = with_data();
    let said = load(&test, &folder, "num_labels=2");
    assert!(said.contains("`classifier`"), "{said}");
    test.attach("r=2 lora_alpha=4").unwrap();
    test.train("steps=40 lr=0.02 eval_every=0 batch=8").unwrap();
    let losses = test.sink.losses();
    assert!(losses[39].1 < losses[0].1 * 0.8, "{losses:?}");
    let reply =
        test.run(Command::Eval { settings: keys_of(training::EVAL, "split=train") }).unwrap();
    assert!(format!("{:?}", reply.blocks).contains("accuracy"));
}

#[test]
fn a_trained_classifier_that_is_saved_and_loaded_again_scores_as_before() {
    let (test, folder) = with_data();
    load(&test, &folder, "num_labels=2");
    test.attach("r=2 lora_alpha=4").unwrap();
    test.train("steps=40 lr=0.02 eval_every=0 batch=8").unwrap();
    test.adapter(AdapterAction::Merge { name: None }).unwrap();
    // Loss and accuracy of each row.
    let scores = |test: &TestSession| -> Vec<(String, String)> {
        let reply =
            test.run(Command::Eval { settings: keys_of(training::EVAL, "split=train") }).unwrap();
        let tables = reply
            .blocks
            .into_iter()
            .filter_map(|block| if let Block::Table(table) = block { Some(table) } else { None });
        let row = |row: Vec<Cell>| {
            let loss = row.iter().find_map(|cell| {
                if let Cell::Float(loss, _) = cell { Some(format!("{loss:.4}")) } else { None }
            })?;
            let accuracy = row.iter().find_map(|cell| {
                if let Cell::Percent(share, _) = cell { Some(format!("{share:.4}")) } else { None }
            })?;
            Some((loss, accuracy))
        };
        tables.flat_map(|table| table.rows).filter_map(row).collect()
    };
    let before = scores(&test);
    let saved = test.folder.path().join("saved").display().to_string();
    let said = format!(
        "{:?}",
        test.run(Command::ModelSave { directory: saved.clone(), settings: Settings::default() })
            .unwrap()
            .blocks
    );
    assert!(said.contains("tokenizer.json"), "{said}");
    let config: serde_json::Value = serde_json::from_slice(
        &std::fs::read(std::path::Path::new(&saved).join("config.json")).unwrap(),
    )
    .unwrap();
    assert_eq!(config["architectures"][0], "BertForSequenceClassification");
    assert_eq!(config["id2label"], serde_json::json!({"0": "blue", "1": "green"}));
    // Without num_labels: the folder contains it.
    load(&test, &saved, "");
    let after = scores(&test);
    assert!(after.len() == 1 && before.contains(&after[0]), "{before:?} {after:?}");
}

#[test]
fn loading_a_model_with_dropout_notes_that_training_does_not_apply_it() {
    let (test, folder) = with_data();
    let said = load(&test, &folder, "num_labels=2");
    assert!(
        said.contains("hidden_dropout_prob=0.1") && said.contains("training does not apply"),
        "{said}"
    );
    let card = format!("{:?}", test.run(Command::ModelCard).unwrap().blocks);
    assert!(card.contains("attention_probs_dropout_prob=0.1"), "{card}");
    let said = load(&test, &test.model_folder(), "");
    assert!(!said.contains("dropout"), "{said}");
}

#[test]
fn a_wrong_or_missing_head_is_reported_with_the_command_to_type() {
    let (test, folder) = with_data();
    for (keys, code) in [("num_labels=3", "train::classes"), ("", "train::no_head")] {
        load(&test, &folder, keys);
        test.attach("r=2").unwrap();
        let failure = test.train("steps=2 eval_every=0").unwrap_err();
        assert_eq!(failure.code, code);
        assert!(failure.hint.is_some_and(|hint| hint.contains("num_labels=2")));
    }
}

/// An encoder with a head for three classes with fixed random weights, and its label names.
fn classifier(test: &TestSession, names: [&str; 3]) -> String {
    let folder = test.folder.path().join(names.join("-"));
    let id2label: serde_json::Map<_, _> =
        names.iter().enumerate().map(|(class, name)| (class.to_string(), (*name).into())).collect();
    let config = serde_json::json!({"model_type": "bert", "architectures": ["BertForSequenceClassification"], "vocab_size": 258, "hidden_size": 16,
        "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 64, "initializer_range": 1.0,
        "id2label": id2label});
    let model = random_model(&config, 5, &Device::Cpu).unwrap();
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("tokenizer.json"), with_cls_and_sep()).unwrap();
    let tokenizer = Tokenizer::from_folder(&folder).unwrap();
    save_folder(
        &folder,
        &FolderParts {
            model: &*model,
            dtype: DType::F32,
            config: &config,
            tokenizer: Some(&tokenizer),
            others: &[],
        },
    )
    .unwrap();
    folder.display().to_string()
}

/// The byte tokenizer with `<s>` as `[CLS]` and `</s>` as `[SEP]`.
fn with_cls_and_sep() -> String {
    let mut json: serde_json::Value = serde_json::from_str(&byte_level()).unwrap();
    json["post_processor"] =
        serde_json::json!({"type": "BertProcessing", "sep": ["</s>", 1], "cls": ["<s>", 0]});
    json.to_string()
}

/// The loss of the base and its accuracy in percent.
fn scored(test: &TestSession, keys: &str) -> (f64, f64) {
    let reply = test.run(Command::Eval { settings: keys_of(training::EVAL, keys) }).unwrap();
    let Some(Block::Table(table)) = reply.blocks.into_iter().next() else { panic!("no table") };
    match table.rows[0][..] {
        [_, Cell::Float(loss, _), _, _, Cell::Percent(accuracy, _)] => (loss, accuracy),
        ref row => panic!("{row:?}"),
    }
}

fn data(test: &TestSession, name: &str, text: String, keys: &str) {
    let settings = keys_of(training::DATA, keys);
    test.run(Command::DataInline { name: name.to_owned(), text, settings }).unwrap();
}

/// Warnings about classes.
fn warnings(test: &TestSession) -> Vec<String> {
    let is_warning = |event| {
        if let Event::Note { level: Level::Warning, text } = event { Some(text) } else { None }
    };
    test.sink
        .events()
        .into_iter()
        .filter_map(is_warning)
        .filter(|text| text.contains("classes of the model"))
        .collect()
}

/// Logits of the model for one text, from a separate forward pass of `<s> text </s>`.
fn logits(test: &TestSession, text: &str) -> Vec<f32> {
    let model = test.session.state().model().unwrap();
    let ids = [vec![0], model.loaded.tokenizer.encode(text).unwrap(), vec![1]].concat();
    let input = graft_nn::Tensor::from_slice(&ids, (1, ids.len()), &Device::Cpu).unwrap();
    model
        .loaded
        .model
        .logits(&input, None, &graft_nn::Context::eval())
        .unwrap()
        .to_vec2()
        .unwrap()
        .remove(0)
}

fn predicted(test: &TestSession, text: &str) -> usize {
    let logits = logits(test, text);
    (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap()
}

#[test]
fn a_model_that_is_right_on_every_text_scores_100_percent_whatever_its_classes_are_called() {
    let test = TestSession::new();
    for names in [["red", "green", "blue"], ["blue", "red", "green"], ["zinc", "Blue", "amber"]] {
        load(&test, &classifier(&test, names), "");
        // The label of a text is the prediction of the model.
        let texts: Vec<String> = (b'A'..=b'Z')
            .chain(b'a'..=b'z')
            .map(|letter| char::from(letter).to_string().repeat(1 + usize::from(letter) % 7))
            .collect();
        let label = |text: &String| names[predicted(&test, text)].to_lowercase();
        let lines: Vec<String> = texts
            .iter()
            .map(|text| format!("{{\"text\": \"{text}\", \"label\": \"{}\"}}", label(text)))
            .collect();
        let found: std::collections::BTreeSet<_> = texts.iter().map(label).collect();
        assert!(found.len() >= 2, "the random model has one class for everything: {found:?}");
        data(&test, "said", lines.join("\n"), "");
        assert_eq!(scored(&test, "split=train").1, 1.0, "{names:?}");
        // As class numbers, with and without gaps.
        for prefix in ["", "LABEL_"] {
            let lines: Vec<String> = texts
                .iter()
                .map(|text| {
                    format!(
                        "{{\"text\": \"{text}\", \"label\": \"{prefix}{}\"}}",
                        predicted(&test, text)
                    )
                })
                .collect();
            data(&test, "numbers", lines.join("\n"), "");
            assert_eq!(scored(&test, "split=train").1, 1.0, "{names:?} {prefix}");
        }
    }
    assert_eq!(warnings(&test), Vec::<String>::new());
}

#[test]
fn unknown_labels_are_scored_with_a_warning_that_shows_both_lists() {
    let test = TestSession::new();
    load(&test, &classifier(&test, ["red", "amber", "white"]), "");
    data(&test, "colors", colors(), "");
    scored(&test, "split=train");
    let warnings = warnings(&test);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains(
            "classes of the model: `red`, `amber`, `white`; labels of the data: `blue`, `green`"
        ),
        "{warnings:?}"
    );
}

#[test]
fn an_encoder_reads_the_text_alone_unless_a_template_is_given() {
    let test = TestSession::new();
    load(&test, &classifier(&test, ["red", "green", "blue"]), "");
    let loss = |keys: &str| {
        data(&test, "colors", colors(), keys);
        scored(&test, "split=train").0
    };
    let alone = loss("");
    assert_eq!(alone, loss("template={text}"));
    assert_ne!(alone, loss("template={text}\\nLabel:"));
    // The expected values are from separate forward passes over `<s> text </s>`.
    let state = test.session.state();
    let set = &state.data(Some("colors")).unwrap().dataset;
    let losses = set.train.iter().map(|example| {
        let logits = logits(&test, set.text_of(example));
        let class = if example.completion == " green" { 1 } else { 2 };
        logits.iter().map(|logit| f64::from(logit - logits[class]).exp()).sum::<f64>().ln()
    });
    assert!((losses.sum::<f64>() / set.train.len() as f64 - alone).abs() < 1e-4, "{alone}");
}

#[test]
fn the_names_of_a_fresh_heads_classes_come_from_the_data_and_go_with_the_adapter() {
    let (test, folder) = with_data();
    let names = |test: &TestSession| {
        test.session.state().model().unwrap().label_names().map(|names| names.to_vec())
    };
    load(&test, &folder, "num_labels=2");
    assert_eq!(names(&test), None);
    test.attach("r=2 lora_alpha=4").unwrap();
    test.train("steps=30 lr=0.02 eval_every=0 batch=8").unwrap();
    let expected = Some(vec!["blue".to_owned(), "green".to_owned()]);
    assert_eq!(names(&test), expected);
    let accuracy = scored_adapter(&test);
    let saved = test.folder.path().join("saved").display().to_string();
    test.adapter(AdapterAction::Save { name: None, directory: saved.clone() }).unwrap();
    test.adapter(AdapterAction::Detach { name: None }).unwrap();
    assert_eq!(names(&test), None);
    let run = test.session.state().runs[0].clone();
    test.run(Command::Runs { action: RunsAction::Use { run, settings: Settings::default() } })
        .unwrap();
    assert_eq!(names(&test), expected);
    test.adapter(AdapterAction::Detach { name: None }).unwrap();
    test.adapter(AdapterAction::Load { directory: saved.clone(), name: None }).unwrap();
    assert_eq!(names(&test), expected);
    // The same labels under names in another order match nothing, which causes a warning.
    data(&test, "renamed", colors().replace("\"blue\"", "\"z\"").replace("\"green\"", "\"a\""), "");
    scored_adapter(&test);
    assert!(
        warnings(&test).last().unwrap().contains("`blue`, `green`; labels of the data: `a`, `z`")
    );
    // A resumed run has the same names.
    let test = test.restarted();
    test.run(Command::Resume { run: None, settings: keys_of(training::TRAIN, "steps=32") })
        .unwrap();
    assert_eq!(names(&test), expected);
    assert!(scored_adapter(&test) >= accuracy - 0.2);
    // An adapter without the file was trained elsewhere, in an unknown order.
    std::fs::remove_file(std::path::Path::new(&saved).join("label_names.json")).unwrap();
    test.adapter(AdapterAction::Load { directory: saved, name: None }).unwrap();
    scored_adapter(&test);
    assert!(
        warnings(&test)
            .last()
            .unwrap()
            .contains("`LABEL_0`, `LABEL_1`; labels of the data: `blue`, `green`")
    );
}

#[test]
fn the_base_is_scored_under_its_own_class_names_whatever_an_adapter_calls_them() {
    let test = TestSession::new();
    load(&test, &classifier(&test, ["red", "green", "blue"]), "");
    data(&test, "colors", colors(), "");
    let alone = scored(&test, "split=train");
    test.attach("r=2 lora_alpha=4").unwrap();
    let saved = test.folder.path().join("saved");
    test.adapter(AdapterAction::Save { name: None, directory: saved.display().to_string() })
        .unwrap();
    std::fs::write(
        saved.join("label_names.json"),
        r#"{"id2label": {"0": "blue", "1": "red", "2": "green"}}"#,
    )
    .unwrap();
    test.adapter(AdapterAction::Detach { name: None }).unwrap();
    test.adapter(AdapterAction::Load { directory: saved.display().to_string(), name: None })
        .unwrap();
    let base = scored(&test, "split=train");
    assert!((base.0 - alone.0).abs() < 1e-6 && base.1 == alone.1, "{base:?} {alone:?}");
    let names = test.session.state().model().unwrap().label_names().unwrap();
    assert_eq!(*names, ["blue", "red", "green"]);
}

#[test]
fn an_adapter_and_its_class_names_are_saved_together_or_not_at_all() {
    let (test, folder) = with_data();
    load(&test, &folder, "num_labels=2");
    test.attach("r=2 lora_alpha=4").unwrap();
    test.train("steps=2 eval_every=0 batch=8").unwrap();
    let saved = test.folder.path().join("saved");
    let save =
        || test.adapter(AdapterAction::Save { name: None, directory: saved.display().to_string() });
    // A folder with the name of the file.
    std::fs::create_dir_all(saved.join("label_names.json")).unwrap();
    assert!(save().is_err());
    assert!(
        !saved.join("adapter_config.json").exists()
            && !saved.join("adapter_model.safetensors").exists()
    );
    std::fs::remove_dir(saved.join("label_names.json")).unwrap();
    save().unwrap();
    assert!(saved.join("label_names.json").is_file());
    // Saving an adapter of a model without classes removes the names of the older adapter.
    test.load_model();
    test.attach("r=2 lora_alpha=4").unwrap();
    save().unwrap();
    assert!(
        saved.join("adapter_config.json").is_file() && !saved.join("label_names.json").exists()
    );
}

/// Accuracy of the adapter in use.
fn scored_adapter(test: &TestSession) -> f64 {
    let reply =
        test.run(Command::Eval { settings: keys_of(training::EVAL, "split=train") }).unwrap();
    let Some(Block::Table(table)) = reply.blocks.into_iter().next() else { panic!("no table") };
    let row = table.rows.iter().find(|row| matches!(row[0], Cell::Strong(_))).unwrap();
    let Cell::Percent(accuracy, _) = row[4] else { panic!("{row:?}") };
    accuracy
}
