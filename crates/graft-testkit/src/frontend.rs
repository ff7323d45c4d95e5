//! The mock frontend: five sockets and the behavior of a client.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use zeromq::util::PeerIdentity;
use zeromq::{
    DealerSocket, ReqSocket, Socket, SocketOptions, SocketRecv, SocketSend, SubSocket, ZmqMessage,
};

use crate::{Cell, ConnectionFile, Message};

/// Time limit for a message to arrive.
const RECEIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long no message must arrive for a channel to count as silent.
const SILENCE_DURATION: Duration = Duration::from_millis(120);

/// A channel on which a client sends messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Cells and requests about code.
    Shell,
    /// Requests that are answered while a cell runs.
    Control,
    /// Replies to input requests of the kernel.
    Stdin,
}

/// A client of one kernel. Dropping it with unread messages fails the test.
pub struct Frontend {
    runtime: Runtime,
    key: String,
    session: String,
    shell: DealerSocket,
    control: DealerSocket,
    stdin: DealerSocket,
    iopub: SubSocket,
    heartbeat: ReqSocket,
    /// Published messages that were read before those of another request.
    unread: VecDeque<Message>,
    kernel_session: Option<String>,
}

impl Frontend {
    /// Connects all channels and receives the welcome message, so that no later message is missed.
    ///
    /// # Panics
    /// If the kernel does not answer.
    pub fn connect(file: &ConnectionFile) -> Self {
        let mut frontend = Self::connect_silently(file);
        frontend.wait_for("iopub_welcome");
        frontend.skip_greetings();
        frontend
    }

    /// Connects all channels without reading messages.
    ///
    /// # Panics
    /// If no kernel listens.
    pub fn connect_silently(file: &ConnectionFile) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let session = uuid::Uuid::new_v4().to_string();
        let (shell, control, stdin, iopub, heartbeat) = runtime.block_on(async {
            let mut iopub = SubSocket::new();
            iopub.subscribe("").await.expect("a subscription");
            connect(&mut iopub, file, "iopub_port").await;
            let mut heartbeat = ReqSocket::new();
            connect(&mut heartbeat, file, "hb_port").await;
            (
                dealer(file, "shell_port", &session).await,
                dealer(file, "control_port", &session).await,
                dealer(file, "stdin_port", &session).await,
                iopub,
                heartbeat,
            )
        });
        Self {
            runtime,
            key: file.key().to_owned(),
            session,
            shell,
            control,
            stdin,
            iopub,
            heartbeat,
            unread: VecDeque::new(),
            kernel_session: None,
        }
    }

    /// Sends a request and returns its message identifier.
    pub fn request(&mut self, channel: Channel, kind: &str, content: Value) -> String {
        let message = Message::request(&self.session, kind, content);
        let id = message.header["msg_id"].as_str().unwrap_or_default().to_owned();
        self.send_frames(channel, message.to_frames(&self.key));
        id
    }

    /// Sends frames unchanged, even invalid ones.
    pub fn send_frames(&mut self, channel: Channel, frames: Vec<Bytes>) {
        let message = ZmqMessage::try_from(frames).expect("at least one frame");
        let Self { runtime, shell, control, stdin, .. } = self;
        let socket = match channel {
            Channel::Shell => shell,
            Channel::Control => control,
            Channel::Stdin => stdin,
        };
        runtime.block_on(socket.send(message)).expect("the kernel takes a message");
    }

    /// Frames of a request, to be modified and sent with [`Self::send_frames`].
    pub fn frames(&self, kind: &str, content: Value) -> Vec<Bytes> {
        Message::request(&self.session, kind, content).to_frames(&self.key)
    }

    /// Receives the next message on a channel.
    ///
    /// # Panics
    /// If no message arrives.
    pub fn receive(&mut self, channel: Channel) -> Message {
        self.receive_within(channel, RECEIVE_TIMEOUT)
            .unwrap_or_else(|| panic!("no message on {channel:?}"))
    }

    /// Receives the next message on a channel; `None` after `timeout`.
    pub fn receive_within(&mut self, channel: Channel, timeout: Duration) -> Option<Message> {
        let Self { runtime, shell, control, stdin, .. } = self;
        let socket = match channel {
            Channel::Shell => shell,
            Channel::Control => control,
            Channel::Stdin => stdin,
        };
        let message =
            runtime.block_on(async { tokio::time::timeout(timeout, socket.recv()).await.ok() })?;
        Some(self.check(message.expect("an open socket")))
    }

    /// Receives the next published message.
    ///
    /// # Panics
    /// If no message arrives.
    pub fn published(&mut self) -> Message {
        self.published_within(RECEIVE_TIMEOUT).unwrap_or_else(|| panic!("nothing was published"))
    }

    /// Receives the next published message; `None` after `timeout`.
    pub fn published_within(&mut self, timeout: Duration) -> Option<Message> {
        if let Some(message) = self.unread.pop_front() {
            return Some(message);
        }
        let Self { runtime, iopub, .. } = self;
        let message =
            runtime.block_on(async { tokio::time::timeout(timeout, iopub.recv()).await.ok() })?;
        Some(self.check(message.expect("an open socket")))
    }

    /// Reads published messages up to the first one of a type and returns it.
    ///
    /// # Panics
    /// If no message arrives.
    pub fn wait_for(&mut self, kind: &str) -> Message {
        loop {
            let message = self.published();
            if message.kind() == kind {
                return message;
            }
        }
    }

    /// Runs a cell and returns its messages.
    pub fn execute(&mut self, code: &str) -> Cell {
        self.execute_with(json!({ "code": code, "silent": false, "store_history": true, "allow_stdin": false, "stop_on_error": true, "user_expressions": {} }))
    }

    /// Runs a cell with this request content.
    pub fn execute_with(&mut self, content: Value) -> Cell {
        let id = self.request(Channel::Shell, "execute_request", content);
        self.finish(&id)
    }

    /// Reads all messages of a cell that was requested earlier.
    ///
    /// # Panics
    /// If a message is missing or out of order.
    pub fn finish(&mut self, id: &str) -> Cell {
        let first = self.published_under(id);
        assert_eq!(first.content["execution_state"], "busy", "a cell starts with busy");
        let (mut outputs, mut announced) = (Vec::new(), false);
        loop {
            let message = self.published_under(id);
            match message.kind() {
                "status" if message.content["execution_state"] == "idle" => break,
                // The reply to another request is followed by the status of the cell.
                "status" => assert_eq!(message.content["execution_state"], "busy"),
                "execute_input" => announced = true,
                _ => outputs.push(message),
            }
        }
        let reply = self.receive(Channel::Shell);
        assert_eq!((reply.kind(), reply.parent_id()), ("execute_reply", id));
        Cell { reply, outputs, announced }
    }

    /// Sends a request other than a cell and returns the reply. Only `busy` and `idle` may be
    /// published for it.
    ///
    /// # Panics
    /// If any other message is published.
    pub fn ask(&mut self, channel: Channel, kind: &str, content: Value) -> Message {
        let id = self.request(channel, kind, content);
        let reply = self.receive(channel);
        assert_eq!(reply.parent_id(), id);
        for state in ["busy", "idle"] {
            assert_eq!(self.published_under(&id).content["execution_state"], state);
        }
        reply
    }

    /// Sends bytes to the heartbeat channel and returns the echo.
    ///
    /// # Panics
    /// If no echo arrives.
    pub fn beat(&mut self, bytes: &[u8]) -> Bytes {
        let message = ZmqMessage::from(bytes.to_vec());
        let Self { runtime, heartbeat, .. } = self;
        let echo = runtime.block_on(async {
            heartbeat.send(message).await.expect("the heartbeat takes bytes");
            tokio::time::timeout(RECEIVE_TIMEOUT, heartbeat.recv()).await
        });
        echo.expect("an echo").expect("an open socket").into_vec().pop().unwrap_or_default()
    }

    /// Receives the next message published for a request; other messages stay unread.
    ///
    /// # Panics
    /// If no message arrives.
    pub fn published_under(&mut self, id: &str) -> Message {
        if let Some(at) = self.unread.iter().position(|message| message.parent_id() == id) {
            return self.unread.remove(at).expect("a position of the queue");
        }
        let mut others = std::mem::take(&mut self.unread);
        loop {
            let message = self.published();
            if message.parent_id() == id {
                self.unread = others;
                return message;
            }
            others.push_back(message);
        }
    }

    /// Checks that no more messages are published.
    ///
    /// # Panics
    /// If a message is published.
    pub fn expect_silence(&mut self) {
        if let Some(message) = self.published_within(SILENCE_DURATION) {
            panic!("{} was published: {}", message.kind(), message.content);
        }
    }

    /// Discards published messages until the channel is silent.
    pub fn skip_greetings(&mut self) {
        while self.published_within(SILENCE_DURATION * 2).is_some() {}
    }

    /// Checks the properties of every message.
    fn check(&mut self, message: ZmqMessage) -> Message {
        let message = Message::read(message, &self.key);
        let session = message.header["session"].as_str().unwrap_or_default().to_owned();
        assert_ne!(session, self.session, "the kernel has its own session");
        assert_eq!(
            *self.kernel_session.get_or_insert_with(|| session.clone()),
            session,
            "the session of the kernel does not change"
        );
        message
    }
}

impl Drop for Frontend {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let unread = self.published_within(Duration::from_millis(30));
        let unread =
            unread.or_else(|| self.receive_within(Channel::Shell, Duration::from_millis(1)));
        if let Some(message) =
            unread.or_else(|| self.receive_within(Channel::Control, Duration::from_millis(1)))
        {
            panic!("a {} was left unread: {}", message.kind(), message.content);
        }
    }
}

async fn dealer(file: &ConnectionFile, port: &str, identity: &str) -> DealerSocket {
    let mut options = SocketOptions::default();
    options.peer_identity(
        PeerIdentity::try_from(identity.as_bytes()).expect("an identity of a client"),
    );
    let mut socket = DealerSocket::with_options(options);
    connect(&mut socket, file, port).await;
    socket
}

/// Connects, and retries while the kernel is still starting.
async fn connect(socket: &mut impl Socket, file: &ConnectionFile, port: &str) {
    let begin = tokio::time::Instant::now();
    while let Err(error) = socket.connect(&file.endpoint(port)).await {
        assert!(
            begin.elapsed() < RECEIVE_TIMEOUT,
            "cannot connect to {}: {error}",
            file.endpoint(port)
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
