//! Who takes part, and the figures each prints.

use std::sync::Arc;
use std::time::Instant;

use clap::ValueEnum;
use graft_nn::{Model, Trainable};
use graft_peft::{Adapter, AttachContext, attach};
use graft_protocol::MemoryUse;
use serde::{Deserialize, Serialize};

use crate::workload::Scene;
use crate::{Result, candle_backend, graft_backend, peak};

/// A contender that this binary holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    /// Graft's own loop: ledger, clipping, checks and all.
    Graft,
    /// candle's operations that have a gradient, candle's AdamW and candle's defaults: a Llama with LoRA on all linear maps.
    Candle,
}

/// What a contender prints as one line of JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Milliseconds of each step, warm-up included.
    pub step_milliseconds: Vec<f64>,
    /// Loss of each step.
    pub losses: Vec<f64>,
    /// Milliseconds from the start of the process to the end of the first step.
    pub first_step_milliseconds: f64,
    /// What the training took beside the model, as Graft's ledger has it.
    #[serde(default)]
    pub memory: Option<MemoryUse>,
    /// Peak resident memory of the process.
    pub peak_bytes: Option<u64>,
}

impl Backend {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Graft => "graft",
            Self::Candle => "candle",
        }
    }

    /// Trains that many steps. `began` is when the process started.
    ///
    /// # Errors
    /// Those of model, adapter and training.
    pub fn run(self, scene: &Scene, steps: usize, began: Instant) -> Result<Figures> {
        let (model, adapter) = model(scene)?;
        let trainables = adapter.trainables();
        // Graft's training measures its own peak, and for that sets the process's back.
        let made_bytes = peak::resident_bytes();
        let (steps, memory) = match self {
            Self::Graft => graft_backend::train(&*model, trainables, scene, steps)
                .map(|(steps, memory)| (steps, Some(memory)))?,
            Self::Candle => (candle_backend::train(&*model, &trainables, scene, steps)?, None),
        };
        let (step_milliseconds, losses, first) = steps.columns();
        let first_step_milliseconds = first.duration_since(began).as_secs_f64() * 1e3;
        Ok(Figures {
            step_milliseconds,
            losses,
            first_step_milliseconds,
            memory,
            peak_bytes: peak::resident_bytes().max(made_bytes),
        })
    }
}

/// The steps of one training.
pub(crate) struct Steps {
    /// (milliseconds, loss)
    pub(crate) each: Vec<(f64, f64)>,
    /// When the first had ended.
    pub(crate) first: Instant,
}

impl Steps {
    /// Milliseconds, losses, and when the first step had ended.
    pub(crate) fn columns(self) -> (Vec<f64>, Vec<f64>, Instant) {
        let (milliseconds, losses) = self.each.into_iter().unzip();
        (milliseconds, losses, self.first)
    }
}

/// The model with what is trained in it.
pub(crate) fn model(scene: &Scene) -> Result<(Arc<dyn Model>, Adapter)> {
    let model = scene.model()?;
    let (verb, settings) = scene.method();
    let adapter = attach(&AttachContext::new(&*model, scene.shape.name(), 1), verb, &settings)?;
    Ok((model, adapter))
}

/// The trained matrix of a layer: `part` is `lora_A` or `lora_B`.
pub(crate) fn part<'a>(
    trainables: &'a [Trainable],
    path: &str,
    part: &str,
) -> Option<&'a Trainable> {
    let name = format!("{path}.{part}.");
    trainables.iter().find(|trainable| trainable.name.contains(&name))
}
