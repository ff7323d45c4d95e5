//! Sizes that files name, checked before anything is made of them.
//!
//! A number in a config or a header costs its writer nothing, so it is believed only where tensors of the same files agree with it.

use graft_nn::{DType, Device, memory};
use serde_json::Value;

use crate::{ModelError, WeightSpec};

/// Largest number that a size may be: ids and positions are 32-bit numbers in places.
const LARGEST: u64 = u32::MAX as u64;

/// The sizes of a `config.json`.
#[derive(Clone, Copy)]
pub(crate) struct Sizes<'a>(pub(crate) &'a Value);

impl Sizes<'_> {
    /// A size that must be there.
    ///
    /// # Errors
    /// In words, when it is missing, zero, negative, no whole number or beyond 32 bits.
    pub(crate) fn needed(self, key: &str) -> Result<usize, String> {
        self.get(key)?.ok_or_else(|| format!("`{key}` is missing"))
    }

    /// A size, or what stands for one that is missing or `null`.
    ///
    /// # Errors
    /// In words, when it is there and no size.
    pub(crate) fn or(self, key: &str, default: usize) -> Result<usize, String> {
        Ok(self.get(key)?.unwrap_or(default))
    }

    /// A size, where it is there and not `null`.
    ///
    /// # Errors
    /// In words, when it is there and no size.
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

/// What the headers of a model's files say, without a name.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stored {
    /// Tensors.
    pub(crate) tensors: usize,
    /// The longest dimension of any.
    pub(crate) longest: usize,
}

impl Stored {
    /// Of the shapes of all tensors.
    pub(crate) fn of<'a>(shapes: impl Iterator<Item = &'a [usize]>) -> Self {
        shapes.fold(Self::default(), |so_far, shape| Self {
            tensors: so_far.tensors + 1,
            longest: shape.iter().copied().fold(so_far.longest, usize::max),
        })
    }
}

/// Keys that say how many layers there are: each has tensors of its own.
const LAYERS: &[&str] = &["num_hidden_layers", "n_layer", "num_layers"];
/// Keys that are a dimension of some tensor, or at most as large as one.
const DIMENSIONS: &[&str] = &[
    "vocab_size",
    "hidden_size",
    "n_embd",
    "intermediate_size",
    "n_inner",
    "type_vocab_size",
    "num_attention_heads",
    "n_head",
    "num_key_value_heads",
    "head_dim",
];

/// Compares the sizes that a config names with what its files hold, before a list as long as one of them is made. Every shape is compared later, name by name.
///
/// # Errors
/// In words: the key, its value and what the files hold.
pub(crate) fn check(config: &Value, stored: Stored) -> Result<(), String> {
    let sizes = Sizes(config);
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
                "`{key}` is {size}, but the longest dimension of a tensor in its weight files is {}",
                stored.longest
            ));
        }
    }
    Ok(())
}

/// Refuses a model whose weights do not fit into the memory that is left. `packed` are bytes of weights that stay as they are in the file.
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

/// A value as a message shows it.
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
                Sizes(&config)
                    .or("num_key_value_heads", 4)
                    .unwrap_err()
                    .contains("`num_key_value_heads` must be"),
                "{wrong}"
            );
        }
        let config = json!({"a": 7, "b": null});
        assert_eq!(
            [Sizes(&config).needed("a"), Sizes(&config).or("b", 3), Sizes(&config).or("c", 4)],
            [Ok(7), Ok(3), Ok(4)]
        );
        assert_eq!(Sizes(&config).needed("b"), Err("`b` is missing".to_owned()));
    }

    #[test]
    fn no_size_is_beyond_what_the_files_hold() {
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
