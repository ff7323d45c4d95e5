//! The generation loop.

use std::sync::Arc;

use graft_nn::{Context, DType, KvCache, Model, NnError, Rng, Tensor};

use super::{GenerateOptions, Generated, StopReason, sampling::choose, stream::TextStream};
use crate::{ModelError, Tokenizer};

/// The positions of one generation.
pub(super) struct Limits {
    /// Length of the model's context.
    pub(super) context: usize,
    /// Positions left for new tokens.
    pub(super) room: usize,
    /// Positions of the prompt and the soft prompt.
    pub(super) start: usize,
}

/// The state of one generation.
pub(super) struct Generation<'a> {
    tokenizer: &'a Tokenizer,
    options: &'a GenerateOptions,
    limits: Limits,
    model: CachedModel<'a>,
    text: TextStream<'a>,
    tokens: usize,
    /// Log-probabilities of all chosen tokens, including the one that ended the text.
    logprobs: Vec<f64>,
    /// The emitted pieces with their log-probabilities.
    pieces: Vec<(String, f64)>,
    /// Log-probability of tokens whose characters are still incomplete.
    pending: f64,
}

impl<'a> Generation<'a> {
    pub(super) fn new(
        model: &'a dyn Model,
        tokenizer: &'a Tokenizer,
        options: &'a GenerateOptions,
        limits: Limits,
        prompt: &[u32],
    ) -> Result<Self, ModelError> {
        Ok(Self {
            tokenizer,
            options,
            limits,
            model: CachedModel::new(model),
            text: TextStream::new(tokenizer, prompt, &options.stop)?,
            tokens: 0,
            logprobs: Vec::new(),
            pieces: Vec::new(),
            pending: 0.0,
        })
    }

    pub(super) fn into_generated(self, prompt: &str, stop: StopReason) -> Generated {
        let logprob_mean = self.logprobs.iter().sum::<f64>() / self.logprobs.len().max(1) as f64;
        Generated {
            prompt: prompt.to_owned(),
            text: self.text.text().to_owned(),
            tokens: self.tokens,
            pieces: self.pieces,
            logprob_mean,
            stop,
        }
    }

    /// Generates tokens until a stop condition holds, and emits the rest of the text.
    pub(super) fn run(
        &mut self,
        prompt: &[u32],
        on_text: &mut dyn FnMut(&str) -> bool,
    ) -> Result<StopReason, ModelError> {
        let mut stream = Rng::new(self.options.seed).stream("generate", "");
        let mut logits = self.model.logits(prompt)?;
        loop {
            if self.tokens == self.options.max_new_tokens {
                return self.finish(StopReason::Length, on_text);
            }
            let not_finite = ModelError::NotFinite { position: self.limits.start + self.tokens };
            let choice = choose(&logits, self.options, &mut stream).ok_or(not_finite)?;
            self.logprobs.push(choice.logprob);
            if self.tokenizer.is_end(choice.id) || self.options.end_tokens.contains(&choice.id) {
                return self.finish(StopReason::EndOfText, on_text);
            }
            self.tokens += 1;
            let piece = self.text.push(choice.id)?;
            // Clamped to a finite value, so that it can be serialized.
            self.pending += choice.logprob.max(-1e3);
            self.record(&piece);
            // Called for every token, even if no character became complete.
            if !on_text(&piece) {
                return Ok(StopReason::Caller);
            }
            if self.text.stopped() {
                return Ok(StopReason::StopText);
            }
            if self.tokens == self.limits.room {
                return self.finish(StopReason::ContextFull(self.limits.context), on_text);
            }
            if self.tokens < self.options.max_new_tokens {
                logits = self.model.logits(&[choice.id])?;
            }
        }
    }

    /// Records a piece with the log-probability of its tokens.
    fn record(&mut self, piece: &str) {
        if !piece.is_empty() {
            self.pieces.push((piece.to_owned(), std::mem::take(&mut self.pending)));
        }
    }

    /// Emits the text that was held back.
    fn finish(
        &mut self,
        stop: StopReason,
        on_text: &mut dyn FnMut(&str) -> bool,
    ) -> Result<StopReason, ModelError> {
        let rest = self.text.finish()?;
        if !rest.is_empty() {
            self.record(&rest);
            on_text(&rest);
        }
        Ok(stop)
    }
}

/// Computes logits with a key-value cache.
struct CachedModel<'a> {
    model: &'a dyn Model,
    cx: Context,
}

impl<'a> CachedModel<'a> {
    fn new(model: &'a dyn Model) -> Self {
        Self {
            model,
            cx: Context::eval()
                .without_graph()
                .with_cache(Arc::new(KvCache::new(model.shape().layers))),
        }
    }

    /// Logits (V) after the last of `ids`.
    fn logits(&mut self, ids: &[u32]) -> Result<Vec<f32>, NnError> {
        let device = self.model.embedding().weight().tensor().device().clone();
        let ids = Tensor::from_slice(ids, (1, ids.len()), &device)?; // (1, T)
        let states = self.model.hidden(&ids, None, &self.cx)?.states; // (1, P+T, C)
        let last = states.narrow(1, states.dim(1)? - 1, 1)?.contiguous()?; // (1, 1, C)
        Ok(self
            .model
            .head(&last, &self.cx)?
            .detach()
            .to_dtype(DType::F32)?
            .flatten_all()?
            .to_vec1()?)
    }
}
