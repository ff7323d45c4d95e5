//! The ways in which a session runs a task: as a job, in the background, or concurrently.

use std::sync::{Arc, PoisonError};

use graft_protocol::{Command, Reply};
use graft_spec::Failure;

use super::Session;
use crate::{
    CommandContext, SessionError,
    background::{ForegroundHandoff, ReplyCallback},
    interpret,
    job::{self, JobHandle, QueuedJob},
    readers::{Admission, Reader},
    verbs::adapters_disabled::UserAdaptersActive,
};

type Work<T> = Box<dyn FnOnce(&CommandContext) -> Result<T, Failure> + Send>;

/// Work on the session and the callback for its result.
pub(super) struct Task<T> {
    request: Option<u64>,
    label: String,
    work: Work<T>,
    done: ReplyCallback<T>,
}

impl<T> Task<T> {
    /// A task without a request.
    pub(super) fn new(
        label: &str,
        work: impl FnOnce(&CommandContext) -> Result<T, Failure> + Send + 'static,
        done: ReplyCallback<T>,
    ) -> Self {
        Self { request: None, label: label.to_owned(), work: Box::new(work), done }
    }
}

impl Task<Reply> {
    /// The execution of a command.
    pub(super) fn command(
        request: Option<u64>,
        command: Command,
        done: ReplyCallback<Reply>,
    ) -> Self {
        let label = interpret::label(&command);
        Self { request, ..Self::new(&label, move |cx| interpret::interpret(cx, command), done) }
    }
}

impl Session {
    /// Runs a task on a thread of its own, concurrently with the job thread.
    pub(super) fn run_concurrently<T: Send + 'static>(&self, task: Task<T>) {
        let shared = self.shared.clone();
        let handle = JobHandle::new(&task.label);
        shared.add_concurrent(&handle);
        let run = move || {
            let cx = CommandContext::new(shared.clone(), task.request, handle.clone());
            // Not in candle's thread pool, where jobs run. A blocked thread of the pool executes
            // the work of others, so a step of the job and this task could block each other. Tasks
            // that read the model use `readers` instead.
            let result = job::guarded(|| (task.work)(&cx));
            shared.remove_concurrent(&handle);
            (task.done)(result);
        };
        // When the thread cannot be started, `done` is dropped, which its caller notices.
        drop(job::thread("graft-concurrent", run));
    }

    /// Queues a task that only reads for the next pause of the job. Without a job it runs as soon
    /// as the job thread is free.
    pub(super) fn enqueue_reader<T: Send + 'static>(&self, task: Task<T>) {
        let shared = self.shared.clone();
        let handle = JobHandle::new(&task.label);
        shared.add_concurrent(&handle);
        let cx = CommandContext::new(shared.clone(), task.request, handle.clone());
        let Task { label, work, done, .. } = task;
        let enter = move |admission| {
            let result = job::guarded(|| {
                admit(admission, &label)?;
                let _users = UserAdaptersActive::enter(&cx.state())?;
                work(&cx)
            });
            shared.remove_concurrent(cx.handle());
            done(result);
        };
        let reader = Reader { handle, enter: Box::new(enter) };
        if let Err(reader) = self.shared.readers.push(reader) {
            // The job has ended in the meantime.
            self.send_reader(reader);
        }
    }

    /// Runs a reader on the job thread.
    fn send_reader(&self, reader: Reader) {
        let shared = self.shared.clone();
        self.send(Box::new(move || {
            let mut waiting = Some(reader);
            let entered = job::on_device(&shared.state().device.clone(), || {
                waiting.take().into_iter().for_each(Reader::admit);
                Ok(())
            });
            if let (Err(failure), Some(reader)) = (entered, waiting) {
                reader.refuse(failure);
            }
        }));
    }

    /// Runs a short reading task at once, unless a job uses the model.
    pub(super) fn enqueue_attached_read<T: Send + 'static>(&self, task: Task<T>) {
        let is_model_in_use =
            self.shared.background_run().is_some() || self.shared.state().has_suspended_adapters();
        if is_model_in_use {
            return self.enqueue_reader(task);
        }
        (task.done)(self.read(task.work));
    }

    /// Runs a task as a background job, whose reply is sent when it starts.
    pub(super) fn enqueue_background(&self, task: Task<Reply>) {
        let Task { request, label, work, done } = task;
        let shared = self.shared.clone();
        let handoff = Arc::new(ForegroundHandoff::new(done, shared.reports.clone()));
        self.send(Box::new(move || {
            let handle = JobHandle::in_background(&format!("{label} in the background"));
            let cx = CommandContext::for_background_job(
                shared.clone(),
                request,
                handle.clone(),
                handoff.clone(),
            );
            // Before the session becomes idle: callers read the report right after that.
            let ended = shared.run(handle, || handoff.finish(job::guarded(|| work(&cx))));
            let unanswered = ended.unwrap_or_else(|failure| handoff.finish(Err(failure)));
            unanswered.into_iter().for_each(|(done, result)| done(result));
        }));
    }

    /// Runs a task as a job.
    pub(super) fn enqueue<T: Send + 'static>(&self, task: Task<T>) {
        let Task { request, label, work, done } = task;
        let shared = self.shared.clone();
        self.send(Box::new(move || {
            let handle = JobHandle::new(&label);
            let cx = CommandContext::for_job(shared.clone(), request, handle.clone());
            let result = shared.run(handle, || job::guarded(|| work(&cx)));
            done(result.and_then(|result| result));
        }));
    }

    fn send(&self, job: QueuedJob) {
        // The thread runs as long as the session exists. If it ever ended, dropping the job would
        // drop `done`, which its caller notices.
        drop(self.jobs.lock().unwrap_or_else(PoisonError::into_inner).send(job));
    }
}

/// Whether a reader may run.
fn admit(admission: Admission, label: &str) -> Result<(), Failure> {
    match admission {
        Admission::Granted => Ok(()),
        Admission::Interrupted => Err(SessionError::Interrupted {
            what: format!("stopped before {label} started"),
            next: None,
        }
        .into()),
        Admission::Refused(failure) => Err(failure),
    }
}
