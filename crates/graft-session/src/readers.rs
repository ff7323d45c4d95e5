//! Commands that read the model while a job uses it.
//!
//! They run on the thread of the job, between two of its steps. So neither sees a partial change of
//! the other, and no thread blocks another one inside a thread pool.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use graft_spec::Failure;

use crate::job::JobHandle;

/// A queued command.
pub(crate) struct Reader {
    /// The stop flag of the command.
    pub(crate) handle: JobHandle,
    /// Runs the command and calls its callback.
    pub(crate) enter: Box<dyn FnOnce(Admission) + Send>,
}

/// Whether a reader may use the model.
#[derive(PartialEq, Eq)]
pub(crate) enum Admission {
    /// It may.
    Granted,
    /// The user has stopped it.
    Interrupted,
    /// The compute threads could not be started.
    Refused(Failure),
}

/// The queued readers, in the order of their arrival.
#[derive(Default)]
pub(crate) struct ReaderQueue(Mutex<QueueState>);

#[derive(Default)]
struct QueueState {
    /// Whether a job runs that will serve the readers.
    is_open: bool,
    waiting: VecDeque<Reader>,
}

impl ReaderQueue {
    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the queue when a job starts.
    pub(crate) fn open(&self) {
        self.lock().is_open = true;
    }

    /// Adds a reader. Returns it if no job runs that could serve it.
    pub(crate) fn push(&self, reader: Reader) -> Result<(), Reader> {
        let mut queue = self.lock();
        if !queue.is_open {
            return Err(reader);
        }
        queue.waiting.push_back(reader);
        Ok(())
    }

    /// Runs the queued readers and returns whether there were any. The job calls this between its
    /// forward passes.
    pub(crate) fn serve(&self) -> bool {
        let mut served = false;
        loop {
            // Not in the condition of the loop: the lock would be held while the reader runs.
            let next = self.lock().waiting.pop_front();
            let Some(reader) = next else { return served };
            reader.admit();
            served = true;
        }
    }

    /// Runs the remaining readers and closes the queue when a job ends.
    pub(crate) fn close(&self) {
        loop {
            let next = {
                let mut queue = self.lock();
                queue.is_open = !queue.waiting.is_empty();
                queue.waiting.pop_front()
            };
            let Some(reader) = next else { return };
            reader.admit();
        }
    }

    /// Answers the readers that the user has stopped, without waiting for the job.
    pub(crate) fn dismiss_interrupted(&self) {
        let stopped: VecDeque<Reader> = {
            let mut queue = self.lock();
            let (stopped, waiting) = std::mem::take(&mut queue.waiting)
                .into_iter()
                .partition(|reader| reader.handle.is_interrupted());
            queue.waiting = waiting;
            stopped
        };
        stopped.into_iter().for_each(Reader::admit);
    }
}

impl Reader {
    /// Runs it, unless the user has stopped it.
    pub(crate) fn admit(self) {
        let admission =
            if self.handle.is_interrupted() { Admission::Interrupted } else { Admission::Granted };
        (self.enter)(admission);
    }

    /// Answers with a failure.
    pub(crate) fn refuse(self, failure: Failure) {
        (self.enter)(Admission::Refused(failure));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};

    use super::*;

    fn reader(name: &'static str, heard: &mpsc::Sender<(&'static str, bool)>) -> Reader {
        let heard = heard.clone();
        Reader {
            handle: JobHandle::new(name),
            enter: Box::new(move |admission| {
                heard.send((name, admission == Admission::Granted)).unwrap()
            }),
        }
    }

    #[test]
    fn readers_are_served_in_order_and_none_without_a_job() {
        let (heard, answers) = mpsc::channel();
        let readers = ReaderQueue::default();
        assert!(readers.push(reader("early", &heard)).is_err());
        readers.open();
        for name in ["one", "two"] {
            assert!(readers.push(reader(name, &heard)).is_ok());
        }
        assert!(readers.serve() && !readers.serve());
        assert_eq!(answers.try_iter().collect::<Vec<_>>(), [("one", true), ("two", true)]);
        assert!(readers.push(reader("last", &heard)).is_ok());
        readers.close();
        assert_eq!(answers.try_iter().collect::<Vec<_>>(), [("last", true)]);
        assert!(readers.push(reader("late", &heard)).is_err());
    }

    #[test]
    fn a_queued_reader_that_is_stopped_is_answered_at_once() {
        let (heard, answers) = mpsc::channel();
        let readers = ReaderQueue::default();
        readers.open();
        let stopped = reader("stopped", &heard);
        stopped.handle.interrupt();
        for reader in [stopped, reader("other", &heard)] {
            assert!(readers.push(reader).is_ok());
        }
        readers.dismiss_interrupted();
        assert_eq!(answers.try_iter().collect::<Vec<_>>(), [("stopped", false)]);
        readers.serve();
        assert_eq!(answers.try_iter().collect::<Vec<_>>(), [("other", true)]);
    }

    #[test]
    fn a_reader_that_is_refused_is_answered_with_the_failure() {
        let (heard, answers) = mpsc::channel();
        let enter = move |admission| {
            if let Admission::Refused(failure) = admission {
                heard.send(failure.code).unwrap()
            }
        };
        Reader { handle: JobHandle::new("late"), enter: Box::new(enter) }
            .refuse(Failure::new("session::no_threads", "no thread"));
        assert_eq!(answers.try_iter().collect::<Vec<_>>(), ["session::no_threads"]);
    }

    #[test]
    fn a_reader_may_be_queued_while_another_runs() {
        let (heard, answers) = mpsc::channel();
        let readers = Arc::new(ReaderQueue::default());
        readers.open();
        let (inner, second) = (readers.clone(), reader("second", &heard));
        let first = Reader {
            handle: JobHandle::new("first"),
            enter: Box::new(move |_| assert!(inner.push(second).is_ok())),
        };
        assert!(readers.push(first).is_ok());
        readers.close();
        assert_eq!(answers.try_iter().collect::<Vec<_>>(), [("second", true)]);
    }
}
