//! Settings of the whole process that make candle train fast.
#![allow(unsafe_code)]

use std::sync::Once;

static TUNED: Once = Once::new();

/// Sets the process up for training, once; later calls do nothing. May be called from any thread.
///
/// glibc keeps freed memory instead of giving it back between operations: page faults cost 25-45 % of a step otherwise.
///
/// candle's pool for elementwise operations competes with rayon on few cores, and the operations here bring their own parallelism. Its size
/// can only be set in the environment, which a running process must not change: whoever starts one sets `CANDLE_NUM_THREADS=1`, as the
/// kernel does for its child and `.cargo/config.toml` for what cargo runs.
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

/// Gives freed memory that the allocator keeps back to the system; it comes again at the price of page faults.
pub(crate) fn give_freed_memory_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: malloc_trim releases free pages under malloc's own locks.
    unsafe {
        libc::malloc_trim(0);
    }
}
