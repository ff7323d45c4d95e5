//! What a forward pass needs beside its input: the mode, the dropout counters, the cache.

use std::sync::Arc;

use crate::{
    AttentionProbs, Dropout, DropoutMask, KvCache, Positions, Recompute, Result, Sequences, Tensor,
};

/// Whether a forward pass trains (dropout acts) or evaluates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Dropout acts.
    Train,
    /// Nothing is random.
    Eval,
}

/// Passed to every layer of one forward pass.
#[derive(Clone, Debug)]
pub struct Context {
    /// Training or evaluation.
    pub mode: Mode,
    /// Counters of the dropout masks.
    pub dropout: Dropout,
    /// Keys and values of earlier positions, while generating.
    pub cache: Option<Arc<KvCache>>,
    /// Where blocks are computed again for the backward pass; without it what they compute is kept.
    pub recompute: Option<Arc<Recompute>>,
    /// The sequences that are packed into the only row of the input; without it every row is one.
    pub sequences: Option<Sequences>,
    /// Where attention tells what it gives to each key; without it nobody looks.
    pub attention_probs: Option<Arc<AttentionProbs>>,
    /// Whether nobody asks for gradients, so that nothing of a block is kept behind it.
    pub without_graph: bool,
}

impl Context {
    /// For evaluation.
    pub fn eval() -> Self {
        Self {
            mode: Mode::Eval,
            dropout: Dropout::new(0, 0, 0),
            cache: None,
            recompute: None,
            sequences: None,
            attention_probs: None,
            without_graph: false,
        }
    }

    /// For one micro-batch of one training step; the three counters decide the dropout masks.
    pub fn train(seed: u64, step: u64, micro_batch: u32) -> Self {
        Self {
            mode: Mode::Train,
            dropout: Dropout::new(seed, step, micro_batch),
            cache: None,
            recompute: None,
            sequences: None,
            attention_probs: None,
            without_graph: false,
        }
    }

    /// For generation with a cache.
    #[must_use]
    pub fn with_cache(mut self, cache: Arc<KvCache>) -> Self {
        self.cache = Some(cache);
        self
    }

    /// For a pass of which nobody asks gradients: the values are the same, and each block's activations are freed behind it.
    #[must_use]
    pub fn without_graph(mut self) -> Self {
        self.without_graph = true;
        self
    }

    /// For a training that computes its blocks twice.
    #[must_use]
    pub fn with_recompute(mut self, recompute: Arc<Recompute>) -> Self {
        self.recompute = Some(recompute);
        self
    }

    /// For a batch of one row into which sequences are packed. It goes without a mask, a cache, soft prompts and prefixes.
    #[must_use]
    pub fn with_sequences(mut self, sequences: Sequences) -> Self {
        self.sequences = Some(sequences);
        self
    }

    /// For a pass whose attention somebody wants to see.
    #[must_use]
    pub fn record_attention_probs(mut self, probs: Arc<AttentionProbs>) -> Self {
        self.attention_probs = Some(probs);
        self
    }

    /// A block of the model: kept for the backward pass, or computed again in it.
    ///
    /// # Errors
    /// Those of the block.
    pub fn run_block(
        &self,
        x: &Tensor,
        block: impl Fn(&Tensor) -> Result<Tensor> + Send + Sync + 'static,
    ) -> Result<Tensor> {
        match &self.recompute {
            None if self.without_graph => Ok(block(&x.detach())?.detach()),
            None => block(x),
            Some(recompute) => recompute.run_block(x, block),
        }
    }

    /// Number of positions that earlier passes have put into the cache.
    pub fn offset(&self) -> usize {
        self.cache.as_ref().map_or(0, |cache| cache.offset())
    }

    /// The positions of the input, behind those of the cache and `more`.
    pub fn positions(&self, more: usize) -> Positions {
        match &self.sequences {
            Some(sequences) => Positions::Restarting(sequences.clone()),
            None => Positions::From(self.offset() + more),
        }
    }

    /// The dropout mask of the layer at `path`; `None` when evaluating or when the probability is zero.
    pub fn mask(&self, path: &str, probability: f64) -> Option<DropoutMask> {
        match self.mode {
            Mode::Train => self.dropout.mask(path, probability),
            Mode::Eval => None,
        }
    }
}
