//! Builders: the keys of the magics in Rust. Each setter has the name of its key.

mod ablate;
mod builders;

use graft_spec::{AUTO, Settings, Value};

pub use ablate::Ablate;
pub use builders::*;

/// A fine-tuning method with its keys: the argument of [`Model::attach`](crate::Model::attach).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a fine-tuning method",
    note = "methods are builders such as `Lora::new()` and `PromptTuning::new()`"
)]
pub trait Method {
    /// The name of the method's magic, without `%`.
    fn verb(&self) -> &'static str;
    /// The keys that were set.
    #[doc(hidden)]
    fn into_settings(self) -> Settings;
}

/// A whole number. One that does not fit becomes the largest, which the range of the key refuses.
fn integer(value: impl TryInto<i64>) -> Value {
    Value::Integer(value.try_into().unwrap_or(i64::MAX))
}

fn number(value: f64) -> Value {
    Value::Float(value)
}

fn flag(value: bool) -> Value {
    Value::Bool(value)
}

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

fn auto() -> Value {
    text(AUTO)
}

fn list<T: Into<String>>(values: impl IntoIterator<Item = T>) -> Value {
    Value::List(values.into_iter().map(Into::into).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setters_store_the_values_of_their_keys() {
        let lora = Lora::new().r(8).lora_alpha(16.0).target_modules(["q_proj", "v_proj"]);
        assert_eq!(lora.verb(), "lora");
        let settings = lora.into_settings();
        settings.check(graft_spec::methods::lora::SPEC.keys).unwrap();
        assert_eq!(
            settings,
            Settings::default()
                .with("r", Value::Integer(8))
                .with("lora_alpha", Value::Float(16.0))
                .with("target_modules", Value::List(vec!["q_proj".into(), "v_proj".into()]))
        );
        let train = Settings::from(Train::new().batch_auto().gradient_checkpointing(true));
        train.check(graft_spec::training::TRAIN).unwrap();
        assert_eq!(train.values["batch"], Value::Text("auto".to_owned()));
    }

    #[test]
    fn a_number_that_does_not_fit_is_out_of_the_range_of_its_key() {
        let settings = Settings::from(Train::new().seed(u64::MAX).steps(usize::MAX));
        assert_eq!(settings.values["seed"], Value::Integer(i64::MAX));
        let error = settings.check(graft_spec::training::TRAIN).unwrap_err();
        assert!(matches!(error, graft_spec::SpecError::OutOfRange { key: "steps", .. }), "{error}");
    }
}
