//! The interface of prefix tuning: trained keys and values in front of those of the input.

use crate::{Context, Result, Tensor};

/// Trained keys and values in front of those of the tokens.
pub trait Prefix: Send + Sync {
    /// Keys and values of each block, (P, K*D) twice, as attention uses them: keys are not turned by their positions.
    ///
    /// # Errors
    /// What candle says.
    fn keys_values(&self, cx: &Context) -> Result<Vec<(Tensor, Tensor)>>;

    /// P: how many positions it takes.
    fn len(&self) -> usize;

    /// Whether it takes none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
