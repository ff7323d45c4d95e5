//! The job thread: one job at a time, each under its own stop flag, none able to take the session down.

use std::{
    any::Any,
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Once,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
};

use graft_nn::Device;
use graft_spec::Failure;

use crate::SessionError;

/// candle's backward pass recurses along the graph: a default stack of 2 MiB ends at some ten thousand operations.
const STACK_BYTES: usize = 16 << 20;

/// One piece of work with everything it needs.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// The job that runs now.
#[derive(Clone)]
pub(crate) struct Running {
    /// In words: `training`.
    pub(crate) label: String,
    /// Set by an interrupt, read by the job at each of its steps.
    pub(crate) stop: Arc<AtomicBool>,
    /// Whether its cell has ended: the stop button means something else then.
    pub(crate) is_background: bool,
}

impl Running {
    pub(crate) fn new(label: &str) -> Self {
        Self {
            label: label.to_owned(),
            stop: Arc::new(AtomicBool::new(false)),
            is_background: false,
        }
    }

    /// One whose cell ends when it begins.
    pub(crate) fn in_background(label: &str) -> Self {
        Self { is_background: true, ..Self::new(label) }
    }

    pub(crate) fn interrupt(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_interrupted(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

/// Starts the thread; it ends when the sender is dropped.
pub(crate) fn start() -> mpsc::Sender<Job> {
    let (sender, jobs) = mpsc::channel::<Job>();
    thread("graft-session", move || jobs.into_iter().for_each(|job| job()))
        .expect("invariant: a process that has just started can start one thread");
    sender
}

/// Starts a thread on which a model can run.
pub(crate) fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    std::thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES).spawn(work).map(drop)
}

thread_local! {
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
    static GUARDED: RefCell<u32> = const { RefCell::new(0) };
}

/// Runs `work`; a panic in it becomes a `session::panic` that says what and where, and nothing is printed.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    watch_panics();
    GUARDED.with_borrow_mut(|depth| *depth += 1);
    let result = catch_unwind(AssertUnwindSafe(work));
    GUARDED.with_borrow_mut(|depth| *depth -= 1);
    result.unwrap_or_else(|payload| {
        let message = match PLACE.take() {
            Some(place) => format!("{} ({place})", words(payload.as_ref())),
            None => words(payload.as_ref()),
        };
        Err(SessionError::Panic { message }.into())
    })
}

/// Runs `work` where the device computes, as [`guarded`]. That is a thread of candle's, which panics where it cannot start its threads.
pub(crate) fn on_device<T: Send>(
    device: &Device,
    work: impl FnOnce() -> Result<T, Failure> + Send,
) -> Result<T, Failure> {
    let has_begun = AtomicBool::new(false);
    let result = guarded(|| {
        device.with_context(|| {
            has_begun.store(true, Ordering::Relaxed);
            guarded(work)
        })
    });
    match result {
        Err(failure) if !has_begun.load(Ordering::Relaxed) => {
            Err(SessionError::NoThreads { problem: failure.message }.into())
        }
        result => result,
    }
}

/// Under [`guarded`] the place of a panic is kept for the failure instead of being printed; elsewhere the hook that was there acts.
fn watch_panics() {
    static WATCHING: Once = Once::new();
    WATCHING.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let guarded = GUARDED.try_with(|depth| *depth.borrow() > 0).unwrap_or(false);
            if guarded {
                let place =
                    info.location().map(|place| format!("{}:{}", place.file(), place.line()));
                let _ = PLACE.try_with(|kept| kept.replace(place));
            } else {
                before(info);
            }
        }));
    });
}

fn words(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without words".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_failure_that_says_what_and_where() {
        let failure = guarded::<()>(|| panic!("the sky fell")).unwrap_err();
        assert_eq!(failure.code, "session::panic");
        assert!(
            failure.message.contains("the sky fell") && failure.message.contains("job.rs"),
            "{}",
            failure.message
        );
    }

    #[test]
    fn the_thread_takes_the_next_job_after_a_panic() {
        let jobs = start();
        let (done, result) = mpsc::channel();
        jobs.send(Box::new(|| drop(guarded::<()>(|| panic!("first"))))).unwrap();
        jobs.send(Box::new(move || done.send(2).unwrap())).unwrap();
        assert_eq!(result.recv().unwrap(), 2);
    }
}
