//! Process-wide settings for fast training.
#![allow(unsafe_code)]

use std::sync::Once;

static TUNED: Once = Once::new();

/// Configures the process for training, once; later calls have no effect. Can be called from any
/// thread.
///
/// It lets glibc retain freed memory between operations. Otherwise page faults take 25-45 % of the
/// time of a step.
///
/// It does not change candle's thread pool for elementwise operations, which competes with rayon on
/// few cores. Its size is read from the environment variable `CANDLE_NUM_THREADS`, which a running
/// process must not change. The parent process should set it to 1, as the kernel does for its child
/// and `.cargo/config.toml` for processes started by cargo.
pub fn tune_process() {
    TUNED.call_once(keep_freed_memory);
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn keep_freed_memory() {
    const GIB: libc::c_int = 1 << 30;
    const TOP_PAD: libc::c_int = 64 << 20;
    // SAFETY: mallopt only stores tuning values inside malloc, under malloc's own lock.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, GIB);
        libc::mallopt(libc::M_TRIM_THRESHOLD, libc::c_int::MAX);
        libc::mallopt(libc::M_TOP_PAD, TOP_PAD);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn keep_freed_memory() {}

/// Returns freed memory that the allocator retains to the system. Allocating it again costs page
/// faults.
pub(crate) fn release_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: malloc_trim releases free pages under malloc's own locks.
    unsafe {
        libc::malloc_trim(0);
    }
}
