//! Failures in Jupyter's form: name, one sentence, and a short traceback that marks the wrong
//! token.

use graft_spec::{Failure, Span};

use crate::{
    paint::Paint,
    visible::{Visible, visible},
    width,
};

/// The contents of `execute_reply` and `error` messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traceback {
    /// `UsageError` for errors in the input, otherwise the failure's code.
    pub ename: String,
    /// One sentence, including the hint.
    pub evalue: String,
    /// Lines with ANSI colors.
    pub lines: Vec<String>,
}

/// Draws a failure. `cell` is the text that its span refers to; without a span, any text.
pub fn failure_traceback(failure: &Failure, cell: &str) -> Traceback {
    let failure = &failure.shown();
    let is_usage = failure.code.starts_with("magic::") || failure.code.starts_with("settings::");
    let ename = if is_usage || failure.code.is_empty() {
        "UsageError".to_owned()
    } else {
        failure.code.clone()
    };
    let mut sentence = failure.message.clone();
    if let Some(site) = &failure.site {
        sentence.push_str(&format!(" (at {site})"));
    }
    let evalue = match &failure.hint {
        Some(hint) => format!("{sentence}; {hint}"),
        None => sentence.clone(),
    };
    let mut lines = vec![format!("{}: {sentence}", Paint::Ansi.bad(&ename))];
    if let Some(shown) = failure.span.and_then(|span| caret(span, cell)) {
        lines.extend(shown);
    }
    lines.extend(failure.causes.iter().map(|cause| format!("caused by: {cause}")));
    if let Some(hint) = &failure.hint {
        lines.push(format!("{} {hint}", Paint::Ansi.hint("hint:")));
    }
    Traceback { ename, evalue, lines }
}

/// Returns the line of the cell and the marks below it.
fn caret(span: Span, cell: &str) -> Option<[String; 2]> {
    let line = cell.lines().nth(span.line)?;
    let number = (span.line + 1).to_string();
    let part = |from: usize, to: usize| {
        visible(&line.chars().skip(from).take(to.saturating_sub(from)).collect::<String>())
            .into_owned()
    };
    let (before, bad, after) = (
        part(0, span.start),
        part(span.start, span.end),
        part(span.end.max(span.start), usize::MAX),
    );
    let tabs: String = before
        .chars()
        .flat_map(|next| {
            std::iter::repeat_n(
                if next == '\t' { '\t' } else { ' ' },
                if next == '\t' { 1 } else { width::of(next.encode_utf8(&mut [0; 4])) },
            )
        })
        .collect();
    let marks = "^".repeat(width::of(&bad).max(1));
    Some([
        format!("{number} | {before}{bad}{after}"),
        format!("{} | {tabs}{}", " ".repeat(number.len()), Paint::Ansi.bad(&marks)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_is_below_the_wrong_token_even_after_wide_characters() {
        let failure = Failure::new("magic::unknown_key", "`%lora attach` has no key `rnk`")
            .hint("did you mean `rank`?")
            .span(Span { line: 1, start: 16, end: 19 });
        let drawn = failure_traceback(&failure, "let x = 1;\n%lora attach 日 rnk=8");
        assert_eq!(drawn.ename, "UsageError");
        assert_eq!(drawn.evalue, "`%lora attach` has no key `rnk`; did you mean `rank`?");
        assert_eq!(
            drawn.lines,
            [
                "\u{1b}[1;31mUsageError\u{1b}[0m: `%lora attach` has no key `rnk`",
                "2 | %lora attach 日 rnk=8",
                "  |                  \u{1b}[1;31m^^^\u{1b}[0m",
                "\u{1b}[36mhint:\u{1b}[0m did you mean `rank`?",
            ]
        );
    }

    #[test]
    fn a_failure_of_the_session_keeps_its_code_site_and_causes() {
        let mut failure = Failure::new("peft::no_match", "no layer matches `query`").site("tiny");
        failure.causes.push("disk full".to_owned());
        let drawn = failure_traceback(&failure, "");
        assert_eq!(drawn.ename, "peft::no_match");
        assert_eq!(
            drawn.lines,
            [
                "\u{1b}[1;31mpeft::no_match\u{1b}[0m: no layer matches `query` (at tiny)",
                "caused by: disk full"
            ]
        );
    }

    #[test]
    fn a_span_outside_the_cell_is_left_out() {
        let failure = Failure::new("magic::x", "y").span(Span { line: 9, start: 0, end: 1 });
        assert_eq!(failure_traceback(&failure, "one line").lines.len(), 1);
    }

    #[test]
    fn no_line_uses_bright_black() {
        let failure = Failure::new("a::b", "c").hint("d");
        assert!(
            failure_traceback(&failure, "")
                .lines
                .iter()
                .all(|line| !line.contains("[90m") && !line.contains("1;30"))
        );
    }
}
