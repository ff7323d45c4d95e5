//! A model with a key-value cache.

use std::sync::Arc;

use graft_nn::{Context, DType, EncoderDecoder, KvCache, Model, NnError, Tensor};

/// Computes logits with a key-value cache.
pub(super) struct CachedModel<'a> {
    model: &'a dyn Model,
    cache: Arc<KvCache>,
    cx: Context,
}

impl<'a> CachedModel<'a> {
    pub(super) fn new(model: &'a dyn Model) -> Self {
        let cache = Arc::new(KvCache::new(model.shape().layers));
        let cx = Context::eval().without_graph().with_cache(cache.clone());
        Self { model, cache, cx }
    }

    /// Encodes the texts, padded to the longest, for the decoder of the model.
    pub(super) fn encode(
        &mut self,
        encoder: &dyn EncoderDecoder,
        texts: &[Vec<u32>],
    ) -> Result<(), NnError> {
        let device = self.model.embedding().weight().tensor().device().clone();
        let columns = texts.iter().map(Vec::len).max().unwrap_or(0);
        let padded = |text: &Vec<u32>| {
            let mut row = text.clone();
            row.resize(columns, 0);
            row
        };
        let seen = |text: &Vec<u32>| (0..columns).map(|at| u8::from(at < text.len())).collect();
        let ids = Tensor::new(texts.iter().map(padded).collect::<Vec<_>>(), &device)?; // (B, S)
        let mask: Vec<Vec<u8>> = texts.iter().map(seen).collect();
        let mask = Tensor::new(mask, &device)?; // (B, S)
        self.cx.encoded = Some(encoder.encode(&ids, Some(&mask), &self.cx)?);
        Ok(())
    }

    /// Logits after the last token of each row.
    ///
    /// # Shapes
    /// `rows`: B of T tokens each -> B of V
    pub(super) fn logits(&mut self, rows: &[&[u32]]) -> Result<Vec<Vec<f32>>, NnError> {
        let device = self.model.embedding().weight().tensor().device().clone();
        let shape = (rows.len(), rows.first().map_or(0, |row| row.len()));
        let ids = Tensor::from_slice(&rows.concat(), shape, &device)?; // (B, T)
        let states = self.model.hidden(&ids, None, &self.cx)?.states; // (B, P+T, C)
        let last = states.narrow(1, states.dim(1)? - 1, 1)?.contiguous()?; // (B, 1, C)
        let logits = self.model.head(&last, &self.cx)?.detach().to_dtype(DType::F32)?; // (B, 1, V)
        Ok(logits.flatten(0, 1)?.to_vec2()?) // (B, V)
    }

    /// Keeps only these rows of the batch.
    pub(super) fn keep_rows(&mut self, rows: &[u32]) -> Result<(), NnError> {
        let device = self.model.embedding().weight().tensor().device().clone();
        let rows = Tensor::new(rows, &device)?;
        if let Some(encoded) = &self.cx.encoded {
            self.cx.encoded = Some(encoded.keep_rows(&rows)?);
        }
        self.cache.keep_rows(&rows)
    }
}
