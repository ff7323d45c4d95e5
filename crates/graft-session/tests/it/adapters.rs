//! Loading, attaching, replacing, merging, scaling, saving.

use graft_protocol::{AdapterAction, Block, Cell, Command};
use graft_spec::{Settings, Value};

use crate::test_session::TestSession;

#[test]
fn loading_a_model_reports_the_dropped_adapters() {
    let test = TestSession::attached();
    let reply = test
        .run(Command::ModelLoad { source: test.model_folder(), settings: Settings::default() })
        .unwrap();
    let Some(Block::Note(_, note)) = reply.blocks.get(1) else { panic!("{reply:?}") };
    assert!(note.contains("its adapter `default`"), "{note}");
    assert!(test.session.snapshot().adapters.is_empty());
}

#[test]
fn attaching_under_a_name_in_use_replaces_the_adapter_everywhere() {
    let test = TestSession::ready();
    let base = test.text();
    test.attach("r=2 target_modules=q_proj,v_proj").unwrap();
    test.train("steps=20 lr=0.1 eval_every=0").unwrap();
    assert_ne!(test.text(), base);
    test.attach("r=2 target_modules=q_proj").unwrap();
    assert_eq!(test.session.snapshot().adapters.len(), 1);
    assert_eq!(test.text(), base, "a layer of the old adapter still acts");
}

#[test]
fn attaching_changes_no_output_and_disables_the_first_adapter() {
    let test = TestSession::ready();
    let base = test.text();
    test.attach("r=2").unwrap();
    test.train("steps=20 lr=0.1 eval_every=0").unwrap();
    let tuned = test.text();
    assert_ne!(tuned, base);
    test.attach("r=4 adapter_name=second").unwrap();
    assert_eq!(test.text(), base);
    let active: Vec<_> = test
        .session
        .snapshot()
        .adapters
        .iter()
        .map(|entry| (entry.name.clone(), entry.active))
        .collect();
    assert_eq!(active, [("default".to_owned(), false), ("second".to_owned(), true)]);
    test.adapter(AdapterAction::Use { name: "default".to_owned() }).unwrap();
    assert_eq!(test.text(), tuned);
    test.adapter(AdapterAction::Enable { on: false }).unwrap();
    assert_eq!(test.text(), base);
    test.adapter(AdapterAction::Enable { on: true }).unwrap();
    assert_eq!(test.text(), tuned);
    test.adapter(AdapterAction::Detach { name: None }).unwrap();
    assert_eq!(test.text(), base);
}

#[test]
fn a_saved_adapter_can_be_loaded_and_a_merge_undone() {
    let test = TestSession::attached();
    let base = {
        test.adapter(AdapterAction::Enable { on: false }).unwrap();
        let base = test.text();
        test.adapter(AdapterAction::Enable { on: true }).unwrap();
        base
    };
    test.train("steps=20 lr=0.1 eval_every=0").unwrap();
    let tuned = test.text();
    test.adapter(AdapterAction::Merge { name: None }).unwrap();
    assert!(test.session.snapshot().adapters[0].merged);
    assert_eq!(test.text(), tuned);
    let failure = test.train("steps=1").unwrap_err();
    assert_eq!(
        (failure.code.as_str(), failure.hint.as_deref()),
        ("session::merged", Some("unmerge it first: `%lora unmerge default`"))
    );
    test.adapter(AdapterAction::Unmerge { name: None }).unwrap();
    let directory = test.folder.path().join("saved").display().to_string();
    test.adapter(AdapterAction::Save { name: None, directory: directory.clone() }).unwrap();
    test.adapter(AdapterAction::Detach { name: None }).unwrap();
    assert_eq!(test.text(), base);
    test.adapter(AdapterAction::Load { directory, name: None }).unwrap();
    assert_eq!(test.text(), tuned);
    test.adapter(AdapterAction::Scale { name: None, factor: Some(0.0) }).unwrap();
    assert_eq!(test.text(), base);
    assert_eq!(test.session.snapshot().adapters[0].scale, 0.0);
}

#[test]
fn combining_adapters_creates_one_that_is_in_use_and_keeps_the_others() {
    let test = TestSession::attached();
    test.train("steps=8 lr=0.05").unwrap();
    let tuned = test.text();
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let keys = |how: &str| {
        Settings::default()
            .with("adapter_name", Value::Text("sum".to_owned()))
            .with("combination_type", Value::Text(how.to_owned()))
    };
    let combine = |of: &[&str], settings: Settings| {
        test.adapter(AdapterAction::Combine { names: names(of), settings })
    };
    combine(&["default", "default"], keys("linear")).unwrap();
    let snapshot = test.session.snapshot();
    assert_eq!(
        snapshot.adapters.iter().map(|adapter| adapter.name.as_str()).collect::<Vec<_>>(),
        ["default", "sum"]
    );
    assert_eq!(test.text(), tuned, "half of it and half of it again");
    let reply = combine(&["default"], keys("svd").with("svd_rank", Value::Integer(1))).unwrap();
    assert!(format!("{reply:?}").contains("% of the combined update"), "{reply:?}");
    let failure = combine(&["default", "defualt"], keys("linear")).unwrap_err();
    assert!(failure.to_string().contains("default"), "{failure}");
}

#[test]
fn the_table_of_parameters_and_the_snapshot_agree() {
    let test = TestSession::attached();
    let reply = test.run(Command::Params).unwrap();
    let Some(Block::Table(table)) = reply.blocks.first() else { panic!("{reply:?}") };
    let trainable = test.session.snapshot().adapters[0].trainable;
    // Two layers, query and value of 16 x 16, rank 2: 2 * 2 * (2 * 16 + 16 * 2).
    assert_eq!(trainable, 256);
    assert!(
        table.footer.iter().any(|line| line.starts_with("trainable params: 256 || all params: ")),
        "{:?}",
        table.footer
    );
}

#[test]
fn the_tree_marks_layers_with_adapters_and_shows_equal_blocks_once() {
    let test = TestSession::attached();
    let reply = test.run(Command::ModelTree).unwrap();
    let Some(Block::Tree(lines)) = reply.blocks.first() else { panic!("{reply:?}") };
    assert_eq!(
        lines.iter().filter(|line| line.strong).map(|line| line.name.as_str()).collect::<Vec<_>>(),
        ["q_proj", "v_proj"]
    );
    assert!(lines.iter().any(|line| line.name == "0-1" && line.note == "2 equal blocks"));
}

#[test]
fn eval_shows_base_adapter_and_majority_and_compare_shows_both_texts() {
    let test = TestSession::attached();
    test.train("steps=20 lr=0.05 eval_every=0").unwrap();
    let reply = test.run(Command::Eval { settings: Settings::default() }).unwrap();
    let Some(Block::Table(table)) = reply.blocks.first() else { panic!("{reply:?}") };
    let names: Vec<_> = table.rows.iter().map(|row| row[0].clone()).collect();
    assert_eq!(
        names,
        [
            Cell::Text("base".to_owned()),
            Cell::Strong("default (lora)".to_owned()),
            Cell::Text("majority class".to_owned())
        ]
    );
    let (Cell::Float(base, _), Cell::Float(tuned, _)) = (&table.rows[0][1], &table.rows[1][1])
    else {
        panic!("{table:?}")
    };
    assert!(tuned < base, "training made it worse: {base} -> {tuned}");
    let reply = test
        .run(Command::Compare { prompt: "the sky".to_owned(), settings: Settings::default() })
        .unwrap();
    let Some(Block::SideBySide { columns, .. }) = reply.blocks.first() else { panic!("{reply:?}") };
    assert_eq!(
        columns.iter().map(|column| column.title.as_str()).collect::<Vec<_>>(),
        ["base", "default (lora)"]
    );
    assert_ne!(columns[0].text, columns[1].text);
    assert!(columns[1].note.contains("mean log-probability -"), "{}", columns[1].note);
}

#[test]
fn training_on_a_merged_adapter_is_refused_and_off_disables_all() {
    let test = TestSession::attached();
    test.adapter(AdapterAction::Enable { on: false }).unwrap();
    let base = test.text();
    test.adapter(AdapterAction::Enable { on: true }).unwrap();
    test.train("steps=20 lr=0.1 eval_every=0").unwrap();
    test.adapter(AdapterAction::Merge { name: None }).unwrap();
    test.attach("r=2 adapter_name=second").unwrap();
    assert_ne!(test.text(), base);
    let failure = test.train("steps=1").unwrap_err();
    assert_eq!(
        (failure.code.as_str(), failure.hint.as_deref()),
        ("session::merged", Some("unmerge it first: `%lora unmerge default`"))
    );
    test.adapter(AdapterAction::Enable { on: false }).unwrap();
    assert_eq!(test.text(), base);
}

#[test]
fn a_saved_merged_model_gives_the_same_output() {
    let test = TestSession::attached();
    test.train("steps=6 lr=0.05 eval_every=0 batch=4").unwrap();
    let save = |directory: &str| {
        let directory = test.folder.path().join(directory).display().to_string();
        test.run(Command::ModelSave { directory, settings: Settings::default() })
    };
    let failure = save("merged").unwrap_err();
    assert!(
        failure.code == "session::not_merged"
            && failure.hint.unwrap().contains("%lora merge default"),
        "{}",
        failure.message
    );
    assert!(!test.folder.path().join("merged").exists());
    let logits = |test: &TestSession| {
        let state = test.session.state();
        let model = state.model().unwrap();
        let ids = graft_nn::Tensor::new(&[[3u32, 5, 8, 13]], &graft_nn::Device::Cpu).unwrap();
        model
            .loaded
            .model
            .logits(&ids, None, &graft_nn::Context::eval())
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap()
    };
    test.adapter(AdapterAction::Merge { name: None }).unwrap();
    let before = logits(&test);
    assert!(
        format!("{:?}", save("merged").unwrap().blocks)
            .contains("`default` merged into the weights")
    );
    test.run(Command::ModelLoad {
        source: test.folder.path().join("merged").display().to_string(),
        settings: Settings::default(),
    })
    .unwrap();
    let after = logits(&test);
    assert!(before.iter().zip(&after).all(|(a, b)| (a - b).abs() < 1e-5), "{before:?} {after:?}");
}

#[test]
fn the_plots_of_a_layer_show_factors_update_and_singular_values() {
    let test = TestSession::attached();
    test.train("steps=6 lr=0.05 eval_every=0").unwrap();
    let look =
        |module: Option<&str>| test.run(Command::Weights { module: module.map(str::to_owned) });
    let reply = look(Some("v_proj")).unwrap();
    let [Block::Table(table), Block::Heat(maps), Block::Chart(chart)] = reply.blocks.as_slice()
    else {
        panic!("{reply:?}")
    };
    assert!(!table.rows.is_empty());
    let titles: Vec<_> = maps.iter().map(|map| (map.title.as_str(), map.limit() > 0.0)).collect();
    assert_eq!(titles, [("lora_A", true), ("lora_B", true), ("update = scale · B A", true)]);
    let update = chart.series.iter().find(|series| series.name == "update").unwrap();
    assert_eq!(update.points.len(), 2, "an update of rank 2 has two singular values");
    let refused = look(Some("v_prjo")).unwrap_err();
    assert!(
        refused.code == "session::no_such_layer"
            && refused.hint.unwrap().contains("did you mean `v_proj`?")
    );
}

#[test]
fn virtual_tokens_are_listed_with_their_nearest_tokens() {
    let test = TestSession::ready();
    let settings = crate::test_session::keys_of(
        graft_spec::methods::prompt_tuning::SPEC.keys,
        "num_virtual_tokens=3",
    );
    test.run(Command::Adapter {
        method: "prompt_tune".to_owned(),
        action: AdapterAction::Attach { settings },
    })
    .unwrap();
    let reply = test.run(Command::Weights { module: None }).unwrap();
    let [Block::Table(table), Block::Heat(maps), Block::Text(share)] = reply.blocks.as_slice()
    else {
        panic!("{reply:?}")
    };
    assert_eq!(table.rows.len(), 3);
    assert!(
        format!("{:?}", table.rows[0]).contains("1.00"),
        "it starts from the vocabulary: {:?}",
        table.rows[0]
    );
    let [given] = maps.as_slice() else { panic!("{maps:?}") };
    assert_eq!((given.rows, given.columns), (2, 3), "layers by virtual tokens");
    assert!(
        given.values.iter().all(|share| (0.0..1.0).contains(share) && *share > 0.0),
        "{given:?}"
    );
    assert!(share.starts_with("attention to the virtual tokens: "), "{share}");
}

#[test]
fn attention_is_plotted_for_a_prefix_and_not_without_virtual_tokens() {
    let test = TestSession::ready();
    let settings = crate::test_session::keys_of(
        graft_spec::methods::prefix_tuning::SPEC.keys,
        "num_virtual_tokens=4",
    );
    test.run(Command::Adapter {
        method: "prefix_tune".to_owned(),
        action: AdapterAction::Attach { settings },
    })
    .unwrap();
    let reply = test.run(Command::Weights { module: None }).unwrap();
    let [Block::Heat(maps), Block::Text(_)] = reply.blocks.as_slice() else { panic!("{reply:?}") };
    assert_eq!((maps[0].rows, maps[0].columns), (2, 4));
    test.attach("r=2").unwrap();
    let reply = test.run(Command::Weights { module: None }).unwrap();
    assert!(!format!("{reply:?}").contains("attention to the virtual tokens"), "{reply:?}");
}

/// The embedded model shares the weight of its head with the embedding. HF PEFT adapts only the
/// head in this case.
#[test]
fn the_head_of_a_tied_model_is_targeted_or_trained_whole_merged_saved_and_loaded() {
    let test = TestSession::ready();
    test.run(Command::ModelLoad { source: "tiny".to_owned(), settings: Settings::default() })
        .unwrap();
    // The names that magics accept.
    assert!(
        test.session
            .snapshot()
            .model
            .as_ref()
            .unwrap()
            .modules
            .iter()
            .any(|module| module.path == "lm_head")
    );
    let base = test.text();
    for keys in ["r=2 target_modules=lm_head", "r=2 target_modules=q_proj modules_to_save=lm_head"]
    {
        let reply = test.attach(keys).unwrap_or_else(|failure| panic!("{keys}: {failure:?}"));
        assert!(
            matches!(&reply.blocks[1], Block::Text(line) if line.starts_with("trainable params: ")),
            "{reply:?}"
        );
        assert_eq!(test.text(), base, "{keys}: attaching changes the text");
        let Some(Block::Tree(lines)) =
            test.run(Command::ModelTree).unwrap().blocks.into_iter().next()
        else {
            panic!("no tree")
        };
        assert!(format!("{lines:?}").contains("lm_head"), "{keys}: {lines:?}");
        test.train("steps=3 lr=0.05 eval_every=0 batch=2")
            .unwrap_or_else(|failure| panic!("{keys}: {failure:?}"));
        let tuned = test.text();
        assert_ne!(tuned, base, "{keys}: training changes nothing");
        test.adapter(AdapterAction::Merge { name: None })
            .unwrap_or_else(|failure| panic!("{keys}: {failure:?}"));
        assert_eq!(test.text(), tuned, "{keys}: merged");
        test.adapter(AdapterAction::Unmerge { name: None }).unwrap();
        let directory = test.folder.path().join("head").display().to_string();
        test.adapter(AdapterAction::Save { name: None, directory: directory.clone() }).unwrap();
        test.adapter(AdapterAction::Detach { name: None }).unwrap();
        assert_eq!(test.text(), base, "{keys}: detached");
        let reply = test.adapter(AdapterAction::Load { directory, name: None }).unwrap();
        assert_eq!(reply.blocks.len(), 2, "{keys}: {reply:?}");
        assert_eq!(test.text(), tuned, "{keys}: loaded");
        test.adapter(AdapterAction::Detach { name: None }).unwrap();
    }
}

#[test]
fn out_of_range_counts_are_refused_for_every_method() {
    let test = TestSession::attached();
    for (method, key, value) in [
        ("lora", "r", 2_147_483_647),
        ("prompt_tune", "num_virtual_tokens", 999_999_999),
        ("vera", "r", 0),
        ("adalora", "init_r", -1),
        ("oft", "oft_block_size", i64::MAX),
    ] {
        let settings = Settings::default().with(key, Value::Integer(value));
        let failure = test
            .run(Command::Adapter {
                method: method.to_owned(),
                action: AdapterAction::Attach { settings },
            })
            .unwrap_err();
        assert!(
            failure.code == "settings::out_of_range"
                && failure.message.contains(key)
                && failure.hint.is_some(),
            "{failure:?}"
        );
    }
    assert_eq!(test.session.snapshot().adapters.len(), 1);
}

#[test]
fn an_adapter_folder_whose_count_would_abort_the_process_is_a_failure_with_the_value() {
    let test = TestSession::attached();
    let directory = test.folder.path().join("hostile");
    test.adapter(AdapterAction::Save { name: None, directory: directory.display().to_string() })
        .unwrap();
    let path = directory.join("adapter_config.json");
    let text = std::fs::read_to_string(&path).unwrap().replace("\"r\": 2", "\"r\": 2147483647");
    std::fs::write(&path, text).unwrap();
    let failure = test
        .adapter(AdapterAction::Load { directory: directory.display().to_string(), name: None })
        .unwrap_err();
    assert!(
        failure.code == "peft::malformed" && failure.message.contains("2147483647"),
        "{failure:?}"
    );
    assert_eq!(test.session.snapshot().adapters.len(), 1);
}
