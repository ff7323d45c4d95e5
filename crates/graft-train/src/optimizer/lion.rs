//! Lion: the sign of an interpolated momentum.

use graft_nn::{Device, Tensor};
use rayon::prelude::*;

use super::PIECE;
use super::rule::{Rule, SavedState, Scalars};

/// The momentum of one parameter.
#[derive(Debug)]
pub(super) struct Lion {
    shape: Vec<usize>,
    exp_avg: Vec<f32>,
}

impl Lion {
    pub(super) fn new(shape: &[usize]) -> Self {
        Self { shape: shape.to_vec(), exp_avg: vec![0.0; shape.iter().product()] }
    }
}

impl Rule for Lion {
    fn update(&mut self, parameter: &mut [f32], gradient: &[f32], scalars: &Scalars) {
        let config = &scalars.config;
        let [beta1, rest1, beta2, rest2] =
            [config.beta1, 1.0 - config.beta1, config.beta2, 1.0 - config.beta2]
                .map(|value| value as f32);
        let (rate, keep, clip) = (scalars.lr as f32, scalars.keep(), scalars.clip);
        let pieces = parameter
            .par_chunks_mut(PIECE)
            .zip(gradient.par_chunks(PIECE))
            .zip(self.exp_avg.par_chunks_mut(PIECE));
        pieces.for_each(|((parameter, gradient), exp_avg)| {
            for ((p, g), m) in parameter.iter_mut().zip(gradient).zip(exp_avg) {
                let g = g * clip;
                let direction = beta1 * *m + rest1 * g;
                // `signum` is 1 for 0, and NaN must stay NaN.
                let sign = if direction == 0.0 { 0.0 } else { direction.signum() };
                *p = keep * *p - rate * sign;
                *m = beta2 * *m + rest2 * g;
            }
        });
    }

    fn tensors(&self) -> candle_core::Result<Vec<(&'static str, Tensor)>> {
        let exp_avg = Tensor::from_slice(&self.exp_avg, &*self.shape, &Device::Cpu)?;
        Ok(vec![("exp_avg", exp_avg)])
    }

    fn restore(&mut self, saved: &SavedState<'_>) -> Result<(), String> {
        self.exp_avg = saved.floats("exp_avg", &self.shape)?;
        Ok(())
    }
}
