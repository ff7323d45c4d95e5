use graft_nn::{Device, Layer, Trainable};
use graft_protocol::{Event, Rewards, RunEnded, RunOutcome, StepRecord};
use graft_spec::{Hint, Settings, Value};
use serde_json::Value as Json;

use super::*;
use crate::data::{SplitName, parse_inline};
use crate::runs::{RunFolder, RunHeader};
use crate::testing::{
    TinyClassifier, TinyLlama, Words, config, job_in, labeled_data, preferred_data,
};
use crate::{
    Control, EncodeOptions, Examples, Request, TrainConfig, TrainError, TrainingJob, evaluate, fit,
    resume,
};

/// The model with its adapters switched off.
struct Off<'a>(&'a TinyLlama);

impl ReferenceModel for Off<'_> {
    fn with(&self, pass: &mut dyn FnMut() -> crate::Result<()>) -> crate::Result<()> {
        self.0.set_adapters(&[]);
        let passed = pass();
        self.0.set_adapters(&["low"]);
        passed
    }
}

fn preference(loss: PreferenceLoss) -> Option<Objective> {
    Some(Objective { loss, strength: Strength { beta: 0.3, gamma: 0.5 } })
}

fn config_of(loss: PreferenceLoss, steps: u64) -> TrainConfig {
    TrainConfig { preference: preference(loss), ..config(steps) }
}

type Go = fn(TrainingJob<'_>, &Control, &mut dyn FnMut(Event)) -> crate::Result<RunEnded>;

fn steps(job: TrainingJob<'_>, stop_after: usize, go: Go) -> (Vec<StepRecord>, RunEnded) {
    let control = Control::new();
    let mut steps = Vec::new();
    let mut emit = |event| {
        if let Event::Step(step) = event {
            steps.push(step);
            if steps.len() == stop_after {
                control.stop();
            }
        }
    };
    let ended = go(job, &control, &mut emit).expect("trains");
    (steps, ended)
}

fn bits(steps: &[StepRecord]) -> Vec<(u64, u64, Option<Rewards>)> {
    steps.iter().map(|step| (step.step, step.loss.to_bits(), step.rewards)).collect()
}

fn close(found: f64, expected: &Json) -> bool {
    let expected = expected.as_f64().expect("a number");
    (found - expected).abs() <= 1e-4 * expected.abs().max(1.0)
}

/// The pairs of the goldens, with a copy in each split.
fn golden() -> (Json, Dataset) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/goldens/preference/trl.json");
    let golden: Json =
        serde_json::from_str(&std::fs::read_to_string(path).expect("reads")).expect("JSON");
    let pairs = golden["pairs"].as_array().expect("pairs");
    let lines: Vec<String> = pairs.iter().map(Json::to_string).collect();
    let data = parse_inline("golden", &lines.join("\n"), &Settings::default()).expect("reads");
    let test = data.train.clone();
    (golden, Dataset { test, ..data })
}

#[test]
fn tokens_losses_gradients_and_rewards_are_those_of_trl() {
    let (golden, all) = golden();
    let whole = |name: &str, value: i64| (name.to_owned(), Value::Integer(value));
    let keys = [whole("steps", 4), whole("batch", 4), whole("warmup", 0), whole("eval_every", 0)];
    for (name, expected) in golden["losses"].as_object().expect("losses") {
        let used = expected["used"].as_array().expect("numbers").iter();
        let used: Vec<_> = used
            .map(|index| all.train[index.as_u64().expect("a number") as usize].clone())
            .collect();
        let data = Dataset { train: used.clone(), test: used, ..all.clone() };
        let loaded =
            graft_models::load("tiny", &Settings::default(), &Device::Cpu, &mut |_, _, _| {})
                .expect("loads");
        let (model, tokenizer) = (&*loaded.model, loaded.tokenizer.as_ref());
        let mut trainables = Vec::new();
        for site in model.sites() {
            let Layer::Norm(norm) = site.layer else { continue };
            trainables.push(Trainable::new(norm.path(), norm.weight().train().expect("opens")));
        }
        let mut settings = Settings { values: keys.iter().cloned().collect() }
            .with("schedule", Value::Text("constant".to_owned()))
            .with("loss", Value::Text(name.clone()));
        settings = settings.with("beta", Value::Float(golden["beta"].as_f64().expect("beta")));
        settings = settings.with("gamma", Value::Float(golden["gamma"].as_f64().expect("gamma")));
        let config = TrainConfig::from_settings(&settings, golden["lr"].as_f64().expect("lr"), 0);
        let folder = tempfile::tempdir().expect("folder");
        let run = RunFolder::create(folder.path(), "golden").expect("creates");
        let start = StartingWeights::of(&run, &trainables).expect("starts");
        let examples = Examples::new(model, tokenizer, &data, &config).expect("encodes");
        let examples = examples.with_reference(Some(&start));
        if name == "dpo" {
            check_tokens(&examples, &golden["tokens"]);
        }
        let job = TrainingJob {
            model,
            trainables: trainables.clone(),
            batches: &examples,
            config: config.clone(),
            folder: run,
            header: RunHeader::default(),
            checkpoint: &trainables,
            keeps_best: false,
            callbacks: None,
            metrics: Vec::new(),
            predicted_memory: None,
        };
        let (found, _) = steps(job, usize::MAX, fit);
        for (step, expected) in found.iter().zip(expected["steps"].as_array().expect("steps")) {
            assert!(close(step.loss, &expected["loss"]), "{name} {step:?} {expected}");
            assert!(close(step.grad_norm, &expected["grad_norm"]), "{name} {step:?} {expected}");
            check_rewards(step.rewards.expect("rewards"), expected);
        }
        for (index, expected) in expected["pairs"].as_array().expect("pairs").iter().enumerate() {
            let one = Dataset { test: vec![data.test[index].clone()], ..data.clone() };
            let request = Request {
                split: SplitName::Test,
                examples: 1,
                batch: 1,
                encoding: EncodeOptions::default(),
            };
            let found = evaluate_preferences(
                (model, tokenizer),
                (&one, request),
                config.preference.expect("an objective"),
                Some(&start),
                &Control::new(),
                &mut |_, _| {},
            )
            .expect("evaluates");
            assert!(close(found.loss, &expected["loss"]), "{name} {found:?} {expected}");
            check_rewards(found.rewards.expect("rewards"), expected);
        }
    }
}

fn check_tokens(examples: &Examples<'_>, expected: &Json) {
    let batch = crate::BatchSource::micro_batch(examples, 0).expect("a batch");
    let ids = |value: &Json| -> Vec<u32> {
        let all = value.as_array().expect("ids").iter();
        all.map(|id| id.as_u64().expect("an id") as u32).collect()
    };
    let found: Vec<(Vec<u32>, usize)> = (0..batch.rows)
        .map(|row| {
            let start = row * batch.columns;
            let labels = &batch.labels[start..start + batch.lengths[row]];
            let first = labels.iter().take_while(|label| **label == graft_nn::ops::IGNORED).count();
            (batch.ids[start..start + batch.lengths[row]].to_vec(), first)
        })
        .collect();
    for pair in expected.as_array().expect("pairs") {
        let prompt = ids(&pair["prompt"]);
        for answer in ["chosen", "rejected"] {
            let row = ([prompt.clone(), ids(&pair[answer])].concat(), prompt.len());
            assert!(found.contains(&row), "{row:?} is not in {found:?}");
        }
    }
}

fn check_rewards(found: Rewards, expected: &Json) {
    assert!(close(found.chosen, &expected["chosen"]), "{found:?} {expected}");
    assert!(close(found.rejected, &expected["rejected"]), "{found:?} {expected}");
    assert!(close(found.accuracy, &expected["accuracy"]), "{found:?} {expected}");
}

#[test]
fn training_raises_the_margin_over_the_reference() {
    let (model, data) = (TinyLlama::new(16, 32), preferred_data());
    for loss in
        [PreferenceLoss::Dpo, PreferenceLoss::Ipo, PreferenceLoss::Orpo, PreferenceLoss::Simpo]
    {
        let trainables = model.attach(0.0);
        let off = Off(&model);
        let base = tempfile::tempdir().expect("folder");
        let folder = RunFolder::create(base.path(), "test").expect("creates");
        let job =
            job_in((&model, &data, &trainables), config_of(loss, 30), folder.clone(), Some(&off));
        let (found, _) = steps(job, usize::MAX, fit);
        let [first, last] = [found[0], found[29]].map(|step| step.rewards.expect("rewards"));
        assert!(last.margin() > first.margin() + 0.1, "{loss:?} {first:?} {last:?}");
        let validations = folder.record().expect("reads").validations;
        let accuracies = validations.iter().map(|found| found.accuracy.expect("an accuracy"));
        assert!(accuracies.clone().all(|share| (0.0..=1.0).contains(&share)));
        assert_eq!(validations.len(), 11);
    }
}

#[test]
fn label_smoothing_does_not_change_a_preference_loss() {
    let data = preferred_data();
    let run = |label_smoothing: f64| {
        let model = TinyLlama::new(16, 32);
        let trainables = model.attach(0.0);
        let off = Off(&model);
        let base = tempfile::tempdir().expect("folder");
        let folder = RunFolder::create(base.path(), "test").expect("creates");
        let config = TrainConfig { label_smoothing, ..config_of(PreferenceLoss::Dpo, 3) };
        let job = job_in((&model, &data, &trainables), config, folder, Some(&off));
        bits(&steps(job, usize::MAX, fit).0)
    };
    assert_eq!(run(0.0), run(0.3));
}

#[test]
fn a_resumed_run_has_the_losses_and_rewards_of_an_uninterrupted_one() {
    let data = preferred_data();
    let run = |go: Go, folder: &RunFolder, stop_after: usize, off: bool| {
        let model = TinyLlama::new(16, 32);
        let trainables = model.attach(0.1);
        let starting = (!off).then(|| StartingWeights::of(folder, &trainables).expect("reads"));
        let off = Off(&model);
        let reference = starting.as_ref().map_or(&off as &dyn ReferenceModel, |starting| starting);
        let config = config_of(PreferenceLoss::Dpo, 9);
        let job = job_in((&model, &data, &trainables), config, folder.clone(), Some(reference));
        let (found, ended) = steps(job, stop_after, go);
        (bits(&found), ended)
    };
    for off in [true, false] {
        let base = tempfile::tempdir().expect("folder");
        let folder = || RunFolder::create(base.path(), "test").expect("creates");
        let (expected, _) = run(fit, &folder(), usize::MAX, off);
        let halved = folder();
        let (mut found, ended) = run(fit, &halved, 4, off);
        assert_eq!(ended.outcome, RunOutcome::Interrupted);
        found.extend(run(resume, &halved, usize::MAX, off).0);
        assert_eq!(found, expected);
        // Rewards are in the ledger, too.
        let steps = halved.record().expect("reads").steps;
        assert!(steps.len() == 9 && steps.iter().all(|step| step.rewards.is_some()));
    }
}

#[test]
fn neither_micro_batches_nor_gradient_checkpointing_change_a_step() {
    let data = preferred_data();
    let first = |batch, accumulate, recompute, loss| {
        let model = TinyLlama::new(16, 32);
        let trainables = model.attach(0.0);
        let base = tempfile::tempdir().expect("folder");
        let folder = RunFolder::create(base.path(), "test").expect("creates");
        let config =
            TrainConfig { batch, accumulate, recompute, eval_every: 0, ..config_of(loss, 1) };
        let off = Off(&model);
        let job = job_in((&model, &data, &trainables), config, folder, Some(&off));
        let step = steps(job, usize::MAX, fit).0[0];
        (step.loss, step.grad_norm, step.rewards.expect("rewards").margin())
    };
    for loss in [PreferenceLoss::Dpo, PreferenceLoss::Orpo, PreferenceLoss::Simpo] {
        let expected = first(8, 1, false, loss);
        for other in [first(2, 4, false, loss), first(4, 2, true, loss)] {
            assert!((other.0 - expected.0).abs() < 1e-5, "{other:?} {expected:?}");
            assert!((other.1 - expected.1).abs() < 1e-4, "{other:?} {expected:?}");
            assert!((other.2 - expected.2).abs() < 1e-5, "{other:?} {expected:?}");
        }
    }
}

#[test]
fn the_own_weights_are_restored_after_an_error_and_a_panic() {
    let model = TinyLlama::new(16, 32);
    let trainables = model.attach(0.0);
    let base = tempfile::tempdir().expect("folder");
    let folder = RunFolder::create(base.path(), "test").expect("creates");
    let start = StartingWeights::of(&folder, &trainables).expect("starts");
    let values = || -> Vec<f32> {
        trainables[0].var.flatten_all().and_then(|flat| flat.to_vec1()).expect("values")
    };
    let before = values();
    start.with(&mut || Ok(())).expect("passes");
    let doubled = (trainables[0].var.as_tensor() * 2.0).expect("doubles");
    trainables[0].var.set(&doubled).expect("sets");
    let trained = values();
    let mut seen = Vec::new();
    let mut fails = || {
        seen = values();
        Err(TrainError::Stopped)
    };
    assert!(start.with(&mut fails).is_err());
    assert_eq!((seen, values()), (before, trained.clone()));
    let panics = || start.with(&mut || panic!("in the pass"));
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
    assert_eq!(values(), trained);
}

#[test]
fn data_and_loss_that_do_not_fit_together_are_refused_with_the_next_step() {
    let model = TinyLlama::new(16, 32);
    let refused = |model: &dyn Model, data: &Dataset, loss: Option<Objective>| {
        let config = TrainConfig { preference: loss, ..config(1) };
        let error = Examples::new(model, &Words, data, &config).err().expect("refused");
        (error.code(), error.to_string(), error.hint().expect("a hint"))
    };
    let (code, text, hint) = refused(&model, &preferred_data(), None);
    assert_eq!(code, "train::preferences");
    assert!(text.contains("`pairs`") && hint.contains("%train loss=dpo"), "{text} {hint}");
    let (code, text, hint) = refused(&model, &labeled_data(), preference(PreferenceLoss::Ipo));
    assert_eq!(code, "train::no_preferences");
    assert!(text.contains("`loss=ipo`") && hint.contains("prose-or-code"), "{text} {hint}");
    let classifier = TinyClassifier::new(2, None, true);
    let (code, _, hint) = refused(&classifier, &preferred_data(), preference(PreferenceLoss::Dpo));
    assert_eq!(code, "train::classifier_preferences");
    assert!(hint.contains("%model load tiny"), "{hint}");
    let request = Request {
        split: SplitName::Train,
        examples: 1,
        batch: 1,
        encoding: EncodeOptions::default(),
    };
    let (data, control) = (preferred_data(), Control::new());
    let found = evaluate(&model, &Words, &data, request, &control, &mut |_, _| {});
    assert_eq!(found.err().map(|error| error.code()), Some("train::preferences"));
}

#[test]
fn messages_need_a_chat_template() {
    let row = r#"{"chosen":[{"role":"user","content":"3"},{"role":"assistant","content":"4"}],
        "rejected":[{"role":"user","content":"3"},{"role":"assistant","content":"5"}]}"#;
    let data = parse_inline("chats", &row.replace('\n', ""), &Settings::default()).expect("reads");
    let config = config_of(PreferenceLoss::Dpo, 1);
    let model = TinyLlama::new(16, 32);
    let error = Examples::new(&model, &Words, &data, &config).err().expect("refused");
    assert!(error.to_string().contains("`chats`"), "{error}");
    assert!(error.hint().expect("a hint").contains("chat_template="), "{:?}", error.hint());
}

#[test]
fn long_pairs_lose_the_same_tokens_of_the_prompt() {
    let data = preferred_data();
    let model = TinyLlama::new(16, 32);
    let config = TrainConfig { max_length: Some(4), ..config_of(PreferenceLoss::Dpo, 1) };
    let examples = Examples::new(&model, &Words, &data, &config).expect("encodes");
    assert!(examples.warnings()[0].contains("were longer than 4 tokens and were cut"));
    assert_eq!(examples.longest(), 4);
    let batch = crate::BatchSource::micro_batch(&examples, 0).expect("a batch");
    for pair in batch.labels.chunks(batch.columns).collect::<Vec<_>>().chunks(2) {
        let first = |row: &[i64]| row.iter().position(|label| *label >= 0);
        assert!(first(pair[0]).is_some() && first(pair[0]) == first(pair[1]));
    }
}
