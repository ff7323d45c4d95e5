//! Validation of sizes in files before memory is allocated.
//!
//! A config or a header can contain arbitrary numbers, so sizes are accepted only if they are
//! consistent with the tensors of the same files.

use graft_nn::{DType, Device, memory};
use serde_json::Value;

use crate::{ModelError, WeightSpec};

/// Largest accepted size, because some ids and positions are stored as u32.
const LARGEST: u64 = u32::MAX as u64;

/// The sizes of a `config.json`.
#[derive(Clone, Copy)]
pub(crate) struct ConfigSizes<'a>(pub(crate) &'a Value);

impl ConfigSizes<'_> {
    /// A required size.
    ///
    /// # Errors
    /// Returns a description of the problem if it is missing or not a whole number from 1 to
    /// 2^32 - 1.
    pub(crate) fn needed(self, key: &str) -> Result<usize, String> {
        self.get(key)?.ok_or_else(|| format!("`{key}` is missing"))
    }

    /// A size with a default for a missing or `null` value.
    ///
    /// # Errors
    /// Returns a description of the problem if the value is invalid.
    pub(crate) fn or(self, key: &str, default: usize) -> Result<usize, String> {
        Ok(self.get(key)?.unwrap_or(default))
    }

    /// An optional size; `None` if it is missing or `null`.
    ///
    /// # Errors
    /// Returns a description of the problem if the value is invalid.
    pub(crate) fn get(self, key: &str) -> Result<Option<usize>, String> {
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                let size = value.as_u64().filter(|size| (1..=LARGEST).contains(size));
                let size = size.ok_or_else(|| {
                    format!(
                        "`{key}` must be a whole number from 1 to {LARGEST}, got `{}`",
                        short(value)
                    )
                })?;
                Ok(Some(size as usize))
            }
        }
    }
}

/// A summary of the tensors in the files of a model.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stored {
    /// Number of tensors.
    pub(crate) tensors: usize,
    /// The largest dimension.
    pub(crate) longest: usize,
}

impl Stored {
    /// The summary of the shapes of all tensors.
    pub(crate) fn of<'a>(shapes: impl Iterator<Item = &'a [usize]>) -> Self {
        shapes.fold(Self::default(), |so_far, shape| Self {
            tensors: so_far.tensors + 1,
            longest: shape.iter().copied().fold(so_far.longest, usize::max),
        })
    }
}

/// Keys of the number of layers, which is at most the number of tensors.
const LAYERS: &[&str] =
    &["num_hidden_layers", "n_layer", "num_layers", "n_layers", "num_decoder_layers"];
/// Keys of sizes that are at most the largest dimension of a tensor.
const DIMENSIONS: &[&str] = &[
    "vocab_size",
    "hidden_size",
    "n_embd",
    "intermediate_size",
    "n_inner",
    "type_vocab_size",
    "dim",
    "hidden_dim",
    "n_heads",
    "d_model",
    "d_ff",
    "d_kv",
    "num_heads",
    "relative_attention_num_buckets",
    "num_attention_heads",
    "n_head",
    "num_key_value_heads",
    "head_dim",
];

/// Compares the sizes in a config with the tensors in its files, before lists of these lengths are
/// allocated. Individual shapes are checked later.
///
/// # Errors
/// Returns a description of the problem with the key and its value.
pub(crate) fn check(config: &Value, stored: Stored) -> Result<(), String> {
    let sizes = ConfigSizes(config);
    let beyond =
        |key: &str, limit: usize| Ok::<_, String>(sizes.get(key)?.filter(|size| *size > limit));
    for key in LAYERS {
        if let Some(layers) = beyond(key, stored.tensors)? {
            return Err(format!(
                "`{key}` is {layers}, but its weight files have only {} tensors",
                stored.tensors
            ));
        }
    }
    for key in DIMENSIONS {
        if let Some(size) = beyond(key, stored.longest)? {
            return Err(format!(
                "`{key}` is {size}, but the longest dimension of a tensor in its weight \
                 files is {}",
                stored.longest
            ));
        }
    }
    Ok(())
}

/// Returns an error if the weights of a model do not fit into free memory. `packed` is the size of
/// weights that stay as in the file, in bytes.
///
/// # Errors
/// [`ModelError::Memory`].
pub(crate) fn check_memory(
    specs: &[&WeightSpec],
    packed: u64,
    dtype: DType,
    device: &Device,
) -> Result<(), ModelError> {
    let bytes = |spec: &&WeightSpec| {
        let width = if spec.shape.len() == 1 { DType::F32 } else { dtype }.size_in_bytes() as u64;
        spec.shape.iter().fold(width, |product, size| product.saturating_mul(*size as u64))
    };
    let needed = specs.iter().map(bytes).fold(packed, u64::saturating_add);
    match memory::left(device) {
        Some(left) if needed > left => {
            Err(ModelError::Memory { needed, left, dtype: dtype.as_str() })
        }
        _ => Ok(()),
    }
}

/// A value for a message, shortened to 40 characters.
fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 40 {
        text
    } else {
        format!("{}…", text.chars().take(40).collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_size_is_a_positive_whole_number_of_32_bits_and_null_is_none() {
        for wrong in [
            json!(0),
            json!(-1),
            json!(1.5),
            json!("8"),
            json!(true),
            json!([8]),
            json!(1u64 << 32),
            json!(u64::MAX),
        ] {
            let config = json!({ "num_key_value_heads": wrong });
            assert!(
                ConfigSizes(&config)
                    .or("num_key_value_heads", 4)
                    .unwrap_err()
                    .contains("`num_key_value_heads` must be"),
                "{wrong}"
            );
        }
        let config = json!({"a": 7, "b": null});
        assert_eq!(
            [
                ConfigSizes(&config).needed("a"),
                ConfigSizes(&config).or("b", 3),
                ConfigSizes(&config).or("c", 4)
            ],
            [Ok(7), Ok(3), Ok(4)]
        );
        assert_eq!(ConfigSizes(&config).needed("b"), Err("`b` is missing".to_owned()));
    }

    #[test]
    fn sizes_beyond_those_of_the_files_are_refused() {
        let stored = Stored::of([[40, 16].as_slice(), &[16]].into_iter());
        assert!(check(&json!({"num_hidden_layers": 2, "vocab_size": 40}), stored).is_ok());
        for (key, word) in [
            ("num_hidden_layers", "only 2 tensors"),
            ("n_layer", "only 2 tensors"),
            ("hidden_size", "is 40"),
            ("num_attention_heads", "is 40"),
        ] {
            let problem = check(&json!({ key: 2_147_483_648u64 }), stored).unwrap_err();
            assert!(problem.contains(word) && problem.contains("2147483648"), "{problem}");
        }
    }

    #[test]
    fn weights_beyond_all_memory_are_refused() {
        let spec = WeightSpec::new("classifier.weight".to_owned(), &[usize::MAX / 2, 768]);
        let error = check_memory(&[&spec], 0, DType::F32, &Device::Cpu);
        assert!(
            memory::left(&Device::Cpu).is_none() || matches!(error, Err(ModelError::Memory { .. }))
        );
        assert!(
            check_memory(&[&WeightSpec::new("x".to_owned(), &[3])], 0, DType::F32, &Device::Cpu)
                .is_ok()
        );
    }
}
