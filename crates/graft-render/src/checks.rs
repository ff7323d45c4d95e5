//! Results of `%check`: one line each, green or red, with the reason and the next step.

use graft_protocol::{CheckResult, Points};
use graft_spec::number::decimals;
use maud::{Markup, html};

use crate::paint::Paint;

const GREEN: &str = "#12a07a";
const RED: &str = "#d1403a";

/// A bar in the color of the result, with the condition, the reason and the next step.
pub(crate) fn html(results: &[CheckResult]) -> Markup {
    html! {
        @for result in results {
            @let color = if result.passed { GREEN } else { RED };
            div style={ "white-space:pre-wrap;margin:4px 0;padding:2px 10px;border-left:4px solid " (color) } {
                strong style={ "color:" (color) } { (sign(result)) " " }
                code { (result.condition) }
                ": " (result.reason)
                @if let Some(points) = result.points { " " span style="opacity:0.75" { "(" (of(points)) ")" } }
                @if let Some(next) = &result.next { div style="opacity:0.85" { "next: " (next) } }
            }
        }
        @if let Some(total) = total(results) {
            div style="margin:4px 0;padding:2px 10px" { strong { "total: " (of(total)) } }
        }
    }
}

/// As lines of text.
pub(crate) fn plain(results: &[CheckResult]) -> String {
    painted(results, Paint::Plain)
}

/// As lines of text, green or red.
pub(crate) fn painted(results: &[CheckResult], paint: Paint) -> String {
    let mut lines = Vec::new();
    for result in results {
        let points = result.points.map(|points| format!(" ({})", of(points))).unwrap_or_default();
        let head = format!("{} {}", sign(result), result.condition);
        let head = if result.passed { paint.fresh(&head) } else { paint.bad(&head) };
        lines.push(format!("{head}: {}{points}", result.reason));
        lines.extend(result.next.iter().map(|next| paint.hint(&format!("  next: {next}"))));
    }
    lines.extend(total(results).map(|total| paint.strong(&format!("total: {}", of(total)))));
    lines.join("\n")
}

/// The sum of the points of several checks.
fn total(results: &[CheckResult]) -> Option<Points> {
    Points::sum(results).filter(|_| results.len() > 1)
}

fn sign(result: &CheckResult) -> &'static str {
    if result.passed { "passed" } else { "failed" }
}

fn of(points: Points) -> String {
    format!("{} of {} points", short(points.earned), short(points.possible))
}

/// A number of points without zeros at its end.
fn short(points: f64) -> String {
    let text = decimals(points, 2);
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results() -> Vec<CheckResult> {
        let result = |condition: &str, passed, reason: &str, next: Option<&str>, possible| {
            let earned = if passed { possible } else { 0.0 };
            CheckResult {
                condition: condition.to_owned(),
                passed,
                reason: reason.to_owned(),
                next: next.map(str::to_owned),
                points: Some(Points { earned, possible }),
            }
        };
        vec![
            result("r == 8", true, "r is 8", None, 1.5),
            result("loss < 3", false, "loss is <3.2>", Some("`%train steps=100`"), 2.0),
        ]
    }

    #[test]
    fn each_result_has_its_reason_its_next_step_and_its_points() {
        assert_eq!(
            plain(&results()),
            "passed r == 8: r is 8 (1.5 of 1.5 points)\n\
             failed loss < 3: loss is <3.2> (0 of 2 points)\n  \
             next: `%train steps=100`\n\
             total: 1.5 of 3.5 points"
        );
        assert!(!plain(&results()[..1]).contains("total"));
        let painted = painted(&results(), Paint::Ansi);
        assert!(painted.contains("\u{1b}[32mpassed r == 8"), "{painted}");
        assert!(painted.contains("\u{1b}[1;31mfailed loss < 3"), "{painted}");
    }

    #[test]
    fn the_html_is_green_or_red_and_escaped() {
        let page = html(&results()).into_string();
        assert!(page.contains(GREEN) && page.contains(RED), "{page}");
        assert!(page.contains("loss is &lt;3.2&gt;") && page.contains("1.5 of 3.5"), "{page}");
    }
}
