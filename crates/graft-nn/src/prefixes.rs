//! The active prefixes of one forward pass.

use crate::{Context, DType, Embedding, Result, Tensor};

/// The active prefixes of one forward pass, concatenated.
#[derive(Clone)]
pub struct Prefixes {
    /// Keys and values of each block; empty if no prefix is active.
    blocks: Vec<(Tensor, Tensor)>,
    count: usize,
}

impl Prefixes {
    /// The active prefixes of the model with this embedding. A pass that continues from a cache
    /// gets none, because the cache already contains them.
    ///
    /// # Errors
    /// Returns an error if the underlying candle operation fails.
    pub fn of(embedding: &Embedding, cx: &Context) -> Result<Self> {
        let active = if cx.offset() == 0 { embedding.prefix().active() } else { Vec::new() };
        let mut blocks: Vec<(Tensor, Tensor)> = Vec::new();
        for prefix in &active {
            let added = prefix.keys_values(cx)?;
            blocks = match blocks.len() {
                0 => added,
                _ => blocks
                    .iter()
                    .zip(&added)
                    .map(|(first, second)| concat(first, second, 0))
                    .collect::<Result<_>>()?,
            };
        }
        Ok(Self { blocks, count: active.iter().map(|prefix| prefix.len()).sum() })
    }

    /// No prefix, for a part of a model that gets none.
    pub fn none() -> Self {
        Self { blocks: Vec::new(), count: 0 }
    }

    /// P: number of positions in front of the input.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether no prefix is active.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The keys and values of a block with its prefixes in front.
    ///
    /// # Shapes
    /// `keys, values: (B, T, K*D)` -> both `(B, P+T, K*D)`
    /// # Errors
    /// Returns an error if the widths differ.
    pub fn prepend(&self, block: usize, keys: Tensor, values: Tensor) -> Result<(Tensor, Tensor)> {
        let Some((k, v)) = self.blocks.get(block) else { return Ok((keys, values)) };
        let (batch, _, width) = keys.dims3()?;
        let repeated = |rows: &Tensor| -> Result<Tensor> {
            Ok(rows
                .to_dtype(keys.dtype())?
                .unsqueeze(0)?
                .broadcast_as((batch, self.count, width))?)
        }; // (B, P, K*D)
        concat(&(repeated(k)?, repeated(v)?), &(keys.clone(), values), 1)
    }

    /// A padding mask with ones for the prefixes: (B, T) -> (B, P+T).
    ///
    /// # Errors
    /// Returns an error if the underlying candle operation fails.
    pub fn mask(&self, mask: &Tensor) -> Result<Tensor> {
        if self.is_empty() {
            return Ok(mask.clone());
        }
        let ones = Tensor::ones((mask.dims2()?.0, self.count), DType::U8, mask.device())?; // (B, P)
        Ok(Tensor::cat(&[&ones, mask], 1)?) // (B, P+T)
    }
}

/// Concatenates keys with keys and values with values.
fn concat(
    first: &(Tensor, Tensor),
    second: &(Tensor, Tensor),
    dimension: usize,
) -> Result<(Tensor, Tensor)> {
    let cat = |a: &Tensor, b: &Tensor| Tensor::cat(&[a, b], dimension)?.contiguous();
    Ok((cat(&first.0, &second.0)?, cat(&first.1, &second.1)?))
}
