//! A cell that is only `todo!()`: the stub of an exercise, which fails without the compiler.

use graft_spec::Failure;

/// Returns the failure of code whose only statement is `todo!()` or `unimplemented!()`.
///
/// A stub may stand for a magic, so it must fail on a machine without a Rust toolchain too.
pub(super) fn of(code: &str) -> Option<Failure> {
    let mut statements =
        code.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
    let statement = statements.next().map(|line| line.trim_end_matches(';'))?;
    let message = match statement {
        "todo!()" => "not yet implemented",
        "unimplemented!()" => "not implemented",
        _ => return None,
    };
    statements.next().is_none().then(|| {
        Failure::new("rust::todo", message)
            .hint(format!("write your answer, Rust or magics, in place of `{statement}`"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_stub_alone_is_answered_without_the_compiler() {
        for code in ["todo!()", "\n\n// YOUR CODE HERE\ntodo!();\n", "  unimplemented!()"] {
            assert!(of(code).is_some(), "{code}");
        }
        for code in
            ["", "// nothing", "fn f() {\n    todo!()\n}", "todo!()\nlet x = 1;", "todo!(\"x\")"]
        {
            assert_eq!(of(code), None, "{code}");
        }
    }
}
