//! Checks module names against the loaded model before a command is sent.

use graft_protocol::Snapshot;
use graft_spec::{Failure, Value};

use crate::part::Context;

/// Checks that each name of a `target_modules` value occurs in the model, as a module or as a part
/// of a path (`layers.0`). Regular expressions, and whether the method supports the module, are
/// checked by the session.
///
/// # Errors
/// `magic::unknown_module`, with the names in the model.
pub(crate) fn check(value: &Value, cx: &Context<'_>) -> Result<(), Failure> {
    let (Value::List(names), false, Some(model)) = (value, cx.model_changes, &cx.snapshot.model)
    else {
        return Ok(());
    };
    let is_regex = |name: &str| name.contains(['*', '(', '[', '\\', '|', '^', '$', '+', '?']);
    for name in names {
        let fits = |path: &str| format!(".{path}.").contains(&format!(".{name}."));
        if name != "all-linear"
            && !is_regex(name)
            && !model.modules.iter().any(|module| fits(&module.path))
        {
            let leaves = leaves(cx.snapshot);
            let list = format!("`{}` has {}", model.name, leaves.join(", "));
            let hint = match graft_spec::suggest::nearest(name, leaves.iter().copied()).first() {
                Some(near) => format!("did you mean `{near}`? {list}"),
                None => format!("{list}, or all-linear"),
            };
            return Err(Failure::new(
                "magic::unknown_module",
                format!("the model has no module `{name}`"),
            )
            .hint(hint));
        }
    }
    Ok(())
}

/// Returns the last parts of the paths of linear and embedding modules, without duplicates, in
/// order.
pub(crate) fn leaves(snapshot: &Snapshot) -> Vec<&str> {
    let mut leaves: Vec<&str> = Vec::new();
    for module in snapshot
        .model
        .iter()
        .flat_map(|model| &model.modules)
        .filter(|module| module.kind != "norm")
    {
        let leaf = module.path.rsplit('.').next().unwrap_or(&module.path);
        if !leaves.contains(&leaf) {
            leaves.push(leaf);
        }
    }
    leaves
}

#[cfg(test)]
mod tests {
    use graft_protocol::{ModelEntry, ModuleEntry};

    use crate::parse_cell;

    #[test]
    fn a_module_with_others_inside_is_a_name_and_a_part_of_a_name_is_none() {
        let module = ModuleEntry {
            path: "model.layers.0.mlp.up_proj".to_owned(),
            kind: "linear".to_owned(),
            shape: vec![4, 4],
        };
        let model = ModelEntry {
            name: "m".to_owned(),
            family: "llama".to_owned(),
            modules: vec![module],
            parameters: 16,
        };
        let snapshot = graft_protocol::Snapshot { model: Some(model), ..Default::default() };
        for name in ["layers.0", "mlp", "up_proj", "model.layers.0.mlp.up_proj"] {
            assert!(
                parse_cell(&format!("%full attach freeze={name}"), &snapshot).is_ok(),
                "{name}"
            );
        }
        for name in ["layers.00", "proj", "layer"] {
            assert!(
                parse_cell(&format!("%full attach freeze={name}"), &snapshot).is_err(),
                "{name}"
            );
        }
    }
}
