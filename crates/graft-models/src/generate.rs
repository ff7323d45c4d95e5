//! Continuing a text: one pass over the prompt, then one token at a time through the cache.

mod sampling;
mod stream;

use std::sync::Arc;

use graft_nn::{Context, DType, KvCache, Model, NnError, Rng, Task, Tensor, TokenEncoder};
use graft_spec::{Settings, training::GENERATE};

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
    /// The text in pieces of whole characters, each with the natural log-probability of the tokens that made it, under the model at temperature 1.
    pub pieces: Vec<(String, f64)>,
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

/// Continues `prompt`; `on_text` gets the text in pieces of whole characters, an empty one where a token completes none, and returns false to
/// stop.
///
/// The adapters and soft prompts that are active in the model act. The same seed, prompt and model give the same text.
///
/// # Errors
/// [`ModelError::Prompt`] for an encoder and for a prompt that is empty or fills the context, [`ModelError::NotFinite`], [`ModelError::Layer`].
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
    let mut writer = Writer {
        tokenizer,
        options,
        limits,
        reader: Reader::new(model),
        text,
        tokens: 0,
        logprobs: Vec::new(),
        pieces: Vec::new(),
        pending: 0.0,
    };
    let stop = writer.write(&ids, on_text)?;
    let logprob_mean = writer.logprobs.iter().sum::<f64>() / writer.logprobs.len().max(1) as f64;
    let (text, pieces) = (writer.text.text().to_owned(), writer.pieces);
    Ok(Generated {
        prompt: prompt.to_owned(),
        text,
        tokens: writer.tokens,
        pieces,
        logprob_mean,
        stop,
    })
}

/// Positions of one generation.
struct Limits {
    /// Of the model.
    context: usize,
    /// Left for new tokens.
    room: usize,
    /// Taken by the prompt and the soft prompt.
    start: usize,
}

/// One text on its way.
struct Writer<'a> {
    tokenizer: &'a Tokenizer,
    options: &'a GenerateOptions,
    limits: Limits,
    reader: Reader<'a>,
    text: TextStream<'a>,
    tokens: usize,
    /// Of every token chosen, the one that ended the text included.
    logprobs: Vec<f64>,
    /// What has been given out.
    pieces: Vec<(String, f64)>,
    /// Log-probability of tokens whose characters are not complete.
    pending: f64,
}

impl Writer<'_> {
    /// Writes until something ends it, and gives the rest of the text out.
    fn write(
        &mut self,
        prompt: &[u32],
        on_text: &mut dyn FnMut(&str) -> bool,
    ) -> Result<StopReason, ModelError> {
        let mut stream = Rng::new(self.options.seed).stream("generate", "");
        let mut logits = self.reader.read(prompt)?;
        loop {
            if self.tokens == self.options.max_new_tokens {
                return self.ended(StopReason::Length, on_text);
            }
            let not_finite = ModelError::NotFinite { position: self.limits.start + self.tokens };
            let choice = choose(&logits, self.options, &mut stream).ok_or(not_finite)?;
            self.logprobs.push(choice.logprob);
            if self.tokenizer.is_end(choice.id) {
                return self.ended(StopReason::EndOfText, on_text);
            }
            self.tokens += 1;
            let piece = self.text.push(choice.id)?;
            // Finite, so that it can be written down.
            self.pending += choice.logprob.max(-1e3);
            self.keep(&piece);
            // Asked at every token, also where no whole character is ready.
            if !on_text(&piece) {
                return Ok(StopReason::Caller);
            }
            if self.text.stopped() {
                return Ok(StopReason::StopText);
            }
            if self.tokens == self.limits.room {
                return self.ended(StopReason::ContextFull(self.limits.context), on_text);
            }
            if self.tokens < self.options.max_new_tokens {
                logits = self.reader.read(&[choice.id])?;
            }
        }
    }

    /// Notes a piece with the probability of all its tokens.
    fn keep(&mut self, piece: &str) {
        if !piece.is_empty() {
            self.pieces.push((piece.to_owned(), std::mem::take(&mut self.pending)));
        }
    }

    /// Gives out what was held back.
    fn ended(
        &mut self,
        stop: StopReason,
        on_text: &mut dyn FnMut(&str) -> bool,
    ) -> Result<StopReason, ModelError> {
        let rest = self.text.finish()?;
        if !rest.is_empty() {
            self.keep(&rest);
            on_text(&rest);
        }
        Ok(stop)
    }
}

/// Reads tokens through a cache.
struct Reader<'a> {
    model: &'a dyn Model,
    cx: Context,
}

impl<'a> Reader<'a> {
    fn new(model: &'a dyn Model) -> Self {
        Self {
            model,
            cx: Context::eval()
                .without_graph()
                .with_cache(Arc::new(KvCache::new(model.shape().layers))),
        }
    }

    /// Logits (V) after the last of `ids`.
    fn read(&mut self, ids: &[u32]) -> Result<Vec<f32>, NnError> {
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

/// The prompt's tokens as training has them: after the special tokens that begin a text, without those that end one. An empty prompt starts from that token alone, or from the one that ends a text
/// where the model has no other (as GPT-2 does).
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

/// Tokens that still fit behind the prompt.
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
