//! Fingerprints of data and weights: equal contents have equal fingerprints on every machine and
//! with every version.

use graft_nn::{DType, NnError, Tensor, Trainable};

use crate::data::Dataset;

/// Elements hashed at each end of a tensor; the middle of a longer tensor is not hashed.
const HASHED: usize = 1 << 17;

/// 64-bit FNV-1a. The hasher of the standard library may change between releases, and fingerprints
/// are stored in files.
///
/// # Source
/// Fowler, Noll and Vo, draft-eastlake-fnv
#[derive(Clone, Copy, Debug)]
struct Hasher(u64);

impl Hasher {
    const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn number(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    /// Hashes the length too, so that `ab`, `c` and `a`, `bc` differ.
    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.bytes(text.as_bytes());
    }

    fn finish(self) -> String {
        format!("{:016x}", self.0)
    }
}

impl Dataset {
    /// Fingerprint of the examples, the labels and the template. It does not depend on the name or
    /// the origin of the data set. Ledgers store it, so it does not change between versions.
    pub fn content_fingerprint(&self) -> String {
        let mut hasher = Hasher::new();
        hasher.number(self.labels().len() as u64);
        self.labels().iter().for_each(|label| hasher.text(label));
        hasher.text(&self.template);
        for split in [&self.train, &self.validation, &self.test] {
            hasher.number(split.len() as u64);
            for example in split {
                hasher.text(&example.prompt);
                hasher.text(&example.completion);
                hasher.number(example.label.map_or(u64::MAX, |label| label as u64));
            }
        }
        hasher.finish()
    }
}

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
    let mut hasher = Hasher::new();
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
    use crate::data::parse_inline;

    fn data(text: &str) -> Dataset {
        parse_inline("any", text, &graft_spec::Settings::default()).expect("parses")
    }

    #[test]
    fn the_fingerprint_of_data_is_that_of_earlier_versions_and_changes_with_a_letter() {
        let text = "{\"prompt\": \"a\", \"completion\": \" b\"}\n";
        let one = data(text);
        let other = data(&text.replace('b', "c"));
        assert_ne!(one.content_fingerprint(), other.content_fingerprint());
        assert_eq!(
            one.content_fingerprint(),
            Dataset { name: "else".to_owned(), ..one.clone() }.content_fingerprint()
        );
        let mut hasher = Hasher::new();
        hasher.bytes(b"foobar");
        assert_eq!(hasher.finish(), "85944171f73967e8", "the published value of FNV-1a");
    }

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
