//! Formats numbers and names in messages.

use graft_nn::{Model, Weight, packable};

/// `5243904` as `5,243,904`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 adapter`, `2 adapters`.
pub(crate) fn counted(number: usize, singular: &str) -> String {
    if number == 1 {
        format!("1 {singular}")
    } else {
        format!("{} {singular}s", thousands(number as u64))
    }
}

/// An estimated time: `40 s`, `12 min`, `3 h 20 min`, `2 days 4 h`.
pub(crate) fn duration(seconds: f64) -> String {
    let minutes = (seconds / 60.0).round() as u64;
    match minutes {
        _ if seconds < 100.0 => format!("{seconds:.0} s"),
        0..60 => format!("{minutes} min"),
        60..1440 => format!("{} h {} min", minutes / 60, minutes % 60),
        _ => format!(
            "{} h",
            counted((minutes / 1440) as usize, "day") + &format!(" {}", minutes % 1440 / 60)
        ),
    }
}

/// Names in backticks, separated by commas.
pub(crate) fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The number of parameters of the base.
pub(crate) fn parameters(model: &dyn Model) -> u64 {
    model.parameters().iter().map(|parameter| parameter.elements() as u64).sum()
}

/// The number type of the base's weights in memory: `f32`, or `nf4, the rest f32`.
pub(crate) fn kept_as(model: &dyn Model) -> String {
    let rest = model.embedding().weight().base_weight().dtype().as_str();
    let kinds: std::collections::BTreeSet<_> = packable(model)
        .into_iter()
        .filter_map(|linear| match linear.weight().base_weight() {
            Weight::Packed(packed) => Some(packed.name()),
            Weight::Dense(_) => None,
        })
        .collect();
    // A GGUF file can mix several.
    let kinds = kinds.into_iter().collect::<Vec<_>>().join(" and ");
    if kinds.is_empty() { rest.to_owned() } else { format!("{kinds}, the rest {rest}") }
}

/// Size of the base's weights in memory, in bytes.
pub(crate) fn kept_bytes(model: &dyn Model) -> u64 {
    model.parameters().iter().map(|parameter| parameter.base_weight().bytes() as u64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        let written: Vec<_> = [0, 999, 1_000, 5_243_904].into_iter().map(thousands).collect();
        assert_eq!(written, ["0", "999", "1,000", "5,243,904"]);
    }

    #[test]
    fn an_estimated_time_is_rounded_to_its_magnitude() {
        let written: Vec<_> =
            [41.2, 700.0, 12_000.0, 187_000.0].into_iter().map(duration).collect();
        assert_eq!(written, ["41 s", "12 min", "3 h 20 min", "2 days 3 h"]);
    }
}
