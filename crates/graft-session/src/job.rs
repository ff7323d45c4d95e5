//! The job thread. It runs one job at a time; a panic in a job does not end the session.

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

/// candle's backward pass recurses along the graph: the default stack of 2 MiB overflows after
/// about ten thousand operations.
const STACK_BYTES: usize = 16 << 20;

/// A job with everything it needs.
pub(crate) type QueuedJob = Box<dyn FnOnce() + Send>;

/// The label and the stop flag of a job.
#[derive(Clone)]
pub(crate) struct JobHandle {
    /// Such as `training`.
    pub(crate) label: String,
    /// Set by an interrupt; the job checks it at every step.
    pub(crate) stop: Arc<AtomicBool>,
    /// Whether its cell has ended, so that the stop button does not affect it.
    pub(crate) is_background: bool,
}

impl JobHandle {
    pub(crate) fn new(label: &str) -> Self {
        Self {
            label: label.to_owned(),
            stop: Arc::new(AtomicBool::new(false)),
            is_background: false,
        }
    }

    /// The handle of a background job.
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

/// Starts the job thread, which ends when the sender is dropped.
pub(crate) fn start() -> mpsc::Sender<QueuedJob> {
    let (sender, jobs) = mpsc::channel::<QueuedJob>();
    thread("graft-session", move || jobs.into_iter().for_each(|job| job()))
        .expect("invariant: a process that has just started can start one thread");
    sender
}

/// Starts a thread with a stack that is large enough to run a model.
pub(crate) fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    std::thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES).spawn(work).map(drop)
}

thread_local! {
    static LOCATION: RefCell<Option<String>> = const { RefCell::new(None) };
    static GUARDED: RefCell<u32> = const { RefCell::new(0) };
}

/// Runs `work`. A panic becomes a `session::panic` with its message and location, and nothing is
/// printed.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    watch_panics();
    GUARDED.with_borrow_mut(|depth| *depth += 1);
    let result = catch_unwind(AssertUnwindSafe(work));
    GUARDED.with_borrow_mut(|depth| *depth -= 1);
    result.unwrap_or_else(|payload| {
        let message = match LOCATION.take() {
            Some(location) => format!("{} ({location})", message(payload.as_ref())),
            None => message(payload.as_ref()),
        };
        Err(SessionError::Panic { message }.into())
    })
}

/// Runs `work` on a compute thread of the device, as [`guarded`]. candle panics when it cannot
/// start its threads.
pub(crate) fn on_device<T: Send>(
    device: &Device,
    work: impl FnOnce() -> Result<T, Failure> + Send,
) -> Result<T, Failure> {
    let has_started = AtomicBool::new(false);
    let result = guarded(|| {
        device.with_context(|| {
            has_started.store(true, Ordering::Relaxed);
            guarded(work)
        })
    });
    match result {
        Err(failure) if !has_started.load(Ordering::Relaxed) => {
            Err(SessionError::NoThreads { problem: failure.message }.into())
        }
        result => result,
    }
}

/// Installs a panic hook that stores the location of a panic inside [`guarded`] instead of printing
/// it. For other panics it calls the previous hook.
fn watch_panics() {
    static WATCHING: Once = Once::new();
    WATCHING.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let guarded = GUARDED.try_with(|depth| *depth.borrow() > 0).unwrap_or(false);
            if guarded {
                let location =
                    info.location().map(|place| format!("{}:{}", place.file(), place.line()));
                let _ = LOCATION.try_with(|stored| stored.replace(location));
            } else {
                before(info);
            }
        }));
    });
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic without a message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_failure_with_message_and_location() {
        let failure = guarded::<()>(|| panic!("the sky fell")).unwrap_err();
        assert_eq!(failure.code, "session::panic");
        assert!(
            failure.message.contains("the sky fell") && failure.message.contains("job.rs"),
            "{}",
            failure.message
        );
    }

    #[test]
    fn the_thread_runs_the_next_job_after_a_panic() {
        let jobs = start();
        let (done, result) = mpsc::channel();
        jobs.send(Box::new(|| drop(guarded::<()>(|| panic!("first"))))).unwrap();
        jobs.send(Box::new(move || done.send(2).unwrap())).unwrap();
        assert_eq!(result.recv().unwrap(), 2);
    }
}
