//! The context of a forward pass: mode, dropout counters, cache and more.

use std::sync::Arc;

use crate::{
    AttentionProbs, Dropout, DropoutMask, Encoded, KvCache, Positions, Recompute, Result,
    Sequences, Tensor,
};

/// Training or evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Dropout is applied.
    Train,
    /// The pass is deterministic.
    Eval,
}

/// The context of one forward pass, passed to every layer.
#[derive(Clone, Debug)]
pub struct Context {
    /// Training or evaluation.
    pub mode: Mode,
    /// Counters of the dropout masks.
    pub dropout: Dropout,
    /// Keys and values of earlier positions during generation.
    pub cache: Option<Arc<KvCache>>,
    /// The texts that the decoder of an encoder-decoder attends to.
    pub encoded: Option<Encoded>,
    /// Gradient checkpointing; without it the activations of the blocks are saved.
    pub recompute: Option<Arc<Recompute>>,
    /// The sequences that are packed into the only row of the input; without it every row is one
    /// sequence.
    pub sequences: Option<Sequences>,
    /// Recorder of attention probabilities, if they are requested.
    pub attention_probs: Option<Arc<AttentionProbs>>,
    /// Whether the pass needs no gradients, so that the activations of each block are freed after
    /// it.
    pub without_graph: bool,
    /// Label smoothing of the loss: the share of the target that is spread over all classes.
    pub label_smoothing: f64,
    /// Strength alpha of the noise on the token vectors (NEFTune); 0 for none.
    pub embedding_noise: f64,
}

impl Context {
    /// A context for evaluation.
    pub fn eval() -> Self {
        Self {
            mode: Mode::Eval,
            dropout: Dropout::new(0, 0, 0),
            cache: None,
            encoded: None,
            recompute: None,
            sequences: None,
            attention_probs: None,
            without_graph: false,
            label_smoothing: 0.0,
            embedding_noise: 0.0,
        }
    }

    /// A context for one micro-batch of one training step. The three counters determine the dropout
    /// masks.
    pub fn train(seed: u64, step: u64, micro_batch: u32) -> Self {
        Self {
            mode: Mode::Train,
            dropout: Dropout::new(seed, step, micro_batch),
            cache: None,
            encoded: None,
            recompute: None,
            sequences: None,
            attention_probs: None,
            without_graph: false,
            label_smoothing: 0.0,
            embedding_noise: 0.0,
        }
    }

    /// Uses a cache, for generation.
    #[must_use]
    pub fn with_cache(mut self, cache: Arc<KvCache>) -> Self {
        self.cache = Some(cache);
        self
    }

    /// Sets the texts that the decoder of an encoder-decoder attends to.
    #[must_use]
    pub fn with_encoded(mut self, encoded: Encoded) -> Self {
        self.encoded = Some(encoded);
        self
    }

    /// Frees the activations of each block after it, for a pass that needs no gradients. The values
    /// are the same.
    #[must_use]
    pub fn without_graph(mut self) -> Self {
        self.without_graph = true;
        self
    }

    /// Smooths the labels of the loss.
    #[must_use]
    pub fn with_label_smoothing(mut self, share: f64) -> Self {
        self.label_smoothing = share;
        self
    }

    /// Adds noise to the token vectors. It depends on the same counters as dropout.
    #[must_use]
    pub fn with_embedding_noise(mut self, alpha: f64) -> Self {
        self.embedding_noise = alpha;
        self
    }

    /// Enables gradient checkpointing.
    #[must_use]
    pub fn with_recompute(mut self, recompute: Arc<Recompute>) -> Self {
        self.recompute = Some(recompute);
        self
    }

    /// Sets the sequences that are packed into a batch of one row. Such a pass has no mask, no
    /// cache, no soft prompts and no prefixes.
    #[must_use]
    pub fn with_sequences(mut self, sequences: Sequences) -> Self {
        self.sequences = Some(sequences);
        self
    }

    /// Records the attention probabilities of the pass.
    #[must_use]
    pub fn record_attention_probs(mut self, probs: Arc<AttentionProbs>) -> Self {
        self.attention_probs = Some(probs);
        self
    }

    /// Runs a block of the model. With gradient checkpointing it is recomputed in the backward
    /// pass; otherwise its activations are saved.
    ///
    /// # Errors
    /// The errors of the block.
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

    /// Runs a block of a decoder, which also reads the encoded texts. With gradient checkpointing
    /// both are one input, so that the encoder is not recomputed for every block of the decoder.
    ///
    /// # Shapes
    /// `x: (B, T, C)`, `encoded: (B, S, C)` -> `(B, T, C)`
    /// # Errors
    /// The errors of the block.
    pub fn run_block_with(
        &self,
        x: &Tensor,
        encoded: &Tensor,
        block: impl Fn(&Tensor, &Tensor) -> Result<Tensor> + Send + Sync + 'static,
    ) -> Result<Tensor> {
        match &self.recompute {
            None if self.without_graph => Ok(block(&x.detach(), &encoded.detach())?.detach()),
            None => block(x, encoded),
            Some(recompute) => {
                let (tokens, states) = (x.dim(1)?, encoded.dim(1)?);
                let both = Tensor::cat(&[x, encoded], 1)?; // (B, T+S, C)
                recompute.run_block(&both, move |both| {
                    let x = both.narrow(1, 0, tokens)?.contiguous()?; // (B, T, C)
                    block(&x, &both.narrow(1, tokens, states)?.contiguous()?) // (B, S, C)
                })
            }
        }
    }

    /// Number of positions in the cache.
    pub fn offset(&self) -> usize {
        self.cache.as_ref().map_or(0, |cache| cache.offset())
    }

    /// The positions of the input, after those of the cache and `more` others.
    pub fn positions(&self, more: usize) -> Positions {
        match &self.sequences {
            Some(sequences) => Positions::Restarting(sequences.clone()),
            None => Positions::From(self.offset() + more),
        }
    }

    /// The dropout mask of the layer at `path`; `None` in evaluation or if the probability is zero.
    pub fn mask(&self, path: &str, probability: f64) -> Option<DropoutMask> {
        match self.mode {
            Mode::Train => self.dropout.mask(path, probability),
            Mode::Eval => None,
        }
    }
}
