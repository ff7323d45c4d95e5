//! The life of an adapter, tested with random inputs and weights that are not zero.

use graft_models::{Llama, LlamaConfig};
use graft_nn::{Context, Device, Model, Rng, Tensor, gradients, ops::cross_entropy};
use graft_peft::{Adapter, AttachContext, PeftError, attach, counts, load, parameter_table};
use graft_protocol::Cell;
use graft_spec::{Hint, Settings, Value};

pub(crate) fn model() -> Llama {
    let json = serde_json::json!({"vocab_size": 50, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 3, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 40, "initializer_range": 0.2, "attention_bias": true});
    Llama::random(&LlamaConfig::from_json(&json).unwrap(), 1, &Device::Cpu).unwrap()
}

pub(crate) fn attach_context(model: &Llama) -> AttachContext<'_> {
    AttachContext::new(model, "toy", 9)
}

pub(crate) fn settings(values: &[(&str, Value)]) -> Settings {
    values
        .iter()
        .fold(Settings::default(), |settings, (name, value)| settings.with(name, value.clone()))
}

pub(crate) fn targets(names: &[&str]) -> (&'static str, Value) {
    ("target_modules", Value::List(names.iter().map(|name| (*name).to_owned()).collect()))
}

fn ids() -> Tensor {
    Tensor::new(&[[4u32, 8, 15, 16, 23, 42], [7, 7, 1, 0, 49, 3]], &Device::Cpu).unwrap()
}

fn logits(model: &Llama) -> Vec<f32> {
    model.logits(&ids(), None, &Context::eval()).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Adds noise to every weight, so that the adapter has an effect.
fn randomize(adapter: &Adapter) {
    for trainable in adapter.trainables() {
        let noise = Rng::new(3).stream("stir", &trainable.name).normal(
            0.0,
            0.2,
            trainable.var.elem_count(),
        );
        let noise = Tensor::from_vec(noise, trainable.var.dims(), &Device::Cpu).unwrap();
        trainable.var.set(&(trainable.var.as_detached_tensor() + noise).unwrap()).unwrap();
    }
}

fn lora(model: &Llama, name: &str, names: &[&str]) -> Adapter {
    let keys = [
        ("adapter_name", Value::Text(name.to_owned())),
        ("r", Value::Integer(3)),
        ("lora_alpha", Value::Float(5.0)),
        targets(names),
    ];
    attach(&attach_context(model), "lora", &settings(&keys)).unwrap()
}

#[test]
fn attaching_a_lora_does_not_change_the_output() {
    let model = model();
    let before = logits(&model);
    let adapter = lora(&model, "default", &["all-linear"]);
    assert_eq!(distance(&logits(&model), &before), 0.0);
    randomize(&adapter);
    assert!(distance(&logits(&model), &before) > 1e-2);
    adapter.detach(&model).unwrap();
    assert_eq!(logits(&model), before);
}

#[test]
fn a_soft_prompt_lengthens_the_output_until_it_is_detached() {
    let model = model();
    let before = logits(&model);
    let prompt = attach(
        &attach_context(&model),
        "prompt_tune",
        &settings(&[("num_virtual_tokens", Value::Integer(4))]),
    )
    .unwrap();
    let with = model.logits(&ids(), None, &Context::eval()).unwrap();
    assert_eq!(with.dims(), [2, 10, 50]);
    prompt.deactivate(&model).unwrap();
    assert_eq!(logits(&model), before);
    prompt.activate(&model).unwrap();
    prompt.detach(&model).unwrap();
    assert_eq!(logits(&model), before);
}

#[test]
fn gradients_reach_every_adapter_parameter_and_no_base_weight() {
    let model = model();
    for (verb, keys) in [
        ("lora", vec![targets(&["all-linear"])]),
        ("prompt_tune", vec![("num_virtual_tokens", Value::Integer(4))]),
    ] {
        let adapter = attach(&attach_context(&model), verb, &settings(&keys)).unwrap();
        randomize(&adapter);
        let logits = model.logits(&ids(), None, &Context::train(1, 0, 0)).unwrap();
        let (batch, length, vocab) = logits.dims3().unwrap();
        let rows = batch * length;
        let labels: Vec<i64> = (0..rows as i64).map(|row| row % 50).collect();
        let loss =
            cross_entropy(&logits.reshape((rows, vocab)).unwrap(), &labels, rows as f64).unwrap();
        let trainables = adapter.trainables();
        for (trainable, gradient) in trainables.iter().zip(gradients(&loss, &trainables).unwrap()) {
            let norm = gradient.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap();
            assert!(norm.is_finite() && norm > 0.0, "{} has gradient norm² {norm}", trainable.name);
        }
        let store = loss.backward().unwrap();
        assert!(
            model.parameters().iter().all(|parameter| store.get(&parameter.tensor()).is_none())
        );
        adapter.detach(&model).unwrap();
    }
}

#[test]
fn a_merged_adapter_gives_the_same_output_and_unmerging_restores_every_bit() {
    let model = model();
    let weights = || -> Vec<Vec<f32>> {
        model
            .parameters()
            .iter()
            .map(|parameter| parameter.tensor().flatten_all().unwrap().to_vec1().unwrap())
            .collect()
    };
    let adapter = lora(&model, "default", &["q_proj", "down_proj"]);
    randomize(&adapter);
    let (original, beside) = (weights(), logits(&model));
    adapter.merge(&model).unwrap();
    assert!(adapter.is_merged() && adapter.is_active(&model));
    assert!(distance(&logits(&model), &beside) < 1e-4);
    assert_ne!(weights(), original);
    assert_eq!(adapter.merge(&model).unwrap_err().code(), "peft::already_merged");
    adapter.unmerge(&model).unwrap();
    assert_eq!(weights(), original);
    assert_eq!(logits(&model), beside);
    assert_eq!(adapter.unmerge(&model).unwrap_err().code(), "peft::not_merged");
}

#[test]
fn a_merged_adapter_can_be_scaled_deactivated_and_detached() {
    let model = model();
    let base = logits(&model);
    let adapter = lora(&model, "default", &["v_proj"]);
    randomize(&adapter);
    adapter.set_scale(&model, 0.5).unwrap();
    let half = logits(&model);
    adapter.set_scale(&model, 1.0).unwrap();
    let full = logits(&model);
    assert!(distance(&half, &full) > 1e-3 && distance(&half, &base) > 1e-3);
    adapter.merge(&model).unwrap();
    adapter.set_scale(&model, 0.5).unwrap();
    assert!(distance(&logits(&model), &half) < 1e-4);
    adapter.deactivate(&model).unwrap();
    assert_eq!(logits(&model), base);
    assert!(!adapter.is_active(&model));
    adapter.activate(&model).unwrap();
    assert!(distance(&logits(&model), &half) < 1e-4);
    adapter.detach(&model).unwrap();
    assert_eq!(logits(&model), base);
    assert!(!adapter.is_merged());
}

#[test]
fn replacing_or_dropping_a_merged_adapter_restores_the_base() {
    let model = model();
    let base = logits(&model);
    let first = lora(&model, "default", &["q_proj"]);
    randomize(&first);
    first.merge(&model).unwrap();
    let second = lora(&model, "default", &["v_proj"]);
    drop(first);
    assert_eq!(logits(&model), base);
    randomize(&second);
    assert!(distance(&logits(&model), &base) > 1e-3);
    second.merge(&model).unwrap();
    drop(second);
    assert_eq!(logits(&model), base);
}

#[test]
fn two_adapters_do_not_disturb_each_other() {
    let model = model();
    let base = logits(&model);
    let first = lora(&model, "first", &["q_proj", "v_proj"]);
    randomize(&first);
    let alone = logits(&model);
    let second = lora(&model, "second", &["v_proj", "up_proj"]);
    randomize(&second);
    let other = logits(&model);
    assert!(distance(&alone, &other) > 1e-3);
    assert!(!first.is_active(&model) && second.is_active(&model));
    first.activate(&model).unwrap();
    assert_eq!(logits(&model), alone);
    second.merge(&model).unwrap();
    assert_eq!(first.merge(&model).unwrap_err().code(), "peft::other_merged");
    second.unmerge(&model).unwrap();
    second.detach(&model).unwrap();
    assert_eq!(logits(&model), alone);
    first.detach(&model).unwrap();
    assert_eq!(logits(&model), base);
}

#[test]
fn attaching_again_under_the_same_name_replaces() {
    let model = model();
    let old = lora(&model, "default", &["q_proj", "up_proj"]);
    randomize(&old);
    let base_with_new = {
        let fresh = lora(&model, "default", &["v_proj"]);
        randomize(&fresh);
        let found = logits(&model);
        old.detach(&model).unwrap();
        assert_eq!(logits(&model), found, "the old handle took the new adapter away");
        assert_eq!(counts(&model, &[&fresh]).trainable, fresh.trainable_parameters());
        found
    };
    let prompt = attach(
        &attach_context(&model),
        "prompt_tune",
        &settings(&[("num_virtual_tokens", Value::Integer(2))]),
    )
    .unwrap();
    assert_ne!(logits(&model).len(), base_with_new.len());
    assert!(model.sites().iter().all(|site| !matches!(site.layer, graft_nn::Layer::Linear(linear) if !linear.slot().names().is_empty())));
    prompt.detach(&model).unwrap();
}

#[test]
fn a_saved_adapter_can_be_loaded_under_any_name() {
    let model = model();
    let folder = tempfile::tempdir().unwrap();
    for (verb, keys) in [
        (
            "lora",
            vec![
                ("r", Value::Integer(3)),
                ("lora_alpha", Value::Float(5.0)),
                ("use_rslora", Value::Bool(true)),
                targets(&["all-linear"]),
            ],
        ),
        (
            "lora",
            vec![targets(&[r".*\.(0|2)\..*(gate|up)_proj"]), ("lora_dropout", Value::Float(0.25))],
        ),
        (
            "prompt_tune",
            vec![
                ("num_virtual_tokens", Value::Integer(4)),
                ("prompt_tuning_init", Value::Text("RANDOM".to_owned())),
            ],
        ),
    ] {
        let adapter = attach(&attach_context(&model), verb, &settings(&keys)).unwrap();
        randomize(&adapter);
        let expected = logits(&model);
        let directory = folder.path().join("a/b");
        adapter.save(&directory, "toy").unwrap();
        adapter.detach(&model).unwrap();
        let (again, warnings) = load(&attach_context(&model), &directory, "other").unwrap();
        assert!(warnings.is_empty(), "{warnings:?}");
        assert_eq!(logits(&model), expected);
        assert_eq!(again.settings(), adapter.settings());
        assert_eq!(again.summary(), adapter.summary());
        again.detach(&model).unwrap();
    }
}

#[test]
fn a_checkpoint_restores_the_weights_exactly() {
    let model = model();
    let adapter = lora(&model, "default", &["q_proj"]);
    randomize(&adapter);
    let (state, then) = (adapter.state().unwrap(), logits(&model));
    randomize(&adapter);
    assert_ne!(logits(&model), then);
    adapter.restore(&state).unwrap();
    assert_eq!(logits(&model), then);
    assert!(matches!(adapter.restore(&Default::default()), Err(PeftError::MissingKeys { .. })));
}

#[test]
fn saving_over_another_adapter_replaces_both_files_or_none() {
    let (model, folder) = (model(), tempfile::tempdir().unwrap());
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    lora(&model, "default", &["q_proj"]).save(folder.path(), "base").unwrap();
    let old = read("adapter_model.safetensors");
    // A folder with the name of the new weights prevents the replacement.
    let blocked = folder.path().join("adapter.safetensors");
    std::fs::create_dir(&blocked).unwrap();
    let bottleneck = attach(
        &attach_context(&model),
        "bottleneck",
        &settings(&[("adapter_name", Value::Text("other".to_owned()))]),
    )
    .unwrap();
    assert!(bottleneck.save(folder.path(), "base").is_err());
    assert_eq!(read("adapter_model.safetensors"), old);
    assert!(String::from_utf8(read("adapter_config.json")).unwrap().contains("LORA"));
    std::fs::remove_dir(&blocked).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    let other = lora(&model, "default", &["q_proj", "down_proj"]);
    other.save(folder.path(), "base").unwrap();
    assert_ne!(read("adapter_model.safetensors"), old);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn initial_weights_depend_on_the_seed_and_not_on_the_order_of_targets() {
    let model = model();
    let start = |seed, names: &[&str]| {
        let attach_context = AttachContext { seed, ..attach_context(&model) };
        let adapter = attach(&attach_context, "lora", &settings(&[targets(names)])).unwrap();
        adapter
            .state()
            .unwrap()
            .into_values()
            .map(|tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(start(1, &["q_proj", "v_proj"]), start(1, &["v_proj", "q_proj"]));
    assert_ne!(start(1, &["q_proj"]), start(2, &["q_proj"]));
}

#[test]
fn the_initial_weights_are_distributed_as_in_hf_peft() {
    let model = model();
    let of = |init: &str| {
        let keys = [
            ("init_lora_weights", Value::Text(init.to_owned())),
            ("r", Value::Integer(4)),
            targets(&["all-linear"]),
        ];
        let adapter = attach(&attach_context(&model), "lora", &settings(&keys)).unwrap();
        adapter
            .state()
            .unwrap()
            .into_iter()
            .filter(|(key, _)| key.contains("lora_A") && !key.contains("down_proj"))
            .flat_map(|(_, tensor)| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap())
            .collect::<Vec<_>>()
    };
    let deviation = |values: &[f32]| {
        (values.iter().map(|value| value * value).sum::<f32>() / values.len() as f32).sqrt()
    };
    // Uniform in ±1/sqrt(16) has the standard deviation 0.25 / sqrt 3; the normal distribution has
    // 1/r.
    let uniform = of("true");
    assert!(
        uniform.iter().all(|value| value.abs() <= 0.25)
            && (deviation(&uniform) - 0.1443).abs() < 0.01
    );
    let gaussian = of("gaussian");
    assert!(
        gaussian.iter().any(|value| value.abs() > 0.5)
            && (deviation(&gaussian) - 0.25).abs() < 0.02
    );
}

#[test]
fn lora_plus_speeds_up_b_alone_and_is_not_written_into_the_file() {
    let (model, folder) = (model(), tempfile::tempdir().unwrap());
    let adapter = attach(
        &attach_context(&model),
        "lora",
        &settings(&[("loraplus_lr_ratio", Value::Float(16.0)), targets(&["q_proj"])]),
    )
    .unwrap();
    let factors: Vec<_> = adapter
        .trainables()
        .iter()
        .map(|trainable| (trainable.name.contains("lora_B"), trainable.lr_scale))
        .collect();
    assert_eq!(factors, [(false, 1.0), (true, 16.0)].repeat(3));
    assert!(adapter.summary().contains("loraplus_lr_ratio=16"), "{}", adapter.summary());
    adapter.save(folder.path(), "toy").unwrap();
    assert!(
        !std::fs::read_to_string(folder.path().join("adapter_config.json"))
            .unwrap()
            .contains("loraplus")
    );
}

#[test]
fn dropout_acts_in_training_only_and_by_the_counters() {
    let model = model();
    let adapter = attach(
        &attach_context(&model),
        "lora",
        &settings(&[("lora_dropout", Value::Float(0.5)), targets(&["q_proj"])]),
    )
    .unwrap();
    randomize(&adapter);
    let train = |step| -> Vec<f32> {
        model
            .logits(&ids(), None, &Context::train(1, step, 0))
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap()
    };
    assert_eq!(train(1), train(1));
    assert_ne!(train(1), train(2));
    assert_ne!(train(1), logits(&model));
    assert_eq!(logits(&model), logits(&model));
}

#[test]
fn the_table_has_a_row_per_kind_and_ends_with_the_line_of_hf_peft() {
    let model = model();
    let adapter = lora(&model, "default", &["q_proj", "v_proj"]);
    let table = parameter_table(&model, Some(&adapter));
    let names: Vec<_> = table
        .rows
        .iter()
        .filter_map(|row| if let Cell::Code(name) = &row[0] { Some(name.as_str()) } else { None })
        .collect();
    assert_eq!(names.len(), 12, "{names:?}");
    assert!(names.contains(&"model.layers.0-2.self_attn.q_proj"));
    let sum = |column: usize| -> i64 {
        table.rows[..table.rows.len() - 1]
            .iter()
            .map(|row| if let Cell::Integer(value) = row[column] { value } else { 0 })
            .sum()
    };
    let total = counts(&model, &[&adapter]);
    // q: 3·(16+16), v: 3·(16+8), in three layers.
    assert_eq!(total.trainable, 3 * 3 * (32 + 24));
    assert_eq!((sum(3) as u64, sum(4) as u64), (total.trainable, total.all));
    assert_eq!(table.footer, [total.line()]);
    adapter.detach(&model).unwrap();
    let prompt = attach(
        &attach_context(&model),
        "prompt_tune",
        &settings(&[("num_virtual_tokens", Value::Integer(4))]),
    )
    .unwrap();
    let table = parameter_table(&model, Some(&prompt));
    assert!(
        table.rows.iter().any(|row| row[0] == Cell::Code("prompt_embeddings".to_owned())
            && row[3] == Cell::Integer(64))
    );
    assert_eq!(table.footer, [counts(&model, &[&prompt]).line()]);
}
