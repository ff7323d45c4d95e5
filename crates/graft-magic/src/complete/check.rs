//! Completions of `%check`: metrics, operators, values, splits and keys.

use graft_spec::{
    check::{Check, METRICS, Metric, MetricSpec, Quantity, SPLITS, Unit},
    methods::{self, METHODS},
};

use super::{Item, ItemKind, Sources, begins, values};
use crate::{verb::Form, words};

const OPERATORS: [(&str, &str); 6] = [
    ("<", "less than"),
    ("<=", "at most"),
    (">", "greater than"),
    (">=", "at least"),
    ("==", "equal"),
    ("!=", "not equal"),
];

/// Completes a condition; also returns the length of the replaced part in code points.
pub(super) fn condition(form: &Form, before: &str, sources: &Sources<'_>) -> (usize, Vec<Item>) {
    let mut done: Vec<&str> = before.split_whitespace().collect();
    let is_typing = !before.ends_with(char::is_whitespace);
    let typed = if is_typing { done.pop().unwrap_or_default() } else { "" };
    let items = match done.as_slice() {
        [] => metrics(sources),
        [.., "on"] => items(SPLITS.map(|split| (split, "")), ItemKind::Value),
        [name] if needs_value(name) => items(OPERATORS, ItemKind::Value),
        [name, operator] if OPERATORS.iter().any(|(sign, _)| sign == operator) => {
            expected(name, sources)
        }
        _ => return rest(form, before, typed, sources),
    };
    let items = items.into_iter().filter(|item| begins(&item.text, typed)).collect();
    (typed.chars().count(), items)
}

/// The keys after `%%check`; also returns the length of the replaced part in code points.
pub(super) fn keys(form: &Form, before: &str, sources: &Sources<'_>) -> (usize, Vec<Item>) {
    let mut line = words::split_open(before, 0, 0).words;
    let is_typing = !before.ends_with(char::is_whitespace);
    let current = if is_typing { line.pop() } else { None };
    values::after(form, &line, current.as_ref(), sources)
}

/// The split and the keys after a condition.
fn rest(form: &Form, before: &str, typed: &str, sources: &Sources<'_>) -> (usize, Vec<Item>) {
    let (length, mut found) = keys(form, before, sources);
    let takes_split = before.split_whitespace().next().is_some_and(has_split)
        && !before.split_whitespace().any(|word| word == "on");
    if takes_split && begins("on", typed) {
        found.extend(items([("on", "the split to measure on")], ItemKind::Value));
    }
    (length, found)
}

/// The metrics, and the keys of the active adapter.
fn metrics(sources: &Sources<'_>) -> Vec<Item> {
    let active = sources.snapshot.adapters.iter().find(|adapter| adapter.active);
    let keys = active
        .and_then(|adapter| methods::by_verb(&adapter.method))
        .map_or(&[][..], |method| method.keys);
    let mut all = items(METRICS.iter().map(|spec| (spec.name, spec.help)), ItemKind::Value);
    all.extend(items(keys.iter().map(|key| (key.name, key.help)), ItemKind::Key));
    all
}

/// The values that a metric can be compared with.
fn expected(name: &str, sources: &Sources<'_>) -> Vec<Item> {
    let Some(spec) = named(name) else { return Vec::new() };
    let names =
        |names: &[String]| items(names.iter().map(|name| (name.as_str(), "")), ItemKind::Name);
    match (spec.quantity, spec.unit) {
        (Quantity::Method, _) => {
            items(METHODS.iter().map(|method| (method.verb, "")), ItemKind::Value)
        }
        (Quantity::Data, _) => names(&sources.snapshot.data),
        (Quantity::Adapter, _) => {
            let adapters = sources.snapshot.adapters.iter();
            names(&adapters.map(|adapter| adapter.name.clone()).collect::<Vec<_>>())
        }
        (Quantity::Device, _) => items([("cpu", ""), ("cuda", "")], ItemKind::Value),
        (_, Unit::Fraction) => items(
            [
                ("base", "the value of the model without adapters"),
                ("majority", "the accuracy of always guessing the most common label"),
            ],
            ItemKind::Value,
        ),
        _ if spec.split.is_some() => {
            items([("base", "the value of the model without adapters")], ItemKind::Value)
        }
        _ => Vec::new(),
    }
}

fn named(name: &str) -> Option<&'static MetricSpec> {
    METRICS.iter().find(|spec| spec.name == name || spec.aliases.contains(&name))
}

fn has_split(name: &str) -> bool {
    named(name).is_some_and(|spec| spec.split.is_some())
}

/// Whether a word is a metric without its comparison.
fn needs_value(name: &str) -> bool {
    match Check::parse(&format!("{name} == 1")).map(|check| check.metric) {
        Ok(Metric::Named(_) | Metric::Key(_)) => true,
        Err(_) => named(name).is_some_and(|spec| spec.unit != Unit::Fact),
    }
}

fn items<'a>(texts: impl IntoIterator<Item = (&'a str, &'a str)>, kind: ItemKind) -> Vec<Item> {
    texts
        .into_iter()
        .map(|(text, help)| Item { text: text.to_owned(), kind, help: help.to_owned() })
        .collect()
}
