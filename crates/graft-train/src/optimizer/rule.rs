//! What an optimizer stores and computes for one parameter.

use std::collections::BTreeMap;
use std::fmt::Debug;

use candle_core::DType;
use graft_nn::Tensor;

use super::OptimizerConfig;

/// The state of one parameter, and the formula that updates it.
pub(super) trait Rule: Debug + Send {
    /// Updates the parameter in place.
    fn update(&mut self, parameter: &mut [f32], gradient: &[f32], scalars: &Scalars);

    /// The state as tensors, by kind.
    fn tensors(&self) -> candle_core::Result<Vec<(&'static str, Tensor)>>;

    /// Restores the state that [`Self::tensors`] returned.
    fn restore(&mut self, saved: &SavedState<'_>) -> Result<(), String>;
}

/// The numbers of one update of one parameter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scalars {
    pub(super) config: OptimizerConfig,
    /// Number of the update, from 1.
    pub(super) step: u64,
    /// Learning rate of this parameter.
    pub(super) lr: f64,
    /// Weight decay of this parameter.
    pub(super) weight_decay: f64,
    /// Factor on the gradient, from clipping.
    pub(super) clip: f32,
}

impl Scalars {
    /// `1 - lr wd`, the factor of decoupled weight decay.
    pub(super) fn keep(&self) -> f32 {
        (1.0 - self.lr * self.weight_decay) as f32
    }

    /// The number of the update as an exponent.
    pub(super) fn power(&self) -> i32 {
        i32::try_from(self.step).unwrap_or(i32::MAX)
    }
}

/// The tensors of one parameter in a checkpoint.
#[derive(Clone, Copy)]
pub(super) struct SavedState<'a> {
    pub(super) tensors: &'a BTreeMap<String, Tensor>,
    /// Name of the parameter.
    pub(super) name: &'a str,
}

impl SavedState<'_> {
    /// The 32-bit numbers of a kind, which must have this shape.
    pub(super) fn floats(&self, kind: &str, shape: &[usize]) -> Result<Vec<f32>, String> {
        self.tensor(kind, shape, DType::F32)?.to_vec1().map_err(|error| error.to_string())
    }

    /// The bytes of a kind, which must have this shape.
    pub(super) fn bytes(&self, kind: &str, shape: &[usize]) -> Result<Vec<u8>, String> {
        self.tensor(kind, shape, DType::U8)?.to_vec1().map_err(|error| error.to_string())
    }

    fn tensor(&self, kind: &str, shape: &[usize], dtype: DType) -> Result<Tensor, String> {
        let name = format!("{}.{kind}", self.name);
        let tensor = self.tensors.get(&name).ok_or_else(|| format!("`{name}` is missing"))?;
        if tensor.dims() != shape {
            return Err(format!(
                "`{name}` has shape {:?}, but the parameter has shape {shape:?}",
                tensor.dims()
            ));
        }
        if tensor.dtype() != dtype {
            let (found, expected) = (tensor.dtype().as_str(), dtype.as_str());
            return Err(format!("`{name}` has type {found}, expected {expected}"));
        }
        tensor.flatten_all().map_err(|error| error.to_string())
    }
}
