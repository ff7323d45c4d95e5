//! `modules_to_save`: modules that are trained as a whole, in addition to what a method trains.

use graft_nn::Task;
use serde_json::Value;

use crate::{AttachContext, config_file::ConfigFile};

/// The heads of classifiers: HF PEFT trains them with every method.
pub(crate) const HEADS: &[&str] = &["classifier", "score"];

/// The names in `modules_to_save`, without duplicates.
pub(crate) fn names(config: &ConfigFile) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in config
        .get("modules_to_save")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// Whether a name matches the layer at `path` or a module that contains it. As in HF PEFT, a name
/// may match in the middle of a word.
pub(crate) fn is_named(path: &str, names: &[String]) -> bool {
    let ends = path.match_indices('.').map(|(end, _)| end).chain([path.len()]);
    ends.map(|end| &path[..end])
        .any(|module| names.iter().any(|name| module.ends_with(name.as_str())))
}

/// Adds the heads of a classifier to `modules_to_save`, as HF PEFT does for every method that has
/// such a field.
pub(crate) fn add_heads(cx: &AttachContext<'_>, config: &mut ConfigFile) {
    if config.has_field("modules_to_save")
        && matches!(cx.model.task(), Task::SequenceClassification { .. })
    {
        let mut all = names(config);
        all.extend(
            HEADS
                .iter()
                .filter(|head| !all.iter().any(|name| name == *head))
                .map(|head| (*head).to_owned())
                .collect::<Vec<_>>(),
        );
        config.set("modules_to_save", all.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_matches_a_module_with_this_suffix_and_everything_inside() {
        let named = |path: &str, name: &str| is_named(path, &[name.to_owned()]);
        assert!(
            named("lm_head", "lm_head")
                && named("lm_head", "head")
                && named("classifier.dense", "classifier")
        );
        assert!(
            named("model.layers.0.mlp.up_proj", "mlp")
                && named("model.layers.0.mlp.up_proj", "layers.0.mlp")
        );
        assert!(!named("classifier_dropout.dense", "classifier") && !named("lm_head", "lm"));
    }
}
