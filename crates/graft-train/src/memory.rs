//! Predicts the memory of a run from sizes alone, before it starts.

mod fitting;
mod model_sizes;

use graft_nn::{ModelShape, SavedActivations};

use crate::LargestPass;
use crate::batch::{Batch, MAX_SPLIT_PARAMETERS};

pub use fitting::Fitting;
pub(crate) use fitting::{check, fitting, largest};
pub(crate) use model_sizes::of_training;
pub use model_sizes::{of_model, optimizer_bytes, packed, predicted, predicted_with};

/// Bytes of a 32-bit float.
const FLOAT: u64 = 4;

/// Logits that exist at the same time: graft-nn computes the head in parts of this size.
const LOGITS: u64 = 1 << 21;

/// Bytes per thread for the packed panels of a matrix multiplication, the stack and the allocator.
const THREAD: u64 = 2 << 20;

/// Vectors of C per position that recomputing a block needs on top of its activations: its input as
/// a variable, its output, the product that starts its backward pass, their gradients, and candle's
/// sums. Measured as 9.2 at C 256 and 9.7 at C 768.
const COMPUTED_AGAIN: u64 = 9;

/// The sizes that determine the memory of a run.
#[derive(Clone, Copy, Debug)]
pub struct Sizes<'a> {
    /// The shape of the model.
    pub shape: &'a ModelShape,
    /// Number of parameters of the model, without adapters.
    pub parameters: u64,
    /// Bytes of the model's weights while they are frozen.
    pub stored_bytes: u64,
    /// Bytes, as 32-bit floats, of the largest weight that is stored in another type and converted
    /// before each matrix multiplication; 0 if all weights are 32-bit.
    pub widened_bytes: u64,
    /// Number of trained parameters that are not part of the model; 0 in full fine-tuning.
    pub added: u64,
    /// Number of trained parameters of the model itself.
    pub unfrozen: u64,
    /// B: examples of a micro-batch.
    pub rows: usize,
    /// Rows of an example: 2 for a pair of answers, which run in the same pass.
    pub rows_per_example: usize,
    /// Copies of the trained parameters that a reference model keeps.
    pub copies: u64,
    /// P+T: positions of a row.
    pub tokens: usize,
    /// Activations saved by adapters and biases, in addition to those of the blocks.
    pub adapters: SavedActivations,
    /// Number of blocks before the first trained parameter. Nothing of them is saved.
    pub frozen_blocks: usize,
    /// Whether gradient checkpointing is on: blocks are recomputed in the backward pass.
    pub recompute: bool,
    /// Threads that run pieces of a batch at the same time; 0 if a batch runs as a whole, as on a
    /// GPU.
    pub threads: usize,
    /// The largest pass of the validation; all zero without validation.
    pub validation: LargestPass,
    /// Whether a layer inside the blocks is trained. A validation pass then holds everything that a
    /// block computes until the end of the block.
    pub inside_blocks: bool,
    /// Values per position that adapters at the output of attention save while the feed-forward
    /// part is computed.
    pub before_feed_forward: usize,
    /// Bytes of the states of the optimizer; `None` for the two moments of AdamW.
    pub optimizer_bytes: Option<u64>,
}

/// The memory of a run by part, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// The model and the adapters.
    pub weights: u64,
    /// One value per trained parameter.
    pub gradients: u64,
    /// The states of the optimizer, and the parameters before the last step, to undo a failed step.
    pub optimizer: u64,
    /// The activations that the forward pass saves for the backward pass.
    pub activations: u64,
    /// The peak of short-lived memory: gradients inside a block, a part of the logits, a weight
    /// converted to 32 bits; or a validation pass, if that needs more than a step; and what a
    /// reference model keeps.
    pub temporary: u64,
}

impl Memory {
    /// Predicts the memory of one step.
    ///
    /// For each of the N = B (P+T) positions, a block saves
    ///
    /// ```text
    /// 6 C     both norms, both residual sums, the outputs of both sublayers
    /// 3 H D   queries before and after the rotation, the output of attention
    /// 3 K D   keys before and after the rotation, values
    /// 3 F     gate, up projection and their product; 2 F without a gate
    /// ```
    /// Attention probabilities and logits are not saved. Biases and adapters report their own
    /// [`SavedActivations`]. A batch is split into pieces ([`Batch::pieces`]), and only the pieces
    /// in progress count. The pass of a reference model saves nothing and ends before the step, so
    /// it does not raise the peak.
    ///
    /// The test `memory` of graft-bench compares this with the resident memory of a process with
    /// one thread: it is within a tenth for every method. On several threads the tensors are the
    /// same, but each thread has a heap of its own, and what the heaps keep of freed memory adds up
    /// to a quarter.
    pub fn predict(sizes: &Sizes<'_>) -> Self {
        let trained = sizes.added + sizes.unfrozen;
        let progress = InProgress::of(sizes);
        let activations = activations(sizes, &progress);
        // A validation runs between two steps, when no gradients and activations exist.
        let validation = Self::of_validation(sizes).saturating_sub(trained * FLOAT + activations);
        let Sizes { stored_bytes, unfrozen, parameters, .. } = *sizes;
        Self {
            // Trained weights are stored as 32-bit floats.
            weights: stored_bytes - proportion(stored_bytes, unfrozen, parameters)
                + trained * FLOAT,
            gradients: trained * FLOAT,
            optimizer: sizes.optimizer_bytes.unwrap_or(2 * trained * FLOAT) + trained * FLOAT,
            activations,
            temporary: temporary(sizes, &progress, trained).max(validation)
                + sizes.copies * trained * FLOAT,
        }
    }

    /// Predicts the memory of the largest validation pass, on all threads.
    ///
    /// The peak is either one block, whose activations are freed after it, or the logits that are
    /// read, once as computed by the head and once as values to look up. One of the vectors of F is
    /// an allowance for freed memory that the allocator cannot use again. The test `memory` of
    /// graft-bench compares this with measurements, as for [`Self::predict`].
    pub fn of_validation(sizes: &Sizes<'_>) -> u64 {
        let LargestPass { positions, read, passes } = sizes.validation;
        if positions == 0 {
            return 0;
        }
        let shape = sizes.shape;
        let layers = shape.layers.max(1) as u64;
        let [positions, read] = [positions, read].map(|count| count as u64);
        let at_once =
            if passes > 1 && passes >= sizes.threads { sizes.threads.max(1) } else { 1 } as u64;
        let [hidden, vocab] = [shape.hidden, shape.vocab].map(|size| size as u64);
        let of_adapters = sizes.adapters.per_position as u64 / layers;
        // If no layer inside is trained, candle's graph saves nothing. The peak is then in the
        // feed-forward part, on top of what an adapter before it has saved in this block.
        let in_block = if sizes.inside_blocks {
            of_block(shape) + 3 * hidden + of_adapters
        } else {
            (feed_forward_vectors(shape) + 1) * shape.intermediate as u64
                + 4 * hidden
                + sizes.before_feed_forward as u64 / layers
        };
        let block = positions * in_block + sizes.adapters.per_pass as u64 / layers;
        let logits = positions * hidden + read * (hidden + 2 * vocab);
        at_once * (block.max(logits) * FLOAT + sizes.widened_bytes + THREAD)
    }

    /// The sum of all parts.
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

    /// The memory on top of the loaded model.
    pub fn on_top(&self) -> u64 {
        self.total() - self.weights
    }
}

/// The pieces of a micro-batch that run at the same time.
struct InProgress {
    /// Pieces of the micro-batch.
    pieces: usize,
    /// Pieces at the same time: one per thread, or a single one that all threads share.
    at_once: usize,
    /// Positions of these pieces.
    positions: u64,
}

impl InProgress {
    fn of(sizes: &Sizes<'_>) -> Self {
        let each = sizes.rows_per_example.max(1);
        let (pieces, at_once) =
            if sizes.threads == 0 || sizes.added + sizes.unfrozen > MAX_SPLIT_PARAMETERS as u64 {
                (1, 1)
            } else {
                let pieces = Batch::piece_count(sizes.rows * each, sizes.tokens);
                let pieces = pieces.min(sizes.rows.max(1));
                (pieces, if pieces >= sizes.threads { sizes.threads } else { 1 })
            };
        // Some pieces have one row more than others: the larger ones count.
        let positions = (at_once * sizes.rows.div_ceil(pieces) * each * sizes.tokens) as u64;
        Self { pieces, at_once, positions }
    }
}

/// Bytes of the activations saved for the backward pass.
fn activations(sizes: &Sizes<'_>, progress: &InProgress) -> u64 {
    let shape = sizes.shape;
    let hidden = shape.hidden as u64;
    let block = of_block(shape);
    let blocks = (shape.layers - sizes.frozen_blocks.min(shape.layers)) as u64;
    let [per_position, per_pass] =
        [sizes.adapters.per_position, sizes.adapters.per_pass].map(|values| values as u64);
    // With gradient checkpointing, only the inputs of the blocks are saved, and the activations of
    // one block at a time.
    let (per_position, per_pass) = if sizes.recompute {
        let one_block = block + per_position / blocks.max(1);
        ((blocks + COMPUTED_AGAIN) * hidden + one_block, per_pass / blocks.max(1))
    } else {
        (blocks * block + per_position, per_pass)
    };
    (progress.positions * (per_position + 2 * hidden) + progress.at_once as u64 * per_pass) * FLOAT
}

/// Peak bytes of the short-lived memory of a step.
fn temporary(sizes: &Sizes<'_>, progress: &InProgress, trained: u64) -> u64 {
    let InProgress { pieces, at_once, positions } = *progress;
    let [hidden, wide, vocab] =
        [sizes.shape.hidden, sizes.shape.intermediate, sizes.shape.vocab].map(|size| size as u64);
    // In a feed-forward part: the gradients of its three vectors, one of them twice while candle
    // adds them, and the two residual sums after it.
    let backward = positions * (5 * wide + 2 * hidden) * FLOAT;
    let logits = (LOGITS.max(64 * vocab) * at_once as u64).min(positions * vocab) * FLOAT;
    let at_the_end = at_once as u64 * sizes.adapters.at_the_end as u64 * FLOAT;
    // Each piece in progress ends with its own gradient, in addition to the partial sums of those
    // before it, one for each doubling.
    let gradients = if pieces > 1 {
        at_once * (1 + pieces.div_ceil(at_once).next_power_of_two().ilog2() as usize)
    } else {
        1
    };
    backward.max(logits).max(at_the_end)
        + (gradients as u64 - 1) * trained * FLOAT
        + at_once as u64 * (sizes.widened_bytes + THREAD)
}

/// Values per position that a block computes, without its adapters.
fn of_block(shape: &ModelShape) -> u64 {
    let [hidden, queries, keys, wide] = [
        shape.hidden,
        shape.heads * shape.head_dim,
        shape.kv_heads * shape.head_dim,
        shape.intermediate,
    ]
    .map(|size| size as u64);
    let block = 6 * hidden + 3 * queries + 3 * keys + feed_forward_vectors(shape) * wide;
    // A block of the encoder and one of the decoder, whose attention stores its scores.
    if matches!(shape.family.as_str(), "t5" | "mt5") { 3 * block } else { block }
}

/// Vectors of F that a feed-forward part computes: two without a gate.
fn feed_forward_vectors(shape: &ModelShape) -> u64 {
    let ungated = ["gpt2", "gpt_neox", "bert", "roberta", "xlm-roberta", "distilbert"];
    if ungated.contains(&shape.family.as_str()) { 2 } else { 3 }
}

/// `bytes * part / whole`, without overflow.
fn proportion(bytes: u64, part: u64, whole: u64) -> u64 {
    (u128::from(bytes) * u128::from(part) / u128::from(whole.max(1))) as u64
}

#[cfg(test)]
mod tests;
