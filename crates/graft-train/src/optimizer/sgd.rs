//! Stochastic gradient descent, with or without momentum.

use graft_nn::{Device, Tensor};
use rayon::prelude::*;

use super::PIECE;
use super::rule::{Rule, SavedState, Scalars};

/// The momentum of one parameter.
#[derive(Debug)]
pub(super) struct Sgd {
    shape: Vec<usize>,
    /// Empty without momentum, and before the first update.
    momentum: Vec<f32>,
}

impl Sgd {
    pub(super) fn new(shape: &[usize]) -> Self {
        Self { shape: shape.to_vec(), momentum: Vec::new() }
    }
}

impl Rule for Sgd {
    fn update(&mut self, parameter: &mut [f32], gradient: &[f32], scalars: &Scalars) {
        let (rate, decay) = (scalars.lr as f32, scalars.weight_decay as f32);
        let (clip, momentum) = (scalars.clip, scalars.config.momentum as f32);
        if scalars.config.momentum == 0.0 {
            let pieces = parameter.par_chunks_mut(PIECE).zip(gradient.par_chunks(PIECE));
            pieces.for_each(|(parameter, gradient)| {
                for (p, g) in parameter.iter_mut().zip(gradient) {
                    *p -= rate * (g * clip + decay * *p);
                }
            });
            return;
        }
        // The first buffer is the gradient itself, as in PyTorch, which zeros give too.
        self.momentum.resize(parameter.len(), 0.0);
        let pieces = parameter
            .par_chunks_mut(PIECE)
            .zip(gradient.par_chunks(PIECE))
            .zip(self.momentum.par_chunks_mut(PIECE));
        pieces.for_each(|((parameter, gradient), buffer)| {
            for ((p, g), b) in parameter.iter_mut().zip(gradient).zip(buffer) {
                *b = momentum * *b + (g * clip + decay * *p);
                *p -= rate * *b;
            }
        });
    }

    fn tensors(&self) -> candle_core::Result<Vec<(&'static str, Tensor)>> {
        if self.momentum.is_empty() {
            return Ok(Vec::new());
        }
        let buffer = Tensor::from_slice(&self.momentum, &*self.shape, &Device::Cpu)?;
        Ok(vec![("momentum_buffer", buffer)])
    }

    fn restore(&mut self, saved: &SavedState<'_>) -> Result<(), String> {
        // A run without momentum, or before its first step, has saved none.
        let is_saved = saved.tensors.contains_key(&format!("{}.momentum_buffer", saved.name));
        if is_saved {
            self.momentum = saved.floats("momentum_buffer", &self.shape)?;
        }
        Ok(())
    }
}
