//! The backends, and the measurements that each prints.

use std::sync::Arc;
use std::time::Instant;

use clap::ValueEnum;
use graft_nn::Model;
use graft_peft::{Adapter, AttachContext, attach};
use graft_protocol::MemoryUse;
use serde::{Deserialize, Serialize};

use crate::workload::Scene;
use crate::{Result, candle_backend, graft_backend, peak};

/// A backend in this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    /// Graft's training loop, with ledger, clipping and checks.
    Graft,
    /// candle's differentiable operations, AdamW and defaults: a Llama with LoRA on all linear
    /// layers.
    Candle,
}

/// The measurements of a backend, which it prints as one line of JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Milliseconds of each step, warm-up included.
    pub step_milliseconds: Vec<f64>,
    /// Loss of each step.
    pub losses: Vec<f64>,
    /// Milliseconds from the start of the process to the end of the first step.
    pub first_step_milliseconds: f64,
    /// Memory on top of the model, as in Graft's ledger.
    #[serde(default)]
    pub memory: Option<MemoryUse>,
    /// Peak resident memory of the process.
    pub peak_bytes: Option<u64>,
}

impl Backend {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Graft => "graft",
            Self::Candle => "candle",
        }
    }

    /// Trains for that many steps. `began` is the start of the process.
    ///
    /// # Errors
    /// Errors of the model, the adapter and the training.
    pub fn run(self, scene: &Scene, steps: usize, began: Instant) -> Result<Figures> {
        let (model, adapter) = model(scene)?;
        let trainables = adapter.trainables();
        // Graft's training resets the peak of the process to measure its own.
        let model_bytes = peak::resident_bytes();
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
            peak_bytes: peak::resident_bytes().max(model_bytes),
        })
    }
}

/// The model with its adapter.
pub(crate) fn model(scene: &Scene) -> Result<(Arc<dyn Model>, Adapter)> {
    let model = scene.model()?;
    let (verb, settings) = scene.method();
    let adapter = attach(&AttachContext::new(&*model, scene.shape.name(), 1), verb, &settings)?;
    Ok((model, adapter))
}
