//! "Did it do anything?", answered unasked after a training.

use graft_nn::{Context, DType, Model, NnError, Task, Tensor};
use graft_peft::{UpdateNorm, update_norms};
use graft_spec::{
    Failure, Settings,
    number::{self, decimals},
};
use graft_train::{TrainConfig, data::Dataset, runs::RunRecord, samples};

use super::{
    advice::{Course, Next},
    bare::Bare,
    train::TrainingSetup,
    words::counted,
};
use crate::CommandContext;

/// Accuracy above the commonest label's that is no luck yet.
const MARGIN: f64 = 0.02;
/// Examples whose logits are looked at, and tokens of each.
const LOOKED_AT: (usize, usize) = (4, 64);

/// Says how far the weights and the logits have moved, and warns when loss or accuracy show that nothing was learned. `train` are the keys of the training.
pub(crate) fn tell(desk: &CommandContext, plan: &TrainingSetup, train: &Settings) {
    // What cannot be told is no reason for a training that has ended well to fail.
    let moved =
        update_norms(plan.model.loaded.model.as_ref(), &plan.attached.adapter).unwrap_or_default();
    if let Some(line) = update(&moved) {
        desk.note(line);
    }
    if let Some((most, examples)) = logits(desk, plan).unwrap_or_default() {
        desk.note(format!(
            "it changes a logit by up to {} on {} of {}",
            decimals(most, 3),
            counted(examples, "example"),
            plan.data.dataset.name
        ));
    }
    if let Some(alarm) = plan.folder.record().ok().and_then(|record| {
        alarm(&record, &plan.data.dataset, &plan.config, &Next::after(plan, train))
    }) {
        desk.warn(alarm);
    }
}

/// How far the weights have moved, compared with their own length where they have one; none where no weight is changed.
fn update(moved: &[UpdateNorm]) -> Option<String> {
    let shares: Vec<(&UpdateNorm, f64)> =
        moved.iter().filter_map(|change| Some((change, change.ratio()?))).collect();
    let mean =
        |values: &mut dyn Iterator<Item = f64>, count: usize| values.sum::<f64>() / count as f64;
    let Some((most, share)) = shares.iter().max_by(|one, other| one.1.total_cmp(&other.1)) else {
        let most = moved.iter().max_by(|one, other| one.update.total_cmp(&other.update))?;
        let length = mean(&mut moved.iter().map(|change| change.update), moved.len());
        return Some(format!(
            "the base weights that it changes are zero; the update's length is {} on average, most in `{}` ({})",
            short(length),
            most.path,
            short(most.update)
        ));
    };
    let average = mean(&mut shares.iter().map(|(_, share)| *share), shares.len());
    let zero = match moved.len() - shares.len() {
        0 => String::new(),
        count => format!("; {} whose base weight is zero left out", counted(count, "layer")),
    };
    Some(format!(
        "the update is {} of the weights' length on average, most in `{}` ({}){zero}",
        percent(average),
        most.path,
        percent(*share)
    ))
}

/// The largest change of a logit by what acts now, and on how many examples; none for a model without logits.
fn logits(desk: &CommandContext, plan: &TrainingSetup) -> Result<Option<(f64, usize)>, Failure> {
    let (model, tokenizer) =
        (plan.model.loaded.model.as_ref(), plan.model.loaded.tokenizer.as_ref());
    if model.task() == Task::FeatureExtraction {
        return Ok(None);
    }
    let mut texts = samples(model, tokenizer, &plan.data.dataset, LOOKED_AT.0)?;
    texts.iter_mut().for_each(|text| text.truncate(LOOKED_AT.1));
    let all = || {
        texts
            .iter()
            .map(|text| logits_of(model, text))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| Failure::from_hint(&error))
    };
    let tuned = all()?;
    let _bare = Bare::new(&desk.state())?;
    let mut most = 0f64;
    for (tuned, base) in tuned.iter().zip(all()?) {
        let away = (tuned - base)
            .and_then(|away| away.abs()?.max_all()?.to_scalar::<f32>())
            .map_err(NnError::from);
        most = most.max(f64::from(away.map_err(|error| Failure::from_hint(&error))?));
    }
    Ok(Some((most, texts.len())))
}

/// Logits of a text without those of a soft prompt in front of it.
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

/// Three digits: updates may be small.
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

/// A length, which may be of any size.
fn short(length: f64) -> String {
    if (1e-3..1e6).contains(&length) { decimals(length, 3) } else { format!("{length:.2e}") }
}

/// What the curves say against the training, and what follows from it.
fn alarm(
    record: &RunRecord,
    data: &Dataset,
    config: &TrainConfig,
    next: &Next<'_>,
) -> Option<String> {
    let accuracies: Vec<f64> =
        record.validations.iter().filter_map(|found| found.accuracy).collect();
    let course = Course::of(&record.steps);
    if let found @ Some(_) = course.alarm(next) {
        return found;
    }
    let last = accuracies.last().filter(|_| accuracies.len() > 1);
    let used = &data.validation[..data.validation.len().min(config.eval_examples)];
    if let (Some(last), Some(majority)) = (last, data.majority(used))
        && *last <= majority + MARGIN
        && *last < 1.0
    {
        let (found, chance, next) = (whole(*last), whole(majority), course.advice(next));
        return Some(format!(
            "accuracy is {found}, no more than the commonest label gives ({chance}): it has not learned to tell them apart; {next}"
        ));
    }
    if let [first, rest @ ..] = accuracies.as_slice()
        && rest.len() > 1
        && *first < 1.0
        && rest.iter().all(|accuracy| accuracy == first)
    {
        let next = course.advice(next);
        return Some(format!(
            "accuracy has stayed at {} from before the first step: nothing was learned that shows; {next}",
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
    fn an_accuracy_of_the_commonest_label_and_a_loss_that_stays_are_told() {
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
        let tell = |record: &RunRecord| alarm(record, &data, &config, &next);
        let commonest = data.majority(&data.validation[..config.eval_examples]).unwrap();
        assert!(
            tell(&record(&[3.0, 2.0], &[0.1, commonest]))
                .unwrap()
                .contains("no more than the commonest label gives")
        );
        assert_eq!(tell(&record(&[3.0, 2.0], &[0.1, commonest + 0.2])), None);
        assert!(tell(&record(&[3.0, 2.0], &[0.9; 3])).unwrap().contains("has stayed at 90 %"));
        assert!(tell(&record(&[3.0; 20], &[])).unwrap().contains("has not fallen"));
        assert_eq!(tell(&record(&[3.0; 5], &[])), None);
        assert_eq!(tell(&record(&[3.0, 2.0], &[1.0; 3])), None, "there was nothing left to learn");
    }

    #[test]
    fn after_divergence_the_advice_is_a_smaller_rate_whatever_the_accuracy_says() {
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
            let told = alarm(&record(&rising, accuracies), &data, &config, &next).unwrap();
            assert!(
                told.contains("has risen")
                    && told.contains("`%lora steps=50 lr=1e-4`")
                    && !told.contains("larger"),
                "{told}"
            );
        }
    }

    #[test]
    fn an_update_of_weights_that_are_zero_has_a_length_and_no_share() {
        let change = |path: &str, update: f64, weight: f64| UpdateNorm {
            path: path.to_owned(),
            update,
            weight,
        };
        let zero = update(&[change("a", 0.5, 0.0), change("b", 1.5, 1e-300)]).unwrap();
        assert_eq!(
            zero,
            "the base weights that it changes are zero; the update's length is 1.000 on average, most in `b` (1.500)"
        );
        let mixed = update(&[change("a", 0.5, 0.0), change("b", 1.0, 2.0)]).unwrap();
        assert_eq!(
            mixed,
            "the update is 50 % of the weights' length on average, most in `b` (50 %); 1 layer whose base weight is zero left out"
        );
        assert!(update(&[change("a", 1e300, 1.0)]).unwrap().len() < 100);
        assert_eq!(update(&[]), None);
    }
}
