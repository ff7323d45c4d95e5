//! Limits the size of an adapter. Memory for every tensor is reserved here before it is allocated,
//! so that no size from a file or a key is trusted.

use std::sync::atomic::{AtomicU64, Ordering};

use graft_nn::{Device, memory};

use crate::{PeftError, weights_file::WeightsFile};

/// Bytes per parameter: adapters are stored in f32.
const BYTES_PER_PARAMETER: u64 = 4;
/// How many times larger than its file an adapter from a file may be. It is large enough that
/// tensors of the wrong shape are reported by name instead.
const SLACK: u64 = 16;
/// Number of parameters that are always allowed.
const FREE: u64 = 1 << 20;

/// The number of parameters that an adapter under construction may still allocate.
pub struct Allowance {
    left: AtomicU64,
    /// The weights file that the adapter is built for.
    file: Option<WeightsFile>,
}

impl Allowance {
    /// For a fresh adapter: as many parameters as fit into the free memory of the device, with
    /// their gradients.
    pub(crate) fn of_memory(device: &Device) -> Self {
        Self {
            left: AtomicU64::new(
                memory::left(device).map_or(u64::MAX, |bytes| bytes / (2 * BYTES_PER_PARAMETER)),
            ),
            file: None,
        }
    }

    /// For an adapter from a file: in proportion to the size of the file.
    pub(crate) fn of_file(file: WeightsFile) -> Self {
        let numbers = file.numbers().saturating_mul(SLACK).saturating_add(FREE);
        Self { left: AtomicU64::new(numbers), file: Some(file) }
    }

    /// The weights file that the adapter is built for.
    pub(crate) fn file(&self) -> Option<&WeightsFile> {
        self.file.as_ref()
    }

    /// Reserves the parameters of a tensor.
    ///
    /// # Errors
    /// [`PeftError::TooLarge`].
    pub(crate) fn reserve(&self, name: &str, path: &str, shape: &[usize]) -> Result<(), PeftError> {
        let wanted = numbers(shape);
        let enough = |left: u64| wanted.and_then(|wanted| left.checked_sub(wanted));
        match self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, enough) {
            Ok(_) => Ok(()),
            Err(_) => Err(self.exceeded(name, path, shape)),
        }
    }

    /// Checks that a whole network fits, before its first tensor is allocated.
    ///
    /// # Errors
    /// [`PeftError::TooLarge`].
    pub(crate) fn check_fits(
        &self,
        name: &str,
        path: &str,
        shape: &[usize],
    ) -> Result<(), PeftError> {
        let fits = numbers(shape).is_some_and(|wanted| wanted <= self.left.load(Ordering::Relaxed));
        if fits { Ok(()) } else { Err(self.exceeded(name, path, shape)) }
    }

    fn exceeded(&self, name: &str, path: &str, shape: &[usize]) -> PeftError {
        match &self.file {
            None => no_room(
                name,
                path,
                shape,
                self.left.load(Ordering::Relaxed).saturating_mul(BYTES_PER_PARAMETER),
            ),
            Some(file) => {
                let problem = format!(
                    "is larger than `{}`, which contains only {} values",
                    file.path().display(),
                    file.numbers()
                );
                let hint =
                    "adapter_config.json does not match these weights: compare it with the shapes \
                            in the file"
                        .to_owned();
                PeftError::TooLarge { what: what(name, path), shape: shape.to_vec(), problem, hint }
            }
        }
    }
}

/// Checks a tensor that is not in a file against the free memory.
///
/// # Errors
/// [`PeftError::TooLarge`].
pub(crate) fn check_memory(
    device: &Device,
    name: &str,
    path: &str,
    shape: &[usize],
) -> Result<(), PeftError> {
    let left = memory::left(device).unwrap_or(u64::MAX);
    let fits = numbers(shape)
        .and_then(|numbers| numbers.checked_mul(BYTES_PER_PARAMETER))
        .is_some_and(|bytes| bytes <= left);
    if fits { Ok(()) } else { Err(no_room(name, path, shape, left)) }
}

fn no_room(name: &str, path: &str, shape: &[usize], left: u64) -> PeftError {
    let needed =
        shape.iter().map(|size| *size as f64).product::<f64>() * BYTES_PER_PARAMETER as f64;
    let problem = format!(
        "needs {:.1} GB, but only {:.1} GB of memory are free",
        needed / 1e9,
        left as f64 / 1e9
    );
    let hint = "choose a smaller size (r, num_virtual_tokens, encoder_hidden_size) or fewer \
                target_modules"
        .to_owned();
    PeftError::TooLarge { what: what(name, path), shape: shape.to_vec(), problem, hint }
}

fn what(name: &str, path: &str) -> String {
    format!("`{name}` of `{path}`")
}

fn numbers(shape: &[usize]) -> Option<u64> {
    shape.iter().try_fold(1u64, |product, size| product.checked_mul(*size as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reservations_add_up_and_products_do_not_overflow() {
        let allowance = Allowance { left: AtomicU64::new(100), file: None };
        allowance.reserve("A", "x", &[8, 8]).expect("fits");
        let error = allowance.reserve("A", "x", &[8, 8]).expect_err("too large");
        assert!(error.to_string().contains("`A` of `x` with shape [8, 8]"), "{error}");
        allowance.reserve("A", "x", &[36]).expect("an error takes nothing");
        assert!(allowance.reserve("A", "x", &[usize::MAX, usize::MAX]).is_err());
        assert!(
            check_memory(&Device::Cpu, "A", "x", &[usize::MAX, 2]).is_err()
                && check_memory(&Device::Cpu, "A", "x", &[2, 2]).is_ok()
        );
    }
}
