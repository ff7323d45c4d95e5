//! The heartbeat: whatever arrives goes back unchanged.
//!
//! Spec: <https://jupyter-client.readthedocs.io/en/stable/messaging.html#heartbeat-for-kernels>

use std::time::Duration;

use zeromq::{RepSocket, SocketRecv, SocketSend};

/// Echoes until the process ends.
pub(crate) async fn serve(mut socket: RepSocket) {
    loop {
        match socket.recv().await {
            // A client that left before its echo is no concern of the others.
            Ok(message) => drop(socket.send(message).await),
            Err(error) => {
                crate::log::line(&format!("heartbeat: {error}"));
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
