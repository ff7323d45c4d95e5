//! Settings of the whole process that make candle train fast: the allocator and candle's own threads.
#![allow(unsafe_code)]

use std::sync::Once;

static TUNED: Once = Once::new();

/// Sets the process up for training, once; later calls do nothing.
///
/// * glibc keeps freed memory instead of giving it back between operations: page faults cost 25-45 % of a step otherwise.
/// * candle's spinning pool for elementwise operations is reduced to the calling thread (unless `CANDLE_NUM_THREADS` is set):
///   it fights with rayon on few cores, and the operations here bring their own parallelism.
///
/// Call it first in `main` or at the top of a test, before other threads start and before the first tensor.
pub fn tune_process() {
    TUNED.call_once(|| {
        keep_freed_memory();
        if std::env::var_os("CANDLE_NUM_THREADS").is_none() {
            // SAFETY: the caller promises that no other thread reads or writes the environment now; std's own accesses are
            // locked against each other in any case.
            unsafe { std::env::set_var("CANDLE_NUM_THREADS", "1") };
        }
    });
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
