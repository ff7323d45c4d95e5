//! Makes a cell report its end by calls into the facade instead of printed lines, which the user's
//! code could print too.
//!
//! evcxr's generated code prints a line when the cell panics, when `?` at its top level returns an
//! error, and when the type of a variable was redefined. Each line is replaced by a call. No line
//! moves.

use crate::layout::FACADE;

/// The beginning of evcxr's module for variables. It follows the items of earlier cells.
const STORE: &str = "mod evcxr_internal_runtime {";
/// The line in that module that reports a lost variable.
const LOST: &str = "println!(\"{VARIABLE_CHANGED_TYPE}{name}\");";
/// The line of evcxr's error type, before that module.
const FAILED: &str = "println!(\"{}\", evcxr_internal_runtime::USER_ERROR_OCCURRED);";
/// The line after the user's code.
const PANICKED: &str = "println!(\"EVCXR_PANIC_NOTIFICATION\");";

/// The source of a cell with calls instead of the lines.
pub(super) fn with_calls(source: &str) -> String {
    let source = match source.rsplit_once(PANICKED) {
        Some((before, after)) => format!("{before}::{FACADE}::cell_panicked();{after}"),
        None => source.to_owned(),
    };
    let source = source.replacen(FAILED, &format!("::{FACADE}::cell_failed();"), 1);
    match source.split_once(STORE) {
        Some((before, after)) => format!(
            "{before}{STORE}{}",
            after.replacen(LOST, &format!("::{FACADE}::variable_lost(name);"), 1)
        ),
        None => source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_lines_become_calls_and_lines_of_the_user_are_unchanged() {
        let mine = format!("{LOST}\n{PANICKED}\nprintln!(\"EVCXR_EXECUTION_COMPLETE\");");
        let cell = format!(
            "fn item() {{}}\nfrom {{ {FAILED} }}\n{STORE}\nfn check() {{ {LOST} }}\n}}\nfn run() {{\n{mine}\n}})) {{\n Err(_) => {{\n    {PANICKED}\n}}}}"
        );
        let changed = with_calls(&cell);
        assert_eq!(
            changed,
            format!(
                "fn item() {{}}\nfrom {{ ::graft::cell_failed(); }}\n{STORE}\nfn check() {{ ::graft::variable_lost(name); }}\n}}\nfn run() {{\n{mine}\n}})) {{\n Err(_) => {{\n    ::graft::cell_panicked();\n}}}}"
            )
        );
        assert_eq!(changed.lines().count(), cell.lines().count());
    }

    #[test]
    fn a_cell_without_variables_has_only_the_panic_line() {
        let cell =
            format!("if std::panic::catch_unwind(||{{\nf();\n}}).is_err() {{\n    {PANICKED}\n}}");
        assert!(with_calls(&cell).contains("::graft::cell_panicked();"));
        assert_eq!(with_calls("let x = 1;"), "let x = 1;");
    }
}
