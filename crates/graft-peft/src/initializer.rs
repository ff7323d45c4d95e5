//! Initial weights of fresh adapters. Each tensor is seeded by its name, so the result depends
//! neither on the order of the layers nor on the device.

use graft_nn::{DType, Device, Linear, Rng, Tensor, Var};

use crate::{Allowance, AttachContext, PeftError};

/// Creates the initial weights of one layer.
#[derive(Clone)]
pub(crate) struct Initializer<'a> {
    rng: Rng,
    path: &'a str,
    device: Device,
    allowance: Option<&'a Allowance>,
}

impl<'a> Initializer<'a> {
    /// For a linear layer, on its device.
    pub(crate) fn of(linear: &'a Linear, cx: &AttachContext<'a>) -> Self {
        Self::named(linear.path(), linear.weight().tensor().device().clone(), cx.seed).within(cx)
    }

    /// For weights that belong to no layer, under a name of their own.
    pub(crate) fn named(path: &'a str, device: Device, seed: u64) -> Self {
        Self { rng: Rng::new(seed), path, device, allowance: None }
    }

    /// Reserves the weights from the allowance of the context.
    pub(crate) fn within(self, cx: &AttachContext<'a>) -> Self {
        Self { allowance: cx.allowance, ..self }
    }

    /// Reserves the parameters of a tensor before it is allocated.
    fn reserve(&self, name: &str, shape: &[usize]) -> Result<(), PeftError> {
        self.allowance.map_or(Ok(()), |allowance| allowance.reserve(name, self.path, shape))
    }

    /// Uniform in ±bound.
    pub(crate) fn uniform(
        &self,
        name: &str,
        shape: &[usize],
        bound: f32,
    ) -> Result<Var, PeftError> {
        self.reserve(name, shape)?;
        let values =
            self.rng.stream(name, self.path).uniform(-bound, bound, shape.iter().product());
        Ok(Var::from_tensor(&Tensor::from_vec(values, shape, &self.device)?)?)
    }

    /// Uniform in ±1/sqrt(columns): PyTorch's `kaiming_uniform_` with `a = sqrt(5)`.
    pub(crate) fn kaiming(
        &self,
        name: &str,
        (rows, columns): (usize, usize),
    ) -> Result<Var, PeftError> {
        self.uniform(name, &[rows, columns], 1.0 / (columns as f32).sqrt())
    }

    /// Normal with mean 0.
    pub(crate) fn normal(
        &self,
        name: &str,
        (rows, columns): (usize, usize),
        deviation: f32,
    ) -> Result<Var, PeftError> {
        self.reserve(name, &[rows, columns])?;
        let values = self.rng.stream(name, self.path).normal(0.0, deviation, rows * columns);
        Ok(Var::from_tensor(&Tensor::from_vec(values, (rows, columns), &self.device)?)?)
    }

    /// A constant.
    pub(crate) fn full(&self, value: f32, shape: &[usize]) -> Result<Var, PeftError> {
        self.reserve("weight", shape)?;
        Ok(Var::from_tensor(&Tensor::full(value, shape, &self.device)?.to_dtype(DType::F32)?)?)
    }
}
