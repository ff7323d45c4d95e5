//! Combination of adapters: the values of the sum, the effect of the rank, the file, and invalid
//! combinations.

use graft_models::{Llama, LlamaConfig};
use graft_nn::{Context, DType, Device, Model, Tensor};
use graft_peft::{Adapter, AttachContext, Combined, PeftError, attach, combine, load};
use graft_spec::{Hint, Settings, Value};

use crate::method_contract::randomize;

fn model() -> Llama {
    let json = serde_json::json!({"vocab_size": 50, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 40, "initializer_range": 0.2});
    Llama::random(&LlamaConfig::from_json(&json).unwrap(), 1, &Device::Cpu).unwrap()
}

fn attach_context(model: &Llama) -> AttachContext<'_> {
    AttachContext::new(model, "toy", 9)
}

/// A trained LoRA with its own rank and targets.
fn lora(model: &Llama, name: &str, r: i64, targets: &[&str]) -> Adapter {
    let targets = Value::List(targets.iter().map(|name| (*name).to_owned()).collect());
    let keys = Settings::default()
        .with("r", Value::Integer(r))
        .with("lora_alpha", Value::Float(6.0))
        .with("target_modules", targets);
    let adapter = attach(
        &attach_context(model),
        "lora",
        &keys.with("adapter_name", Value::Text(name.to_owned())),
    )
    .unwrap();
    randomize(&adapter, r as u64);
    adapter
}

fn combined(
    model: &Llama,
    adapters: &[&Adapter],
    keys: &[(&str, Value)],
) -> Result<Combined, PeftError> {
    let settings = keys
        .iter()
        .fold(Settings::default(), |settings, (key, value)| settings.with(key, value.clone()));
    combine(
        &attach_context(model),
        adapters,
        &settings.with("adapter_name", Value::Text("both".to_owned())),
    )
}

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

fn weights(values: &[&str]) -> Value {
    Value::List(values.iter().map(|value| (*value).to_owned()).collect())
}

/// `B A` of the layer whose path has this suffix, (d_out, d_in).
fn product(adapter: &Adapter, layer: &str, scaling: f64) -> Tensor {
    let state = adapter.state().unwrap();
    let find = |end: &str| {
        state
            .iter()
            .find(|(key, _)| key.contains(layer) && key.ends_with(end))
            .map(|(_, tensor)| tensor.clone())
    };
    let (Some(a), Some(b)) = (find("lora_A.weight"), find("lora_B.weight")) else {
        return Tensor::zeros((16, 16), DType::F32, &Device::Cpu).unwrap();
    };
    (b.matmul(&a).unwrap() * scaling).unwrap()
}

fn distance(a: &Tensor, b: &Tensor) -> f32 {
    (a - b).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar().unwrap()
}

fn logits(model: &Llama) -> Tensor {
    model
        .logits(
            &Tensor::new(&[[4u32, 8, 15, 16, 23, 42]], &Device::Cpu).unwrap(),
            None,
            &Context::eval(),
        )
        .unwrap()
}

#[test]
fn linear_and_cat_are_the_weighted_sum_of_the_updates() {
    let model = model();
    let (a, b) = (lora(&model, "a", 2, &["q_proj", "o_proj"]), lora(&model, "b", 3, &["q_proj"]));
    for how in ["linear", "cat"] {
        let sum = combined(
            &model,
            &[&a, &b],
            &[("weights", weights(&["0.7", "-0.3"])), ("combination_type", text(how))],
        )
        .unwrap();
        assert!(sum.kept > 0.999_999);
        let wanted = (product(&a, "0.self_attn.q_proj", 0.7 * 6.0 / 2.0)
            + product(&b, "0.self_attn.q_proj", -0.3 * 6.0 / 3.0))
        .unwrap();
        assert!(
            distance(&product(&sum.adapter, "0.self_attn.q_proj", 1.0), &wanted) < 1e-5,
            "{how}"
        );
        let alone = product(&a, "1.self_attn.o_proj", 0.7 * 6.0 / 2.0);
        assert!(
            distance(&product(&sum.adapter, "1.self_attn.o_proj", 1.0), &alone) < 1e-5,
            "{how}: where one acts, it alone counts"
        );
        sum.adapter.detach(&model).unwrap();
    }
}

#[test]
fn a_saved_combination_keeps_its_ranks_by_layer() {
    let model = model();
    let (a, b) = (lora(&model, "a", 2, &["q_proj", "o_proj"]), lora(&model, "b", 3, &["q_proj"]));
    let both = combined(&model, &[&a, &b], &[]).unwrap();
    let before = logits(&model);
    let folder = tempfile::tempdir().unwrap();
    both.adapter.save(folder.path(), "toy").unwrap();
    both.adapter.detach(&model).unwrap();
    assert!(distance(&logits(&model), &before) > 1e-3);
    let (again, warnings) = load(&attach_context(&model), folder.path(), "again").unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    assert!(distance(&logits(&model), &before) < 1e-5);
    assert!(again.is_active(&model));
}

#[test]
fn a_smaller_rank_reports_the_fraction_it_keeps() {
    let model = model();
    let (a, b) = (lora(&model, "a", 4, &["q_proj"]), lora(&model, "b", 4, &["q_proj"]));
    let all = combined(
        &model,
        &[&a, &b],
        &[("combination_type", text("svd")), ("svd_rank", Value::Integer(8))],
    )
    .unwrap();
    let few = combined(
        &model,
        &[&a, &b],
        &[("combination_type", text("svd")), ("svd_rank", Value::Integer(1))],
    )
    .unwrap();
    assert!(all.kept > 0.999_999 && few.kept < 0.95 && few.kept > 0.2, "{} {}", all.kept, few.kept);
    assert_eq!(few.adapter.trainable_parameters(), 2 * (16 + 16));
}

#[test]
fn an_adapter_and_its_negation_cancel() {
    let model = model();
    let a = lora(&model, "a", 2, &["q_proj"]);
    a.deactivate(&model).unwrap();
    let base = logits(&model);
    let none = combined(&model, &[&a, &a], &[("weights", weights(&["1", "-1"]))]).unwrap();
    assert!(distance(&logits(&model), &base) < 1e-5);
    drop(none);
}

#[test]
fn other_methods_are_combined_by_their_updates() {
    let model = model();
    let (a, b) = (
        lora(&model, "a", 2, &["q_proj"]),
        attach(
            &attach_context(&model),
            "loha",
            &Settings::default().with("r", Value::Integer(2)).with("adapter_name", text("b")),
        )
        .unwrap(),
    );
    randomize(&b, 3);
    for how in ["ties", "dare_linear", "dare_ties", "magnitude_prune", "svd"] {
        let both = combined(
            &model,
            &[&a, &b],
            &[
                ("combination_type", text(how)),
                ("svd_rank", Value::Integer(16)),
                ("density", Value::Float(0.6)),
            ],
        )
        .unwrap();
        assert!(both.kept > 0.999_999, "{how}: full rank holds everything");
        assert_eq!(both.adapter.spec().verb, "lora");
    }
}

#[test]
fn adapters_that_cannot_be_combined_are_refused() {
    let model = model();
    let a = lora(&model, "a", 2, &["q_proj"]);
    let before = logits(&model);
    let code = |result: Result<Combined, PeftError>| {
        result.err().map(|error| (error.code(), error.to_string()))
    };
    assert_eq!(code(combined(&model, &[], &[])).unwrap().0, "peft::nothing_to_combine");
    let (_, problem) = code(combined(&model, &[&a], &[("weights", weights(&["1", "2"]))])).unwrap();
    assert!(problem.contains("does not fit 1 adapters"), "{problem}");
    let soft = attach(
        &attach_context(&model),
        "prompt_tune",
        &Settings::default().with("adapter_name", text("soft")),
    )
    .unwrap();
    assert_eq!(code(combined(&model, &[&a, &soft], &[])).unwrap().0, "peft::not_combinable");
    soft.detach(&model).unwrap();
    a.activate(&model).unwrap();
    a.merge(&model).unwrap();
    assert_eq!(code(combined(&model, &[&a], &[])).unwrap().0, "peft::not_combinable");
    assert!(distance(&logits(&model), &before) < 1e-5);
}
