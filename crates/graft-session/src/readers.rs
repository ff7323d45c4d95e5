//! Commands that read the model while a job has it: they wait for a moment between two of the job's steps and run on the job's own thread, so that
//! neither a step nor a reader ever sees the other's half-way, and no thread waits for another inside a pool.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use graft_spec::Failure;

use crate::job::Running;

/// A command that waits for the model.
pub(crate) struct Reader {
    /// Its stop flag.
    pub(crate) running: Running,
    /// Does the work, and gives its caller the answer.
    pub(crate) enter: Box<dyn FnOnce(Admission) + Send>,
}

/// What a reader may do.
#[derive(PartialEq, Eq)]
pub(crate) enum Admission {
    /// Read the model.
    Granted,
    /// Give up: the user has pressed stop.
    Interrupted,
    /// Report that no thread could be had to read it on.
    Refused(Failure),
}

/// The readers of a session, in the order in which they came.
#[derive(Default)]
pub(crate) struct Readers(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    /// Whether a job runs that will serve them.
    is_open: bool,
    waiting: VecDeque<Reader>,
}

impl Readers {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A job begins.
    pub(crate) fn open(&self) {
        self.lock().is_open = true;
    }

    /// Adds a reader; gives it back when no job runs that could serve it.
    pub(crate) fn push(&self, reader: Reader) -> Result<(), Reader> {
        let mut queue = self.lock();
        if !queue.is_open {
            return Err(reader);
        }
        queue.waiting.push_back(reader);
        Ok(())
    }

    /// Serves those who wait now; returns whether any did. To be called by the job, where none of its passes is under way.
    pub(crate) fn serve(&self) -> bool {
        let mut served = false;
        loop {
            // Not in the condition: the lock would be held while the reader works.
            let next = self.lock().waiting.pop_front();
            let Some(reader) = next else { return served };
            reader.admit();
            served = true;
        }
    }

    /// The job is over: serves those who still wait, and admits nobody after them.
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

    /// Answers those at once that the user has stopped, however long the job takes until its next pause.
    pub(crate) fn dismiss_interrupted(&self) {
        let stopped: VecDeque<Reader> = {
            let mut queue = self.lock();
            let (stopped, waiting) = std::mem::take(&mut queue.waiting)
                .into_iter()
                .partition(|reader| reader.running.is_interrupted());
            queue.waiting = waiting;
            stopped
        };
        stopped.into_iter().for_each(Reader::admit);
    }
}

impl Reader {
    /// Lets it work, unless the user has stopped it.
    pub(crate) fn admit(self) {
        let admission =
            if self.running.is_interrupted() { Admission::Interrupted } else { Admission::Granted };
        (self.enter)(admission);
    }

    /// Answers that it cannot work.
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
            running: Running::new(name),
            enter: Box::new(move |admission| {
                heard.send((name, admission == Admission::Granted)).unwrap()
            }),
        }
    }

    #[test]
    fn readers_are_served_in_order_and_none_without_a_job() {
        let (heard, answers) = mpsc::channel();
        let readers = Readers::default();
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
    fn a_reader_that_is_stopped_while_it_waits_is_answered_at_once() {
        let (heard, answers) = mpsc::channel();
        let readers = Readers::default();
        readers.open();
        let stopped = reader("stopped", &heard);
        stopped.running.interrupt();
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
        Reader { running: Running::new("late"), enter: Box::new(enter) }
            .refuse(Failure::new("session::no_threads", "no thread"));
        assert_eq!(answers.try_iter().collect::<Vec<_>>(), ["session::no_threads"]);
    }

    #[test]
    fn a_reader_may_come_while_another_is_served() {
        let (heard, answers) = mpsc::channel();
        let readers = Arc::new(Readers::default());
        readers.open();
        let (inner, second) = (readers.clone(), reader("second", &heard));
        let first = Reader {
            running: Running::new("first"),
            enter: Box::new(move |_| assert!(inner.push(second).is_ok())),
        };
        assert!(readers.push(first).is_ok());
        readers.close();
        assert_eq!(answers.try_iter().collect::<Vec<_>>(), [("second", true)]);
    }
}
