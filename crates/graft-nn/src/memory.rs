//! Free and used memory of a device.

#[cfg(feature = "cuda")]
mod gpu;
mod host;

use crate::Device;

/// Free memory of `device` in bytes; `None` if the system does not report it. Freed memory that the
/// allocator retains counts as free.
///
/// For main memory, a limit of the process's control group, such as that of a container, is taken
/// into account.
pub fn left(device: &Device) -> Option<u64> {
    match device {
        Device::Cpu => host::left(),
        #[cfg(feature = "cuda")]
        Device::Cuda(gpu) => gpu::left(gpu),
        _ => None,
    }
}

/// Lets the memory pool of a GPU retain freed memory, because returning it to the driver
/// synchronizes the device.
#[cfg(feature = "cuda")]
pub(crate) fn keep_freed(device: &Device) {
    if let Device::Cuda(gpu) = device {
        gpu::keep_freed(gpu);
    }
}

/// Measures the peak memory from a moment on: of the process in main memory, or of its tensors on a
/// GPU.
///
/// There is one peak counter per process and device. Starting another meter resets it, also for the
/// earlier meters.
#[derive(Debug)]
pub struct Meter {
    device: Device,
    before: u64,
}

impl Meter {
    /// Starts to measure; `None` if the system does not support it.
    pub fn start(device: &Device) -> Option<Self> {
        let before = match device {
            Device::Cpu => host::start(),
            #[cfg(feature = "cuda")]
            Device::Cuda(gpu) => gpu::start(gpu),
            _ => None,
        };
        before.map(|before| Self { device: device.clone(), before })
    }

    /// Peak memory since the start in bytes, minus the memory in use at the start.
    pub fn most(&self) -> Option<u64> {
        let most = match &self.device {
            Device::Cpu => host::most(),
            #[cfg(feature = "cuda")]
            Device::Cuda(gpu) => gpu::most(gpu),
            _ => None,
        };
        most.map(|most| most.saturating_sub(self.before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One test for everything, since tests that measure concurrently in one process would disturb
    /// each other.
    #[test]
    #[cfg(target_os = "linux")]
    fn the_peak_counts_new_memory_and_not_memory_freed_before() {
        let taken = |bytes: usize| std::hint::black_box(vec![1u8; bytes]).len();
        taken(512 << 20);
        let Some(meter) = Meter::start(&Device::Cpu) else { return };
        taken(64 << 20);
        let most = meter.most().expect("a started meter measures");
        assert!((60 << 20..200 << 20).contains(&most), "{most}");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn free_memory_is_less_than_total_memory() {
        let left = left(&Device::Cpu).expect("Linux tells");
        assert!(left > 1 << 20 && left < 1 << 50, "{left}");
    }
}
