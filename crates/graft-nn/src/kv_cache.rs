//! Key-value cache for generation.

use std::sync::{Mutex, MutexGuard, PoisonError};

use candle_nn::kv_cache::KvCache as LayerCache;

use crate::{NnError, Result, Tensor};

/// Number of positions by which the buffer of a layer grows.
const GROWTH: usize = 256;

/// The keys and values of all previous positions, so that a new token costs the computation of one
/// position only.
///
/// The layers of one forward pass share a cache. Buffers grow by 256 positions at a time.
///
/// # Shapes
/// Keys and values of each layer: `(B, positions, K*D)`
#[derive(Debug)]
pub struct KvCache {
    layers: Mutex<Vec<LayerCache>>,
}

impl KvCache {
    /// An empty cache for a model with `layers` layers.
    pub fn new(layers: usize) -> Self {
        Self { layers: Mutex::new(vec![LayerCache::new(1, GROWTH); layers]) }
    }

    /// Number of cached positions. During a pass it does not change until the last layer has run.
    pub fn offset(&self) -> usize {
        self.lock().last().map_or(0, LayerCache::current_seq_len)
    }

    /// Appends the keys and values of new positions to one layer, and returns all of that layer.
    ///
    /// # Shapes
    /// `keys, values: (B, T, K*D)` -> both `(B, offset + T, K*D)`
    /// # Errors
    /// [`NnError::OutOfRange`] for an unknown layer; [`NnError::Tensor`] if the shapes differ from
    /// earlier calls.
    pub fn append(&self, layer: usize, keys: &Tensor, values: &Tensor) -> Result<(Tensor, Tensor)> {
        let mut layers = self.lock();
        let limit = layers.len();
        let rows = layers.get_mut(layer).ok_or(NnError::OutOfRange {
            what: "layer",
            index: layer as i64,
            limit,
        })?;
        Ok(rows.append(&keys.detach().contiguous()?, &values.detach().contiguous()?)?) // (B, offset + T, K*D) twice
    }

    /// Keeps only these rows of the batch, in this order.
    ///
    /// # Errors
    /// [`NnError::Tensor`] if a row does not exist.
    pub fn keep_rows(&self, rows: &Tensor) -> Result<()> {
        for layer in self.lock().iter_mut() {
            let (Some(keys), Some(values)) = (layer.k()?, layer.v()?) else { continue };
            let select = |all: Tensor| all.contiguous()?.index_select(rows, 0); // (B', positions, K*D)
            let (keys, values) = (select(keys)?, select(values)?);
            *layer = LayerCache::new(1, GROWTH);
            layer.append(&keys, &values)?;
        }
        Ok(())
    }

    /// Removes all keys and values and keeps the buffers.
    pub fn reset(&self) {
        self.lock().iter_mut().for_each(LayerCache::reset);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<LayerCache>> {
        // A panic between two tensor operations leaves the rows consistent, so the data is usable.
        self.layers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Device;

    fn rows(from: f32, count: usize) -> Tensor {
        Tensor::arange(from, from + count as f32 * 2.0, &Device::Cpu)
            .and_then(|t| t.reshape((1, count, 2)))
            .expect("rows")
    }

    #[test]
    fn positions_add_up_beyond_the_first_buffer_and_the_offset_follows_the_last_layer() {
        let cache = KvCache::new(2);
        cache.append(0, &rows(0.0, 255), &rows(0.0, 255)).expect("appends");
        assert_eq!(cache.offset(), 0);
        cache.append(1, &rows(0.0, 255), &rows(0.0, 255)).expect("appends");
        assert_eq!(cache.offset(), 255);
        let (keys, values) = cache.append(0, &rows(510.0, 3), &rows(510.0, 3)).expect("appends");
        assert_eq!(
            keys.flatten_all().and_then(|t| t.to_vec1::<f32>()).expect("values"),
            (0..516).map(|v| v as f32).collect::<Vec<_>>()
        );
        assert_eq!(values.dims(), keys.dims());
        cache.reset();
        assert_eq!(cache.offset(), 0);
    }

    #[test]
    fn rows_that_are_not_kept_are_removed_from_every_layer() {
        let cache = KvCache::new(1);
        let values = Tensor::arange(0f32, 12.0, &Device::Cpu)
            .and_then(|t| t.reshape((3, 2, 2)))
            .expect("three rows");
        cache.append(0, &values, &values).expect("appends");
        cache.keep_rows(&Tensor::new(&[2u32, 0], &Device::Cpu).expect("rows")).expect("keeps");
        let one = Tensor::zeros((2, 1, 2), crate::DType::F32, &Device::Cpu).expect("a position");
        let (keys, _) = cache.append(0, &one, &one).expect("appends");
        assert_eq!(
            keys.flatten_all().and_then(|t| t.to_vec1::<f32>()).expect("values"),
            [8.0, 9.0, 10.0, 11.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 0.0, 0.0]
        );
    }

    #[test]
    fn a_layer_too_many_is_an_error() {
        assert_eq!(
            KvCache::new(1)
                .append(1, &rows(0.0, 1), &rows(0.0, 1))
                .expect_err("no layer")
                .to_string(),
            "layer 1 is outside 0..1"
        );
    }
}
