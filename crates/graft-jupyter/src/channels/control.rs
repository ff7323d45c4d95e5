//! The control channel: requests that are answered while a cell runs, such as interrupts.
//!
//! Spec: <https://jupyter-client.readthedocs.io/en/stable/messaging.html#messages-on-the-control-router-dealer-channel>

use std::sync::Arc;

use zeromq::RouterRecvHalf;

use super::outbox::Outbox;
use crate::kernel::Kernel;

/// Answers requests until the kernel shuts down.
pub(crate) async fn serve(mut socket: RouterRecvHalf, outbox: Outbox, kernel: Arc<Kernel>) {
    while let Some((parent, request)) =
        super::shell::receive(&mut socket, kernel.session(), "control").await
    {
        kernel.answer(Arc::new(parent), request, &outbox).await;
    }
}
