//! Variants of weight names in checkpoints.
//!
//! In addition to the names of Hugging Face, there are those of older files (`LayerNorm.gamma`), of
//! modules that were compiled (`_orig_mod.`) or trained on several GPUs (`module.`), and names with
//! or without the prefix of the family.

use std::collections::BTreeSet;

/// Name components that `torch.compile`, `DataParallel` and FSDP insert.
const WRAPPERS: &[&str] = &["_orig_mod", "module", "_fsdp_wrapped_module"];
/// Names of norm parameters in TensorFlow ports and in PyTorch.
const NORMS: &[(&str, &str)] = &[("gamma", "weight"), ("beta", "bias")];

/// The wanted weight that a stored name denotes, or else the stored name without wrappers.
pub(super) fn canonical(stored: &str, prefix: &str, wanted: &BTreeSet<&str>) -> String {
    let plain = unwrapped(stored);
    let forms = [stored.to_owned(), plain.clone(), renamed(&plain)];
    let other = |name: &String| {
        name.strip_prefix(prefix).map_or_else(|| format!("{prefix}{name}"), str::to_owned)
    };
    let other_prefix = forms.iter().map(other);
    let found =
        forms.iter().cloned().chain(other_prefix).find(|name| wanted.contains(name.as_str()));
    found.unwrap_or(plain)
}

fn unwrapped(name: &str) -> String {
    name.split('.').filter(|part| !WRAPPERS.contains(part)).collect::<Vec<_>>().join(".")
}

fn renamed(name: &str) -> String {
    let (path, leaf) = name.rsplit_once('.').unwrap_or(("", name));
    NORMS
        .iter()
        .find(|(old, _)| *old == leaf && !path.is_empty())
        .map_or_else(|| name.to_owned(), |(_, new)| format!("{path}.{new}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrappers_old_norms_and_the_trunk_are_understood_together() {
        let wanted = BTreeSet::from([
            "embeddings.LayerNorm.weight",
            "embeddings.LayerNorm.bias",
            "encoder.layer.0.output.dense.weight",
        ]);
        for (stored, name) in [
            ("bert.embeddings.LayerNorm.gamma", "embeddings.LayerNorm.weight"),
            ("embeddings.LayerNorm.beta", "embeddings.LayerNorm.bias"),
            ("module.bert.embeddings.LayerNorm.weight", "embeddings.LayerNorm.weight"),
            (
                "_orig_mod.module.encoder.layer.0._orig_mod.output.dense.weight",
                "encoder.layer.0.output.dense.weight",
            ),
            ("module.cls.predictions.bias", "cls.predictions.bias"),
        ] {
            assert_eq!(canonical(stored, "bert.", &wanted), name);
        }
    }
}
