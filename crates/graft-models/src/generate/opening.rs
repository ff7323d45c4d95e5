//! What the generated texts begin with: the prompts themselves, or the start token of a decoder
//! whose encoder has read the prompts.

use graft_nn::{Model, Task, TokenEncoder};

use super::{cached_model::CachedModel, growing_text::Limits, not_generative, room};
use crate::{ModelError, Tokenizer};

/// A model that is ready to generate texts for some prompts.
pub(super) struct Opening<'a> {
    pub(super) model: CachedModel<'a>,
    virtual_tokens: usize,
    context: usize,
    /// The start token of an encoder-decoder.
    start: Option<[u32; 1]>,
}

impl<'a> Opening<'a> {
    /// Encodes the prompts if the model is an encoder-decoder.
    ///
    /// # Errors
    /// [`ModelError::Prompt`] for a model that cannot generate, or a prompt that is longer than the
    /// context of its encoder; [`ModelError::Layer`] if the forward pass fails.
    pub(super) fn new(
        model: &'a dyn Model,
        tokenizer: &Tokenizer,
        prompts: &[&[u32]],
    ) -> Result<Self, ModelError> {
        if !matches!(model.task(), Task::CausalLm | Task::Seq2SeqLm) {
            return Err(not_generative(model));
        }
        let virtual_tokens = model.embedding().positions_taken();
        let context = model.shape().max_positions;
        let mut cached = CachedModel::new(model);
        let mut start = None;
        if let Some(encoder) = model.encoder_decoder().filter(|_| !prompts.is_empty()) {
            let ended = |prompt: &&[u32]| [*prompt, &tokenizer.suffix()].concat();
            let texts: Vec<Vec<u32>> = prompts.iter().map(ended).collect();
            for text in &texts {
                room(text.len().saturating_sub(1), virtual_tokens, context)?;
            }
            cached.encode(encoder, &texts)?;
            start = Some([encoder.start_token()]);
        }
        Ok(Self { model: cached, virtual_tokens, context, start })
    }

    /// The first tokens that the model reads for this prompt.
    pub(super) fn first<'p>(&'p self, prompt: &'p [u32]) -> &'p [u32] {
        self.start.as_ref().map_or(prompt, |start| start)
    }

    /// The tokens whose text is in front of the generated one.
    pub(super) fn before<'p>(&self, prompt: &'p [u32]) -> &'p [u32] {
        if self.start.is_some() { &[] } else { prompt }
    }

    /// The positions of the text for this prompt.
    ///
    /// # Errors
    /// [`ModelError::Prompt`] if the prompt fills the context.
    pub(super) fn limits(&self, prompt: &[u32]) -> Result<Limits, ModelError> {
        let (context, virtual_tokens) = (self.context, self.virtual_tokens);
        Ok(match self.start {
            Some(_) => Limits { context, room: context - 1, start: 1 },
            None => Limits {
                context,
                room: room(prompt.len(), virtual_tokens, context)?,
                start: virtual_tokens + prompt.len(),
            },
        })
    }
}
