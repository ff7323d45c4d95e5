//! Module names against the model that is loaded, before anything is sent.

use graft_protocol::{Failure, Snapshot, Value};

use crate::{cell::Context, suggest};

/// Checks that each name of a `target_modules` value occurs in the model; a regular expression is the session's to judge.
///
/// # Errors
/// `magic::unknown_module`, with the names there are.
pub(crate) fn check(value: &Value, cx: &Context<'_>) -> Result<(), Failure> {
    let (Value::List(names), false, Some(model)) = (value, cx.model_changes, &cx.snapshot.model) else { return Ok(()) };
    let is_regex = |name: &str| name.contains(['*', '(', '[', '\\', '|', '^', '$', '+', '?']);
    for name in names {
        let fits = |path: &str| path == name || path.strip_suffix(name.as_str()).is_some_and(|before| before.ends_with('.'));
        if name != "all-linear" && !is_regex(name) && !model.modules.iter().any(|module| fits(&module.path)) {
            let leaves = leaves(cx.snapshot);
            let list = format!("`{}` has {}", model.name, leaves.join(", "));
            let hint = match suggest::nearest(name, leaves.iter().copied()).first() {
                Some(near) => format!("did you mean `{near}`? {list}"),
                None => format!("{list}, or all-linear"),
            };
            return Err(Failure::new("magic::unknown_module", format!("no module of the model is called `{name}`")).hint(hint));
        }
    }
    Ok(())
}

/// The last parts of the paths of linear and embedding modules, each once, in order.
pub(crate) fn leaves(snapshot: &Snapshot) -> Vec<&str> {
    let mut leaves: Vec<&str> = Vec::new();
    for module in snapshot.model.iter().flat_map(|model| &model.modules).filter(|module| module.kind != "norm") {
        let leaf = module.path.rsplit('.').next().unwrap_or(&module.path);
        if !leaves.contains(&leaf) {
            leaves.push(leaf);
        }
    }
    leaves
}
