//! Barriers between the two channels to the host.
//!
//! The output of a cell reaches the host through standard output (what it prints) and through the
//! link (what it displays). A barrier is sent on both channels with the same number. The host
//! delivers nothing that follows a barrier on one channel before the barrier has arrived on the
//! other, so text and displays appear in the order in which the cell produced them.

use std::{
    io::Write,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use graft_protocol::{CellEnd, FromChild, sentinel, sentinel::Sentinels};

use super::outbox::Outbox;

/// The link of this process and the sentinels for its standard output; unset without a host.
static LINK: OnceLock<(Arc<Outbox>, Sentinels)> = OnceLock::new();

/// Turns barriers on. Standard output must be read by the host that shares the secret of
/// `sentinels`.
pub(crate) fn enable(link: Arc<Outbox>, sentinels: Sentinels) {
    // `boot` refuses a second session, so the value is set at most once.
    let _ = LINK.set((link, sentinels));
}

/// Reports how a cell ended.
pub(crate) fn report(end: CellEnd) {
    if let Some((link, _)) = LINK.get() {
        link.push(FromChild::CellEnded(end));
    }
}

/// Sends a barrier: everything that this thread has printed or displayed appears before everything
/// that it prints or displays later. Does nothing without a host.
pub(crate) fn barrier() {
    static NEXT: AtomicU64 = AtomicU64::new(sentinel::FIRST_OF_CHILD);
    let Some((link, sentinels)) = LINK.get() else { return };
    let mut stdout = std::io::stdout().lock();
    // The lock keeps the barriers of several threads in the same order on both channels.
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    if stdout.write_all(&sentinels.bytes(number)).and_then(|()| stdout.flush()).is_ok() {
        link.push(FromChild::Barrier { number });
    }
}
