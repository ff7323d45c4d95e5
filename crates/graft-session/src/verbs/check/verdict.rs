//! Compares a measured value with the expected one, and says so in words.

use graft_spec::{
    Failure, KeySpec, Value,
    check::{Check, Comparison, Expected, Metric, Operator, Unit},
    number::{decimals, percent},
};

use super::measure::{Measured, Meter};
use crate::verbs::format::thousands;

impl Meter<'_> {
    /// Whether a check holds, and the reason.
    ///
    /// # Errors
    /// Those of measuring the value that it is compared with; `check::no_order` for a key whose
    /// values have no order.
    pub(super) fn judge(
        &mut self,
        check: &Check,
        measured: &Measured,
    ) -> Result<(bool, String), Failure> {
        let name = check.metric.name();
        let (passed, value, place) = match (measured, &check.comparison) {
            (Measured::Fact(holds, text), _) => return Ok((*holds, text.clone())),
            (Measured::Number(number, place), Some(comparison)) => {
                let expected = self.expected(check, comparison)?;
                let passed = comparison.operator.holds(*number, expected);
                (passed, formatted(&check.metric, *number), place.as_str())
            }
            (Measured::Name(found), Some(comparison)) => {
                (is_equal(comparison.operator, *found == comparison.typed), found.clone(), "")
            }
            (Measured::Setting(found), Some(comparison)) => {
                (compare_key(name, found, comparison)?, found.to_string(), "")
            }
            (_, None) => return Ok((false, "no comparison".to_owned())),
        };
        let mut reason = format!("{name} is {value}{place}");
        if let (false, Some(comparison)) = (passed, &check.comparison) {
            let must = comparison.operator.words();
            let expected = self.expected_text(check, comparison)?;
            reason.push_str(&format!(", must be {must}{expected}"));
        }
        Ok((passed, reason))
    }

    /// The number to compare with.
    fn expected(&mut self, check: &Check, comparison: &Comparison) -> Result<f64, Failure> {
        match (&comparison.expected, &check.metric) {
            (Expected::Number(number), _) => Ok(*number),
            (Expected::Majority, _) => self.majority(check),
            (Expected::Base, Metric::Named(spec)) => self.base(check, spec),
            (Expected::Base | Expected::Text(_), _) => Ok(f64::NAN),
        }
    }

    /// The expected value in words.
    fn expected_text(&mut self, check: &Check, to: &Comparison) -> Result<String, Failure> {
        let of = match to.expected {
            Expected::Base => "of the base",
            Expected::Majority => "of the majority class",
            Expected::Number(_) | Expected::Text(_) => return Ok(to.typed.clone()),
        };
        let number = self.expected(check, to)?;
        Ok(format!("the {} {of}", formatted(&check.metric, number)))
    }
}

/// A number in the unit of the metric.
fn formatted(metric: &Metric, number: f64) -> String {
    let unit = match metric {
        Metric::Named(spec) => spec.unit,
        Metric::Key(_) => Unit::Real,
    };
    match unit {
        Unit::Fraction => format!("{} %", percent(number, 2)),
        Unit::Percent => format!("{} %", decimals(number, 4)),
        Unit::Count => thousands(number as u64),
        Unit::Real | Unit::Name | Unit::Fact => decimals(number, 4),
    }
}

/// The result of `==` or `!=`.
fn is_equal(operator: Operator, equal: bool) -> bool {
    if operator == Operator::NotEqual { !equal } else { equal }
}

/// Compares the value of a key with the typed one, which is parsed like the key.
fn compare_key(name: &str, found: &Value, to: &Comparison) -> Result<bool, Failure> {
    let number = match found {
        Value::Integer(value) => Some(*value as f64),
        Value::Float(value) => Some(*value),
        _ => None,
    };
    if let (Some(number), Expected::Number(expected)) = (number, &to.expected) {
        return Ok(to.operator.holds(number, *expected));
    }
    if to.operator.is_order() {
        let message = format!("`{name}` is `{found}`, which `{}` cannot compare", to.operator);
        return Err(
            Failure::new("check::no_order", message).hint(format!("`%check {name} == {found}`"))
        );
    }
    Ok(is_equal(to.operator, parsed_like(found, &to.typed) == Some(found.clone())))
}

/// The typed value as the same kind of value; names of a list in the same order.
fn parsed_like(found: &Value, typed: &str) -> Option<Value> {
    match found {
        Value::Bool(_) => KeySpec::parse_bool(typed).map(Value::Bool),
        Value::List(names) => {
            let mut wanted: Vec<_> = typed.split(',').map(|name| name.trim().to_owned()).collect();
            // Module names have no order.
            wanted.sort_by_key(|name| names.iter().position(|known| known == name));
            Some(Value::List(wanted))
        }
        _ => Some(Value::Text(typed.to_owned())),
    }
}
