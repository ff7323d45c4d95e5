//! Selective methods: module selection and errors.

use graft_models::{Llama, LlamaConfig};
use graft_nn::{Device, Model};
use graft_peft::{PeftError, attach};
use graft_spec::{Hint, Value};

use crate::contract::{attach_context, model, settings};

fn list(names: &[&str]) -> Value {
    Value::List(names.iter().map(|name| (*name).to_owned()).collect())
}

#[test]
fn excluded_modules_and_everything_inside_them_are_frozen() {
    let model = model();
    let all: u64 = model.parameters().iter().map(|parameter| parameter.elements() as u64).sum();
    let count = |keys: &[(&str, Value)]| {
        attach(&attach_context(&model), "full", &settings(keys))
            .map(|adapter| adapter.trainable_parameters())
    };
    assert_eq!(count(&[]).unwrap(), all);
    let inside: u64 = model
        .parameters()
        .iter()
        .filter(|parameter| parameter.path().contains("layers.1."))
        .map(|parameter| parameter.elements() as u64)
        .sum();
    assert_eq!(count(&[("exclude_modules", list(&["layers.1"]))]).unwrap(), all - inside);
    assert_eq!(count(&[("target_modules", list(&["layers.1"]))]).unwrap(), inside);
    assert_eq!(
        count(&[
            ("exclude_modules", list(&[r"model\.layers\.[02]"])),
            ("target_modules", list(&["layers"]))
        ])
        .unwrap(),
        inside
    );
    let norms = 7 * 16;
    assert_eq!(count(&[("target_modules", list(&[r".*norm"]))]).unwrap(), norms);
}

#[test]
fn names_without_a_match_are_refused_with_the_possible_names() {
    let model = model();
    for (verb, key, name, nearest) in [
        ("full", "exclude_modules", "embed_token", "embed_tokens"),
        ("ln_tuning", "target_modules", "input_layer_norm", "input_layernorm"),
        ("trainable_tokens", "target_modules", "embed", "embed_tokens"),
    ] {
        let keys = [(key, list(&[name])), ("token_indices", list(&["1"]))];
        let settings = settings(if verb == "trainable_tokens" { &keys } else { &keys[..1] });
        let error = attach(&attach_context(&model), verb, &settings)
            .err()
            .unwrap_or_else(|| panic!("{verb}"));
        assert!(
            matches!(error, PeftError::NoMatch { .. })
                && error.hint().is_some_and(|hint| hint.contains(nearest)),
            "{verb}: {error} {:?}",
            error.hint()
        );
    }
    let linear =
        settings(&[("target_modules", list(&["q_proj"])), ("token_indices", list(&["1"]))]);
    assert!(matches!(
        attach(&attach_context(&model), "trainable_tokens", &linear).err(),
        Some(PeftError::NoMatch { .. })
    ));
    assert!(
        model.parameters().iter().all(|parameter| parameter.overrides().names().is_empty()),
        "something is half attached"
    );
}

#[test]
fn tokens_must_be_given_and_be_in_the_vocabulary() {
    let model = model();
    let code = |indices: Option<&[&str]>| {
        let keys: Vec<_> =
            indices.into_iter().map(|indices| ("token_indices", list(indices))).collect();
        attach(&attach_context(&model), "trainable_tokens", &settings(&keys))
            .err()
            .map(|error| error.code())
    };
    assert_eq!(code(None), Some("peft::no_tokens"));
    assert_eq!(code(Some(&["3", "50"])), Some("peft::no_such_token"));
    assert_eq!(code(Some(&["three"])), Some("peft::bad_numbers"));
    let adapter = attach(
        &attach_context(&model),
        "trainable_tokens",
        &settings(&[("token_indices", list(&["3", "40-42", "41"]))]),
    )
    .unwrap();
    assert_eq!(adapter.trainable_parameters(), 4 * 16);
}

#[test]
fn bitfit_of_a_model_without_biases_suggests_other_methods() {
    let json = serde_json::json!({"vocab_size": 50, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 4});
    let model = Llama::random(&LlamaConfig::from_json(&json).unwrap(), 1, &Device::Cpu).unwrap();
    let error = attach(&attach_context(&model), "bitfit", &settings(&[])).err().unwrap();
    assert_eq!(error.code(), "peft::no_bias");
    assert!(error.hint().is_some_and(|hint| hint.contains("%ln_tuning attach")));
}
