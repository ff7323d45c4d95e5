use super::*;
use crate::Hint;

fn with(pairs: &[(&str, &str)]) -> Result<Settings, SpecError> {
    pairs.iter().try_fold(Settings::default(), |settings, (name, text)| {
        let key = TRAIN.iter().find(|key| key.is_named(name)).expect("a key");
        Ok(settings.with(key.name, key.parse(text)?))
    })
}

#[test]
fn names_of_transformers_are_keys() {
    let names = [
        ("num_train_epochs", "epochs"),
        ("max_steps", "steps"),
        ("per_device_train_batch_size", "batch"),
        ("gradient_accumulation_steps", "gradient_accumulation_steps"),
        ("learning_rate", "lr"),
        ("lr_scheduler_type", "schedule"),
        ("warmup_steps", "warmup"),
        ("warmup_ratio", "warmup_ratio"),
        ("optim", "optim"),
        ("adam_beta1", "adam_beta1"),
        ("label_smoothing_factor", "label_smoothing"),
        ("neftune_noise_alpha", "neftune_noise_alpha"),
        ("metric_for_best_model", "best"),
        ("load_best_model_at_end", "load_best"),
        ("early_stopping_patience", "early_stopping"),
        ("eval_steps", "eval_every"),
    ];
    for (name, key) in names {
        let found: Vec<_> = TRAIN.iter().filter(|spec| spec.is_named(name)).collect();
        assert_eq!(found.iter().map(|spec| spec.name).collect::<Vec<_>>(), [key], "{name}");
    }
}

#[test]
fn values_of_transformers_are_values() {
    let words = [
        ("optim", "adamw_torch", "adamw"),
        ("optim", "adamw_torch_fused", "adamw"),
        ("optim", "adamw_bnb_8bit", "adamw_8bit"),
        ("optim", "lion_32bit", "lion"),
        ("lr_scheduler_type", "reduce_lr_on_plateau", "reduce_on_plateau"),
        ("metric_for_best_model", "eval_loss", "loss"),
        ("metric_for_best_model", "eval_accuracy", "accuracy"),
    ];
    for (key, text, value) in words {
        let settings = with(&[(key, text)]).expect("a value");
        assert_eq!(settings.values.values().next(), Some(&Value::Text(value.to_owned())), "{text}");
    }
}

#[test]
fn bad_values_are_refused_with_the_value_and_an_example() {
    let cases = [
        ("epochs", "0", "`epochs` must be between 0.001 and 1000000, got `0`", "epochs=1"),
        ("epochs", "three", "`epochs` must be a number, got `three`", "epochs=1"),
        ("lr", "atuo", "`lr` must be a number or auto, got `atuo`", "lr=1e-3"),
        ("lr", "NaN", "`lr` must be a number or auto, got `NaN`", "lr=1e-3"),
        ("warmup_ratio", "1.5", "`warmup_ratio` must be between 0 and 1, got `1.5`", "=1e-3"),
        ("optim", "adamv", "invalid value `adamv` for `optim`", "did you mean `adamw`?"),
        ("schedule", "cosin", "invalid value `cosin` for `schedule`", "did you mean `cosine`?"),
        ("adam_beta1", "1", "`adam_beta1` must be between 0 and 0.999999999, got `1`", "=0.9"),
        ("label_smoothing", "1", "`label_smoothing` must be between 0 and 0.999, got `1`", "=0"),
        ("neftune_noise_alpha", "-5", "must be between 0 and 1000000, got `-5`", "=0"),
        ("early_stopping", "-1", "`early_stopping` must be between 0 and 1000000, got `-1`", "=0"),
        ("load_best", "maybe", "`load_best` must be true or false, got `maybe`", "=false"),
    ];
    for (key, text, message, hint) in cases {
        let error = with(&[(key, text)]).expect_err(text);
        assert!(error.to_string().contains(message), "{error}");
        assert!(error.hint().is_some_and(|found| found.contains(hint)), "{:?}", error.hint());
    }
}

#[test]
fn keys_that_exclude_each_other_are_refused() {
    for keys in [[("steps", "3"), ("epochs", "1")], [("warmup", "3"), ("warmup_ratio", "0.1")]] {
        let error = check_train(&with(&keys).expect("values")).expect_err("both");
        let ([(one, _), (other, _)], text) = (keys, error.to_string());
        assert_eq!(text, format!("`{one}` and `{other}` cannot be given together"));
    }
}

#[test]
fn a_key_without_effect_is_refused_with_the_key_that_it_needs() {
    let error = check_train(&with(&[("momentum", "0.9")]).expect("values")).expect_err("adamw");
    assert_eq!(error.to_string(), "`momentum` has no effect with optim=adamw");
    assert_eq!(error.hint().as_deref(), Some("add optim=sgd, or leave out `momentum`"));
    let both = with(&[("momentum", "0.9"), ("optim", "sgd")]).expect("values");
    assert_eq!(check_train(&both), Ok(()));
}

#[test]
fn a_resumption_with_epochs_replaces_the_steps() {
    let old = with(&[("steps", "3"), ("batch", "2"), ("warmup", "1")]).expect("values");
    let new = with(&[("epochs", "2"), ("warmup_ratio", "0.1")]).expect("values");
    let both = overlaid(&old, &new);
    assert_eq!(both.values.keys().collect::<Vec<_>>(), ["batch", "epochs", "warmup_ratio"]);
    let old = with(&[("schedule", "polynomial"), ("power", "2")]).expect("values");
    let both = overlaid(&old, &with(&[("schedule", "linear")]).expect("a value"));
    assert_eq!(check_train(&both), Ok(()));
    assert_eq!(both.values.keys().collect::<Vec<_>>(), ["schedule"]);
}
