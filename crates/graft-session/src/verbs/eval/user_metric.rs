//! Metrics of the user.

use std::time::{SystemTime, UNIX_EPOCH};

use graft_metrics::{MetricError, parse_metrics};
use graft_spec::Failure;

use super::{DefinedMetric, UserMetric};
use crate::{CommandContext, SessionError};

/// Adds a metric under a name that `metric=` accepts from then on; one of the same name is
/// replaced.
///
/// # Errors
/// [`SessionError::MetricName`] for the name of a built-in metric, and for characters other than
/// letters, digits and underscores.
pub fn define_metric(cx: &CommandContext, name: &str, metric: UserMetric) -> Result<(), Failure> {
    let is_word = !name.is_empty() && name.chars().all(|it| it.is_alphanumeric() || it == '_');
    let is_free =
        matches!(parse_metrics(&[name.to_owned()], &[]), Err(MetricError::Unknown { .. }));
    let problem = match (is_word, is_free) {
        (false, _) => "it must consist of letters, digits and underscores",
        (true, false) => "a built-in metric has it",
        (true, true) => {
            let metric = DefinedMetric { function: metric, definition: now() };
            cx.change(|state| drop(state.metrics.insert(name.to_owned(), metric.clone())));
            return Ok(());
        }
    };
    Err(SessionError::MetricName { name: name.to_owned(), problem }.into())
}

/// The process and the time: no two definitions have the same.
fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{}-{}", std::process::id(), since.as_nanos())
}
