//! Text generation: one pass over the prompt, then one token at a time with a key-value cache.

mod sampling;
mod stream;

use std::sync::Arc;

use graft_nn::{Context, DType, KvCache, Model, NnError, Rng, Task, Tensor, TokenEncoder};
use graft_spec::{Settings, training::GENERATE};

use crate::{ModelError, Tokenizer};
use sampling::choose;
use stream::TextStream;

/// Options of generation, with the names of transformers' `GenerationConfig`.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerateOptions {
    /// Maximum number of new tokens.
    pub max_new_tokens: usize,
    /// Temperature of sampling: 0 is greedy, 1 samples from the model's distribution.
    pub temperature: f64,
    /// Sample from the k most likely tokens; 0 for all.
    pub top_k: usize,
    /// Nucleus sampling: sample from the most likely tokens whose probabilities sum to p; 1 for
    /// all.
    pub top_p: f64,
    /// Seed of the random numbers.
    pub seed: u64,
    /// Stop before this text; empty to disable.
    pub stop: String,
}

/// A generated text.
#[derive(Clone, Debug, PartialEq)]
pub struct Generated {
    /// The prompt.
    pub prompt: String,
    /// The generated text.
    pub text: String,
    /// Number of new tokens, without the one that ended the text.
    pub tokens: usize,
    /// The text in pieces of whole characters, each with the natural log-probability of its tokens
    /// at temperature 1.
    pub pieces: Vec<(String, f64)>,
    /// Mean natural log-probability of the chosen tokens at temperature 1; 0 without tokens.
    pub logprob_mean: f64,
    /// Why the text ended.
    pub stop: StopReason,
}

/// Why a text ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The model generated an end token.
    EndOfText,
    /// `max_new_tokens` tokens were generated.
    Length,
    /// The stop text was generated.
    StopText,
    /// The context of this many tokens, prompt and soft prompt included, is full.
    ContextFull(usize),
    /// The caller stopped the generation.
    Caller,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        Self {
            max_new_tokens: 60,
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            seed: 0,
            stop: String::new(),
        }
    }
}

impl GenerateOptions {
    /// Options from the keys of [`GENERATE`]; `session_seed` is the default of `seed`.
    pub fn from_settings(settings: &Settings, session_seed: u64) -> Self {
        let whole = |key| settings.integer(GENERATE, key).map(|value| value.max(0) as usize);
        let number = |key, default| settings.float(GENERATE, key).unwrap_or(default);
        Self {
            max_new_tokens: whole("max_new_tokens").unwrap_or(60),
            temperature: number("temperature", 0.0),
            top_k: whole("top_k").unwrap_or(0),
            top_p: number("top_p", 1.0),
            seed: settings.integer(GENERATE, "seed").map_or(session_seed, |seed| seed as u64),
            stop: settings.text(GENERATE, "stop").unwrap_or_default(),
        }
    }
}

impl std::fmt::Display for StopReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::EndOfText => write!(f, "the model ended the text"),
            Self::Length => write!(f, "max_new_tokens tokens were generated"),
            Self::StopText => write!(f, "the stop text was generated"),
            Self::ContextFull(tokens) => write!(f, "the context of {tokens} tokens is full"),
            Self::Caller => write!(f, "stopped"),
        }
    }
}

/// Continues `prompt`. `on_text` is called for each token with the text that became complete, in
/// whole characters and possibly empty, and returns false to stop.
///
/// Active adapters and soft prompts are applied. The same seed, prompt and model give the same
/// text.
///
/// # Errors
/// [`ModelError::Prompt`] for an encoder, or for a prompt that is empty or fills the context;
/// [`ModelError::NotFinite`] and [`ModelError::Layer`] if the forward pass fails.
pub fn generate(
    model: &dyn Model,
    tokenizer: &Tokenizer,
    prompt: &str,
    options: &GenerateOptions,
    on_text: &mut dyn FnMut(&str) -> bool,
) -> Result<Generated, ModelError> {
    if model.task() != Task::CausalLm {
        let problem = format!(
            "a `{}` encoder is bidirectional and cannot generate text",
            model.shape().family
        );
        let hint = "`%eval` scores a classifier; load a language model, such as tiny, to generate"
            .to_owned();
        return Err(ModelError::Prompt { code: "models::not_generative", problem, hint });
    }
    let ids = prompt_ids(tokenizer, prompt)?;
    let virtual_tokens = model.embedding().positions_taken();
    let context = model.shape().max_positions;
    let room = room(ids.len(), virtual_tokens, context)?;
    let text = TextStream::new(tokenizer, &ids, &options.stop)?;
    let limits = Limits { context, room, start: virtual_tokens + ids.len() };
    let mut generation = Generation {
        tokenizer,
        options,
        limits,
        model: CachedModel::new(model),
        text,
        tokens: 0,
        logprobs: Vec::new(),
        pieces: Vec::new(),
        pending: 0.0,
    };
    let stop = generation.run(&ids, on_text)?;
    let logprob_mean =
        generation.logprobs.iter().sum::<f64>() / generation.logprobs.len().max(1) as f64;
    let (text, pieces) = (generation.text.text().to_owned(), generation.pieces);
    Ok(Generated {
        prompt: prompt.to_owned(),
        text,
        tokens: generation.tokens,
        pieces,
        logprob_mean,
        stop,
    })
}

/// The positions of one generation.
struct Limits {
    /// Length of the model's context.
    context: usize,
    /// Positions left for new tokens.
    room: usize,
    /// Positions of the prompt and the soft prompt.
    start: usize,
}

/// The state of one generation.
struct Generation<'a> {
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

impl Generation<'_> {
    /// Generates tokens until a stop condition holds, and emits the rest of the text.
    fn run(
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
            if self.tokenizer.is_end(choice.id) {
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

/// The tokens of the prompt as in training: after the special tokens that begin a text, without
/// those that end one. An empty prompt consists of the special tokens only, or of the end token if
/// the model has no start token (as GPT-2).
fn prompt_ids(tokenizer: &Tokenizer, prompt: &str) -> Result<Vec<u32>, ModelError> {
    let mut ids = tokenizer.prefix();
    ids.extend(tokenizer.encode(prompt)?);
    if ids.is_empty() {
        ids.extend(tokenizer.eos());
    }
    if ids.is_empty() {
        return Err(ModelError::Prompt {
            code: "models::empty_prompt",
            problem: "the prompt is empty and this model has no start token".to_owned(),
            hint: "give it a few words to continue".to_owned(),
        });
    }
    Ok(ids)
}

/// Number of tokens that fit after the prompt.
fn room(prompt: usize, virtual_tokens: usize, context: usize) -> Result<usize, ModelError> {
    let used = prompt + virtual_tokens;
    if used < context {
        return Ok(context - used);
    }
    let soft = if virtual_tokens > 0 {
        format!(" after a soft prompt of {virtual_tokens}")
    } else {
        String::new()
    };
    Err(ModelError::Prompt {
        code: "models::prompt_too_long",
        problem: format!(
            "the prompt has {prompt} tokens{soft}, but the model's context is {context} tokens and at least one must be left for the output"
        ),
        hint: format!("shorten the prompt by {} tokens or more", used - context + 1),
    })
}

#[cfg(test)]
mod tests;
