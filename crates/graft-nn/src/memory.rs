//! How much memory a device can still give, and how much was taken of it since a moment.

#[cfg(feature = "cuda")]
mod gpu;
mod host;

use crate::Device;

/// Bytes that `device` can still give; none where the system does not tell. What the allocator keeps of freed memory counts as free.
///
/// In main memory a limit on the process's group, such as a container's, counts as well as what the machine has.
pub fn left(device: &Device) -> Option<u64> {
    match device {
        Device::Cpu => host::left(),
        #[cfg(feature = "cuda")]
        Device::Cuda(gpu) => gpu::left(gpu),
        _ => None,
    }
}

/// Lets a card keep memory that was freed, because giving it back and asking the driver again stops all that is under way.
#[cfg(feature = "cuda")]
pub(crate) fn keep_freed(device: &Device) {
    if let Device::Cuda(gpu) = device {
        gpu::keep_freed(gpu);
    }
}

/// Measures the most memory that is taken from a moment on: by the process in main memory, by its tensors on a card.
///
/// There is one such measurement per process and device: a later one begins anew, and the earlier then sees what is taken from there on.
#[derive(Debug)]
pub struct Meter {
    device: Device,
    before: u64,
}

impl Meter {
    /// From now on; none where the system cannot tell.
    pub fn start(device: &Device) -> Option<Self> {
        let before = match device {
            Device::Cpu => host::start(),
            #[cfg(feature = "cuda")]
            Device::Cuda(gpu) => gpu::start(gpu),
            _ => None,
        };
        before.map(|before| Self { device: device.clone(), before })
    }

    /// The most bytes that were taken at one time since then, on top of those that were taken then.
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

    /// Tests of one process are not measured one beside the other, so that all there is to say is said in one.
    #[test]
    #[cfg(target_os = "linux")]
    fn what_is_taken_is_measured_and_what_was_given_back_before_is_not() {
        let taken = |bytes: usize| std::hint::black_box(vec![1u8; bytes]).len();
        taken(512 << 20);
        let Some(meter) = Meter::start(&Device::Cpu) else { return };
        taken(64 << 20);
        let most = meter.most().expect("a machine that began to measure goes on");
        assert!((60 << 20..200 << 20).contains(&most), "{most}");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_is_left_is_less_than_there_is() {
        let left = left(&Device::Cpu).expect("Linux tells");
        assert!(left > 1 << 20 && left < 1 << 50, "{left}");
    }
}
