//! Tokens shaded by their probability under the model.

use maud::{Markup, html};

/// Opacity of the shade of a token with probability 0. Text stays readable on it, on light and dark
/// pages.
const DARKEST: f64 = 0.6;

/// The legend of the shades.
pub(crate) const LEGEND: &str = "darker tokens have a lower probability";

/// Renders pieces of a text with their natural log-probabilities: less likely tokens get a stronger
/// shade, and hovering shows the probability.
pub(crate) fn pieces(pieces: &[(String, f64)]) -> Markup {
    html! {
        @for (piece, log_probability) in pieces {
            @let probability = log_probability.exp();
            span style={ "background:rgba(230,159,0," (format!("{:.2}", DARKEST * (1.0 - probability))) ")" }
                title={ "probability " (format!("{probability:.3}")) } { (piece) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_less_likely_piece_has_a_stronger_shade() {
        let page = pieces(&[(" is a".to_owned(), 0.0), (" <trait".to_owned(), 0.25f64.ln())])
            .into_string();
        assert!(page.starts_with(r#"<span style="background:rgba(230,159,0,0.00)" title="probability 1.000"> is a</span>"#), "{page}");
        assert!(page.ends_with(r#"<span style="background:rgba(230,159,0,0.45)" title="probability 0.250"> &lt;trait</span>"#), "{page}");
    }
}
