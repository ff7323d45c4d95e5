//! Asks the compiler for the types of a cell's variables.
//!
//! evcxr would ask rust-analyzer, which needs about 500 MB for the standard library and the crates
//! that cells use. The compiler knows the types too: it checks the cell, with a cast of each
//! variable to a type of our own, and its message about the cast contains the variable's type.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;

use graft_prebuilt::rustc_wrapper::RecordedCell;
use serde::Deserialize;

use super::worker::{INTERRUPTED, Worker};
use crate::colon_commands;
use crate::errors;
use crate::rust_error::RustError;
use crate::typed_cell::{self, TypedCell, UntypedVariable};

/// The fields of rustc's JSON that are used here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Message {
    message: String,
    level: String,
}

impl Worker {
    /// Writes the types of the variables into a cell. A cell that does not compile is left as it
    /// is; evcxr then reports its errors.
    pub(super) fn with_types(&mut self, code: &str) -> Result<TypedCell, RustError> {
        if typed_cell::untyped_variables(code).is_empty() {
            return Ok(TypedCell::unchanged(code));
        }
        let code = self.with_dependencies(code)?;
        let variables = typed_cell::untyped_variables(&code);
        let types = self.types(&code, &variables);
        if self.context.interrupted.load(Ordering::Acquire) {
            return Err(errors::plain("Interrupted", INTERRUPTED));
        }
        let Some(types) = types else {
            return Ok(TypedCell::unchanged(&code));
        };
        for (number, variable) in variables.iter().enumerate() {
            let is_replaced =
                variables.iter().skip(number + 1).any(|later| later.name == variable.name);
            let kind = types.get(&number).map(String::as_str).unwrap_or_default();
            if !is_replaced && typed_cell::nameable(kind).is_none() {
                return Err(unnamed(&variable.name, kind));
            }
        }
        Ok(TypedCell::new(&code, &variables, &types))
    }

    /// Executes the `:dep` lines of a cell, because the compiler needs the crates to check the
    /// rest. Returns the cell with empty lines instead.
    fn with_dependencies(&mut self, code: &str) -> Result<String, RustError> {
        let is_dep = |line: &str| colon_commands::of(line).any(|command| command.name == ":dep");
        let (mut lines, mut rest) = (String::new(), String::new());
        for line in code.split_inclusive('\n') {
            if is_dep(line) {
                lines.push_str(line);
                rest.extend(line.ends_with('\n').then_some('\n'));
            } else {
                rest.push_str(line);
            }
        }
        if !lines.is_empty() {
            self.execute(&TypedCell::unchanged(&lines))?;
        }
        Ok(rest)
    }

    /// The types of `variables` by their numbers; `None` if the cell does not compile or the
    /// compiler cannot be asked.
    fn types(
        &mut self,
        code: &str,
        variables: &[UntypedVariable],
    ) -> Option<BTreeMap<usize, String>> {
        let folder = &self.context.folder;
        let recorded = RecordedCell::read(&folder.recorded_cell())?;
        let source = self.analysis_source(&typed_cell::probe(code, variables))?;
        if !typed_cell::is_probe(&source) {
            return None;
        }
        let folder = &self.context.folder;
        let path = folder.probe().join("lib.rs");
        std::fs::write(&path, source).ok()?;
        let output =
            recorded.check(&path, &folder.probe()).current_dir(folder.root()).output().ok()?;
        let mut types = read_types(&String::from_utf8_lossy(&output.stderr))?;
        if types.is_empty() && !output.status.success() {
            return None;
        }
        // A value that never exists, such as that of `todo!()`, can be cast to any type.
        for number in 0..variables.len() {
            types.entry(number).or_insert_with(|| "()".to_owned());
        }
        Some(types)
    }

    /// The source that evcxr generates for rust-analyzer from `code` and the session's items and
    /// variables. evcxr writes it into the session's folder before it completes code there.
    pub(super) fn analysis_source(&mut self, code: &str) -> Option<String> {
        let generated = self.context.folder.generated();
        let before = std::fs::read(&generated).unwrap_or_default();
        let evcxr = self.evcxr.as_mut()?;
        let end = code.len();
        let _ = std::panic::catch_unwind(AssertUnwindSafe(|| evcxr.completions(code, end)));
        let source = std::fs::read_to_string(&generated).ok();
        // Panics of the last cell are located in the source that was compiled.
        let _ = std::fs::write(&generated, before);
        source
    }
}

/// The types in the compiler's messages; `None` if there is an error of the cell itself.
fn read_types(messages: &str) -> Option<BTreeMap<usize, String>> {
    let mut types = BTreeMap::new();
    for line in messages.lines() {
        let Ok(message) = serde_json::from_str::<Message>(line) else { continue };
        if let Some((number, kind)) = typed_cell::type_in_message(&message.message) {
            types.insert(number, kind.to_owned());
        } else if message.level == "error" && !message.message.starts_with("aborting due to") {
            return None;
        }
    }
    Some(types)
}

/// The error for a variable whose type cannot be written in code.
fn unnamed(name: &str, kind: &str) -> RustError {
    let (what, example) = if kind.starts_with("{closure@") {
        ("is a closure", format!("let {name}: Box<dyn Fn(i32) -> i32> = Box::new(|x| x + 1);"))
    } else {
        (
            "has a type without a name",
            format!("let {name}: Box<dyn Iterator<Item = u32>> = Box::new(1..4);"),
        )
    };
    errors::plain(
        "Error",
        format!(
            "`{name}` {what}, so it cannot be kept for later cells\nbox it under a type that can be named, for example `{example}`, or wrap the code in `{{ }}` to use it within this cell"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        format!(
            "{{\"message\": \"{text}\", \"level\": \"error\", \"spans\": [{{\"file_name\": \"lib.rs\"}}]}}\n"
        )
    }

    #[test]
    fn the_types_of_all_variables_are_read() {
        let text = message("non-primitive cast: `u8` as `GraftVariable<0>`")
            + &message("non-primitive cast: `std::vec::Vec<u8>` as `GraftVariable<1>`")
            + "{\"message\": \"aborting due to 2 previous errors\", \"level\": \"error\", \"spans\": []}\n";
        let types = read_types(&text).unwrap();
        assert_eq!(types[&0], "u8");
        assert_eq!(types[&1], "std::vec::Vec<u8>");
    }

    #[test]
    fn a_cell_with_an_error_of_its_own_has_no_types() {
        let text = message("non-primitive cast: `u8` as `GraftVariable<0>`")
            + &message("mismatched types");
        assert!(read_types(&text).is_none());
        assert!(read_types(&message("internal compiler error")).is_none());
        assert_eq!(read_types(""), Some(BTreeMap::new()));
    }
}
