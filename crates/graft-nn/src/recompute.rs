//! Gradient checkpointing: the activations of a block are recomputed in the backward pass instead
//! of being saved.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp2, Layout, Shape};

use crate::{DType, Device, Result, Tensor, Trainable, Var};

/// A block as a function of its input alone.
type Block = Box<dyn Fn(&Tensor) -> Result<Tensor> + Send + Sync>;

/// Gradient checkpointing of one pass: collects the gradients of the parameters inside recomputed
/// blocks, which are not part of the outer graph.
///
/// # Mathematics
/// For `y = f(x, θ)` with the incoming gradient `g`, the backward pass builds the graph of f again
/// and computes the gradients of `Σ g ∘ f(x, θ)`, which equal those of the loss. Only x is saved
/// per block, and its forward pass runs twice. Dropout masks depend on counters, so both runs are
/// identical.
/// # Source
/// Chen et al. 2016, arXiv:1604.06174
#[derive(Debug)]
pub struct Recompute {
    wanted: Vec<Var>,
    /// One entry per wanted parameter.
    found: Mutex<Vec<Option<Tensor>>>,
    /// A variable that makes candle compute the backward pass of a block even if its input is not
    /// in the graph.
    trained: Var,
}

impl Recompute {
    /// Gradient checkpointing for one pass that trains these parameters.
    ///
    /// # Errors
    /// Returns an error if the underlying candle operation fails.
    pub fn new(wanted: &[Trainable]) -> Result<Self> {
        let wanted: Vec<Var> = wanted.iter().map(|trainable| trainable.var.clone()).collect();
        let found = Mutex::new(vec![None; wanted.len()]);
        Ok(Self { wanted, found, trained: Var::zeros(1, DType::F32, &Device::Cpu)? })
    }

    /// The output of the block; only `x` is saved for the backward pass. On devices other than the
    /// CPU the block runs without checkpointing.
    ///
    /// # Errors
    /// The errors of the block.
    pub(crate) fn run_block(
        self: &Arc<Self>,
        x: &Tensor,
        block: impl Fn(&Tensor) -> Result<Tensor> + Send + Sync + 'static,
    ) -> Result<Tensor> {
        if !x.device().is_cpu() || x.dtype() != DType::F32 {
            return block(x);
        }
        let y = block(&x.detach())?.detach();
        let op =
            RecomputedBlock { y: Mutex::new(Some(y)), block: Box::new(block), owner: self.clone() };
        Ok(x.contiguous()?.apply_op2(self.trained.as_tensor(), op)?)
    }

    /// The gradients from the blocks, in the order of the parameters; `None` for a parameter that
    /// is in no block.
    pub(crate) fn take(&self) -> Vec<Option<Tensor>> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *found, vec![None; self.wanted.len()])
    }

    fn add(&self, store: &mut candle_core::backprop::GradStore) -> candle_core::Result<()> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        for (var, found) in self.wanted.iter().zip(found.iter_mut()) {
            let Some(gradient) = store.remove(var.as_tensor()) else { continue };
            let gradient = gradient.detach();
            *found = Some(match found.take() {
                None => gradient,
                Some(before) => (before + gradient)?,
            });
        }
        Ok(())
    }
}

struct RecomputedBlock {
    /// The output, until the forward pass takes it.
    y: Mutex<Option<Tensor>>,
    block: Block,
    owner: Arc<Recompute>,
}

impl CustomOp2 for RecomputedBlock {
    fn name(&self) -> &'static str {
        "recomputed block"
    }

    fn cpu_fwd(
        &self,
        _x: &CpuStorage,
        _: &Layout,
        _trained: &CpuStorage,
        _: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let y = self.y.lock().unwrap_or_else(PoisonError::into_inner).take();
        let y = y.ok_or_else(|| {
            candle_core::Error::Msg("the forward pass of a recomputed block ran twice".to_owned())
        })?;
        Ok((CpuStorage::F32(y.flatten_all()?.to_vec1()?), y.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        _trained: &Tensor,
        _y: &Tensor,
        g: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let input = Var::from_tensor(&x.detach())?;
        let y = (self.block)(input.as_tensor())?;
        let mut store = (y * g)?.sum_all()?.backward()?;
        self.owner.add(&mut store)?;
        Ok((store.remove(input.as_tensor()).filter(|_| x.track_op()), None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Rng, gradients, gradients_through, ops};

    fn var(name: &str, shape: &[usize]) -> Var {
        let values = Rng::new(1).stream(name, "").normal(0.0, 0.5, shape.iter().product());
        Var::from_tensor(&Tensor::from_vec(values, shape, &Device::Cpu).expect("a tensor"))
            .expect("a variable")
    }

    fn flat(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten_all().and_then(|flat| flat.to_vec1()).expect("values")
    }

    /// Two blocks that share a weight, after an input without parameters; one parameter outside of
    /// them.
    #[test]
    fn recomputed_gradients_equal_those_of_saved_blocks() {
        let (first, shared, outside) =
            (var("first", &[6, 5]), var("shared", &[5, 6]), var("outside", &[2, 5]));
        let x = var("x", &[3, 5]).as_tensor().detach();
        let wanted = [("first", &first), ("shared", &shared), ("outside", &outside)]
            .map(|(name, var)| Trainable::new(name, var.clone()));
        let loss = |recompute: Option<&Arc<Recompute>>| {
            let through = |x: &Tensor, var: &Var, other: &Var| {
                let (var, other) = (var.clone(), other.clone());
                let block = move |x: &Tensor| {
                    Ok((x + ops::linear(
                        &ops::linear(x, var.as_tensor())?.tanh()?,
                        other.as_tensor(),
                    )?)?)
                };
                recompute
                    .map_or_else(|| block(x), |recompute| recompute.run_block(x, block.clone()))
                    .expect("a block")
            };
            let x = through(&through(&x, &first, &shared), &first, &shared);
            ops::linear(&x, outside.as_tensor())
                .and_then(|y| Ok(y.sqr()?.sum_all()?))
                .expect("a loss")
        };
        let saved = gradients(&loss(None), &wanted).expect("gradients");
        let recompute = Arc::new(Recompute::new(&wanted).expect("a store"));
        let again = gradients_through(&loss(Some(&recompute)), &wanted, Some(&recompute))
            .expect("gradients");
        for (saved, again) in saved.iter().zip(&again) {
            assert!(
                flat(saved)
                    .iter()
                    .zip(flat(again))
                    .all(|(one, other)| (one - other).abs() <= 1e-5 * (1.0 + one.abs())),
                "{saved} {again}"
            );
        }
    }
}
