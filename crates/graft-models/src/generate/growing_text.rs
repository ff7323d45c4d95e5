//! One text while it is generated.

use std::collections::BTreeSet;

use graft_nn::{Rng, Stream};

use super::{
    GenerateOptions, Generated, StopReason,
    sampling::{Choice, choose},
    stream::TextStream,
};
use crate::{ModelError, Tokenizer};

/// The positions of one text.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Length of the model's context.
    pub(super) context: usize,
    /// Positions left for new tokens.
    pub(super) room: usize,
    /// Positions of the prompt and the soft prompt.
    pub(super) start: usize,
}

/// The state of one text.
pub(super) struct GrowingText<'a> {
    tokenizer: &'a Tokenizer,
    options: &'a GenerateOptions,
    limits: Limits,
    text: TextStream<'a>,
    random: Stream,
    tokens: usize,
    /// The tokens of the prompt and the text, if repetitions are penalized.
    seen: BTreeSet<u32>,
    /// Log-probabilities of all chosen tokens, including the one that ended the text.
    logprobs: Vec<f64>,
    /// The emitted pieces with their log-probabilities.
    pieces: Vec<(String, f64)>,
    /// Log-probability of tokens whose characters are still incomplete.
    pending: f64,
}

/// What follows a token.
pub(super) enum Next {
    /// The text continues after this token.
    Token(u32),
    /// The text has ended.
    End(StopReason),
}

impl<'a> GrowingText<'a> {
    /// A text after `prompt`. `index` is its number among the texts of one seed.
    pub(super) fn new(
        tokenizer: &'a Tokenizer,
        options: &'a GenerateOptions,
        limits: Limits,
        prompt: &[u32],
        index: u64,
    ) -> Result<Self, ModelError> {
        let penalizes = options.penalizes_repetition();
        Ok(Self {
            tokenizer,
            options,
            limits,
            text: TextStream::new(tokenizer, prompt, options.stops())?,
            random: Rng::new(options.seed).indexed("generate", "", index),
            tokens: 0,
            seen: prompt.iter().copied().filter(|_| penalizes).collect(),
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

    /// Adds the next token, chosen from its logits, and emits the text that became complete.
    pub(super) fn advance(
        &mut self,
        logits: &[f32],
        on_text: &mut dyn FnMut(&str) -> bool,
    ) -> Result<Next, ModelError> {
        if self.tokens == self.options.max_new_tokens {
            return self.finish(StopReason::Length, on_text);
        }
        let not_finite = ModelError::NotFinite { position: self.limits.start + self.tokens };
        let Choice { id, logprob } =
            choose(logits, self.options, &self.seen, &mut self.random).ok_or(not_finite)?;
        self.logprobs.push(logprob);
        if self.tokenizer.is_end(id) || self.options.end_tokens.contains(&id) {
            return self.finish(StopReason::EndOfText, on_text);
        }
        self.tokens += 1;
        if self.options.penalizes_repetition() {
            self.seen.insert(id);
        }
        let piece = self.text.push(id)?;
        // Clamped to a finite value, so that it can be serialized.
        self.pending += logprob.max(-1e3);
        self.record(&piece);
        // Called for every token, even if no character became complete.
        if !on_text(&piece) {
            return Ok(Next::End(StopReason::Caller));
        }
        if self.text.stopped() {
            return Ok(Next::End(StopReason::StopText));
        }
        if self.tokens == self.limits.room {
            return self.finish(StopReason::ContextFull(self.limits.context), on_text);
        }
        if self.tokens == self.options.max_new_tokens {
            return self.finish(StopReason::Length, on_text);
        }
        Ok(Next::Token(id))
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
    ) -> Result<Next, ModelError> {
        let rest = self.text.finish()?;
        if !rest.is_empty() {
            self.record(&rest);
            on_text(&rest);
        }
        Ok(Next::End(stop))
    }
}
