//! Numeric answers: the last number of a text.

use std::sync::LazyLock;

use regex::Regex;

/// A number with an optional sign and currency, thousands separators and exponent.
static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"([-+−])?[$€£]?(?:((?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+))([eE][-+]?[0-9]+)?",
    )
    .expect("invariant: the pattern is valid")
});

/// Largest relative difference of equal numbers.
const TOLERANCE: f64 = 1e-6;

/// The last number in a text, as in `The answer is $1,234.50.`; `None` without a finite number.
///
/// A sign counts unless a letter, digit or closing bracket comes before it: `3-4` ends with 4.
pub fn last_number(text: &str) -> Option<f64> {
    NUMBER.captures_iter(text).filter_map(|found| number(text, &found)).last()
}

fn number(text: &str, found: &regex::Captures<'_>) -> Option<f64> {
    let digits = found.get(2)?.as_str().replace(',', "");
    let exponent = found.get(3).map_or("", |exponent| exponent.as_str());
    let value: f64 = format!("{digits}{exponent}").parse().ok()?;
    let is_negative = found.get(1).is_some_and(|sign| {
        let before = text[..sign.start()].chars().next_back();
        let is_operator = before.is_some_and(|it| it.is_alphanumeric() || matches!(it, ')' | ']'));
        sign.as_str() != "+" && !is_operator
    });
    value.is_finite().then_some(if is_negative { -value } else { value })
}

/// Whether two numbers are equal up to a relative difference of 1e-6.
pub fn is_same_number(one: f64, other: f64) -> bool {
    (one - other).abs() <= TOLERANCE * one.abs().max(other.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_number_is_read_with_its_sign_separators_and_exponent() {
        let cases = [
            ("The answer is $1,234.50.", Some(1234.5)),
            ("2 + 2 = 4", Some(4.0)),
            ("3-4", Some(4.0)),
            ("from 3 to -4", Some(-4.0)),
            ("x = −7 %", Some(-7.0)),
            ("#### 1,000,000", Some(1e6)),
            ("6.02e23 molecules", Some(6.02e23)),
            ("-$5", Some(-5.0)),
            (".5", Some(0.5)),
            ("1,2", Some(2.0)),
            ("none", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(last_number(text), expected, "{text}");
        }
        assert_eq!(last_number(&"9".repeat(400)), None);
    }

    #[test]
    fn numbers_are_compared_by_value() {
        assert!(is_same_number(18.0, 18.000_000_1) && is_same_number(0.0, -0.0));
        assert!(!is_same_number(0.333, 0.3333) && !is_same_number(1.0, -1.0));
    }
}
