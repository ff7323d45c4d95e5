//! Fingerprints of weights: equal contents have equal fingerprints on every machine and
//! with every version.

use graft_nn::{DType, NnError, Tensor, Trainable};
use graft_random::StableHasher;

/// Elements hashed at each end of a tensor; the middle of a longer tensor is not hashed.
const HASHED: usize = 1 << 17;

/// Fingerprint of trained weights, by name. Of a long tensor, the shape, the start and the end are
/// hashed.
///
/// # Errors
/// When a tensor cannot be copied from its device.
pub fn weights_fingerprint(trainables: &[Trainable]) -> graft_nn::Result<String> {
    of_tensors(
        trainables
            .iter()
            .map(|trainable| (trainable.name.as_str(), trainable.var.as_detached_tensor())),
    )
}

/// Fingerprint of named tensors, in any order.
///
/// # Errors
/// When a tensor cannot be copied from its device.
pub fn of_tensors<'a>(
    tensors: impl Iterator<Item = (&'a str, Tensor)>,
) -> graft_nn::Result<String> {
    let mut tensors: Vec<_> = tensors.collect();
    tensors.sort_by(|one, other| one.0.cmp(other.0));
    let mut hasher = StableHasher::new();
    for (name, tensor) in tensors {
        hasher.text(name);
        tensor.dims().iter().for_each(|size| hasher.number(*size as u64));
        for value in ends(&tensor).map_err(NnError::from)? {
            hasher.bytes(&value.to_bits().to_le_bytes());
        }
    }
    Ok(hasher.finish())
}

fn ends(tensor: &Tensor) -> candle_core::Result<Vec<f32>> {
    let flat = tensor.flatten_all()?; // (N)
    let count = flat.elem_count();
    let values = |part: Tensor| part.to_dtype(DType::F32)?.to_vec1::<f32>();
    if count <= 2 * HASHED {
        return values(flat);
    }
    let mut both = values(flat.narrow(0, 0, HASHED)?)?; // (HASHED)
    both.extend(values(flat.narrow(0, count - HASHED, HASHED)?)?);
    Ok(both)
}

#[cfg(test)]
mod tests {
    use graft_nn::{Device, Var};

    use super::*;

    #[test]
    fn the_fingerprint_of_weights_changes_with_a_value_at_either_end() {
        let var = |values: &[f32]| {
            vec![Trainable::new("w", Var::new(values, &Device::Cpu).expect("var"))]
        };
        let of = |values: &[f32]| weights_fingerprint(&var(values)).expect("reads");
        let mut long = vec![0.5f32; 2 * HASHED + 10];
        let first = of(&long);
        *long.last_mut().expect("not empty") = 0.25;
        assert_ne!(first, of(&long));
        assert_ne!(of(&[1.0, 2.0]), of(&[2.0, 1.0]));
        assert_eq!(of(&[1.0, 2.0]), of(&[1.0, 2.0]));
    }
}
