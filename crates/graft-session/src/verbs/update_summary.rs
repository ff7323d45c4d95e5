//! Reports how much training has changed the model, and warns when nothing was learned.

use graft_nn::{Context, DType, Model, NnError, Task, Tensor};
use graft_peft::{UpdateNorm, update_norms};
use graft_spec::{
    Failure, Settings,
    number::{self, decimals},
};
use graft_train::{
    TrainConfig,
    data::{Dataset, SplitName},
    runs::RunRecord,
    samples,
};

use super::{
    adapters_disabled::AdaptersDisabled,
    advice::{LossTrend, Next},
    format::counted,
    train::job::TrainingSetup,
};
use crate::CommandContext;

/// Improvement over the majority class that may be chance.
const CHANCE_MARGIN: f64 = 0.02;
/// Examples whose logits are compared.
const LOGIT_EXAMPLES: usize = 4;
/// Tokens of each example.
const LOGIT_TOKENS: usize = 64;

/// Reports the change of weights and logits, and warns when loss or accuracy show that nothing was
/// learned. `train` are the keys of the run.
pub(crate) fn report(cx: &CommandContext, setup: &TrainingSetup, train: &Settings) {
    // The run has succeeded: a failure here is not reported.
    let moved = update_norms(setup.model.loaded.model.as_ref(), &setup.attached.adapter)
        .unwrap_or_default();
    if let Some(line) = update(&moved) {
        cx.note(line);
    }
    if let Some((most, examples)) = logits(cx, setup).unwrap_or_default() {
        cx.note(format!(
            "largest change of a logit: {} on {} of {}",
            decimals(most, 3),
            counted(examples, "example"),
            setup.data.dataset.name
        ));
    }
    if let Some(warning) = setup.folder.record().ok().and_then(|record| {
        warning(&record, &setup.data.dataset, &setup.config, &Next::after(setup, train))
    }) {
        cx.warn(warning);
    }
}

/// The size of the update relative to the weights; its absolute size if the weights are zero;
/// `None` if the method changes no weights.
fn update(moved: &[UpdateNorm]) -> Option<String> {
    let shares: Vec<(&UpdateNorm, f64)> =
        moved.iter().filter_map(|change| Some((change, change.ratio()?))).collect();
    let mean =
        |values: &mut dyn Iterator<Item = f64>, count: usize| values.sum::<f64>() / count as f64;
    let Some((most, share)) = shares.iter().max_by(|one, other| one.1.total_cmp(&other.1)) else {
        let most = moved.iter().max_by(|one, other| one.update.total_cmp(&other.update))?;
        let length = mean(&mut moved.iter().map(|change| change.update), moved.len());
        return Some(format!(
            "the changed base weights are zero; mean norm of the update: {}, largest in `{}` ({})",
            norm(length),
            most.path,
            norm(most.update)
        ));
    };
    let average = mean(&mut shares.iter().map(|(_, share)| *share), shares.len());
    let zero = match moved.len() - shares.len() {
        0 => String::new(),
        count => format!("; without {} with zero weights", counted(count, "layer")),
    };
    Some(format!(
        "mean size of the update: {} of the weights (Frobenius norm), largest in `{}` ({}){zero}",
        percent(average),
        most.path,
        percent(*share)
    ))
}

/// The largest change of a logit by the active adapters, and the number of examples; `None` for a
/// model without logits.
fn logits(cx: &CommandContext, setup: &TrainingSetup) -> Result<Option<(f64, usize)>, Failure> {
    let (model, tokenizer) =
        (setup.model.loaded.model.as_ref(), setup.model.loaded.tokenizer.as_ref());
    if model.task() == Task::FeatureExtraction {
        return Ok(None);
    }
    let mut texts = samples(model, tokenizer, &setup.data.dataset, LOGIT_EXAMPLES)?;
    texts.iter_mut().for_each(|text| text.truncate(LOGIT_TOKENS));
    let all = || {
        texts
            .iter()
            .map(|text| logits_of(model, text))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| Failure::from_hint(&error))
    };
    let tuned = all()?;
    let _disabled = AdaptersDisabled::new(&cx.state())?;
    let mut most = 0f64;
    for (tuned, base) in tuned.iter().zip(all()?) {
        let away = (tuned - base)
            .and_then(|away| away.abs()?.max_all()?.to_scalar::<f32>())
            .map_err(NnError::from);
        most = most.max(f64::from(away.map_err(|error| Failure::from_hint(&error))?));
    }
    Ok(Some((most, texts.len())))
}

/// The logits of a text, without those of its virtual tokens.
fn logits_of(model: &dyn Model, text: &[u32]) -> Result<Tensor, NnError> {
    let (cx, ids) = (
        Context::eval().without_graph(),
        Tensor::from_slice(
            text,
            (1, text.len()),
            model.embedding().weight().base_value().device(),
        )?,
    );
    let hidden = model.hidden(&ids, None, &cx)?;
    let states = match model.task() {
        Task::CausalLm | Task::Seq2SeqLm => {
            hidden.states.narrow(1, hidden.virtual_tokens, text.len())?
        }
        _ => hidden.states,
    };
    Ok(model.head(&states, &cx)?.to_dtype(DType::F32)?)
}

/// A percentage with enough digits for small updates.
fn percent(share: f64) -> String {
    let digits = if share >= 0.1 {
        0
    } else if share >= 0.001 {
        1
    } else {
        3
    };
    format!("{} %", number::percent(share, digits))
}

/// A norm of any magnitude.
fn norm(length: f64) -> String {
    if (1e-3..1e6).contains(&length) { decimals(length, 3) } else { format!("{length:.2e}") }
}

/// A warning with a suggestion, if the curves show that nothing was learned.
fn warning(
    record: &RunRecord,
    data: &Dataset,
    config: &TrainConfig,
    next: &Next<'_>,
) -> Option<String> {
    let accuracies: Vec<f64> =
        record.validations.iter().filter_map(|found| found.accuracy).collect();
    let trend = LossTrend::of(&record.steps);
    if let found @ Some(_) = trend.warning(next) {
        return found;
    }
    // A few steps, often a test of the line, show nothing about what was learned.
    if trend == LossTrend::Short {
        return None;
    }
    let last = accuracies.last().filter(|_| accuracies.len() > 1);
    let used = data.scored(SplitName::Validation, config.eval_examples);
    if let (Some(last), Some(majority)) = (last, data.majority(used))
        && *last <= majority + CHANCE_MARGIN
        && *last < 1.0
    {
        let (found, chance, next) = (whole(*last), whole(majority), trend.suggestion(next));
        return Some(format!(
            "accuracy is {found}, no better than the majority class ({chance} of the {} validation \
             examples): the labels were not learned; {next}",
            used.len()
        ));
    }
    if let [first, rest @ ..] = accuracies.as_slice()
        && rest.len() > 1
        && *first < 1.0
        && rest.iter().all(|accuracy| accuracy == first)
    {
        let next = trend.suggestion(next);
        return Some(format!(
            "accuracy has stayed at {} since before the first step; {next}",
            whole(*first)
        ));
    }
    None
}

fn whole(share: f64) -> String {
    format!("{} %", number::percent(share, 0))
}

#[cfg(test)]
mod tests;
