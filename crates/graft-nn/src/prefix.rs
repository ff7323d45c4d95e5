//! The interface of prefix tuning: trained keys and values in front of those of the input.

use crate::{Context, Result, Tensor};

/// Trained keys and values in front of those of the tokens, in every block (prefix tuning).
///
/// # Source
/// Li and Liang 2021, arXiv:2101.00190
pub trait Prefix: Send + Sync {
    /// Keys and values of each block, both (P, K*D), as attention uses them: no rotary embedding is
    /// applied to the keys.
    ///
    /// # Errors
    /// Returns an error if the underlying candle operation fails.
    fn keys_values(&self, cx: &Context) -> Result<Vec<(Tensor, Tensor)>>;

    /// P: number of virtual tokens.
    fn len(&self) -> usize;

    /// Whether it has zero virtual tokens.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
