//! Embeddings with slots for adapters, soft prompts and prefixes.

mod noise;

use std::fmt;
use std::sync::Arc;

use crate::{Context, NnError, Parameter, Prefix, Result, Slot, Tensor, ops};

/// Trained vectors in front of the token vectors (prompt tuning and related methods).
///
/// # Source
/// Lester et al. 2021, arXiv:2104.08691
pub trait SoftPrompt: Send + Sync {
    /// The vectors, (P, C).
    ///
    /// # Errors
    /// Returns an error if the underlying candle operation fails.
    fn embeddings(&self, cx: &Context) -> Result<Tensor>;

    /// P: number of virtual tokens.
    fn len(&self) -> usize;

    /// Whether it has zero virtual tokens.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An adapter of one embedding.
pub trait EmbeddingAdapter: Send + Sync {
    /// The vectors (.., C) of `ids` (..), base included.
    ///
    /// # Errors
    /// Returns an error if a token is outside the table.
    fn forward(&self, base: &Embedding, ids: &Tensor) -> Result<Tensor>;

    /// The change (V, C) of the table that is equivalent to the adapter.
    ///
    /// # Errors
    /// Returns an error if the underlying candle operation fails.
    fn delta(&self, base: &Embedding) -> Result<Tensor>;

    /// Whether the base table contains its change at the moment.
    fn is_merged(&self) -> bool {
        false
    }
}

/// An embedding `y = s W[id]`, usually with `s = 1`, with adapters, soft prompts and prefixes.
///
/// # Shapes
/// `ids: (B, T)` `u32` -> `(B, T, C)`; `W: (V, C)`
pub struct Embedding {
    path: String,
    weight: Arc<Parameter>,
    scale: f64,
    slot: Slot<dyn EmbeddingAdapter>,
    prompt: Slot<dyn SoftPrompt>,
    prefix: Slot<dyn Prefix>,
}

impl Embedding {
    /// A frozen table (V, C) with the Hugging Face path `path`.
    pub fn new(path: &str, weight: Tensor) -> Self {
        let weight = Arc::new(Parameter::new(&format!("{path}.weight"), weight));
        Self {
            path: path.to_owned(),
            weight,
            scale: 1.0,
            slot: Slot::new(),
            prompt: Slot::new(),
            prefix: Slot::new(),
        }
    }

    /// Multiplies the vectors by `scale`, rounded to the type of the table.
    ///
    /// # Errors
    /// Returns an error if the underlying candle operation fails.
    pub fn scaled(self, scale: f64) -> Result<Self> {
        let dtype = self.weight.base_weight().dtype();
        let rounded = Tensor::new(scale as f32, &crate::Device::Cpu)?.to_dtype(dtype)?;
        Ok(Self {
            scale: f64::from(rounded.to_dtype(crate::DType::F32)?.to_scalar::<f32>()?),
            ..self
        })
    }

    /// Factor `s` on the vectors.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// Hugging Face path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The table W, (V, C).
    pub fn weight(&self) -> &Parameter {
        &self.weight
    }

    /// A shared handle to W, for a tied head: see [`crate::Linear::sharing`].
    pub fn shared_weight(&self) -> Arc<Parameter> {
        self.weight.clone()
    }

    /// The adapters of the table.
    pub fn slot(&self) -> &Slot<dyn EmbeddingAdapter> {
        &self.slot
    }

    /// The soft prompts of the model.
    pub fn prompt(&self) -> &Slot<dyn SoftPrompt> {
        &self.prompt
    }

    /// The prefixes of the model: keys and values in front of those of the input, for every block.
    pub fn prefix(&self) -> &Slot<dyn Prefix> {
        &self.prefix
    }

    /// Number of positions of the model's context that the active soft prompts and prefixes occupy.
    pub fn positions_taken(&self) -> usize {
        self.prompt
            .active()
            .iter()
            .map(|prompt| prompt.len())
            .chain(self.prefix.active().iter().map(|prefix| prefix.len()))
            .sum()
    }

    /// The vectors (B, T, C) of `ids` (B, T) `u32` with the active adapters, without soft prompts.
    /// The changes of several adapters are added.
    ///
    /// # Errors
    /// [`NnError::OutOfRange`] if a token is outside the table, with the path of the layer.
    pub fn forward(&self, ids: &Tensor) -> Result<Tensor> {
        let base = self.base_forward(ids)?; // (B, T, C)
        let mut vectors = base.clone();
        for adapter in self.slot.active() {
            let adapted =
                adapter.forward(self, ids).map_err(|error| NnError::at_path(error, &self.path))?;
            vectors = (vectors + (adapted - &base)?)?; // (B, T, C)
        }
        if self.scale == 1.0 { Ok(vectors) } else { Ok((vectors * self.scale)?) }
    }

    /// The rows of W, (B, T, C), for `ids` (B, T) `u32`, without the factor and adapters.
    ///
    /// # Errors
    /// The errors of [`Embedding::forward`].
    pub fn base_forward(&self, ids: &Tensor) -> Result<Tensor> {
        ops::embedding(ids, &self.weight.tensor())
            .map_err(|error| NnError::at_path(error, &self.path))
    }

    /// The vectors (B, P+T, C) of the active soft prompts and of `ids` (B, T), and P. A pass that
    /// continues from a cache gets no soft prompt, because the cache already contains it.
    ///
    /// # Errors
    /// The errors of [`Embedding::forward`].
    pub fn forward_with_prompt(&self, ids: &Tensor, cx: &Context) -> Result<(Tensor, usize)> {
        self.with_prompt(self.forward(ids)?, cx)
    }

    /// The vectors (B, P+T, C) of the active soft prompts and of `tokens` (B, T, C), which get the
    /// noise of the context, and P. See [`Embedding::forward_with_prompt`].
    ///
    /// # Errors
    /// Returns an error if the underlying candle operation fails.
    pub fn with_prompt(&self, tokens: Tensor, cx: &Context) -> Result<(Tensor, usize)> {
        let tokens = noise::added(tokens, &self.path, cx)?; // (B, T, C)
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
