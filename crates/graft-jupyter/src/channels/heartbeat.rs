//! The heartbeat channel: every message is sent back unchanged.
//!
//! Spec: <https://jupyter-client.readthedocs.io/en/stable/messaging.html#heartbeat-for-kernels>

use std::time::Duration;

use zeromq::{RepSocket, SocketRecv, SocketSend};

/// Pause after a failed receive.
const RETRY_DELAY: Duration = Duration::from_millis(100);

/// Echoes messages until the process exits.
pub(crate) async fn serve(mut socket: RepSocket) {
    loop {
        match socket.recv().await {
            // A client that disconnects before its echo does not affect the others.
            Ok(message) => drop(socket.send(message).await),
            Err(error) => {
                crate::log::line(&format!("heartbeat: {error}"));
                tokio::time::sleep(RETRY_DELAY).await;
            }
        }
    }
}
