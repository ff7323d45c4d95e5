//! Continuing a text: one pass over the prompt, then one token at a time through the cache.

mod sampling;
mod stream;

use std::sync::Arc;

use graft_nn::{Context, DType, KvCache, Model, NnError, Rng, Tensor, TokenEncoder};
use graft_protocol::{Settings, training::GENERATE};

use crate::{ModelError, Tokenizer};
use sampling::choose;
use stream::TextStream;

/// How to continue a text.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerateOptions {
    /// Most tokens written.
    pub max_new_tokens: usize,
    /// 0 is greedy, 1 the model's own distribution.
    pub temperature: f64,
    /// Sample among the k likeliest; 0 means all.
    pub top_k: usize,
    /// Sample among the likeliest whose probabilities sum to p.
    pub top_p: f64,
    /// Decides every draw.
    pub seed: u64,
    /// Stop before this text; empty for none.
    pub stop: String,
}

/// A continued text.
#[derive(Clone, Debug, PartialEq)]
pub struct Generated {
    /// What was continued.
    pub prompt: String,
    /// What the model wrote.
    pub text: String,
    /// Tokens written, the one that ended the text not counted.
    pub tokens: usize,
    /// Mean natural log-probability of the tokens chosen, under the model at temperature 1; 0 when none was.
    pub logprob_mean: f64,
    /// Why it ended.
    pub stop: StopReason,
}

/// Why a text ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The model ended it.
    EndOfText,
    /// `max_new_tokens` were written.
    Length,
    /// The stop text came.
    StopText,
    /// The context is full; it holds this many tokens, prompt and soft prompt included.
    ContextFull(usize),
    /// The caller wanted no more.
    Caller,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        Self { max_new_tokens: 60, temperature: 0.0, top_k: 0, top_p: 1.0, seed: 0, stop: String::new() }
    }
}

impl GenerateOptions {
    /// From keys of [`GENERATE`]; without a `seed` the session's is used.
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
            Self::Length => write!(f, "max_new_tokens were written"),
            Self::StopText => write!(f, "the stop text came"),
            Self::ContextFull(tokens) => write!(f, "the context of {tokens} tokens is full"),
            Self::Caller => write!(f, "stopped"),
        }
    }
}

/// Continues `prompt`; `on_text` gets the text in pieces of whole characters and returns false to stop.
///
/// The adapters and soft prompts that are active in the model act. The same seed, prompt and model give the same text.
///
/// # Errors
/// [`ModelError::Prompt`] for a prompt that is empty or fills the context, [`ModelError::NotFinite`], [`ModelError::Layer`].
pub fn generate(
    model: &dyn Model,
    tokenizer: &Tokenizer,
    prompt: &str,
    options: &GenerateOptions,
    on_text: &mut dyn FnMut(&str) -> bool,
) -> Result<Generated, ModelError> {
    let ids = prompt_ids(tokenizer, prompt)?;
    let virtual_tokens: usize = model.embedding().prompt().active().iter().map(|prompt| prompt.len()).sum();
    let context = model.shape().max_positions;
    let room = room(ids.len(), virtual_tokens, context)?;
    let mut reader = Reader::new(model);
    let mut logits = reader.read(&ids)?;
    let mut stream = Rng::new(options.seed).stream("generate", "");
    let mut text = TextStream::new(tokenizer, &ids, &options.stop)?;
    let (mut tokens, mut logprob_sum) = (0, 0.0);
    let stop = loop {
        if tokens == options.max_new_tokens {
            break StopReason::Length;
        }
        let position = virtual_tokens + ids.len() + tokens;
        let choice = choose(&logits, options, &mut stream).ok_or(ModelError::NotFinite { position })?;
        logprob_sum += choice.logprob;
        if tokenizer.is_end(choice.id) {
            break StopReason::EndOfText;
        }
        tokens += 1;
        let piece = text.push(choice.id)?;
        if !piece.is_empty() && !on_text(&piece) {
            break StopReason::Caller;
        }
        if text.stopped() {
            break StopReason::StopText;
        }
        if tokens == room {
            break StopReason::ContextFull(context);
        }
        if tokens < options.max_new_tokens {
            logits = reader.read(&[choice.id])?;
        }
    };
    let rest = text.finish();
    if !rest.is_empty() && stop != StopReason::Caller {
        on_text(&rest);
    }
    let chosen = tokens + usize::from(stop == StopReason::EndOfText);
    let logprob_mean = if chosen == 0 { 0.0 } else { logprob_sum / chosen as f64 };
    Ok(Generated { prompt: prompt.to_owned(), text: text.text().to_owned(), tokens, logprob_mean, stop })
}

/// Reads tokens through a cache.
struct Reader<'a> {
    model: &'a dyn Model,
    cx: Context,
}

impl<'a> Reader<'a> {
    fn new(model: &'a dyn Model) -> Self {
        Self { model, cx: Context::eval().with_cache(Arc::new(KvCache::new(model.shape().layers))) }
    }

    /// Logits (V) after the last of `ids`.
    fn read(&mut self, ids: &[u32]) -> Result<Vec<f32>, NnError> {
        let device = self.model.embedding().weight().tensor().device().clone();
        let ids = Tensor::from_slice(ids, (1, ids.len()), &device)?; // (1, T)
        let states = self.model.hidden(&ids, None, &self.cx)?.states; // (1, P+T, C)
        let last = states.narrow(1, states.dim(1)? - 1, 1)?.contiguous()?; // (1, 1, C)
        Ok(self.model.head(&last, &self.cx)?.detach().to_dtype(DType::F32)?.flatten_all()?.to_vec1()?)
    }
}

/// The prompt's tokens behind the one that begins a text. An empty prompt starts from that token alone, or from the one that ends a text
/// where the model has no other (as GPT-2 does).
fn prompt_ids(tokenizer: &Tokenizer, prompt: &str) -> Result<Vec<u32>, ModelError> {
    let mut ids: Vec<u32> = tokenizer.bos().into_iter().collect();
    ids.extend(tokenizer.encode(prompt)?);
    if ids.is_empty() {
        ids.extend(tokenizer.eos());
    }
    if ids.is_empty() {
        return Err(ModelError::Prompt {
            code: "models::empty_prompt",
            problem: "the prompt is empty, and this model has no token to begin a text with".to_owned(),
            hint: "give it a few words to continue".to_owned(),
        });
    }
    Ok(ids)
}

/// Tokens that still fit behind the prompt.
fn room(prompt: usize, virtual_tokens: usize, context: usize) -> Result<usize, ModelError> {
    let used = prompt + virtual_tokens;
    if used < context {
        return Ok(context - used);
    }
    let soft = if virtual_tokens > 0 { format!(" behind a soft prompt of {virtual_tokens}") } else { String::new() };
    Err(ModelError::Prompt {
        code: "models::prompt_too_long",
        problem: format!("the prompt has {prompt} tokens{soft}, but the model's context holds {context} and at least one must be left to write"),
        hint: format!("shorten the prompt by {} tokens or more", used - context + 1),
    })
}

#[cfg(test)]
mod tests;
