//! How much memory a training takes, from sizes alone, before it starts.

mod model_sizes;

use graft_nn::{Model, ModelShape, SavedActivations, Trainable};

use crate::LargestPass;
use crate::batch::{Batch, MAX_SPLIT_PARAMETERS};
use crate::device::device_of;
use crate::{Result, TrainError};

pub(crate) use model_sizes::of_training;
pub use model_sizes::{of_model, packed, predicted, predicted_with};

/// Bytes of one 32-bit number.
const FLOAT: u64 = 4;

/// Logits that exist at one time; graft-nn's head takes that many.
const LOGITS: u64 = 1 << 21;

/// What a thread takes for the packed panels of a product, its stack and the allocator's store.
const THREAD: u64 = 2 << 20;

/// Vectors of C for each position beside a block that is computed again: its input as a variable, its output and the product that starts its own
/// backward pass, their gradients, and candle's sums. Measured at C 256 and 768 as 9.2 and 9.7.
const COMPUTED_AGAIN: u64 = 9;

/// What decides the memory of a training.
#[derive(Clone, Copy, Debug)]
pub struct Sizes<'a> {
    /// The model.
    pub shape: &'a ModelShape,
    /// Its parameters.
    pub parameters: u64,
    /// Bytes in which they are kept while frozen.
    pub kept: u64,
    /// Bytes of the largest weight that a product has to widen to 32 bits first; 0 when they are kept so.
    pub widened: u64,
    /// Numbers that are trained beside the model's own; 0 in full fine-tuning.
    pub added: u64,
    /// Numbers of the model that are trained themselves.
    pub opened: u64,
    /// B: rows of a micro-batch.
    pub rows: usize,
    /// P+T: positions of a row.
    pub tokens: usize,
    /// What adapters and biases keep beside the layers.
    pub adapters: SavedActivations,
    /// Blocks in front of everything that is trained: nothing of them is kept.
    pub untouched: usize,
    /// Whether blocks are computed again for the backward pass.
    pub recompute: bool,
    /// Threads that pass pieces of a batch through the model; 0 where a batch passes whole, as on a card.
    pub threads: usize,
    /// The largest pass of its validations; all zero where none is made.
    pub validation: LargestPass,
    /// Whether something is trained inside the blocks' layers, so that a pass keeps what a block computes until its end.
    pub inside_blocks: bool,
    /// Numbers per position that adapters between attention and the feed-forward part keep while the latter is computed.
    pub before_feed_forward: usize,
}

/// The parts of a training's memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// The model and what is added to it.
    pub weights: u64,
    /// One number for each that is trained.
    pub gradients: u64,
    /// AdamW's two moments, and the parameters of the step before, to which a failed step goes back.
    pub optimizer: u64,
    /// What the forward pass keeps for the backward pass.
    pub activations: u64,
    /// The most that lives for a moment: gradients inside a block, a piece of the logits, a half-precision weight that was widened; or what a validation
    /// takes, where that is more than a step.
    pub temporary: u64,
}

impl Memory {
    /// Predicts the memory of one step.
    ///
    /// A block keeps, for each of the N = B (P+T) positions, six vectors of C (both norms, both sums, both branches), three of `H*D` (queries before and
    /// after the rotation, what attention gives), three of `K*D`, and three of F (two where there is no gate). Attention's shares and the logits are not
    /// kept. What biases and adapters keep comes from the layers themselves ([`Kept`]). A batch is divided ([`Batch::pieces`]), and only the pieces that
    /// are under way count. Measured, every method is within a tenth of it (graft-bench's test `memory`).
    pub fn predict(sizes: &Sizes<'_>) -> Self {
        let Sizes { shape, parameters, kept, added, opened, .. } = *sizes;
        let trained = added + opened;
        let (pieces, at_once) = under_way(sizes);
        // Of the last row of a piece that has one more than another nothing is spared.
        let positions = (at_once * sizes.rows.div_ceil(pieces) * sizes.tokens) as u64;
        let [hidden, wide, vocab] =
            [shape.hidden, shape.intermediate, shape.vocab].map(|size| size as u64);
        let block = of_block(shape);
        // With blocks that are computed again only their inputs are kept, and one block at a time.
        let blocks = (shape.layers - sizes.untouched.min(shape.layers)) as u64;
        let [per_position, per_pass] =
            [sizes.adapters.per_position, sizes.adapters.per_pass].map(|numbers| numbers as u64);
        let kept_of_blocks = if sizes.recompute {
            (blocks + COMPUTED_AGAIN) * hidden + block + per_position / blocks.max(1)
        } else {
            blocks * block + per_position
        };
        let per_pass = if sizes.recompute { per_pass / blocks.max(1) } else { per_pass };
        // A weight that is trained is kept in 32-bit numbers.
        let weights = kept - share(kept, opened, parameters) + trained * FLOAT;
        // Inside a feed-forward part: the gradients of its three values, and one of them twice while candle adds; the two sums above it.
        let backward = positions * (5 * wide + 2 * hidden) * FLOAT;
        let logits = (LOGITS.max(64 * vocab) * at_once as u64).min(positions * vocab) * FLOAT;
        // Each piece that is under way ends with a gradient of its own, beside the sums of those before it, one for each doubling.
        let gradients = if pieces > 1 {
            at_once * (1 + pieces.div_ceil(at_once).next_power_of_two().ilog2() as usize)
        } else {
            1
        };
        let at_the_end = at_once as u64 * sizes.adapters.at_the_end as u64 * FLOAT;
        let step = backward.max(logits).max(at_the_end)
            + (gradients as u64 - 1) * trained * FLOAT
            + at_once as u64 * (sizes.widened + THREAD);
        let activations =
            (positions * (kept_of_blocks + 2 * hidden) + at_once as u64 * per_pass) * FLOAT;
        // A validation runs between two steps: their gradients and activations are not there then.
        let beyond = Self::of_validation(sizes).saturating_sub(trained * FLOAT + activations);
        Self {
            weights,
            gradients: trained * FLOAT,
            optimizer: 3 * trained * FLOAT,
            activations,
            temporary: step.max(beyond),
        }
    }

    /// What the largest pass of a validation takes, on every thread: one block, whose activations are freed behind it, and then the logits that are read,
    /// as they come from the head and as numbers to look up. Measured, every method is within a tenth of it (graft-bench's test `memory`).
    pub fn of_validation(sizes: &Sizes<'_>) -> u64 {
        let LargestPass { positions, read, passes } = sizes.validation;
        if positions == 0 {
            return 0;
        }
        let (shape, [positions, read]) = (sizes.shape, [positions, read].map(|count| count as u64));
        let at_once =
            if passes > 1 && passes >= sizes.threads { sizes.threads.max(1) } else { 1 } as u64;
        let [hidden, vocab] = [shape.hidden, shape.vocab].map(|size| size as u64);
        let of_adapters = sizes.adapters.per_position as u64 / shape.layers.max(1) as u64;
        // Where nothing inside is trained, candle's graph has nothing to keep: the peak is in the feed-forward part, on top of what an adapter
        // before it has saved in this block.
        let in_block = if sizes.inside_blocks {
            of_block(shape) + 3 * hidden + of_adapters
        } else {
            (feeds(shape) + 2) * shape.intermediate as u64
                + 4 * hidden
                + sizes.before_feed_forward as u64 / shape.layers.max(1) as u64
        };
        let block =
            positions * in_block + sizes.adapters.per_pass as u64 / shape.layers.max(1) as u64;
        let logits = positions * hidden + read * (hidden + 2 * vocab);
        at_once * (block.max(logits) * FLOAT + sizes.widened + THREAD)
    }

    /// Everything together.
    pub fn total(&self) -> u64 {
        self.parts().iter().map(|(_, bytes)| bytes).sum()
    }

    /// The parts with their names.
    pub fn parts(&self) -> [(&'static str, u64); 5] {
        [
            ("weights", self.weights),
            ("gradients", self.gradients),
            ("optimizer states", self.optimizer),
            ("activations", self.activations),
            ("temporary", self.temporary),
        ]
    }

    /// What comes on top of the loaded model.
    pub fn on_top(&self) -> u64 {
        self.total() - self.weights
    }

    /// Refuses a training that would not fit into `available` bytes, the model being there already.
    ///
    /// # Errors
    /// [`TrainError::WouldNotFit`], and [`TrainError::ValidationWouldNotFit`] where the steps alone would.
    pub fn fits(&self, available: u64, sizes: &Sizes<'_>) -> Result<()> {
        if self.on_top() <= available {
            return Ok(());
        }
        let (rows, tokens) = (sizes.rows, sizes.tokens);
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

/// Refuses a training of `trainables` whose batches have `rows` rows of at most `tokens` tokens, when the machine has not the memory. On a card what is
/// counted is the least that it takes: operations that have no kernel of their own there keep more.
///
/// # Errors
/// [`TrainError::WouldNotFit`].
pub(crate) fn check(
    model: &dyn Model,
    trainables: &[Trainable],
    (rows, tokens): (usize, usize),
    recompute: bool,
    validation: LargestPass,
) -> Result<()> {
    let Some(available) = graft_nn::memory::left(&device_of(model)) else { return Ok(()) };
    let sizes = Sizes { rows, validation, ..of_training(model, trainables, tokens, recompute) };
    Memory::predict(&sizes).fits(available, &sizes)
}

/// A micro-batch that fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fitting {
    /// B: its rows.
    pub rows: usize,
    /// Tokens of the longest.
    pub tokens: usize,
    /// Bytes that it takes beside the model.
    pub needed: u64,
    /// Bytes that are left.
    pub available: u64,
}

/// The most rows of `tokens` tokens, at most `most`, that fit into nine tenths of `available` bytes: a prediction may be off by the tenth.
///
/// # Errors
/// [`TrainError::WouldNotFit`] when one row is too much.
pub(crate) fn largest(sizes: &Sizes<'_>, most: usize, available: u64) -> Result<Fitting> {
    let on_top = |rows: usize| Memory::predict(&Sizes { rows, ..*sizes }).on_top();
    let budget = available / 10 * 9;
    let rows = (1..=most).rev().find(|rows| on_top(*rows) <= budget).unwrap_or(1);
    let sizes = Sizes { rows, ..*sizes };
    Memory::predict(&sizes).fits(budget, &sizes)?;
    Ok(fitting(&sizes, rows, available))
}

/// What is said of that many rows.
pub(crate) fn fitting(sizes: &Sizes<'_>, rows: usize, available: u64) -> Fitting {
    Fitting {
        rows,
        tokens: sizes.tokens,
        needed: Memory::predict(&Sizes { rows, ..*sizes }).on_top(),
        available,
    }
}

/// Numbers that a block computes for each position, without its adapters.
fn of_block(shape: &ModelShape) -> u64 {
    let [hidden, queries, keys, wide] = [
        shape.hidden,
        shape.heads * shape.head_dim,
        shape.kv_heads * shape.head_dim,
        shape.intermediate,
    ]
    .map(|size| size as u64);
    6 * hidden + 3 * queries + 3 * keys + feeds(shape) * wide
}

/// Vectors of F that a feed-forward part computes: two where there is no gate.
fn feeds(shape: &ModelShape) -> u64 {
    if matches!(shape.family.as_str(), "gpt2" | "bert") { 2 } else { 3 }
}

/// Pieces of a micro-batch, and how many of them are under way at one time: as many as there are threads, or one that all threads share.
fn under_way(sizes: &Sizes<'_>) -> (usize, usize) {
    if sizes.threads == 0 || sizes.added + sizes.opened > MAX_SPLIT_PARAMETERS as u64 {
        return (1, 1);
    }
    let pieces = Batch::piece_count(sizes.rows, sizes.tokens);
    (pieces, if pieces >= sizes.threads { sizes.threads } else { 1 })
}

/// `kept * part / whole`, without overflow.
fn share(kept: u64, part: u64, whole: u64) -> u64 {
    (u128::from(kept) * u128::from(part) / u128::from(whole.max(1))) as u64
}

#[cfg(test)]
mod tests;
