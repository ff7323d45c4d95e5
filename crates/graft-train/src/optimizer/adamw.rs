//! AdamW with 32-bit moments.

use graft_nn::{Device, Tensor};
use rayon::prelude::*;

use super::PIECE;
use super::rule::{Rule, SavedState, Scalars};

/// Both moments of one parameter.
#[derive(Debug)]
pub(super) struct AdamW {
    shape: Vec<usize>,
    exp_avg: Vec<f32>,
    exp_avg_sq: Vec<f32>,
}

/// The scalars of one parameter's update.
#[derive(Clone, Copy)]
pub(super) struct Coefficients {
    pub(super) beta1: f32,
    /// `1 - b1`, computed in 64 bits: in 32 bits `1 - 0.999` has a relative error of 1e-5.
    pub(super) rest1: f32,
    pub(super) beta2: f32,
    /// `1 - b2`.
    pub(super) rest2: f32,
    pub(super) epsilon: f32,
    /// `1 - lr wd`.
    pub(super) keep: f32,
    /// `lr / (1 - b1^t)`.
    pub(super) rate: f32,
    /// `sqrt(1 - b2^t)`.
    pub(super) root: f32,
    /// Factor on the gradient, from clipping.
    pub(super) clip: f32,
}

impl AdamW {
    pub(super) fn new(shape: &[usize]) -> Self {
        let zeros = vec![0.0; shape.iter().product()];
        Self { shape: shape.to_vec(), exp_avg: zeros.clone(), exp_avg_sq: zeros }
    }
}

impl Coefficients {
    pub(super) fn of(scalars: &Scalars) -> Self {
        let (config, power) = (&scalars.config, scalars.power());
        Self {
            beta1: config.beta1 as f32,
            rest1: (1.0 - config.beta1) as f32,
            beta2: config.beta2 as f32,
            rest2: (1.0 - config.beta2) as f32,
            epsilon: config.epsilon as f32,
            keep: scalars.keep(),
            rate: (scalars.lr / (1.0 - config.beta1.powi(power))) as f32,
            root: (1.0 - config.beta2.powi(power)).sqrt() as f32,
            clip: scalars.clip,
        }
    }

    /// Updates some elements and their moments.
    pub(super) fn update(
        &self,
        parameter: &mut [f32],
        gradient: &[f32],
        exp_avg: &mut [f32],
        exp_avg_sq: &mut [f32],
    ) {
        for (((p, g), m), v) in parameter.iter_mut().zip(gradient).zip(exp_avg).zip(exp_avg_sq) {
            let g = g * self.clip;
            *m = self.beta1 * *m + self.rest1 * g;
            *v = self.beta2 * *v + self.rest2 * g * g;
            *p = self.keep * *p - self.rate * *m / (v.sqrt() / self.root + self.epsilon);
        }
    }
}

impl Rule for AdamW {
    fn update(&mut self, parameter: &mut [f32], gradient: &[f32], scalars: &Scalars) {
        let coefficients = Coefficients::of(scalars);
        let pieces = parameter
            .par_chunks_mut(PIECE)
            .zip(gradient.par_chunks(PIECE))
            .zip(self.exp_avg.par_chunks_mut(PIECE))
            .zip(self.exp_avg_sq.par_chunks_mut(PIECE));
        pieces.for_each(|(((parameter, gradient), exp_avg), exp_avg_sq)| {
            coefficients.update(parameter, gradient, exp_avg, exp_avg_sq);
        });
    }

    fn tensors(&self) -> candle_core::Result<Vec<(&'static str, Tensor)>> {
        let tensor = |values: &[f32]| Tensor::from_slice(values, &*self.shape, &Device::Cpu);
        Ok(vec![("exp_avg", tensor(&self.exp_avg)?), ("exp_avg_sq", tensor(&self.exp_avg_sq)?)])
    }

    fn restore(&mut self, saved: &SavedState<'_>) -> Result<(), String> {
        self.exp_avg = saved.floats("exp_avg", &self.shape)?;
        self.exp_avg_sq = saved.floats("exp_avg_sq", &self.shape)?;
        Ok(())
    }
}
