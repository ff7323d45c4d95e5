//! Names of the facade, read from its packed sources: what completion knows before rust-analyzer
//! has started.

use crate::archive;

/// The folder of the facade's sources.
const SOURCES: &str = "crates/graft/src/";
/// The folder of the builders, which the prelude exports as a whole.
const BUILDERS: &str = "crates/graft/src/options/";

/// The names that every cell imports, such as `Tensor` and `lab`.
pub fn prelude_names() -> Vec<String> {
    let prelude = archive::text(&format!("{SOURCES}prelude.rs")).unwrap_or_default();
    let lists = prelude.split("pub use crate::{").skip(1);
    let mut names: Vec<String> = lists
        .filter_map(|rest| rest.split_once('}'))
        .flat_map(|(list, _)| list.split(','))
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .collect();
    for text in archive::texts(BUILDERS) {
        names.extend(text.lines().filter_map(|line| name_after(line, "pub struct ")));
    }
    names.sort();
    names.dedup();
    names
}

/// The public methods of a type of the facade, such as `Lab`; none for other types.
pub fn method_names(kind: &str) -> Vec<String> {
    let begin = format!("impl {kind} {{");
    let mut names = Vec::new();
    for text in archive::texts(SOURCES) {
        for block in text.split(begin.as_str()).skip(1) {
            let lines = block.lines().take_while(|line| *line != "}");
            let takes_self = |line: &&str| line.contains("(&self") || line.contains("(self");
            let methods = lines.filter(takes_self);
            names.extend(methods.filter_map(|line| name_after(line.trim_start(), "pub fn ")));
        }
    }
    names.sort();
    names.dedup();
    names
}

/// The name that follows `begin` at the beginning of a line.
fn name_after(line: &str, begin: &str) -> Option<String> {
    let rest = line.strip_prefix(begin)?;
    let end = rest.find(|character: char| !character.is_alphanumeric() && character != '_')?;
    Some(rest.get(..end)?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_the_prelude_are_those_that_cells_use() {
        let names = prelude_names();
        for name in ["lab", "Tensor", "Device", "Lora", "PromptTuning", "Train", "Ablate"] {
            assert!(names.iter().any(|it| it == name), "{name} is not in {names:?}");
        }
        assert!(names.iter().all(|name| name.chars().all(char::is_alphanumeric)), "{names:?}");
    }

    #[test]
    fn methods_are_those_of_the_type() {
        let lab = method_names("Lab");
        for name in ["model", "train", "on_step"] {
            assert!(lab.iter().any(|it| it == name), "{name} is not in {lab:?}");
        }
        let model = method_names("Model");
        assert!(model.iter().any(|it| it == "trainable_parameters"), "{model:?}");
        assert!(!model.iter().any(|it| it == "on_step") && method_names("Vec").is_empty());
    }
}
