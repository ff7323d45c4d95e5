//! Graft as a backend: its training loop on a fixed micro-batch.

use std::time::Instant;

use graft_nn::{Model, Trainable};
use graft_protocol::{Event, MemoryUse};
use graft_spec::{Settings, Value};
use graft_train::batch::Batch;
use graft_train::data::{Dataset, SplitName, parse_inline};
use graft_train::memory::predicted_with;
use graft_train::runs::{RunFolder, RunHeader};
use graft_train::{
    BatchSource, Control, EncodeOptions, Evaluator, LargestPass, Request, TrainConfig, TrainingJob,
    VALIDATION_BATCH, Validation, fit,
};

use crate::byte_tokenizer::ByteTokenizer;
use crate::steps::Steps;
use crate::workload::{LEARNING_RATE, Scene, Work};
use crate::{BenchError, Result};

/// The same micro-batch in every step.
struct FixedBatch<'a> {
    batch: Batch,
    /// Data to validate on after each step.
    validation: Option<&'a Dataset>,
}

impl FixedBatch<'_> {
    fn evaluator<'e>(&'e self, model: &'e dyn Model) -> graft_train::Result<Option<Evaluator<'e>>> {
        let request = Request {
            split: SplitName::Validation,
            examples: VALIDATION_BATCH,
            batch: VALIDATION_BATCH,
            encoding: EncodeOptions::default(),
        };
        self.validation.map(|data| Evaluator::new(model, &ByteTokenizer, data, request)).transpose()
    }

    /// The largest forward pass of a validation; empty without validation data.
    fn largest_pass(&self, model: &dyn Model) -> Result<LargestPass> {
        Ok(self
            .evaluator(model)?
            .map(|evaluator| evaluator.largest_pass())
            .transpose()?
            .unwrap_or_default())
    }
}

impl BatchSource for FixedBatch<'_> {
    fn micro_batch(&self, _position: u64) -> graft_train::Result<Batch> {
        Ok(self.batch.clone())
    }

    fn validate(
        &self,
        model: &dyn Model,
        control: &Control,
    ) -> graft_train::Result<Option<Validation>> {
        let Some(evaluator) = self.evaluator(model)? else { return Ok(None) };
        evaluator
            .run(control, &mut |_, _| {})
            .map(|found| Some(Validation { loss: found.loss, accuracy: found.accuracy }))
    }
}

/// Texts of about 120 letters with one of five labels that start differently, so that an evaluation
/// scores each label in its own row.
pub(crate) fn labeled() -> Result<Dataset> {
    let labels = ["north", "south", "east", "west", "center"];
    let text = |n: usize| {
        format!(
            "{{\"text\": \"{n:04} {}\", \"label\": \"{}\"}}",
            "a letter ".repeat(12),
            labels[n % labels.len()]
        )
    };
    let lines: Vec<String> = (0..320).map(text).collect();
    parse_inline("directions", &lines.join("\n"), &Settings::default())
        .map_err(|source| BenchError::from(graft_train::TrainError::from(source)))
}

/// Trains, and returns the time of each step and the memory from the ledger.
pub(crate) fn train(
    model: &dyn Model,
    trainables: Vec<Trainable>,
    scene: &Scene,
    steps: usize,
) -> Result<(Steps, MemoryUse)> {
    validated(model, trainables, scene, steps, None)
}

/// [`train`], with a validation after each step.
pub(crate) fn validated(
    model: &dyn Model,
    trainables: Vec<Trainable>,
    scene: &Scene,
    steps: usize,
    validation: Option<&Dataset>,
) -> Result<(Steps, MemoryUse)> {
    let place = tempfile::tempdir().map_err(BenchError::io("create a folder"))?;
    let source = FixedBatch { batch: scene.batch(), validation };
    let config = config(scene, steps, validation.is_some());
    let folder = RunFolder::create(place.path(), "bench")?;
    let header = RunHeader { run: folder.name(), ..RunHeader::default() };
    let tokens = source.batch.tokens() as f64;
    let mut each = Vec::new();
    let mut first = None;
    let largest = source.largest_pass(model)?;
    let predicted = Some(
        predicted_with(model, &trainables, (scene.rows, scene.tokens), config.recompute, largest)
            .on_top(),
    );
    let job = TrainingJob {
        model,
        trainables: trainables.clone(),
        batches: &source,
        config,
        folder,
        header,
        checkpoint: &trainables,
        keeps_best: false,
        callbacks: None,
        metrics: Vec::new(),
        predicted_memory: predicted,
    };
    let ended = fit(job, &Control::new(), &mut |event| {
        if let Event::Step(record) = event {
            first.get_or_insert_with(Instant::now);
            each.push((1e3 * tokens / record.tokens_per_second, record.loss));
        }
    })?;
    let memory = ended.memory.unwrap_or(MemoryUse { predicted, taken: None });
    Ok((Steps { each, first: first.unwrap_or_else(Instant::now) }, memory))
}

/// Training settings: a constant learning rate without warm-up and periodic checkpoints.
fn config(scene: &Scene, steps: usize, validates: bool) -> TrainConfig {
    let settings = [
        ("warmup", 0),
        ("eval_every", i64::from(validates)),
        ("save_every", 0),
        ("steps", steps as i64),
    ]
    .into_iter()
    .fold(Settings::default(), |settings, (key, value)| settings.with(key, Value::Integer(value)))
    .with("gradient_checkpointing", Value::Bool(scene.work == Work::Checkpointed))
    .with("schedule", Value::Text("constant".to_owned()));
    TrainConfig::from_settings(&settings, LEARNING_RATE, 1)
}
