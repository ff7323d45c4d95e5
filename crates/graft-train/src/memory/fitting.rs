//! Whether a run fits into the available memory, and with which batch size.

use graft_nn::Model;

use super::{Memory, Sizes};
use crate::device::device_of;
use crate::{LargestPass, Result, TrainError};

impl Memory {
    /// Checks that the run fits into `available` bytes on top of the loaded model.
    ///
    /// # Errors
    /// [`TrainError::WouldNotFit`], or [`TrainError::ValidationWouldNotFit`] when the training
    /// steps alone would fit.
    pub fn fits(&self, available: u64, sizes: &Sizes<'_>) -> Result<()> {
        if self.on_top() <= available {
            return Ok(());
        }
        let rows = sizes.rows;
        let tokens = sizes.tokens;
        let trained =
            Self::predict(&Sizes { validation: LargestPass::default(), ..*sizes }).on_top();
        if trained <= available {
            return Err(TrainError::ValidationWouldNotFit {
                needed: self.on_top(),
                available,
                trained,
            });
        }
        let recomputed = !sizes.recompute
            && Self::predict(&Sizes { recompute: true, ..*sizes }).on_top() <= available;
        let fitting = (1..rows)
            .rev()
            .find(|rows| Self::predict(&Sizes { rows: *rows, ..*sizes }).on_top() <= available);
        Err(TrainError::WouldNotFit {
            needed: self.on_top(),
            available,
            rows,
            tokens,
            fitting,
            recomputed,
        })
    }
}

/// Checks that a run fits into the available memory. On a GPU the prediction is a lower bound, because operations without their own kernel
/// there save more.
///
/// # Errors
/// [`TrainError::WouldNotFit`], [`TrainError::ValidationWouldNotFit`].
pub(crate) fn check(model: &dyn Model, sizes: &Sizes<'_>) -> Result<()> {
    let Some(available) = graft_nn::memory::left(&device_of(model)) else { return Ok(()) };
    Memory::predict(sizes).fits(available, sizes)
}

/// A batch size that fits into memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fitting {
    /// B: rows of the micro-batch.
    pub rows: usize,
    /// Tokens of the longest row.
    pub tokens: usize,
    /// Bytes needed on top of the model.
    pub needed: u64,
    /// Available bytes.
    pub available: u64,
}

/// The largest number of rows, at most `most`, that fits into nine tenths of `available` bytes: the
/// prediction may be off by a tenth.
///
/// # Errors
/// [`TrainError::WouldNotFit`] when a single row does not fit.
pub(crate) fn largest(sizes: &Sizes<'_>, most: usize, available: u64) -> Result<Fitting> {
    let on_top = |rows: usize| Memory::predict(&Sizes { rows, ..*sizes }).on_top();
    let budget = available / 10 * 9;
    let rows = (1..=most).rev().find(|rows| on_top(*rows) <= budget).unwrap_or(1);
    let sizes = Sizes { rows, ..*sizes };
    Memory::predict(&sizes).fits(budget, &sizes)?;
    Ok(fitting(&sizes, rows, available))
}

/// The memory of that many rows.
pub(crate) fn fitting(sizes: &Sizes<'_>, rows: usize, available: u64) -> Fitting {
    Fitting {
        rows,
        tokens: sizes.tokens,
        needed: Memory::predict(&Sizes { rows, ..*sizes }).on_top(),
        available,
    }
}
