//! The table of token vectors, with slots for adapters and for soft prompts.

use std::fmt;
use std::sync::Arc;

use crate::{Context, NnError, Parameter, Prefix, Result, Slot, Tensor, ops};

/// Trained vectors that stand in front of the tokens (prompt tuning and its relatives).
pub trait SoftPrompt: Send + Sync {
    /// The vectors, (P, C).
    ///
    /// # Errors
    /// What candle says.
    fn embeddings(&self, cx: &Context) -> Result<Tensor>;

    /// P: how many positions it takes.
    fn len(&self) -> usize;

    /// Whether it takes none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An adapter of one table.
pub trait EmbeddingAdapter: Send + Sync {
    /// The vectors (.., C) of `ids` (..), base included.
    ///
    /// # Errors
    /// When a token is outside the table.
    fn forward(&self, base: &Embedding, ids: &Tensor) -> Result<Tensor>;

    /// What the adapter adds to the table, (V, C).
    ///
    /// # Errors
    /// What candle says.
    fn delta(&self, base: &Embedding) -> Result<Tensor>;

    /// Whether what it adds is in the base's table now.
    fn is_merged(&self) -> bool {
        false
    }
}

/// Tokens to vectors: row `id` of `W (V, C)`.
pub struct Embedding {
    path: String,
    weight: Arc<Parameter>,
    slot: Slot<dyn EmbeddingAdapter>,
    prompt: Slot<dyn SoftPrompt>,
    prefix: Slot<dyn Prefix>,
}

impl Embedding {
    /// A frozen table (V, C) at a Hugging Face path.
    pub fn new(path: &str, weight: Tensor) -> Self {
        let weight = Arc::new(Parameter::new(&format!("{path}.weight"), weight));
        Self {
            path: path.to_owned(),
            weight,
            slot: Slot::new(),
            prompt: Slot::new(),
            prefix: Slot::new(),
        }
    }

    /// Hugging Face path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// W, (V, C).
    pub fn weight(&self) -> &Parameter {
        &self.weight
    }

    /// W as a shared handle, for a tied head: see [`crate::Linear::sharing`].
    pub fn shared_weight(&self) -> Arc<Parameter> {
        self.weight.clone()
    }

    /// Its adapters.
    pub fn slot(&self) -> &Slot<dyn EmbeddingAdapter> {
        &self.slot
    }

    /// Its soft prompts.
    pub fn prompt(&self) -> &Slot<dyn SoftPrompt> {
        &self.prompt
    }

    /// Its prefixes: keys and values in front of the input's, for every block of the model.
    pub fn prefix(&self) -> &Slot<dyn Prefix> {
        &self.prefix
    }

    /// Positions that the soft prompts and prefixes that act take from the model's context.
    pub fn positions_taken(&self) -> usize {
        self.prompt
            .active()
            .iter()
            .map(|prompt| prompt.len())
            .chain(self.prefix.active().iter().map(|prefix| prefix.len()))
            .sum()
    }

    /// Vectors (B, T, C) of `ids` (B, T) `u32` with the adapters that act, without soft prompts. With several, each adds its own change.
    ///
    /// # Errors
    /// [`NnError::OutOfRange`] when a token is outside the table; the error names the layer.
    pub fn forward(&self, ids: &Tensor) -> Result<Tensor> {
        let base = self.base_forward(ids)?; // (B, T, C)
        let mut vectors = base.clone();
        for adapter in self.slot.active() {
            let adapted =
                adapter.forward(self, ids).map_err(|error| NnError::at_path(error, &self.path))?;
            vectors = (vectors + (adapted - &base)?)?; // (B, T, C)
        }
        Ok(vectors)
    }

    /// Vectors (B, T, C) of `ids` (B, T) `u32`, without adapters.
    ///
    /// # Errors
    /// As [`Embedding::forward`].
    pub fn base_forward(&self, ids: &Tensor) -> Result<Tensor> {
        ops::embedding(ids, &self.weight.tensor())
            .map_err(|error| NnError::at_path(error, &self.path))
    }

    /// Vectors (B, P+T, C) of `ids` (B, T) behind the soft prompts that act, and P. A pass that continues from a cache gets no
    /// prompt: the cache holds it already.
    ///
    /// # Errors
    /// As [`Embedding::forward`].
    pub fn forward_with_prompt(&self, ids: &Tensor, cx: &Context) -> Result<(Tensor, usize)> {
        let tokens = self.forward(ids)?; // (B, T, C)
        let prompts = if cx.offset() == 0 { self.prompt.active() } else { Vec::new() };
        if prompts.is_empty() {
            return Ok((tokens, 0));
        }
        let (batch, _, width) = tokens.dims3()?;
        let vectors =
            prompts.iter().map(|prompt| prompt.embeddings(cx)).collect::<Result<Vec<_>>>()?;
        let vectors = Tensor::cat(&vectors, 0)?.to_dtype(tokens.dtype())?; // (P, C)
        let count = vectors.dim(0)?;
        let vectors = vectors.unsqueeze(0)?.broadcast_as((batch, count, width))?; // (B, P, C)
        Ok((Tensor::cat(&[&vectors, &tokens], 1)?, count)) // (B, P+T, C)
    }
}

impl fmt::Debug for Embedding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Embedding({}, {:?}, adapters {:?}, prompts {:?})",
            self.path,
            self.weight.dims(),
            self.slot.names(),
            self.prompt.names()
        )
    }
}
