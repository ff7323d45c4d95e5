//! The parser of a check.

use super::{Check, Comparison, Expected, KEYS, METRICS, Metric, MetricSpec, Operator, Unit};
use crate::{Failure, KeySpec, Settings, Span, methods::METHODS, suggest::nearest};

/// A word with its position in code points.
#[derive(Clone, Copy)]
struct Word<'a> {
    text: &'a str,
    start: usize,
}

impl Word<'_> {
    fn span(self) -> Span {
        Span { line: 0, start: self.start, end: self.start + self.text.chars().count() }
    }
}

impl Check {
    /// Parses a check. The span of a failure counts from the first character of `text`.
    ///
    /// # Errors
    /// `check::*` for a missing or unknown metric, operator, value or split;
    /// `settings::unknown_key`, and those of [`KeySpec::parse`].
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let mut words = split(text);
        let split_name = take_split(&mut words)?;
        let settings = take_keys(&mut words)?;
        let (Some(first), Some(last)) = (words.first().copied(), words.last().copied()) else {
            return Err(Failure::new("check::empty", "missing the condition to check")
                .hint("for example %check accuracy >= 0.4 on test; `%check?` lists the metrics"));
        };
        let whole = Span { start: first.start, ..last.span() };
        let parts: Vec<&str> = words.iter().map(|word| word.text).collect();
        let condition = parts.join(" ");
        let (name, comparison) = match operator(&condition, whole)? {
            None => (condition.as_str(), None),
            Some((at, length, operator)) => {
                let value = condition.get(at + length..).unwrap_or_default().trim();
                (condition.get(..at).unwrap_or_default().trim(), Some((operator, value)))
            }
        };
        let metric = metric(name, Span { end: whole.start + name.chars().count(), ..whole })?;
        let comparison = compared(&metric, comparison, whole)?;
        let split = split_of(&metric, split_name)?;
        Ok(Self { metric, comparison, split, settings })
    }

    /// Parses the keys that several checks share, without a condition.
    ///
    /// # Errors
    /// `check::no_condition` for anything but keys, and those of [`KeySpec::parse`].
    pub fn parse_keys(text: &str) -> Result<Settings, Failure> {
        let mut words = split(text);
        let settings = take_keys(&mut words)?;
        match words.first() {
            None => Ok(settings),
            Some(word) => Err(Failure::new(
                "check::no_condition",
                format!("expected keys after `%%check`, found `{}`", word.text),
            )
            .hint(
                "write the conditions below the first line, one per line, or use `%check` for one",
            )
            .span(word.span())),
        }
    }
}

/// Splits a text at spaces.
fn split(text: &str) -> Vec<Word<'_>> {
    let mut words: Vec<Word<'_>> = Vec::new();
    let mut start = None;
    for (count, (byte, next)) in text.char_indices().chain([(text.len(), ' ')]).enumerate() {
        match (start, next.is_whitespace()) {
            (None, false) => start = Some((byte, count)),
            (Some((from, column)), true) => {
                words.push(Word { text: text.get(from..byte).unwrap_or_default(), start: column });
                start = None;
            }
            _ => {}
        }
    }
    words
}

/// Takes `on SPLIT` out of the words.
fn take_split<'a>(words: &mut Vec<Word<'a>>) -> Result<Option<(&'static str, Word<'a>)>, Failure> {
    let Some(at) = words.iter().position(|word| word.text == "on") else { return Ok(None) };
    let on = words.remove(at);
    let wrong = |found: &str, span: Span| {
        Failure::new("check::no_split", format!("`on` needs a split, found {found}"))
            .hint("the splits are train, validation and test: %check accuracy >= 0.4 on test")
            .span(span)
    };
    if at == words.len() {
        return Err(wrong("nothing", on.span()));
    }
    let word = words.remove(at);
    let name = match word.text.to_ascii_lowercase().as_str() {
        "train" | "training" => "train",
        "validation" | "valid" | "val" | "dev" => "validation",
        "test" => "test",
        _ => return Err(wrong(&format!("`{}`", word.text), word.span())),
    };
    Ok(Some((name, word)))
}

/// Takes the `key=value` words out of the words.
fn take_keys(words: &mut Vec<Word<'_>>) -> Result<Settings, Failure> {
    let mut settings = Settings::default();
    let mut rest = Vec::new();
    for word in words.drain(..) {
        match key(word.text) {
            Some((spec, value)) => settings.set(
                spec.name,
                spec.parse(value).map_err(|error| Failure::from(error).span(word.span()))?,
            ),
            None => match unknown_key(word, &rest) {
                Some(failure) => return Err(failure),
                None => rest.push(word),
            },
        }
    }
    *words = rest;
    Ok(settings)
}

/// A word `key=value` with a key of a check.
fn key(word: &str) -> Option<(&'static KeySpec, &str)> {
    let (name, value) = word.split_once('=').filter(|(_, value)| !value.starts_with('='))?;
    Some((KEYS.iter().find(|spec| spec.is_named(name))?, value))
}

/// The failure for a word `key=value` after a condition, if the key is unknown.
fn unknown_key(word: Word<'_>, before: &[Word<'_>]) -> Option<Failure> {
    let (name, value) = word.text.split_once('=')?;
    let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|next| next.is_ascii_alphanumeric() || next == '_');
    // The first word of a condition is its metric: `r=8` lacks an operator.
    if !is_name || value.starts_with('=') || is_metric(name, before) {
        return None;
    }
    let names: Vec<_> = KEYS.iter().map(|spec| spec.name).collect();
    let hint = match nearest(name, names.iter().copied()).first() {
        Some(near) => format!("did you mean `{near}={value}`?"),
        None => format!("keys of a check: {}", names.join(", ")),
    };
    Some(
        Failure::new("settings::unknown_key", format!("unknown key `{name}`"))
            .hint(hint)
            .span(word.span()),
    )
}

/// The first operator of a condition: its byte, its length and its meaning.
fn operator(condition: &str, span: Span) -> Result<Option<(usize, usize, Operator)>, Failure> {
    const SIGNS: [(&str, Operator); 9] = [
        ("<=", Operator::AtMost),
        (">=", Operator::AtLeast),
        ("==", Operator::Equal),
        ("!=", Operator::NotEqual),
        ("≤", Operator::AtMost),
        ("≥", Operator::AtLeast),
        ("≠", Operator::NotEqual),
        ("<", Operator::Less),
        (">", Operator::Greater),
    ];
    let Some(at) = condition.find(['<', '>', '=', '!', '≤', '≥', '≠']) else {
        return Ok(None);
    };
    let rest = condition.get(at..).unwrap_or_default();
    if let Some((sign, operator)) = SIGNS.iter().find(|(sign, _)| rest.starts_with(sign)) {
        return Ok(Some((at, sign.len(), *operator)));
    }
    let name = condition.get(..at).unwrap_or_default().trim();
    let value = rest.get(1..).unwrap_or_default().trim_start_matches(['<', '>', '=']).trim();
    Err(Failure::new("check::no_operator", format!("`{}` is not a comparison", sign_of(rest)))
        .hint(format!("did you mean `{name} {} {value}`? operators: < <= > >= == !=", meant(rest)))
        .span(span))
}

/// The wrong operator as typed.
fn sign_of(rest: &str) -> &str {
    let end = rest.find(|next| !matches!(next, '<' | '>' | '=' | '!')).unwrap_or(rest.len());
    rest.get(..end).unwrap_or_default()
}

/// The operator that was probably meant.
fn meant(rest: &str) -> &'static str {
    match sign_of(rest) {
        "=<" => "<=",
        "=>" => ">=",
        "!" => "!=",
        _ => "==",
    }
}

/// Whether a name is the metric of a condition.
fn is_metric(name: &str, before: &[Word<'_>]) -> bool {
    before.is_empty() && known_metric(name).is_some()
}

fn known_metric(name: &str) -> Option<Metric> {
    let named = METRICS.iter().find(|spec| spec.name == name || spec.aliases.contains(&name));
    if let Some(spec) = named {
        return Some(Metric::Named(spec));
    }
    let mut keys = METHODS.iter().flat_map(|method| method.keys);
    keys.find(|key| key.is_named(name)).map(|key| Metric::Key(key.name.to_owned()))
}

fn metric(name: &str, span: Span) -> Result<Metric, Failure> {
    if let Some(known) = known_metric(name) {
        return Ok(known);
    }
    if name.is_empty() {
        return Err(Failure::new("check::empty", "missing the metric before the operator")
            .hint("for example %check accuracy >= 0.4 on test; `%check?` lists the metrics")
            .span(span));
    }
    let metrics = METRICS.iter().map(|spec| spec.name);
    let known: Vec<_> = metrics
        .clone()
        .chain(METHODS.iter().flat_map(|method| method.keys).map(|key| key.name))
        .collect();
    let hint = match nearest(name, known).first() {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!(
            "metrics: {}; and the keys of the attached method, such as r",
            metrics.collect::<Vec<_>>().join(", ")
        ),
    };
    Err(Failure::new("check::unknown_metric", format!("unknown metric `{name}`"))
        .hint(hint)
        .span(span))
}

/// Checks that the metric has an operator if it needs one, and parses the value.
fn compared(
    metric: &Metric,
    comparison: Option<(Operator, &str)>,
    span: Span,
) -> Result<Option<Comparison>, Failure> {
    let name = metric.name();
    let is_fact = matches!(metric, Metric::Named(MetricSpec { unit: Unit::Fact, .. }));
    match comparison {
        None if is_fact => Ok(None),
        None => Err(Failure::new("check::no_operator", format!("`{name}` needs a comparison"))
            .hint(format!("for example %check {}", example(metric)))
            .span(span)),
        Some(_) if is_fact => Err(Failure::new(
            "check::no_value",
            format!("`{name}` is true or false and has no comparison"),
        )
        .hint(format!("%check {name}"))
        .span(span)),
        Some((operator, "")) => {
            Err(Failure::new("check::no_value", format!("missing the value after `{operator}`"))
                .hint(format!("for example %check {}", example(metric)))
                .span(span))
        }
        Some((operator, typed)) => {
            let typed = typed.trim_matches(['"', '\'']);
            let expected =
                expected(metric, operator, typed).map_err(|failure| failure.span(span))?;
            Ok(Some(Comparison { operator, expected, typed: typed.to_owned() }))
        }
    }
}

fn expected(metric: &Metric, operator: Operator, typed: &str) -> Result<Expected, Failure> {
    let unit = match metric {
        Metric::Named(spec) => spec.unit,
        // The kind of the key is known once a method is attached.
        Metric::Key(_) => match number(typed) {
            Some(number) => return Ok(Expected::Number(number)),
            None if !operator.is_order() => return Ok(Expected::Text(typed.to_owned())),
            None => return Err(no_number(metric, typed)),
        },
    };
    match (unit, typed) {
        (Unit::Name, _) if operator.is_order() => {
            return Err(Failure::new(
                "check::no_order",
                format!("`{}` is a name, which `{operator}` cannot compare", metric.name()),
            )
            .hint(format!("%check {} == {typed}", metric.name())));
        }
        (Unit::Name, _) => return Ok(Expected::Text(typed.to_owned())),
        (Unit::Fraction | Unit::Real, "base") if has_split(metric) => return Ok(Expected::Base),
        (Unit::Fraction, "majority") => return Ok(Expected::Majority),
        _ => {}
    }
    let plain = typed.strip_suffix('%').map(str::trim);
    let value = number(plain.unwrap_or(typed)).ok_or_else(|| no_number(metric, typed))?;
    match (unit, plain) {
        (Unit::Fraction, Some(_)) => Ok(Expected::Number(value / 100.0)),
        (Unit::Fraction, None) if value > 1.0 => Err(Failure::new(
            "check::out_of_range",
            format!("`{}` is between 0 and 1, got `{typed}`", metric.name()),
        )
        .hint(format!("did you mean `{} {operator} {typed}%`?", metric.name()))),
        (Unit::Percent, _) | (_, None) => Ok(Expected::Number(value)),
        (_, Some(_)) => Err(no_number(metric, typed)),
    }
}

/// Whether the metric is measured on a split, for which the base model can be measured too.
fn has_split(metric: &Metric) -> bool {
    matches!(metric, Metric::Named(MetricSpec { split: Some(_), .. }))
}

/// A finite number, also with `_` between digits or with `k` or `M` after them.
fn number(text: &str) -> Option<f64> {
    let plain = text.replace('_', "");
    let (digits, factor) = match plain.char_indices().next_back()? {
        (end, 'k' | 'K') => (plain.get(..end)?, 1e3),
        (end, 'M') => (plain.get(..end)?, 1e6),
        _ => (plain.as_str(), 1.0),
    };
    if !digits.ends_with(|last: char| last.is_ascii_digit() || last == '.') {
        return None;
    }
    digits.parse::<f64>().ok().map(|value| value * factor).filter(|value| value.is_finite())
}

fn no_number(metric: &Metric, typed: &str) -> Failure {
    Failure::new(
        "check::no_value",
        format!("`{}` must be compared with a number, got `{typed}`", metric.name()),
    )
    .hint(format!("for example %check {}", example(metric)))
}

/// A check of the metric.
fn example(metric: &Metric) -> String {
    let name = metric.name();
    let unit = match metric {
        Metric::Named(spec) => spec.unit,
        Metric::Key(_) => return format!("{name} == 8"),
    };
    match unit {
        Unit::Fraction => format!("{name} >= 0.4 on test"),
        Unit::Percent => format!("{name} <= 1"),
        Unit::Real if has_split(metric) => format!("{name} < 3.2 on validation"),
        Unit::Real => format!("{name} < 0.1"),
        Unit::Count => format!("{name} <= 50_000"),
        Unit::Name => format!("{name} == {}", example_name(name)),
        Unit::Fact => name.to_owned(),
    }
}

/// A value of a metric that is a name.
fn example_name(metric: &str) -> &'static str {
    match metric {
        "model" => "tiny",
        "data" => "which-book",
        "device" => "cpu",
        "adapter" => "default",
        _ => "lora",
    }
}

/// The split to measure on.
fn split_of(
    metric: &Metric,
    given: Option<(&'static str, Word<'_>)>,
) -> Result<Option<&'static str>, Failure> {
    match (metric, given) {
        (Metric::Named(MetricSpec { split: Some(default), .. }), given) => {
            Ok(Some(given.map_or(*default, |(name, _)| name)))
        }
        (_, None) => Ok(None),
        (_, Some((name, word))) => Err(Failure::new(
            "check::no_split",
            format!("`{}` is not measured on examples", metric.name()),
        )
        .hint(format!("remove `on {name}`"))
        .span(word.span())),
    }
}
