//! "Did it do anything?", answered unasked after a training.

use graft_nn::{Context, DType, Model, NnError, Task, Tensor};
use graft_peft::changes;
use graft_protocol::Failure;
use graft_train::{TrainConfig, data::Dataset, runs::RunRecord, samples};

use super::{bare::Bare, train::Plan, words::counted};
use crate::Desk;

/// Accuracy above the commonest label's that is no luck yet.
const MARGIN: f64 = 0.02;
/// Examples whose logits are looked at, and tokens of each.
const LOOKED_AT: (usize, usize) = (4, 64);

/// Says how far the weights and the logits have moved, and warns when loss or accuracy show that nothing was learned.
pub(crate) fn tell(desk: &Desk, plan: &Plan) {
    // What cannot be told is no reason for a training that has ended well to fail.
    let moved = changes(plan.model.loaded.model.as_ref(), &plan.attached.adapter).unwrap_or_default();
    if let Some(most) = moved.iter().max_by(|one, other| one.share.total_cmp(&other.share)) {
        let mean = moved.iter().map(|change| change.share).sum::<f64>() / moved.len() as f64;
        desk.note(format!("the update is {} of the weights' length on average, most in `{}` ({})", percent(mean), most.path, percent(most.share)));
    }
    // Switching the adapter off and on would be felt by whoever works beside a training in the background.
    if let Some((most, examples)) = if desk.is_background() { None } else { logits(desk, plan).unwrap_or_default() } {
        desk.note(format!("it changes a logit by up to {most:.3} on {} of {}", counted(examples, "example"), plan.data.dataset.name));
    }
    if let Some(alarm) = plan.folder.record().ok().and_then(|record| alarm(&record, &plan.data.dataset, &plan.config)) {
        desk.warn(alarm);
    }
}

/// The largest change of a logit by what acts now, and on how many examples; none for a model without logits.
fn logits(desk: &Desk, plan: &Plan) -> Result<Option<(f64, usize)>, Failure> {
    let (model, tokenizer) = (plan.model.loaded.model.as_ref(), plan.model.loaded.tokenizer.as_ref());
    if model.task() == Task::FeatureExtraction {
        return Ok(None);
    }
    let mut texts = samples(model, tokenizer, &plan.data.dataset, LOOKED_AT.0)?;
    texts.iter_mut().for_each(|text| text.truncate(LOOKED_AT.1));
    let all = || texts.iter().map(|text| logits_of(model, text)).collect::<Result<Vec<_>, _>>().map_err(|error| Failure::from_hint(&error));
    let tuned = all()?;
    let _bare = Bare::new(&desk.state())?;
    let mut most = 0f64;
    for (tuned, base) in tuned.iter().zip(all()?) {
        let away = (tuned - base).and_then(|away| away.abs()?.max_all()?.to_scalar::<f32>()).map_err(NnError::from);
        most = most.max(f64::from(away.map_err(|error| Failure::from_hint(&error))?));
    }
    Ok(Some((most, texts.len())))
}

/// Logits of a text without those of a soft prompt in front of it.
fn logits_of(model: &dyn Model, text: &[u32]) -> Result<Tensor, NnError> {
    let (cx, ids) = (Context::eval(), Tensor::from_slice(text, (1, text.len()), model.embedding().weight().own().device())?);
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
    format!("{:.digits$} %", 100.0 * share)
}

/// What the curves say against the training.
fn alarm(record: &RunRecord, data: &Dataset, config: &TrainConfig) -> Option<String> {
    let accuracies: Vec<f64> = record.validations.iter().filter_map(|found| found.accuracy).collect();
    let next = "train longer, or with a larger lr";
    let last = accuracies.last().filter(|_| accuracies.len() > 1);
    let used = &data.validation[..data.validation.len().min(config.eval_examples)];
    if let (Some(last), Some(majority)) = (last, data.majority(used))
        && *last <= majority + MARGIN
    {
        let (found, chance) = (whole(*last), whole(majority));
        return Some(format!("accuracy is {found}, no more than the commonest label gives ({chance}): it has not learned to tell them apart; {next}"));
    }
    if let [first, rest @ ..] = accuracies.as_slice()
        && rest.len() > 1
        && rest.iter().all(|accuracy| accuracy == first)
    {
        return Some(format!("accuracy has stayed at {} from before the first step: nothing was learned that shows; {next}", whole(*first)));
    }
    let tenth = record.steps.len().div_ceil(10);
    let mean = |steps: &[graft_protocol::StepRecord]| steps.iter().map(|step| step.loss).sum::<f64>() / steps.len().max(1) as f64;
    let (first, last) = (mean(&record.steps[..tenth]), mean(&record.steps[record.steps.len() - tenth..]));
    (record.steps.len() >= 20 && last >= first).then(|| format!("the loss has not fallen: {first:.3} in the first steps, {last:.3} in the last; {next}"))
}

fn whole(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use graft_protocol::{Settings, StepRecord, ValidationRecord};

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
        let validation = |(index, accuracy): (usize, &f64)| ValidationRecord { step: index as u64, loss: 1.0, accuracy: Some(*accuracy) };
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
        let tell = |record: &RunRecord| alarm(record, &data, &config);
        let commonest = data.majority(&data.validation[..config.eval_examples]).unwrap();
        assert!(tell(&record(&[3.0, 2.0], &[0.1, commonest])).unwrap().contains("no more than the commonest label gives"));
        assert_eq!(tell(&record(&[3.0, 2.0], &[0.1, commonest + 0.2])), None);
        assert!(tell(&record(&[3.0, 2.0], &[0.9; 3])).unwrap().contains("has stayed at 90 %"));
        assert!(tell(&record(&[3.0; 20], &[])).unwrap().contains("has not fallen"));
        assert_eq!(tell(&record(&[3.0; 5], &[])), None);
    }
}
