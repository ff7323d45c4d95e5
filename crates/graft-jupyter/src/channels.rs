//! The five channels of the Jupyter protocol, and the queues that send their messages.

pub(crate) mod control;
pub(crate) mod heartbeat;
pub(crate) mod iopub;
pub(crate) mod outbox;
pub(crate) mod publisher;
pub(crate) mod shell;
pub(crate) mod stdin;
