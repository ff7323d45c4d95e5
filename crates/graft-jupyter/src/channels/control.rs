//! The control channel: what must be answered while a cell runs.
//!
//! Spec: <https://jupyter-client.readthedocs.io/en/stable/messaging.html#messages-on-the-control-router-dealer-channel>

use std::sync::Arc;

use zeromq::RouterRecvHalf;

use super::outbox::Outbox;
use crate::kernel::Kernel;

/// Answers until the kernel is shut down.
pub(crate) async fn serve(mut socket: RouterRecvHalf, outbox: Outbox, kernel: Arc<Kernel>) {
    while let Some((parent, request)) =
        super::shell::receive(&mut socket, kernel.session(), "control").await
    {
        kernel.answer(Arc::new(parent), request, &outbox).await;
    }
}
