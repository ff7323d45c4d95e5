//! AdaLoRA's rank allocation: a budget that decreases from `init_r` to `target_r` per layer, and an
//! importance score for every rank.
//!
//! The score of rank i is `S(E_i) + mean S(A_i,:) + mean S(B_:,i)` with `S = I U`: `I` is the
//! smoothed sensitivity `|w g|`, and `U` its smoothed uncertainty.
//!
//! # Source
//! Zhang et al. 2023, arXiv:2303.10512, section 3; HF PEFT's `RankAllocator`, with steps counted
//! from 1.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use graft_nn::{DType, NnError, Result, Tensor, TrainingHook, Var};
use serde_json::{Map, Value};

use super::is_allocated;
use crate::{PeftError, config_file::ConfigFile, method::Export};

/// The matrices of one layer.
#[derive(Clone, Debug)]
pub(super) struct Triplet {
    pub(super) path: String,
    pub(super) a: Var,
    pub(super) b: Var,
    pub(super) e: Var,
}

impl Triplet {
    fn key(&self, matrix: &str) -> String {
        format!("base_model.model.{}.{matrix}", self.path)
    }

    fn matrices(&self) -> [(String, &Var); 3] {
        [
            (self.key("lora_A"), &self.a),
            (self.key("lora_B"), &self.b),
            (self.key("lora_E"), &self.e),
        ]
    }

    /// Sets the factors of the pruned ranks to zero.
    fn mask(&self, remaining: &[bool]) -> Result<()> {
        let mask: Vec<f32> =
            remaining.iter().map(|remaining| f32::from(u8::from(*remaining))).collect();
        let mask = Tensor::from_vec(mask, (remaining.len(), 1), self.e.device())?;
        Ok(self.e.set(&(self.e.as_detached_tensor() * mask)?)?)
    }
}

/// The schedule of the pruning.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    init_r: usize,
    target_r: usize,
    tinit: u64,
    tfinal: u64,
    delta: u64,
    betas: (f64, f64),
    orthogonality: f64,
    /// Whether the allocation in a file is final.
    done: bool,
}

impl Schedule {
    /// Reads the fields.
    ///
    /// # Errors
    /// [`PeftError::Malformed`].
    pub(super) fn read(
        config: &ConfigFile,
        init_r: usize,
        target_r: usize,
    ) -> std::result::Result<Self, PeftError> {
        let steps = |name: &str| {
            config
                .get(name)
                .and_then(Value::as_u64)
                .ok_or_else(|| config.invalid(name, "a number of steps"))
        };
        let (tinit, tfinal, delta) = (steps("tinit")?, steps("tfinal")?, steps("deltaT")?.max(1));
        let betas = (config.probability("beta1")?, config.probability("beta2")?);
        Ok(Self {
            init_r,
            target_r,
            tinit,
            tfinal,
            delta,
            betas,
            orthogonality: config.number("orth_reg_weight")?,
            done: is_allocated(config),
        })
    }

    /// The number of ranks that may remain in all `layers` after `step` of `total`; it decreases
    /// with the third power. `None` if nothing is pruned in this step.
    fn budget(&self, step: u64, total: u64, layers: usize) -> Option<usize> {
        let (first, last) = (self.init_r * layers, self.target_r * layers);
        if step <= self.tinit || (step < total - self.tfinal && !step.is_multiple_of(self.delta)) {
            return None;
        }
        let left = 1.0 - (step - self.tinit) as f64 / (total - self.tfinal - self.tinit) as f64;
        // A file may have a larger target than its initial rank: then nothing is pruned.
        Some((first.saturating_sub(last) as f64 * left.max(0.0).powi(3) + last as f64) as usize)
    }
}

/// The allocator of one adapter.
pub(super) struct Allocator {
    layers: Vec<Triplet>,
    schedule: Schedule,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    /// Number of steps of the training run; 0 before the first.
    total: u64,
    /// Sensitivity and uncertainty, by the key of the matrix.
    scores: BTreeMap<String, (Tensor, Tensor)>,
    /// For each layer, which ranks remain; `None` before the first pruning.
    remaining: Option<Vec<Vec<bool>>>,
}

impl Allocator {
    pub(super) fn new(layers: Vec<Triplet>, schedule: Schedule) -> Self {
        Self { layers, schedule, progress: Mutex::new(Progress::default()) }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        // Scores are replaced one by one, and each replacement is atomic.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Updates the smoothed sensitivity `|w g|` and its uncertainty.
    fn update(&self, progress: &mut Progress, gradients: &BTreeMap<&str, &Tensor>) -> Result<()> {
        let (beta1, beta2) = self.schedule.betas;
        for (key, var) in self.layers.iter().flat_map(Triplet::matrices) {
            let Some(gradient) = gradients.get(key.as_str()) else { continue };
            let importance = (var.as_detached_tensor() * gradient.detach())?.abs()?;
            let zero = importance.zeros_like()?;
            let (sensitivity, uncertainty) =
                progress.scores.get(&key).cloned().unwrap_or((zero.clone(), zero));
            let sensitivity = ((sensitivity * beta1)? + (&importance * (1.0 - beta1))?)?;
            let uncertainty =
                ((uncertainty * beta2)? + ((importance - &sensitivity)?.abs()? * (1.0 - beta2))?)?;
            progress.scores.insert(key, (sensitivity, uncertainty));
        }
        Ok(())
    }

    /// The score of every rank of every layer.
    fn scores(&self, progress: &Progress) -> Result<Vec<Vec<f32>>> {
        let of_layer = |layer: &Triplet| -> Result<Vec<f32>> {
            let product = |matrix: &str| match progress.scores.get(&layer.key(matrix)) {
                Some((sensitivity, uncertainty)) => {
                    Ok::<_, NnError>(Some((sensitivity * uncertainty)?))
                }
                None => Ok(None),
            };
            let (Some(a), Some(b), Some(e)) =
                (product("lora_A")?, product("lora_B")?, product("lora_E")?)
            else {
                return Ok(vec![0.0; layer.e.elem_count()]);
            };
            Ok((e.flatten_all()? + (a.mean(1)? + b.mean(0)?)?)?.to_vec1()?) // (R)
        };
        self.layers.iter().map(of_layer).collect()
    }

    /// Prunes all but the `budget` best ranks.
    fn cut(&self, progress: &mut Progress, budget: usize) -> Result<()> {
        let scores = self.scores(progress)?;
        let mut all: Vec<f32> = scores.concat();
        let Some(last) = all.len().checked_sub(budget + 1) else { return Ok(()) };
        all.sort_unstable_by(f32::total_cmp);
        let remaining: Vec<Vec<bool>> = scores
            .iter()
            .map(|scores| scores.iter().map(|score| *score > all[last]).collect())
            .collect();
        self.layers
            .iter()
            .zip(&remaining)
            .try_for_each(|(layer, remaining)| layer.mask(remaining))?;
        progress.remaining = Some(remaining);
        Ok(())
    }
}

impl TrainingHook for Allocator {
    fn start(&self, steps: u64) -> Result<()> {
        let Schedule { tinit, tfinal, done, .. } = self.schedule;
        if !done && tinit + tfinal >= steps {
            return Err(NnError::Schedule {
                what: format!("tinit={tinit} and tfinal={tfinal}"),
                steps,
            });
        }
        self.progress().total = steps;
        Ok(())
    }

    /// The mean of `‖P Pᵀ - I‖` over all A and B, weighted.
    fn penalty(&self) -> Result<Tensor> {
        let mut sum = Tensor::zeros((), DType::F32, self.layers[0].a.device())?;
        for layer in &self.layers {
            let (a, b) = (layer.a.as_tensor(), layer.b.as_tensor());
            let identity = Tensor::eye(layer.e.elem_count(), DType::F32, a.device())?; // (R, R)
            for square in [a.matmul(&a.t()?.contiguous()?)?, b.t()?.contiguous()?.matmul(b)?] {
                sum = (sum + (square - &identity)?.sqr()?.sum_all()?.sqrt()?)?;
            }
        }
        Ok((sum * (self.schedule.orthogonality / (2 * self.layers.len()) as f64))?)
    }

    fn after_step(&self, step: u64, gradients: &BTreeMap<&str, &Tensor>) -> Result<()> {
        let mut progress = self.progress();
        let last = progress.total.saturating_sub(self.schedule.tfinal);
        if self.schedule.done {
            return Ok(());
        }
        if step < last {
            self.update(&mut progress, gradients)?;
        }
        if step > last {
            let remaining = progress.remaining.clone().unwrap_or_default();
            return self
                .layers
                .iter()
                .zip(&remaining)
                .try_for_each(|(layer, remaining)| layer.mask(remaining));
        }
        let total = progress.total;
        match self.schedule.budget(step, total, self.layers.len()) {
            Some(budget) => self.cut(&mut progress, budget),
            None => Ok(()),
        }
    }

    fn state(&self) -> BTreeMap<String, Tensor> {
        let progress = self.progress();
        let mut state = BTreeMap::new();
        for (key, (sensitivity, uncertainty)) in &progress.scores {
            state.insert(format!("sensitivity.{key}"), sensitivity.clone());
            state.insert(format!("uncertainty.{key}"), uncertainty.clone());
        }
        for (layer, remaining) in self.layers.iter().zip(progress.remaining.iter().flatten()) {
            let remaining: Vec<f32> =
                remaining.iter().map(|remaining| f32::from(u8::from(*remaining))).collect();
            if let Ok(remaining) = Tensor::new(remaining, layer.e.device()) {
                state.insert(format!("kept.{}", layer.path), remaining);
            }
        }
        state
    }

    fn restore(&self, state: &BTreeMap<String, Tensor>) -> Result<()> {
        let mut progress = self.progress();
        progress.scores.clear();
        for (key, var) in self.layers.iter().flat_map(Triplet::matrices) {
            if let (Some(sensitivity), Some(uncertainty)) =
                (state.get(&format!("sensitivity.{key}")), state.get(&format!("uncertainty.{key}")))
            {
                let pair =
                    (sensitivity.to_device(var.device())?, uncertainty.to_device(var.device())?);
                progress.scores.insert(key, pair);
            }
        }
        let remaining = |layer: &Triplet| -> Result<Option<Vec<bool>>> {
            let Some(remaining) = state.get(&format!("kept.{}", layer.path)) else {
                return Ok(None);
            };
            Ok(Some(
                remaining.to_vec1::<f32>()?.into_iter().map(|remaining| remaining > 0.0).collect(),
            ))
        };
        progress.remaining =
            self.layers.iter().map(remaining).collect::<Result<Option<Vec<_>>>>()?;
        Ok(())
    }
}

impl Export for Allocator {
    /// HF PEFT writes the remaining ranks and a mask of them. It requires `total_step` when it
    /// reads the file.
    fn export(
        &self,
        config: &mut ConfigFile,
        state: &mut BTreeMap<String, Tensor>,
    ) -> std::result::Result<(), PeftError> {
        let progress = self.progress();
        let Schedule { tinit, tfinal, .. } = self.schedule;
        if progress.total > 0 || config.get("total_step").is_none() {
            config.set("total_step", progress.total.max(tinit + tfinal + 1).into());
        }
        let Some(remaining) = &progress.remaining else { return Ok(()) };
        let mut pattern = Map::new();
        for (layer, remaining) in self.layers.iter().zip(remaining) {
            // A layer without remaining ranks keeps its first, which is zero, because many readers
            // do not accept empty matrices.
            let remaining: Vec<bool> = remaining
                .iter()
                .enumerate()
                .map(|(rank, remains)| *remains || (rank == 0 && !remaining.contains(&true)))
                .collect();
            let ranks: Vec<u32> = (0..)
                .zip(&remaining)
                .filter(|(_, remaining)| **remaining)
                .map(|(rank, _)| rank)
                .collect();
            let ranks = Tensor::new(ranks, layer.e.device())?;
            for (key, dimension) in
                [(layer.key("lora_A"), 0), (layer.key("lora_B"), 1), (layer.key("lora_E"), 0)]
            {
                if let Some(tensor) = state.get_mut(&key) {
                    *tensor = tensor.index_select(&ranks, dimension)?.contiguous()?;
                }
            }
            pattern.insert(format!("{}.lora_E", layer.path), remaining.into());
        }
        config.set("rank_pattern", Value::Object(pattern));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
