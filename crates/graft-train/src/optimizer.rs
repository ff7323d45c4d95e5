//! AdamW with explicit state, which can be saved, restored and undone by one step.

use std::cell::RefCell;
use std::collections::BTreeMap;

use candle_core::{CpuStorage, InplaceOp2, Layout};
use graft_nn::{Device, Tensor, Trainable};
use rayon::prelude::*;

use crate::Result;

/// The constants of AdamW.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// Decay rate of the first moment.
    pub beta1: f64,
    /// Decay rate of the second moment.
    pub beta2: f64,
    /// Added to the square root of the second moment.
    pub epsilon: f64,
    /// Decoupled weight decay. It applies to parameters with [`Trainable::decay`].
    pub weight_decay: f64,
}

impl Default for AdamW {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0 }
    }
}

/// The state of AdamW for a list of parameters.
///
/// ```text
/// p = p (1 - lr wd);  m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g²
/// p = p - lr / (1 - b1^t) m / (sqrt(v) / sqrt(1 - b2^t) + eps)
/// ```
/// `t` is the number of updates. Each parameter is updated in one pass. The moments are 32-bit
/// floats in main memory, whatever the device of the parameter.
///
/// # Source
/// Loshchilov and Hutter 2019, arXiv:1711.05101; the order of operations is that of PyTorch's
/// `AdamW`.
#[derive(Debug)]
pub struct Optimizer {
    constants: AdamW,
    trainables: Vec<Trainable>,
    moments: Vec<Moments>,
    steps: u64,
}

#[derive(Debug, Default)]
struct Moments {
    exp_avg: Vec<f32>,
    exp_avg_sq: Vec<f32>,
    /// The parameter before the last update.
    previous: Vec<f32>,
}

/// The scalars of one parameter's update.
#[derive(Clone, Copy)]
struct Coefficients {
    beta1: f32,
    /// `1 - b1`, computed in 64 bits: in 32 bits `1 - 0.999` has a relative error of 1e-5.
    rest1: f32,
    beta2: f32,
    /// `1 - b2`.
    rest2: f32,
    epsilon: f32,
    /// `1 - lr wd`.
    keep: f32,
    /// `lr / (1 - b1^t)`.
    rate: f32,
    /// `sqrt(1 - b2^t)`.
    root: f32,
    /// Factor on the gradient, from clipping.
    clip: f32,
}

/// Elements updated by one task: enough to pay for starting it.
const PIECE: usize = 1 << 16;

impl Optimizer {
    /// An optimizer before its first update.
    pub fn new(constants: AdamW, trainables: Vec<Trainable>) -> Self {
        let zeros = |trainable: &Trainable| vec![0.0; trainable.var.elem_count()];
        let moments = trainables
            .iter()
            .map(|t| Moments { exp_avg: zeros(t), exp_avg_sq: zeros(t), previous: Vec::new() })
            .collect();
        Self { constants, trainables, moments, steps: 0 }
    }

    /// The parameters, in order.
    pub fn trainables(&self) -> &[Trainable] {
        &self.trainables
    }

    /// Number of updates.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Updates the parameters. `gradients` are in the order of the parameters; each is multiplied
    /// by `clip`.
    ///
    /// # Errors
    /// When a parameter or gradient is not 32-bit, or cannot be copied between devices.
    pub fn step(&mut self, gradients: &[Tensor], lr: f64, clip: f64) -> Result<()> {
        self.steps += 1;
        let updates = self.trainables.iter().zip(&mut self.moments).zip(gradients);
        for ((trainable, moments), gradient) in updates {
            let coefficients = coefficients(
                &self.constants,
                self.steps,
                lr * trainable.lr_scale,
                trainable.decay,
                clip,
            );
            let gradient = gradient.contiguous()?;
            let update = Update { moments: RefCell::new(moments), coefficients };
            if matches!(gradient.device(), Device::Cpu) {
                trainable.var.as_tensor().inplace_op2(&gradient, &update)?;
            } else {
                update.through_host(trainable, &gradient)?;
            }
        }
        Ok(())
    }

    /// Restores the parameters from before the last update. Returns whether there was an update in
    /// this process.
    ///
    /// # Errors
    /// When a parameter cannot be copied to its device.
    pub fn undo(&mut self) -> Result<bool> {
        for (trainable, moments) in self.trainables.iter().zip(&self.moments) {
            if !moments.previous.is_empty() {
                trainable.var.set(&Tensor::from_slice(
                    &moments.previous,
                    trainable.var.shape(),
                    trainable.var.device(),
                )?)?;
            }
        }
        Ok(self.moments.iter().any(|moments| !moments.previous.is_empty()))
    }

    /// The moments as tensors: `NAME.exp_avg` and `NAME.exp_avg_sq`.
    ///
    /// # Errors
    /// When a tensor cannot be allocated.
    pub fn state(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut state = BTreeMap::new();
        for (trainable, moments) in self.trainables.iter().zip(&self.moments) {
            for (kind, values) in
                [("exp_avg", &moments.exp_avg), ("exp_avg_sq", &moments.exp_avg_sq)]
            {
                state.insert(
                    format!("{}.{kind}", trainable.name),
                    Tensor::from_slice(values, trainable.var.shape(), &Device::Cpu)?,
                );
            }
        }
        Ok(state)
    }

    /// Restores the moments returned by [`Self::state`] after `steps` updates.
    ///
    /// # Errors
    /// A description of the problem when the moments of a parameter are missing or have another
    /// shape.
    pub fn restore(
        &mut self,
        state: &BTreeMap<String, Tensor>,
        steps: u64,
    ) -> std::result::Result<(), String> {
        let read = |trainable: &Trainable, kind: &str| {
            let name = format!("{}.{kind}", trainable.name);
            let tensor = state.get(&name).ok_or_else(|| format!("`{name}` is missing"))?;
            if tensor.dims() != trainable.var.dims() {
                return Err(format!(
                    "`{name}` has shape {:?}, but the parameter has shape {:?}",
                    tensor.dims(),
                    trainable.var.dims()
                ));
            }
            tensor
                .flatten_all()
                .and_then(|flat| flat.to_vec1::<f32>())
                .map_err(|error| error.to_string())
        };
        let moments: std::result::Result<Vec<_>, String> = self
            .trainables
            .iter()
            .map(|trainable| {
                Ok(Moments {
                    exp_avg: read(trainable, "exp_avg")?,
                    exp_avg_sq: read(trainable, "exp_avg_sq")?,
                    previous: Vec::new(),
                })
            })
            .collect();
        self.moments = moments?;
        self.steps = steps;
        Ok(())
    }
}

fn coefficients(constants: &AdamW, step: u64, lr: f64, decay: bool, clip: f64) -> Coefficients {
    let power = i32::try_from(step).unwrap_or(i32::MAX);
    let weight_decay = if decay { constants.weight_decay } else { 0.0 };
    Coefficients {
        beta1: constants.beta1 as f32,
        rest1: (1.0 - constants.beta1) as f32,
        beta2: constants.beta2 as f32,
        rest2: (1.0 - constants.beta2) as f32,
        epsilon: constants.epsilon as f32,
        keep: (1.0 - lr * weight_decay) as f32,
        rate: (lr / (1.0 - constants.beta1.powi(power))) as f32,
        root: (1.0 - constants.beta2.powi(power)).sqrt() as f32,
        clip: clip as f32,
    }
}

/// The update of one parameter, as an in-place operation.
struct Update<'a> {
    moments: RefCell<&'a mut Moments>,
    coefficients: Coefficients,
}

impl Update<'_> {
    fn apply(&self, parameter: &mut [f32], gradient: &[f32]) {
        let moments = &mut **self.moments.borrow_mut();
        moments.previous.resize(parameter.len(), 0.0);
        let k = self.coefficients;
        let pieces = parameter
            .par_chunks_mut(PIECE)
            .zip(gradient.par_chunks(PIECE))
            .zip(moments.exp_avg.par_chunks_mut(PIECE))
            .zip(moments.exp_avg_sq.par_chunks_mut(PIECE))
            .zip(moments.previous.par_chunks_mut(PIECE));
        pieces.for_each(|((((parameter, gradient), exp_avg), exp_avg_sq), previous)| {
            previous.copy_from_slice(parameter);
            for (((p, g), m), v) in parameter.iter_mut().zip(gradient).zip(exp_avg).zip(exp_avg_sq)
            {
                let g = g * k.clip;
                *m = k.beta1 * *m + k.rest1 * g;
                *v = k.beta2 * *v + k.rest2 * g * g;
                *p = k.keep * *p - k.rate * *m / (v.sqrt() / k.root + k.epsilon);
            }
        });
    }

    /// Updates a parameter on another device through a copy in main memory.
    fn through_host(&self, trainable: &Trainable, gradient: &Tensor) -> Result<()> {
        let mut parameter = trainable.var.flatten_all()?.to_vec1::<f32>()?;
        self.apply(&mut parameter, &gradient.flatten_all()?.to_vec1::<f32>()?);
        trainable.var.set(&Tensor::from_vec(
            parameter,
            trainable.var.shape(),
            trainable.var.device(),
        )?)?;
        Ok(())
    }
}

impl InplaceOp2 for Update<'_> {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn cpu_fwd(
        &self,
        parameter: &mut CpuStorage,
        p_layout: &Layout,
        gradient: &CpuStorage,
        g_layout: &Layout,
    ) -> candle_core::Result<()> {
        let (CpuStorage::F32(parameter), CpuStorage::F32(gradient)) = (parameter, gradient) else {
            candle_core::bail!("adamw expects 32-bit parameters")
        };
        let (Some((p_start, p_end)), Some((g_start, g_end))) =
            (p_layout.contiguous_offsets(), g_layout.contiguous_offsets())
        else {
            candle_core::bail!("adamw expects contiguous parameters")
        };
        self.apply(&mut parameter[p_start..p_end], &gradient[g_start..g_end]);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
