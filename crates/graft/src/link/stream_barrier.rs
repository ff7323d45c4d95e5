//! Meetings of the two ways to the host. What a cell prints goes through its standard output, what it shows through the link; so that
//! neither overtakes the other, both say where they meet, and the host lets them wait for each other there.

use std::{
    io::Write,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use graft_protocol::{CellEnd, FromChild, mark, mark::Marks};

use super::outbox::Outbox;

/// The link of this process and its marks; none where no host reads.
static LINK: OnceLock<(Arc<Outbox>, Marks)> = OnceLock::new();

/// Meetings begin: standard output belongs to the host, which knows the secret of the marks.
pub(crate) fn begin(link: Arc<Outbox>, marks: Marks) {
    // The second session of a process is refused by its boot.
    let _ = LINK.set((link, marks));
}

/// Reports how a cell ended.
pub(crate) fn report(end: CellEnd) {
    if let Some((link, _)) = LINK.get() {
        link.push(FromChild::CellEnded(end));
    }
}

/// What this thread has printed and shown so far comes before whatever it prints or shows from now on.
pub(crate) fn meet() {
    static NEXT: AtomicU64 = AtomicU64::new(mark::FIRST_OF_CHILD);
    let Some((link, marks)) = LINK.get() else { return };
    let mut stdout = std::io::stdout().lock();
    // Under the lock, so that meetings of several threads come in one order on both ways.
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    if stdout.write_all(&marks.bytes(number)).and_then(|()| stdout.flush()).is_ok() {
        link.push(FromChild::Barrier { number });
    }
}
