//! Adafactor: the second moment as the outer product of its row and column means.

use graft_nn::{Device, Tensor};
use rayon::prelude::*;

use super::rule::{Rule, SavedState, Scalars};

/// Added to the squared gradient.
const EPSILON: f32 = 1e-30;
/// Updates are scaled down to this root mean square.
const CLIP_THRESHOLD: f64 = 1.0;
/// The decay rate of the second moment at update t is `1 - t^DECAY`.
const DECAY: f64 = -0.8;

/// The second moment of one parameter.
#[derive(Debug)]
pub(super) struct Adafactor {
    shape: Vec<usize>,
    moment: Moment,
}

#[derive(Debug)]
enum Moment {
    /// Of a vector: one value per element.
    Full(Vec<f32>),
    /// Of a matrix (or of a stack of matrices): means over the last and the second last dimension.
    Factored { row: Vec<f32>, column: Vec<f32> },
}

impl Adafactor {
    pub(super) fn new(shape: &[usize]) -> Self {
        let moment = match shape {
            [stack @ .., rows, columns] => {
                let count: usize = stack.iter().product();
                Moment::Factored {
                    row: vec![0.0; count * rows],
                    column: vec![0.0; count * columns],
                }
            }
            _ => Moment::Full(vec![0.0; shape.iter().product()]),
        };
        Self { shape: shape.to_vec(), moment }
    }

    /// Shapes of the row means and of the column means.
    fn factored_shapes(&self) -> (Vec<usize>, Vec<usize>) {
        let (mut row, mut column) = (self.shape.clone(), self.shape.clone());
        row.pop();
        column.remove(column.len() - 2);
        (row, column)
    }

    /// Updates the moment and returns the gradient divided by its root.
    fn normalized(&mut self, gradient: &[f32], beta2: f64, clip: f32) -> Vec<f32> {
        let (keep, rest) = (beta2 as f32, (1.0 - beta2) as f32);
        match (&mut self.moment, self.shape.as_slice()) {
            (Moment::Factored { row, column }, [.., rows, columns]) => {
                let matrix = rows * columns;
                let mut update = vec![0f32; gradient.len()];
                let parts = update
                    .chunks_mut(matrix.max(1))
                    .zip(gradient.chunks(matrix.max(1)))
                    .zip(row.chunks_mut((*rows).max(1)).zip(column.chunks_mut((*columns).max(1))));
                for ((update, gradient), (row, column)) in parts {
                    mean_squares(gradient, clip, (row, column), (keep, rest));
                    divide_by_root(gradient, clip, (row, column), update);
                }
                update
            }
            (Moment::Full(moment), _) => {
                let pairs = gradient.par_iter().zip(moment.par_iter_mut());
                let divided = pairs.map(|(g, v)| {
                    let g = g * clip;
                    *v = keep * *v + rest * (g * g + EPSILON);
                    g / v.sqrt()
                });
                divided.collect()
            }
            (Moment::Factored { .. }, _) => Vec::new(),
        }
    }
}

/// Updates the moving means of the squared gradient over rows and columns.
fn mean_squares(
    gradient: &[f32],
    clip: f32,
    (row, column): (&mut [f32], &mut [f32]),
    (keep, rest): (f32, f32),
) {
    let columns = column.len();
    let square = |g: &f32| f64::from((g * clip).powi(2) + EPSILON);
    row.par_iter_mut().zip(gradient.par_chunks(columns)).for_each(|(mean, values)| {
        let sum: f64 = values.iter().map(square).sum();
        *mean = keep * *mean + rest * (sum / columns as f64) as f32;
    });
    let mut sums = vec![0f64; columns];
    for values in gradient.chunks(columns) {
        sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += square(value));
    }
    for (mean, sum) in column.iter_mut().zip(sums) {
        *mean = keep * *mean + rest * (sum / row.len() as f64) as f32;
    }
}

/// `g / sqrt(row / mean(row) * column)`, element by element.
fn divide_by_root(gradient: &[f32], clip: f32, (row, column): (&[f32], &[f32]), to: &mut [f32]) {
    let mean = row.iter().map(|value| f64::from(*value)).sum::<f64>() / row.len() as f64;
    let columns: Vec<f32> = column.iter().map(|value| 1.0 / value.sqrt()).collect();
    let width = column.len();
    let rows = to.par_chunks_mut(width).zip(gradient.par_chunks(width)).zip(row.par_iter());
    rows.for_each(|((to, gradient), row)| {
        let row = 1.0 / (row / mean as f32).sqrt();
        for ((to, g), column) in to.iter_mut().zip(gradient).zip(&columns) {
            *to = row * column * (g * clip);
        }
    });
}

/// Root mean square. Sums of a fixed number of elements, so that it does not depend on threads.
fn root_mean_square(values: &[f32]) -> f64 {
    let square = |value: &f32| f64::from(*value).powi(2);
    let sums: Vec<f64> =
        values.par_chunks(super::PIECE).map(|piece| piece.iter().map(square).sum()).collect();
    (sums.iter().sum::<f64>() / values.len().max(1) as f64).sqrt()
}

impl Rule for Adafactor {
    fn update(&mut self, parameter: &mut [f32], gradient: &[f32], scalars: &Scalars) {
        let beta2 = 1.0 - (scalars.step as f64).powf(DECAY);
        let update = self.normalized(gradient, beta2, scalars.clip);
        let scale = (root_mean_square(&update) / CLIP_THRESHOLD).max(1.0);
        let (rate, keep) = ((scalars.lr / scale) as f32, scalars.keep());
        let pieces = parameter.par_chunks_mut(super::PIECE).zip(update.par_chunks(super::PIECE));
        pieces.for_each(|(parameter, update)| {
            for (p, u) in parameter.iter_mut().zip(update) {
                *p = keep * *p - rate * u;
            }
        });
    }

    fn tensors(&self) -> candle_core::Result<Vec<(&'static str, Tensor)>> {
        let tensor =
            |values: &[f32], shape: &[usize]| Tensor::from_slice(values, shape, &Device::Cpu);
        match &self.moment {
            Moment::Full(moment) => Ok(vec![("exp_avg_sq", tensor(moment, &self.shape)?)]),
            Moment::Factored { row, column } => {
                let shapes = self.factored_shapes();
                Ok(vec![
                    ("exp_avg_sq_row", tensor(row, &shapes.0)?),
                    ("exp_avg_sq_col", tensor(column, &shapes.1)?),
                ])
            }
        }
    }

    fn restore(&mut self, saved: &SavedState<'_>) -> Result<(), String> {
        self.moment = match &self.moment {
            Moment::Full(_) => Moment::Full(saved.floats("exp_avg_sq", &self.shape)?),
            Moment::Factored { .. } => {
                let shapes = self.factored_shapes();
                Moment::Factored {
                    row: saved.floats("exp_avg_sq_row", &shapes.0)?,
                    column: saved.floats("exp_avg_sq_col", &shapes.1)?,
                }
            }
        };
        Ok(())
    }
}
