//! Text generation: one pass over the prompt, then one token at a time with a key-value cache.

mod batch;
mod cached_model;
mod growing_text;
mod opening;
mod sampling;
mod stream;

use graft_nn::{Model, TokenEncoder};
use graft_spec::{Settings, training::GENERATE};

use crate::{ModelError, Tokenizer};
use growing_text::{GrowingText, Next};
use opening::Opening;

pub use batch::{BatchPrompt, generate_batch};

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
    /// Factor by which the logits of tokens that the prompt or the text already has are reduced; 1
    /// for none.
    pub repetition_penalty: f64,
    /// Seed of the random numbers.
    pub seed: u64,
    /// Stop before this text; empty to disable.
    pub stop: String,
    /// Tokens that end the text in addition to those of the tokenizer.
    pub end_tokens: Vec<u32>,
    /// Texts before which the text ends, in addition to `stop`.
    pub end_texts: Vec<String>,
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
    /// The stop text, or another text that ends the text, was generated.
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
            repetition_penalty: 1.0,
            seed: 0,
            stop: String::new(),
            end_tokens: Vec::new(),
            end_texts: Vec::new(),
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
            repetition_penalty: number("repetition_penalty", 1.0),
            seed: settings.integer(GENERATE, "seed").map_or(session_seed, |seed| seed as u64),
            stop: settings.text(GENERATE, "stop").unwrap_or_default(),
            end_tokens: Vec::new(),
            end_texts: Vec::new(),
        }
    }

    /// All texts before which the text ends.
    fn stops(&self) -> Vec<&str> {
        let all = std::iter::once(&self.stop).chain(&self.end_texts);
        all.map(String::as_str).filter(|stop| !stop.is_empty()).collect()
    }

    /// Whether tokens that occur again have a lower probability.
    fn penalizes_repetition(&self) -> bool {
        (self.repetition_penalty - 1.0).abs() > f64::EPSILON
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

/// Continues `prompt`, or answers it with an encoder-decoder. `on_text` is called for each token
/// with the text that became complete, in whole characters and possibly empty, and returns false to
/// stop.
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
    let ids = prompt_ids(tokenizer, prompt)?;
    generate_from(model, tokenizer, (prompt, &ids), options, on_text)
}

/// Continues a prompt that is already tokenized, such as a conversation. The text of the prompt is
/// only part of the result.
///
/// # Errors
/// As [`generate`].
pub fn generate_from(
    model: &dyn Model,
    tokenizer: &Tokenizer,
    (prompt, ids): (&str, &[u32]),
    options: &GenerateOptions,
    on_text: &mut dyn FnMut(&str) -> bool,
) -> Result<Generated, ModelError> {
    let mut opening = Opening::new(model, tokenizer, &[ids])?;
    let limits = opening.limits(ids)?;
    let mut text = GrowingText::new(tokenizer, options, limits, opening.before(ids), 0)?;
    let first = opening.first(ids).to_vec();
    let mut logits = opening.model.logits(&[&first])?;
    loop {
        match text.advance(&logits.concat(), on_text)? {
            Next::Token(id) => logits = opening.model.logits(&[&[id]])?,
            Next::End(stop) => return Ok(text.into_generated(prompt, stop)),
        }
    }
}

/// The error for a model that has no next token.
fn not_generative(model: &dyn Model) -> ModelError {
    let family = &model.shape().family;
    ModelError::Prompt {
        code: "models::not_generative",
        problem: format!("a `{family}` encoder is bidirectional and cannot generate text"),
        hint: "`%eval` scores a classifier; load a language model, such as tiny, to generate"
            .to_owned(),
    }
}

/// The tokens of the prompt as in training: after the special tokens that begin a text, without
/// those that end one. An empty prompt consists of the special tokens only, or of the end token if
/// the model has no start token (as GPT-2).
///
/// # Errors
/// [`ModelError::Prompt`] if there is no token to start from.
pub fn prompt_ids(tokenizer: &Tokenizer, prompt: &str) -> Result<Vec<u32>, ModelError> {
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
            "the prompt has {prompt} tokens{soft}, but the model's context is {context} \
             tokens and at least one must be left for the output"
        ),
        hint: format!("shorten the prompt by {} tokens or more", used - context + 1),
    })
}

#[cfg(test)]
mod tests;
