//! Models with an encoder and a decoder: the interface of the encoder, and the text that it has
//! encoded.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{Context, Result, Tensor};

/// The parts that only a model with an encoder and a decoder has. [`crate::Model::hidden`] is then
/// the decoder, which reads [`Context::encoded`].
pub trait EncoderDecoder {
    /// The token that begins every output: `decoder_start_token_id`.
    fn start_token(&self) -> u32;

    /// Encodes the texts `ids`, with the active soft prompts in front. `mask` is 1 for a token.
    ///
    /// # Shapes
    /// `ids: (B, S)` `u32`, `mask: (B, S)` `u8` -> `(B, P+S, C)`
    /// # Errors
    /// Returns an error if the shapes do not match or a token is outside the vocabulary.
    fn encode(&self, ids: &Tensor, mask: Option<&Tensor>, cx: &Context) -> Result<Encoded>;
}

/// The keys and values of one block.
type KeysValues = (Tensor, Tensor);

/// Encoded texts: the hidden states to which every block of a decoder attends.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// (B, S, C), after the final norm.
    pub states: Tensor,
    /// Padding mask, (B, S) `u8`, 1 for a token; `None` without padding.
    pub mask: Option<Tensor>,
    /// The keys and values of each block, which stay the same while an output is generated.
    keys_values: Arc<Mutex<BTreeMap<usize, KeysValues>>>,
}

impl Encoded {
    /// Texts with these states and this padding mask.
    pub fn new(states: Tensor, mask: Option<Tensor>) -> Self {
        Self { states, mask, keys_values: Arc::default() }
    }

    /// The keys and values of a block, both (B, S, K*D). During generation, which `cx` shows by its
    /// cache, they are computed once.
    ///
    /// # Errors
    /// The errors of `compute`.
    pub fn keys_values(
        &self,
        block: usize,
        cx: &Context,
        compute: impl FnOnce() -> Result<KeysValues>,
    ) -> Result<KeysValues> {
        if cx.cache.is_none() {
            return compute();
        }
        let mut known = self.keys_values.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.get(&block) {
            return Ok(found.clone());
        }
        let (keys, values) = compute()?;
        let computed = (keys.detach(), values.detach());
        known.insert(block, computed.clone());
        Ok(computed)
    }

    /// Only these rows of the batch, in this order.
    ///
    /// # Errors
    /// [`crate::NnError::Tensor`] if a row does not exist.
    pub fn keep_rows(&self, rows: &Tensor) -> Result<Self> {
        let select = |all: &Tensor| all.contiguous()?.index_select(rows, 0);
        let known = self.keys_values.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = known.iter().map(|(block, (keys, values))| {
            Ok((*block, (select(keys)?, select(values)?))) // (B', S, K*D) twice
        });
        let kept = kept.collect::<Result<BTreeMap<_, _>>>()?;
        Ok(Self {
            states: select(&self.states)?, // (B', S, C)
            mask: self.mask.as_ref().map(select).transpose()?,
            keys_values: Arc::new(Mutex::new(kept)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Device, KvCache};

    fn rows(values: &[f32]) -> Tensor {
        Tensor::from_slice(values, (values.len(), 1, 1), &Device::Cpu).expect("rows")
    }

    fn flat(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten_all().and_then(|flat| flat.to_vec1()).expect("values")
    }

    #[test]
    fn keys_are_computed_once_with_a_cache_and_every_time_without() {
        let encoded = Encoded::new(rows(&[1.0, 2.0]), None);
        let keys = |cx: &Context, value: f32| {
            let found = encoded.keys_values(3, cx, || Ok((rows(&[value]), rows(&[value]))));
            flat(&found.expect("keys").0)[0]
        };
        let cached = Context::eval().with_cache(Arc::new(KvCache::new(1)));
        assert_eq!([keys(&cached, 5.0), keys(&cached, 6.0)], [5.0, 5.0]);
        assert_eq!([keys(&Context::eval(), 7.0), keys(&Context::eval(), 8.0)], [7.0, 8.0]);
    }

    #[test]
    fn kept_rows_are_kept_in_states_mask_and_keys() {
        let mask = Tensor::from_slice(&[1u8, 0, 1], (3, 1), &Device::Cpu).expect("a mask");
        let encoded = Encoded::new(rows(&[1.0, 2.0, 3.0]), Some(mask));
        let cx = Context::eval().with_cache(Arc::new(KvCache::new(1)));
        let three = || Ok((rows(&[4.0, 5.0, 6.0]), rows(&[7.0, 8.0, 9.0])));
        encoded.keys_values(0, &cx, three).expect("keys");
        let kept = encoded.keep_rows(&Tensor::new(&[2u32, 0], &Device::Cpu).expect("rows"));
        let kept = kept.expect("kept");
        assert_eq!(flat(&kept.states), [3.0, 1.0]);
        let (keys, values) = kept.keys_values(0, &cx, three).expect("keys");
        assert_eq!((flat(&keys), flat(&values)), (vec![6.0, 4.0], vec![9.0, 7.0]));
        assert_eq!(kept.mask.expect("a mask").to_vec2::<u8>().expect("values"), [[1], [1]]);
    }
}
