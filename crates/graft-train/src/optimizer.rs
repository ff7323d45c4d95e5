//! Optimizers with explicit state, which can be saved, restored and undone by one step.

mod adafactor;
mod adamw;
mod adamw_8bit;
mod config;
mod lion;
mod rule;
mod sgd;

use std::cell::RefCell;
use std::collections::BTreeMap;

use candle_core::{CpuStorage, InplaceOp2, Layout};
use graft_nn::{Device, Tensor, Trainable};

use crate::Result;
use rule::{Rule, SavedState, Scalars};

pub use config::{OptimizerConfig, OptimizerKind};

/// An optimizer and its state for a list of parameters.
///
/// Each parameter is updated in one pass. The state is in main memory, whatever the device of the
/// parameter. The formulas are those of [`OptimizerKind`]'s variants.
#[derive(Debug)]
pub struct Optimizer {
    config: OptimizerConfig,
    trainables: Vec<Trainable>,
    states: Vec<ParameterState>,
    steps: u64,
}

#[derive(Debug)]
struct ParameterState {
    rule: Box<dyn Rule>,
    /// The parameter before the last update; empty before the first one.
    previous: Vec<f32>,
}

/// Elements updated by one task: enough to pay for starting it.
const PIECE: usize = 1 << 16;

impl Optimizer {
    /// An optimizer before its first update.
    pub fn new(config: OptimizerConfig, trainables: Vec<Trainable>) -> Self {
        let state = |trainable: &Trainable| ParameterState {
            rule: config.kind.rule(trainable.var.dims()),
            previous: Vec::new(),
        };
        let states = trainables.iter().map(state).collect();
        Self { config, trainables, states, steps: 0 }
    }

    /// The constants.
    pub fn config(&self) -> &OptimizerConfig {
        &self.config
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
        let updates = self.trainables.iter().zip(&mut self.states).zip(gradients);
        for ((trainable, state), gradient) in updates {
            let scalars = Scalars {
                config: self.config,
                step: self.steps,
                lr: lr * trainable.lr_scale,
                weight_decay: if trainable.decay { self.config.weight_decay } else { 0.0 },
                clip: clip as f32,
            };
            let gradient = gradient.contiguous()?;
            let update = Update { state: RefCell::new(state), scalars };
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
        for (trainable, state) in self.trainables.iter().zip(&self.states) {
            if !state.previous.is_empty() {
                trainable.var.set(&Tensor::from_slice(
                    &state.previous,
                    trainable.var.shape(),
                    trainable.var.device(),
                )?)?;
            }
        }
        Ok(self.states.iter().any(|state| !state.previous.is_empty()))
    }

    /// The state as tensors, such as `NAME.exp_avg` and `NAME.exp_avg_sq`.
    ///
    /// # Errors
    /// When a tensor cannot be allocated.
    pub fn state(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut tensors = BTreeMap::new();
        for (trainable, state) in self.trainables.iter().zip(&self.states) {
            for (kind, tensor) in state.rule.tensors()? {
                tensors.insert(format!("{}.{kind}", trainable.name), tensor);
            }
        }
        Ok(tensors)
    }

    /// Restores the state returned by [`Self::state`] after `steps` updates.
    ///
    /// # Errors
    /// A description of the problem when the state of a parameter is missing or has another shape;
    /// the optimizer is then unchanged.
    pub fn restore(
        &mut self,
        tensors: &BTreeMap<String, Tensor>,
        steps: u64,
    ) -> std::result::Result<(), String> {
        let restored = |trainable: &Trainable| {
            let mut rule = self.config.kind.rule(trainable.var.dims());
            rule.restore(&SavedState { tensors, name: &trainable.name })?;
            Ok(ParameterState { rule, previous: Vec::new() })
        };
        let states: std::result::Result<Vec<_>, String> =
            self.trainables.iter().map(restored).collect();
        self.states = states?;
        self.steps = steps;
        Ok(())
    }
}

/// The update of one parameter, as an in-place operation.
struct Update<'a> {
    state: RefCell<&'a mut ParameterState>,
    scalars: Scalars,
}

impl Update<'_> {
    fn apply(&self, parameter: &mut [f32], gradient: &[f32]) {
        let state = &mut **self.state.borrow_mut();
        state.previous.clear();
        state.previous.extend_from_slice(parameter);
        state.rule.update(parameter, gradient, &self.scalars);
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
        "optimizer-step"
    }

    fn cpu_fwd(
        &self,
        parameter: &mut CpuStorage,
        p_layout: &Layout,
        gradient: &CpuStorage,
        g_layout: &Layout,
    ) -> candle_core::Result<()> {
        let (CpuStorage::F32(parameter), CpuStorage::F32(gradient)) = (parameter, gradient) else {
            candle_core::bail!("an optimizer expects 32-bit parameters")
        };
        let (Some((p_start, p_end)), Some((g_start, g_end))) =
            (p_layout.contiguous_offsets(), g_layout.contiguous_offsets())
        else {
            candle_core::bail!("an optimizer expects contiguous parameters")
        };
        self.apply(&mut parameter[p_start..p_end], &gradient[g_start..g_end]);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
