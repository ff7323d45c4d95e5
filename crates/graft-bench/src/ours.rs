//! Graft as a contender: its real training loop on a fixed micro-batch.

use std::time::Instant;

use graft_nn::{Model, Trainable};
use graft_protocol::{Event, MemoryUse, Settings, Value};
use graft_train::batch::Batch;
use graft_train::fit::{Run, begin};
use graft_train::memory::predicted;
use graft_train::runs::{RunFolder, RunHeader};
use graft_train::{Control, Source, TrainConfig, Validation};

use crate::contender::Steps;
use crate::workload::{LEARNING_RATE, Scene, Work};
use crate::{BenchError, Result};

/// The same micro-batch over and over.
struct Always(Batch);

impl Source for Always {
    fn micro_batch(&self, _position: u64) -> graft_train::Result<Batch> {
        Ok(self.0.clone())
    }

    fn validate(&self, _model: &dyn Model, _control: &Control) -> graft_train::Result<Option<Validation>> {
        Ok(None)
    }
}

/// Trains, takes the time of each step from the ledger's own records, and gives what the ledger says of the memory.
pub(crate) fn train(model: &dyn Model, trainables: Vec<Trainable>, scene: &Scene, steps: usize) -> Result<(Steps, MemoryUse)> {
    let place = tempfile::tempdir().map_err(BenchError::io("make a folder"))?;
    let source = Always(scene.batch());
    let settings = [("warmup", 0), ("eval_every", 0), ("save_every", 0), ("steps", steps as i64)]
        .into_iter()
        .fold(Settings::default(), |settings, (key, value)| settings.with(key, Value::Integer(value)))
        .with("gradient_checkpointing", Value::Bool(scene.work == Work::Checkpointed))
        .with("schedule", Value::Text("constant".to_owned()));
    let config = TrainConfig::from_settings(&settings, LEARNING_RATE, 1);
    let folder = RunFolder::create(place.path(), "bench")?;
    let (header, tokens) = (RunHeader { run: folder.name(), ..RunHeader::default() }, source.0.tokens() as f64);
    let (mut each, mut first) = (Vec::new(), None);
    let predicted = Some(predicted(model, &trainables, (scene.rows, scene.tokens), config.recompute).on_top());
    let run = Run { model, trainables: trainables.clone(), source: &source, config, folder, header, state: &trainables, predicted };
    let ended = begin(run, &Control::new(), &mut |event| {
        if let Event::Step(record) = event {
            first.get_or_insert_with(Instant::now);
            each.push((1e3 * tokens / record.tokens_per_second, record.loss));
        }
    })?;
    let memory = ended.memory.unwrap_or(MemoryUse { predicted, taken: None });
    Ok((Steps { each, first: first.unwrap_or_else(Instant::now) }, memory))
}
