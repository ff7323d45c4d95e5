//! The active prefixes of one forward pass.

use crate::{Context, DType, Embedding, Result, Tensor};

/// The prefixes that act in one forward pass, one behind the other.
#[derive(Clone)]
pub struct Prefixes {
    /// Of each block; empty when none acts.
    blocks: Vec<(Tensor, Tensor)>,
    count: usize,
}

impl Prefixes {
    /// Those of the model with this embedding. A pass that continues from a cache gets none: the cache holds them already.
    ///
    /// # Errors
    /// What candle says.
    pub fn of(embedding: &Embedding, cx: &Context) -> Result<Self> {
        let active = if cx.offset() == 0 { embedding.prefix().active() } else { Vec::new() };
        let mut blocks: Vec<(Tensor, Tensor)> = Vec::new();
        for prefix in &active {
            let own = prefix.keys_values(cx)?;
            blocks = match blocks.len() {
                0 => own,
                _ => blocks
                    .iter()
                    .zip(&own)
                    .map(|(before, behind)| join(before, behind, 0))
                    .collect::<Result<_>>()?,
            };
        }
        Ok(Self { blocks, count: active.iter().map(|prefix| prefix.len()).sum() })
    }

    /// P: positions that the input moves back by.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether none acts.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Keys and values (B, T, K*D) of a block's input behind those of its prefixes: (B, P+T, K*D) twice.
    ///
    /// # Errors
    /// When the widths differ.
    pub fn before(&self, block: usize, keys: Tensor, values: Tensor) -> Result<(Tensor, Tensor)> {
        let Some((k, v)) = self.blocks.get(block) else { return Ok((keys, values)) };
        let (batch, _, width) = keys.dims3()?;
        let spread = |rows: &Tensor| -> Result<Tensor> {
            Ok(rows
                .to_dtype(keys.dtype())?
                .unsqueeze(0)?
                .broadcast_as((batch, self.count, width))?)
        }; // (B, P, K*D)
        join(&(spread(k)?, spread(v)?), &(keys.clone(), values), 1)
    }

    /// A padding mask with ones for the prefixes: (B, T) -> (B, P+T).
    ///
    /// # Errors
    /// What candle says.
    pub fn mask(&self, mask: &Tensor) -> Result<Tensor> {
        if self.is_empty() {
            return Ok(mask.clone());
        }
        let ones = Tensor::ones((mask.dims2()?.0, self.count), DType::U8, mask.device())?; // (B, P)
        Ok(Tensor::cat(&[&ones, mask], 1)?) // (B, P+T)
    }
}

fn join(
    before: &(Tensor, Tensor),
    behind: &(Tensor, Tensor),
    dimension: usize,
) -> Result<(Tensor, Tensor)> {
    let cat = |a: &Tensor, b: &Tensor| Tensor::cat(&[a, b], dimension)?.contiguous();
    Ok((cat(&before.0, &behind.0)?, cat(&before.1, &behind.1)?))
}
