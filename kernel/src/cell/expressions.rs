//! Evaluates the Rust expressions in a magic, such as `%lora attach r={rank}`.

use graft_engine::RustOutput;
use graft_frontend::CellError;
use graft_magic::{Deferred, Expression};
use graft_protocol::message::MAGIC_VALUES;
use graft_spec::{Failure, suggest};

use super::{COMPILE_ERROR, CellRunner, CellState};

/// Most variables that a hint names.
const MAX_NAMED: usize = 12;

impl CellRunner {
    /// Runs a magic with expressions: evaluates them, and executes the magic with their values.
    pub(super) async fn deferred(
        &mut self,
        state: &mut CellState<'_>,
        deferred: &Deferred,
    ) -> Result<(), CellError> {
        let values = self.values(state, &deferred.expressions).await?;
        let parts = deferred
            .fill(values, &self.snapshot())
            .map_err(|failure| CellError::from_failure(&failure, state.text))?;
        Box::pin(self.parts(state, &parts)).await
    }

    /// Evaluates all expressions in one cell. If it does not compile, each one is compiled alone to
    /// find the wrong one.
    async fn values(
        &mut self,
        state: &mut CellState<'_>,
        expressions: &[Expression],
    ) -> Result<Vec<String>, CellError> {
        let first = match self.rust(state, &code(expressions)).await {
            Ok(output) => return values_of(&output).ok_or_else(|| no_values(state.text)),
            Err(error) if error.ename != COMPILE_ERROR => return Err(error),
            Err(error) => error,
        };
        let mut wrong = None;
        for expression in expressions.iter().filter(|_| expressions.len() > 1) {
            let alone = self.rust(state, &code(std::slice::from_ref(expression))).await;
            if let Err(error) = alone {
                wrong = Some((expression, error));
                break;
            }
        }
        let Some((expression, error)) = wrong.or_else(|| Some((expressions.first()?, first)))
        else {
            return Err(no_values(state.text));
        };
        let names = self.engine_handle.get().map(|engine| engine.variables()).unwrap_or_default();
        let names: Vec<String> = names.into_iter().map(|(name, _)| name).collect();
        let failure = explained(expression, &error.evalue, &names);
        Err(CellError::from_failure(&failure, state.text))
    }
}

/// Returns the Rust code that evaluates the expressions. Each is on a line of its own, so that a
/// comment in it ends there. References are enough for a variable, which therefore stays usable.
fn code(expressions: &[Expression]) -> String {
    let values: Vec<String> = expressions.iter().map(Expression::formatted).collect();
    format!("graft::magic_values([\n{}\n])", values.join(",\n"))
}

fn values_of(output: &RustOutput) -> Option<Vec<String>> {
    let json = output.mime.iter().find_map(|forms| forms.get(MAGIC_VALUES))?;
    serde_json::from_str(json).ok()
}

fn no_values(text: &str) -> CellError {
    let failure = Failure::new(
        "magic::no_values",
        "the values of the expressions in this magic did not arrive",
    )
    .hint("run the cell again");
    CellError::from_failure(&failure, text)
}

/// Explains a compile error in an expression.
fn explained(expression: &Expression, problem: &str, variables: &[String]) -> Failure {
    let source = expression.source();
    let quoted = || problem.split('`').skip(1).step_by(2);
    if problem.contains("doesn't implement") {
        let kind = quoted().next().unwrap_or("its type");
        return Failure::new(
            "magic::expression",
            format!("the value of `{source}` cannot be written as text: `{kind}` does not implement `Display`"),
        )
        .hint("the expression must be a number, a text or another value with `Display`, such as `{values.len()}` or `{model.name()}`")
        .span(expression.span);
    }
    let failure =
        Failure::new("magic::expression", format!("cannot evaluate `{source}`: {problem}"))
            .span(expression.span);
    let unknown = problem.starts_with("cannot find value").then(|| quoted().next()).flatten();
    match unknown {
        Some(name) => failure.hint(unknown_variable(name, variables)),
        None => failure.hint(
            "braces in a magic contain a Rust expression; put quotes around a text with braces",
        ),
    }
}

fn unknown_variable(name: &str, variables: &[String]) -> String {
    let quoted = |names: &[&str]| {
        names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    };
    let names = || variables.iter().map(String::as_str);
    let near = suggest::nearest(name, names());
    if !near.is_empty() {
        return format!("did you mean {}?", quoted(&near));
    }
    let define = format!("`let {name} = 8;` in a cell before it defines `{name}`");
    if variables.is_empty() {
        return format!("no Rust variable is defined yet: {define}");
    }
    let known: Vec<&str> = names().take(MAX_NAMED).collect();
    let more = if variables.len() > MAX_NAMED { "; `%who` lists all" } else { "" };
    format!("Rust variables: {}{more}; {define}", quoted(&known))
}

#[cfg(test)]
mod tests {
    use graft_spec::Span;

    use super::*;

    fn expression(code: &str) -> Expression {
        let span = Span { line: 0, start: 0, end: 3 };
        Expression { code: code.to_owned(), format: String::new(), span }
    }

    #[test]
    fn an_error_names_the_expression_and_the_variables() {
        let names = ["ranks".to_owned(), "lr".to_owned()];
        let failure =
            explained(&expression("rank"), "cannot find value `rank` in this scope", &names);
        assert_eq!(
            failure.message,
            "cannot evaluate `{rank}`: cannot find value `rank` in this scope"
        );
        assert_eq!(failure.hint.as_deref(), Some("did you mean `ranks`?"));
        let failure = explained(&expression("x"), "cannot find value `x` in this scope", &names);
        assert!(failure.hint.unwrap().starts_with("Rust variables: `ranks`, `lr`; `let x = 8;`"));
        let failure =
            explained(&expression("v"), "`Vec<i32>` doesn't implement `std::fmt::Display`", &[]);
        assert!(failure.message.ends_with("`Vec<i32>` does not implement `Display`"));
    }

    #[test]
    fn expressions_are_formatted_in_one_cell() {
        let mut lr = expression("lr * 2.0");
        lr.format = "e".to_owned();
        assert_eq!(
            code(&[expression("rank"), lr]),
            "graft::magic_values([\nformat!(\"{}\", (rank)),\nformat!(\"{:e}\", (lr * 2.0))\n])"
        );
    }
}
