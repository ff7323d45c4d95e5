//! Generated text, with the prompt set off.

use maud::{Markup, html};

use crate::{paint::Paint, shade};

/// The prompt in bold, then the continuation, shaded if its probabilities are known. A `pre` keeps
/// the line breaks even if styles are removed.
pub(crate) fn html(prompt: &str, text: &str, pieces: &[(String, f64)]) -> Markup {
    html! {
        pre style="white-space:pre-wrap;font-family:inherit;font-size:inherit;margin:4px 0 8px;padding:2px 12px;border-left:3px solid rgba(128,128,128,0.4);background:transparent;max-width:60em" {
            strong { (prompt) } @if pieces.is_empty() { (text) } @else { (shade::pieces(pieces)) }
        }
        @if !pieces.is_empty() { div style="margin:-6px 0 8px;padding:0 15px;opacity:0.75" { small { (shade::LEGEND) } } }
    }
}

/// As plain text.
pub(crate) fn plain(prompt: &str, text: &str) -> String {
    painted(prompt, text, Paint::Plain)
}

/// The prompt in bold, then the continuation.
pub(crate) fn painted(prompt: &str, text: &str, paint: Paint) -> String {
    format!("{}{text}", paint.strong(prompt))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prompt_is_highlighted_in_every_form() {
        assert!(html("A", " b", &[]).into_string().ends_with("<strong>A</strong> b</pre>"));
        assert!(html("A", " b", &[(" b".to_owned(), -0.5)]).into_string().contains(shade::LEGEND));
        assert_eq!(plain("A", " b"), "A b");
        assert_eq!(painted("A", " b", Paint::Ansi), "\u{1b}[1mA\u{1b}[0m b");
    }
}
