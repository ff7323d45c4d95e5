//! The next step after a failed check.

use graft_spec::check::{Check, Metric, MetricSpec, Operator, Quantity};

use crate::SessionState;

/// What to type after a failed check; `None` if any way is as good as another.
pub(super) fn of(state: &SessionState, check: &Check) -> Option<String> {
    let typed = check.comparison.as_ref().map_or("", |comparison| comparison.typed.as_str());
    let is_equality =
        check.comparison.as_ref().is_some_and(|comparison| comparison.operator == Operator::Equal);
    let spec = match &check.metric {
        Metric::Named(spec) => spec,
        Metric::Key(key) => {
            let verb = state.adapter_in_use()?.adapter.spec().verb;
            return Some(match is_equality {
                true => format!("`%{verb} attach {key}={typed}`"),
                false => format!("`%{verb} attach` with another `{key}`; `%{verb}?` explains it"),
            });
        }
    };
    match spec.quantity {
        Quantity::Forgotten => Some(
            "train fewer steps, or with a smaller `lr` or `r`; `%forgetting` shows the losses"
                .to_owned(),
        ),
        Quantity::Trainable | Quantity::TrainablePercent | Quantity::Parameters => Some(
            "`%params` lists the trainable parameters; a smaller `r` or fewer `target_modules` \
             train fewer"
                .to_owned(),
        ),
        Quantity::Merged => {
            state.adapter_in_use().map(|it| format!("`%{} merge`", it.adapter.spec().verb))
        }
        Quantity::Method if is_equality => Some(format!("`%{typed} attach`")),
        Quantity::Model if is_equality => Some(format!("`%model load {typed}`")),
        Quantity::Data if is_equality => Some(format!("`%data load {typed}`")),
        Quantity::Seed if is_equality => Some(format!("`%seed {typed}`")),
        Quantity::Device if is_equality => Some(format!("`%device {typed}`")),
        Quantity::Adapter if is_equality => {
            state.adapter_in_use().map(|it| format!("`%{} use {typed}`", it.adapter.spec().verb))
        }
        _ => training(state, spec),
    }
}

/// The next step for a metric that training changes.
fn training(state: &SessionState, spec: &MetricSpec) -> Option<String> {
    let is_trained = matches!(
        spec.quantity,
        Quantity::Accuracy
            | Quantity::Loss
            | Quantity::Perplexity
            | Quantity::LossFell
            | Quantity::Trained
            | Quantity::Steps
    );
    let text = match state.acting() {
        _ if !is_trained => return None,
        None if state.adapters.is_empty() => {
            "no adapter is attached: `%lora attach r=8`, then `%train steps=100`"
        }
        None => "no adapter is enabled: `%lora on`",
        Some(attached) if attached.trained_steps() == 0 => {
            "the adapter is not trained: `%train steps=100`"
        }
        Some(_) => "`%train steps=100` continues the training; `%plot` shows the loss curve",
    };
    Some(text.to_owned())
}
