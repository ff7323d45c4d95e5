//! A head that shares the embedding's weight can be trained, targeted, merged and saved separately,
//! as in HF PEFT.

use graft_models::{FolderParts, load_model, save_folder};
use graft_nn::{Context, DType, Device, Model, gradients, ops::cross_entropy};
use graft_peft::{Adapter, attach, counts, load, parameter_table};
use graft_protocol::Cell;
use graft_spec::{Settings, Value};

use crate::{
    files::{attach_context, distance, llama, output},
    method_contract::randomize,
};

fn list(words: &[&str]) -> Value {
    Value::List(words.iter().map(|word| (*word).to_owned()).collect())
}

/// Every way to adapt the head, with the number of its trainable parameters: W is 50 × 16.
fn ways() -> Vec<(&'static str, Settings, u64)> {
    let r = |r: i64| Settings::default().with("r", Value::Integer(r));
    let head = list(&["lm_head"]);
    vec![
        ("lora", r(2).with("target_modules", head.clone()), 2 * (50 + 16)),
        (
            "lora",
            r(2).with("target_modules", list(&["q_proj", "lm_head"])),
            2 * (50 + 16) + 3 * 2 * 32,
        ),
        ("dora", r(2).with("target_modules", head.clone()), 2 * (50 + 16) + 50),
        ("loha", r(2).with("target_modules", head.clone()), 4 * (50 + 16)),
        ("lokr", r(2).with("target_modules", head.clone()), 0),
        ("vera", r(2).with("target_modules", head.clone()), 50 + 2),
        (
            "oft",
            Settings::default()
                .with("oft_block_size", Value::Integer(4))
                .with("target_modules", head.clone()),
            4 * 6,
        ),
        ("ia3", Settings::default().with("target_modules", head.clone()), 50),
        ("shira", r(2).with("target_modules", head.clone()), 2 * (50 + 16)),
        (
            "adalora",
            Settings::default()
                .with("init_r", Value::Integer(2))
                .with("target_r", Value::Integer(1))
                .with("target_modules", head.clone()),
            2 * (50 + 16) + 2,
        ),
        (
            "lora",
            r(2).with("target_modules", list(&["q_proj"])).with("modules_to_save", head),
            50 * 16 + 3 * 2 * 32,
        ),
    ]
}

fn attached(model: &dyn Model, (verb, keys, _): &(&'static str, Settings, u64)) -> Adapter {
    attach(&attach_context(model), verb, keys)
        .unwrap_or_else(|error| panic!("{verb} {keys:?}: {error}"))
}

#[test]
fn a_tied_head_is_adapted_without_the_embedding() {
    for way in ways() {
        let model = llama(true, 1);
        let (base, table) = (
            output(&model),
            model
                .embedding()
                .weight()
                .base_value()
                .flatten_all()
                .unwrap()
                .to_vec1::<f32>()
                .unwrap(),
        );
        let hidden = || {
            let ids = graft_nn::Tensor::new(&[[4u32, 8, 15, 16, 23, 42]], &Device::Cpu).unwrap();
            model
                .hidden(&ids, None, &Context::eval())
                .unwrap()
                .states
                .flatten_all()
                .unwrap()
                .to_vec1::<f32>()
                .unwrap()
        };
        let adapter = attached(&model, &way);
        assert!(distance(&output(&model), &base) < 1e-5, "{way:?}: attaching changes the output");
        let trained = counts(&model, &[&adapter]);
        let own: u64 = model.parameters().iter().map(|parameter| parameter.elements() as u64).sum();
        if way.2 > 0 {
            assert_eq!(adapter.trainable_parameters(), way.2, "{way:?}");
        }
        assert!(trained.all >= own + adapter.trainable_parameters(), "{way:?}: {}", trained.line());
        let states = hidden();
        randomize(&adapter, 3);
        let acting = output(&model);
        assert!(distance(&acting, &base) > 1e-3, "{way:?}: it does not act");
        if way.1.values["target_modules"].to_string() == "lm_head" {
            assert_eq!(hidden(), states, "{way:?}: the embedding sees the head's adapter");
        }
        // Gradients reach the head.
        let logits = acting.len();
        let ids = graft_nn::Tensor::new(&[[4u32, 8, 15, 16, 23, 42]], &Device::Cpu).unwrap();
        let rows =
            model.logits(&ids, None, &Context::train(1, 0, 0)).unwrap().reshape((6, 50)).unwrap();
        let trainables = adapter.trainables();
        for (trainable, gradient) in trainables.iter().zip(
            gradients(&cross_entropy(&rows, &[1, 2, 3, 4, 5, 6], 6.0).unwrap(), &trainables)
                .unwrap(),
        ) {
            assert!(
                gradient.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap() > 0.0,
                "{way:?}: {} of {logits}",
                trainable.name
            );
        }
        // Merging gives the same output, and the embedding does not change by a bit.
        adapter.merge(&model).unwrap_or_else(|error| panic!("{way:?}: {error}"));
        assert!(
            distance(&output(&model), &acting) < 1e-4,
            "{way:?}: merged is {} away",
            distance(&output(&model), &acting)
        );
        assert_eq!(
            model
                .embedding()
                .weight()
                .base_value()
                .flatten_all()
                .unwrap()
                .to_vec1::<f32>()
                .unwrap(),
            table,
            "{way:?}"
        );
        adapter.deactivate(&model).unwrap();
        assert_eq!(output(&model), base, "{way:?}: merged and off is not the base");
        adapter.activate(&model).unwrap();
        adapter.unmerge(&model).unwrap();
        assert_eq!(output(&model), acting, "{way:?}: unmerging did not restore");
        // A saved and loaded adapter gives the same output; detaching restores the base model.
        let folder = tempfile::tempdir().unwrap();
        adapter.save(folder.path(), "toy").unwrap();
        adapter.detach(&model).unwrap();
        assert_eq!(output(&model), base, "{way:?}: detached is not the base");
        let (again, warnings) = load(&attach_context(&model), folder.path(), "default").unwrap();
        assert!(warnings.is_empty() && output(&model) == acting, "{way:?}: {warnings:?}");
        again.merge(&model).unwrap();
        drop(again);
        assert_eq!(
            output(&model),
            base,
            "{way:?}: a merged adapter that was dropped stays in the head"
        );
    }
}

#[test]
fn a_model_that_was_merged_into_a_tied_head_is_saved_with_a_head_of_its_own() {
    let config = serde_json::json!({"model_type": "llama", "vocab_size": 50, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 3, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 40, "tie_word_embeddings": true, "architectures": ["LlamaForCausalLM"]});
    for way in [&ways()[1], &ways()[10]] {
        let (model, folder) = (llama(true, 1), tempfile::tempdir().unwrap());
        let adapter = attached(&model, way);
        randomize(&adapter, 3);
        adapter.merge(&model).unwrap();
        let parts = FolderParts {
            model: &model,
            dtype: DType::F32,
            config: &config,
            tokenizer: None,
            others: &[],
        };
        save_folder(folder.path(), &parts).unwrap();
        let again =
            load_model(folder.path(), DType::F32, &Device::Cpu, &mut |_, _, _| {}).unwrap().model;
        assert!(
            !again.shape().tied && distance(&output(&*again), &output(&model)) < 1e-6,
            "{way:?}"
        );
        adapter.unmerge(&model).unwrap();
        adapter.deactivate(&model).unwrap();
        save_folder(folder.path(), &parts).unwrap();
        let again =
            load_model(folder.path(), DType::F32, &Device::Cpu, &mut |_, _, _| {}).unwrap().model;
        assert!(again.shape().tied && output(&*again) == output(&model), "{way:?}");
    }
}

#[test]
fn the_table_of_parameters_has_a_row_for_an_adapter_in_a_tied_head() {
    let model = llama(true, 1);
    let adapter = attached(&model, &ways()[1]);
    let table = parameter_table(&model, Some(&adapter));
    let integer = |cell: &Cell| if let Cell::Integer(number) = cell { *number } else { 0 };
    let (total, rows) = table.rows.split_last().unwrap();
    let sum = |column: usize| rows.iter().map(|row| integer(&row[column])).sum::<i64>();
    assert_eq!((sum(3), sum(4)), (integer(&total[3]), integer(&total[4])));
    assert!(rows.iter().any(|row| matches!(&row[0], Cell::Code(name) if name == "lm_head")));
}

#[test]
fn a_second_adapter_works_on_a_head_with_a_merged_adapter() {
    let model = llama(true, 1);
    let keys = |name: &str| ways()[0].1.clone().with("adapter_name", Value::Text(name.to_owned()));
    let first = attach(&attach_context(&model), "lora", &keys("first")).unwrap();
    randomize(&first, 3);
    first.merge(&model).unwrap();
    let merged = output(&model);
    let second = attach(&attach_context(&model), "lora", &keys("second")).unwrap();
    first.activate(&model).unwrap();
    assert!(distance(&output(&model), &merged) < 1e-6);
    assert!(second.merge(&model).is_err(), "two merges in one layer");
}

#[test]
fn a_saved_embedding_of_a_tied_model_is_trained_separately_from_the_head() {
    let (tied, apart) = (llama(true, 1), llama(false, 1));
    // An untied model with the same weights: HF PEFT's copy of the embedding no longer is the
    // weight of the head.
    let by_path = |path: &str| {
        tied.parameters()
            .into_iter()
            .find(|parameter| parameter.path() == path)
            .unwrap()
            .base_value()
    };
    for parameter in apart.parameters() {
        let path = if parameter.path() == "lm_head.weight" {
            "model.embed_tokens.weight"
        } else {
            parameter.path()
        };
        parameter.set(by_path(path)).unwrap();
    }
    let keys = Settings::default()
        .with("r", Value::Integer(2))
        .with("target_modules", list(&["q_proj"]))
        .with("modules_to_save", list(&["embed_tokens"]));
    let (one, other) = (
        attach(&attach_context(&tied), "lora", &keys).unwrap(),
        attach(&attach_context(&apart), "lora", &keys).unwrap(),
    );
    for adapter in [&one, &other] {
        randomize(adapter, 3);
    }
    assert!(distance(&output(&tied), &output(&apart)) < 1e-5);
    let folder = tempfile::tempdir().unwrap();
    one.save(folder.path(), "toy").unwrap();
    let acting = output(&tied);
    one.detach(&tied).unwrap();
    let (again, warnings) = load(&attach_context(&tied), folder.path(), "default").unwrap();
    assert!(warnings.is_empty() && output(&tied) == acting, "{warnings:?}");
    assert_eq!(graft_spec::Hint::code(&again.merge(&tied).unwrap_err()), "peft::tied_embedding");
    again.detach(&tied).unwrap();
    let path = folder.path().join("adapter_config.json");
    let text = std::fs::read_to_string(&path)
        .unwrap()
        .replace("\"ensure_weight_tying\": false", "\"ensure_weight_tying\": true");
    std::fs::write(&path, text).unwrap();
    let error = load(&attach_context(&tied), folder.path(), "default").err().expect("refused");
    assert!(error.to_string().contains("ensure_weight_tying"), "{error}");
}
