//! A BERT encoder learns to tell texts apart.

use graft_models::{FolderParts, Tokenizer, random_model, save_folder};
use graft_nn::{DType, Device, TokenEncoder};
use graft_protocol::{AdapterAction, Block, Cell, Command, Event, Level, RunsAction};
use graft_spec::{Settings, training};

use crate::tiny::{byte_level, colours};
use crate::world::{World, keys_of};

/// A bare encoder of a few kilobytes beside the world's model, whose tokenizer it shares.
fn encoder(world: &World) -> String {
    let folder = world.folder.path().join("encoder");
    let config = serde_json::json!({"model_type": "bert", "architectures": ["BertModel"], "vocab_size": 258, "hidden_size": 16, "intermediate_size": 24,
        "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 64, "initializer_range": 0.3});
    let model = random_model(&config, 5, &Device::Cpu).unwrap();
    let tokenizer = Tokenizer::from_folder(&world.folder.path().join("model")).unwrap();
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

fn with_data() -> (World, String) {
    let world = World::new();
    let folder = encoder(&world);
    world
        .run(Command::DataInline {
            name: "colours".to_owned(),
            text: colours(),
            settings: Settings::default(),
        })
        .unwrap();
    (world, folder)
}

fn load(world: &World, folder: &str, keys: &str) -> String {
    let settings = keys_of(training::MODEL, keys);
    format!(
        "{:?}",
        world.run(Command::ModelLoad { source: folder.to_owned(), settings }).unwrap().blocks
    )
}

#[test]
fn a_lora_and_a_fresh_head_learn_the_labels_and_are_scored() {
    let (world, folder) = with_data();
    let said = load(&world, &folder, "num_labels=2");
    assert!(said.contains("`classifier`"), "{said}");
    world.attach("r=2 lora_alpha=4").unwrap();
    world.train("steps=40 lr=0.02 eval_every=0 batch=8").unwrap();
    let losses = world.ear.losses();
    assert!(losses[39].1 < losses[0].1 * 0.8, "{losses:?}");
    let reply =
        world.run(Command::Eval { settings: keys_of(training::EVAL, "split=train") }).unwrap();
    assert!(format!("{:?}", reply.blocks).contains("accuracy"));
}

#[test]
fn a_trained_classifier_that_is_saved_and_loaded_again_scores_as_before() {
    let (world, folder) = with_data();
    load(&world, &folder, "num_labels=2");
    world.attach("r=2 lora_alpha=4").unwrap();
    world.train("steps=40 lr=0.02 eval_every=0 batch=8").unwrap();
    world.adapter(AdapterAction::Merge { name: None }).unwrap();
    // Loss and accuracy of each row.
    let scores = |world: &World| -> Vec<(String, String)> {
        let reply =
            world.run(Command::Eval { settings: keys_of(training::EVAL, "split=train") }).unwrap();
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
    let before = scores(&world);
    let saved = world.folder.path().join("saved").display().to_string();
    let said = format!(
        "{:?}",
        world
            .run(Command::ModelSave { directory: saved.clone(), settings: Settings::default() })
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
    // Without num_labels: the folder says it.
    load(&world, &saved, "");
    let after = scores(&world);
    assert!(after.len() == 1 && before.contains(&after[0]), "{before:?} {after:?}");
}

#[test]
fn a_base_dropout_that_training_leaves_out_is_said_at_load() {
    let (world, folder) = with_data();
    let said = load(&world, &folder, "num_labels=2");
    assert!(
        said.contains("hidden_dropout_prob=0.1") && said.contains("not applied in training"),
        "{said}"
    );
    let card = format!("{:?}", world.run(Command::ModelCard).unwrap().blocks);
    assert!(card.contains("attention_probs_dropout_prob=0.1"), "{card}");
    let said = load(&world, &world.model_folder(), "");
    assert!(!said.contains("dropout"), "{said}");
}

#[test]
fn a_head_that_does_not_fit_the_data_and_a_missing_one_say_what_to_type() {
    let (world, folder) = with_data();
    for (keys, code) in [("num_labels=3", "train::classes"), ("", "train::no_head")] {
        load(&world, &folder, keys);
        world.attach("r=2").unwrap();
        let failure = world.train("steps=2 eval_every=0").unwrap_err();
        assert_eq!(failure.code, code);
        assert!(failure.hint.is_some_and(|hint| hint.contains("num_labels=2")));
    }
}

/// An encoder with a head of three classes of the names, whose weights are random but fixed, and what its classes are called.
fn classifier(world: &World, names: [&str; 3]) -> String {
    let folder = world.folder.path().join(names.join("-"));
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

/// The tokenizer of bytes with `<s>` in the place of `[CLS]` and `</s>` in that of `[SEP]`.
fn with_cls_and_sep() -> String {
    let mut json: serde_json::Value = serde_json::from_str(&byte_level()).unwrap();
    json["post_processor"] =
        serde_json::json!({"type": "BertProcessing", "sep": ["</s>", 1], "cls": ["<s>", 0]});
    json.to_string()
}

/// The figures of the base: loss and, in percent, accuracy.
fn scored(world: &World, keys: &str) -> (f64, f64) {
    let reply = world.run(Command::Eval { settings: keys_of(training::EVAL, keys) }).unwrap();
    let Some(Block::Table(table)) = reply.blocks.into_iter().next() else { panic!("no table") };
    match table.rows[0][..] {
        [_, Cell::Float(loss, _), _, _, Cell::Percent(accuracy, _)] => (loss, accuracy),
        ref row => panic!("{row:?}"),
    }
}

fn data(world: &World, name: &str, text: String, keys: &str) {
    let settings = keys_of(training::DATA, keys);
    world.run(Command::DataInline { name: name.to_owned(), text, settings }).unwrap();
}

/// Warnings about classes.
fn warnings(world: &World) -> Vec<String> {
    let is_warning = |event| {
        if let Event::Note { level: Level::Warning, text } = event { Some(text) } else { None }
    };
    world
        .ear
        .events()
        .into_iter()
        .filter_map(is_warning)
        .filter(|text| text.contains("classes of the model"))
        .collect()
}

/// Logits of the model for one text, by a forward pass of its own: `<s> text </s>`.
fn logits(world: &World, text: &str) -> Vec<f32> {
    let model = world.session.state().model().unwrap();
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

fn predicted(world: &World, text: &str) -> usize {
    let logits = logits(world, text);
    (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap()
}

#[test]
fn a_model_that_is_right_on_every_text_scores_100_percent_whatever_its_classes_are_called() {
    let world = World::new();
    for names in [["red", "green", "blue"], ["blue", "red", "green"], ["zinc", "Blue", "amber"]] {
        load(&world, &classifier(&world, names), "");
        // The label of a text is what the model says about it.
        let texts: Vec<String> = (b'A'..=b'Z')
            .chain(b'a'..=b'z')
            .map(|letter| char::from(letter).to_string().repeat(1 + usize::from(letter) % 7))
            .collect();
        let label = |text: &String| names[predicted(&world, text)].to_lowercase();
        let lines: Vec<String> = texts
            .iter()
            .map(|text| format!("{{\"text\": \"{text}\", \"label\": \"{}\"}}", label(text)))
            .collect();
        let found: std::collections::BTreeSet<_> = texts.iter().map(label).collect();
        assert!(found.len() >= 2, "the random model has one class for everything: {found:?}");
        data(&world, "said", lines.join("\n"), "");
        assert_eq!(scored(&world, "split=train").1, 1.0, "{names:?}");
        // As numbers of classes, all of them and some.
        for prefix in ["", "LABEL_"] {
            let lines: Vec<String> = texts
                .iter()
                .map(|text| {
                    format!(
                        "{{\"text\": \"{text}\", \"label\": \"{prefix}{}\"}}",
                        predicted(&world, text)
                    )
                })
                .collect();
            data(&world, "numbers", lines.join("\n"), "");
            assert_eq!(scored(&world, "split=train").1, 1.0, "{names:?} {prefix}");
        }
    }
    assert_eq!(warnings(&world), Vec::<String>::new());
}

#[test]
fn labels_that_are_not_the_models_are_scored_with_a_warning_that_shows_both_lists() {
    let world = World::new();
    load(&world, &classifier(&world, ["red", "amber", "white"]), "");
    data(&world, "colours", colours(), "");
    scored(&world, "split=train");
    let warnings = warnings(&world);
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
    let world = World::new();
    load(&world, &classifier(&world, ["red", "green", "blue"]), "");
    let loss = |keys: &str| {
        data(&world, "colours", colours(), keys);
        scored(&world, "split=train").0
    };
    let alone = loss("");
    assert_eq!(alone, loss("template={text}"));
    assert_ne!(alone, loss("template={text}\\nLabel:"));
    // As a forward pass over each `<s> text </s>` has it.
    let state = world.session.state();
    let set = &state.data(Some("colours")).unwrap().dataset;
    let losses = set.train.iter().map(|example| {
        let logits = logits(&world, set.text_of(example));
        let class = if example.completion == " green" { 1 } else { 2 };
        logits.iter().map(|logit| f64::from(logit - logits[class]).exp()).sum::<f64>().ln()
    });
    assert!((losses.sum::<f64>() / set.train.len() as f64 - alone).abs() < 1e-4, "{alone}");
}

#[test]
fn the_names_of_a_fresh_heads_classes_come_from_the_data_and_go_with_the_adapter() {
    let (world, folder) = with_data();
    let names = |world: &World| {
        world.session.state().model().unwrap().label_names().map(|names| names.to_vec())
    };
    load(&world, &folder, "num_labels=2");
    assert_eq!(names(&world), None);
    world.attach("r=2 lora_alpha=4").unwrap();
    world.train("steps=30 lr=0.02 eval_every=0 batch=8").unwrap();
    let expected = Some(vec!["blue".to_owned(), "green".to_owned()]);
    assert_eq!(names(&world), expected);
    let accuracy = scored_adapter(&world);
    let saved = world.folder.path().join("saved").display().to_string();
    world.adapter(AdapterAction::Save { name: None, directory: saved.clone() }).unwrap();
    world.adapter(AdapterAction::Detach { name: None }).unwrap();
    assert_eq!(names(&world), None);
    let run = world.session.state().runs[0].clone();
    world
        .run(Command::Runs { action: RunsAction::Use { run, settings: Settings::default() } })
        .unwrap();
    assert_eq!(names(&world), expected);
    world.adapter(AdapterAction::Detach { name: None }).unwrap();
    world.adapter(AdapterAction::Load { directory: saved.clone(), name: None }).unwrap();
    assert_eq!(names(&world), expected);
    // The same labels under names that sort the other way round match nothing, and say so.
    data(
        &world,
        "renamed",
        colours().replace("\"blue\"", "\"z\"").replace("\"green\"", "\"a\""),
        "",
    );
    scored_adapter(&world);
    assert!(
        warnings(&world).last().unwrap().contains("`blue`, `green`; labels of the data: `a`, `z`")
    );
    // A run that is resumed has them too.
    let world = world.reborn();
    world
        .run(Command::Resume { run: None, settings: keys_of(training::TRAIN, "steps=32") })
        .unwrap();
    assert_eq!(names(&world), expected);
    assert!(scored_adapter(&world) >= accuracy - 0.2);
    // An adapter without the file was trained elsewhere, in an order that nobody knows.
    std::fs::remove_file(std::path::Path::new(&saved).join("label_names.json")).unwrap();
    world.adapter(AdapterAction::Load { directory: saved, name: None }).unwrap();
    scored_adapter(&world);
    assert!(
        warnings(&world)
            .last()
            .unwrap()
            .contains("`LABEL_0`, `LABEL_1`; labels of the data: `blue`, `green`")
    );
}

#[test]
fn the_base_is_scored_under_its_own_class_names_whatever_an_adapter_calls_them() {
    let world = World::new();
    load(&world, &classifier(&world, ["red", "green", "blue"]), "");
    data(&world, "colours", colours(), "");
    let alone = scored(&world, "split=train");
    world.attach("r=2 lora_alpha=4").unwrap();
    let saved = world.folder.path().join("saved");
    world
        .adapter(AdapterAction::Save { name: None, directory: saved.display().to_string() })
        .unwrap();
    std::fs::write(
        saved.join("label_names.json"),
        r#"{"id2label": {"0": "blue", "1": "red", "2": "green"}}"#,
    )
    .unwrap();
    world.adapter(AdapterAction::Detach { name: None }).unwrap();
    world
        .adapter(AdapterAction::Load { directory: saved.display().to_string(), name: None })
        .unwrap();
    let base = scored(&world, "split=train");
    assert!((base.0 - alone.0).abs() < 1e-6 && base.1 == alone.1, "{base:?} {alone:?}");
    let names = world.session.state().model().unwrap().label_names().unwrap();
    assert_eq!(*names, ["blue", "red", "green"]);
}

#[test]
fn an_adapter_and_its_class_names_are_saved_together_or_not_at_all() {
    let (world, folder) = with_data();
    load(&world, &folder, "num_labels=2");
    world.attach("r=2 lora_alpha=4").unwrap();
    world.train("steps=2 eval_every=0 batch=8").unwrap();
    let saved = world.folder.path().join("saved");
    let save = || {
        world.adapter(AdapterAction::Save { name: None, directory: saved.display().to_string() })
    };
    // A folder in the way of the file.
    std::fs::create_dir_all(saved.join("label_names.json")).unwrap();
    assert!(save().is_err());
    assert!(
        !saved.join("adapter_config.json").exists()
            && !saved.join("adapter_model.safetensors").exists()
    );
    std::fs::remove_dir(saved.join("label_names.json")).unwrap();
    save().unwrap();
    assert!(saved.join("label_names.json").is_file());
    // An adapter whose model has no classes takes the names of the older one away.
    world.load_model();
    world.attach("r=2 lora_alpha=4").unwrap();
    save().unwrap();
    assert!(
        saved.join("adapter_config.json").is_file() && !saved.join("label_names.json").exists()
    );
}

/// Accuracy of the adapter in use.
fn scored_adapter(world: &World) -> f64 {
    let reply =
        world.run(Command::Eval { settings: keys_of(training::EVAL, "split=train") }).unwrap();
    let Some(Block::Table(table)) = reply.blocks.into_iter().next() else { panic!("no table") };
    let row = table.rows.iter().find(|row| matches!(row[0], Cell::Strong(_))).unwrap();
    let Cell::Percent(accuracy, _) = row[4] else { panic!("{row:?}") };
    accuracy
}
