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
    train::TrainingSetup,
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
        Task::CausalLm => hidden.states.narrow(1, hidden.virtual_tokens, text.len())?,
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
mod tests {
    use graft_protocol::{StepRecord, ValidationRecord};
    use graft_spec::Settings;

    use super::*;

    fn record(losses: &[f64], accuracies: &[f64]) -> RunRecord {
        let step = |(index, loss): (usize, &f64)| StepRecord {
            step: index as u64 + 1,
            loss: *loss,
            lr: 0.1,
            grad_norm: 1.0,
            tokens_per_second: 1.0,
            elapsed_seconds: 1.0,
        };
        let validation = |(index, accuracy): (usize, &f64)| ValidationRecord {
            step: index as u64,
            loss: 1.0,
            accuracy: Some(*accuracy),
        };
        RunRecord {
            steps: losses.iter().enumerate().map(step).collect(),
            validations: accuracies.iter().enumerate().map(validation).collect(),
            ..RunRecord::default()
        }
    }

    #[test]
    fn an_accuracy_of_the_majority_class_and_a_flat_loss_cause_a_warning() {
        let data = graft_train::data::builtin("which-book").unwrap().unwrap();
        let config = TrainConfig::from_settings(&Settings::default(), 1e-3, 1);
        let (asked, train) = (Settings::default(), Settings::default());
        let next = Next {
            spec: &graft_spec::methods::lora::SPEC,
            adapter: ("default", 1.0),
            asked: &asked,
            train: &train,
            steps: 50,
            lr: 1e-3,
            default_lr: 1e-3,
        };
        let warn = |record: &RunRecord| warning(record, &data, &config, &next);
        let majority =
            data.majority(data.scored(SplitName::Validation, config.eval_examples)).unwrap();
        assert!(
            warn(&record(&[3.0, 2.0], &[0.1, majority]))
                .unwrap()
                .contains("no better than the majority class")
        );
        assert_eq!(warn(&record(&[3.0, 2.0], &[0.1, majority + 0.2])), None);
        assert!(warn(&record(&[3.0, 2.0], &[0.9; 3])).unwrap().contains("has stayed at 90 %"));
        assert!(warn(&record(&[3.0; 20], &[])).unwrap().contains("did not fall"));
        assert_eq!(warn(&record(&[3.0; 5], &[])), None);
        assert_eq!(warn(&record(&[3.0, 2.0], &[1.0; 3])), None, "there was nothing left to learn");
    }

    #[test]
    fn a_diverged_run_suggests_a_smaller_rate_whatever_its_accuracy() {
        let data = graft_train::data::builtin("which-book").unwrap().unwrap();
        let config = TrainConfig::from_settings(&Settings::default(), 1e-3, 1);
        let (asked, train) = (Settings::default(), Settings::default());
        let next = Next {
            spec: &graft_spec::methods::lora::SPEC,
            adapter: ("default", 1.0),
            asked: &asked,
            train: &train,
            steps: 50,
            lr: 1e-3,
            default_lr: 1e-3,
        };
        let rising: Vec<f64> = (0..40).map(f64::from).collect();
        for accuracies in [&[][..], &[0.2, 0.1], &[0.2; 3]] {
            let told = warning(&record(&rising, accuracies), &data, &config, &next).unwrap();
            assert!(
                told.contains("the loss rose")
                    && told.contains("`%lora steps=50 lr=1e-4`")
                    && !told.contains("larger"),
                "{told}"
            );
        }
    }

    #[test]
    fn an_update_of_zero_weights_has_a_norm_and_no_ratio() {
        let change = |path: &str, update: f64, weight: f64| UpdateNorm {
            path: path.to_owned(),
            update,
            weight,
        };
        let zero = update(&[change("a", 0.5, 0.0), change("b", 1.5, 1e-300)]).unwrap();
        assert_eq!(
            zero,
            "the changed base weights are zero; mean norm of the update: 1.000, largest in `b` (1.500)"
        );
        let mixed = update(&[change("a", 0.5, 0.0), change("b", 1.0, 2.0)]).unwrap();
        assert_eq!(
            mixed,
            "mean size of the update: 50 % of the weights (Frobenius norm), largest in `b` (50 %); without 1 layer with zero weights"
        );
        assert!(update(&[change("a", 1e300, 1.0)]).unwrap().len() < 100);
        assert_eq!(update(&[]), None);
    }
}
