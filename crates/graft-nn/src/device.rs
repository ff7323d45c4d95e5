//! Selection of the device that holds all tensors of a session.

use crate::{Device, NnError, Result};
#[cfg(feature = "cuda")]
use crate::{memory, message::first_line};

#[cfg(feature = "cuda")]
const AVAILABLE: &[&str] = &["cpu", "cuda"];
#[cfg(not(feature = "cuda"))]
const AVAILABLE: &[&str] = &["cpu"];

/// The device called `name`; the CPU by default.
///
/// # Errors
/// [`NnError::Device`] if the name is unknown, [`NnError::NoCuda`] and [`NnError::NoGpu`] if this
/// build or machine cannot use it.
pub fn choose(name: Option<&str>) -> Result<Device> {
    match name {
        None | Some("cpu") => Ok(Device::Cpu),
        // One explicit stream: with candle's default of one stream per thread, tensors created on
        // one stream would race with operations on another.
        #[cfg(feature = "cuda")]
        Some("cuda") => {
            let gpu = Device::new_cuda_with_stream(0)
                .map_err(|error| NnError::NoGpu { reason: first_line(&error) })?;
            memory::keep_freed(&gpu);
            Ok(gpu)
        }
        #[cfg(not(feature = "cuda"))]
        Some("cuda") => Err(NnError::NoCuda),
        Some(other) => {
            Err(NnError::Device { name: other.to_owned(), available: AVAILABLE.to_vec() })
        }
    }
}

/// A description of the device: `cpu, 8 threads` or `cuda:0`.
pub fn describe(device: &Device) -> String {
    match device.location() {
        candle_core::DeviceLocation::Cpu => match rayon::current_num_threads() {
            1 => "cpu, 1 thread".to_owned(),
            threads => format!("cpu, {threads} threads"),
        },
        candle_core::DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
        candle_core::DeviceLocation::Metal { gpu_id } => format!("metal:{gpu_id}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use graft_spec::Hint;

    #[test]
    fn an_unknown_device_is_refused_with_the_names_that_work() {
        let error = choose(Some("tpu")).expect_err("unknown device");
        assert_eq!(error.to_string(), "device `tpu` is not available");
        assert!(error.hint().expect("a hint").contains("cpu"));
    }

    #[test]
    fn a_missing_gpu_is_refused_with_a_hint() {
        let error = choose(Some("cuda")).expect_err("no GPU here");
        assert!(error.to_string().contains("stays on the CPU"), "{error}");
        let hint = error.hint().expect("a hint");
        assert!(hint.contains("cuda-build") || hint.contains("graft doctor --gpu"), "{hint}");
    }

    #[test]
    fn the_cpu_is_the_default() {
        assert!(choose(None).expect("a CPU").is_cpu());
        assert!(describe(&Device::Cpu).starts_with("cpu, "));
    }
}
