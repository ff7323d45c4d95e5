//! Dropout of the LyCORIS methods: of single outputs of an update, or of the whole update of a
//! layer.

use graft_nn::{Context, Linear, Result, Tensor};

use crate::{PeftError, config_file::ConfigFile};

/// `rank_dropout` and `module_dropout`; both apply only in training.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UpdateDropout {
    /// Probability of dropping an output of the update.
    rank: f64,
    /// Whether the remaining outputs are scaled up to the same sum.
    rank_scale: bool,
    /// Probability of dropping the whole update.
    module: f64,
}

impl UpdateDropout {
    /// Reads the fields.
    ///
    /// # Errors
    /// [`PeftError::Malformed`].
    pub(crate) fn read(config: &ConfigFile) -> std::result::Result<Self, PeftError> {
        let (rank, module) =
            (config.probability("rank_dropout")?, config.probability("module_dropout")?);
        Ok(Self { rank, rank_scale: config.flag("rank_dropout_scale"), module })
    }

    /// Adds the update that `change` computes to the output of the base layer, except for what is
    /// dropped.
    ///
    /// # Shapes
    /// `x: (.., d_in)`; returns `(.., d_out)`
    /// # Errors
    /// Returns an error if a candle operation fails.
    pub(crate) fn add(
        &self,
        base: &Linear,
        x: &Tensor,
        cx: &Context,
        change: impl FnOnce() -> Result<Tensor>,
    ) -> Result<Tensor> {
        let y = base.base_forward(x)?;
        let is_active = |factor: f32| factor > 0.0;
        if cx
            .mask(&format!("{} module", base.path()), self.module)
            .is_some_and(|mask| !mask.factors(1).into_iter().all(is_active))
        {
            return Ok(y);
        }
        let change = change()?;
        let Some(mask) = cx.mask(&format!("{} rank", base.path()), self.rank) else {
            return Ok((y + change)?);
        };
        let active: Vec<f32> = mask
            .factors(base.d_out())
            .into_iter()
            .map(|factor| f32::from(u8::from(is_active(factor))))
            .collect();
        let mean = active.iter().sum::<f32>() / active.len() as f32;
        let scale = if self.rank_scale && mean > 0.0 { 1.0 / f64::from(mean) } else { 1.0 };
        let active = (Tensor::from_vec(active, base.d_out(), x.device())? * scale)?
            .to_dtype(change.dtype())?; // (d_out)
        Ok((y + change.broadcast_mul(&active)?)?)
    }
}
