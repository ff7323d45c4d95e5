//! The frontend: five sockets and the manners of a client.

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

/// How long a message may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long silence must last to count as such.
const SILENCE: Duration = Duration::from_millis(120);

/// A channel on which a client asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Cells and questions about code.
    Shell,
    /// What must be answered while a cell runs.
    Control,
    /// Answers to the kernel's questions.
    Stdin,
}

/// A client of one kernel. Dropping it with messages unread fails the test.
pub struct Frontend {
    runtime: Runtime,
    key: String,
    session: String,
    shell: DealerSocket,
    control: DealerSocket,
    stdin: DealerSocket,
    iopub: SubSocket,
    heartbeat: ReqSocket,
    /// Published messages that were read while looking for another request's.
    waiting: VecDeque<Message>,
    kernel_session: Option<String>,
}

impl Frontend {
    /// Connects all channels and waits for the welcome, so that nothing published later is missed.
    ///
    /// # Panics
    /// When the kernel does not answer.
    pub fn connect(file: &ConnectionFile) -> Self {
        let mut frontend = Self::connect_silently(file);
        frontend.wait_for("iopub_welcome");
        frontend.skip_greetings();
        frontend
    }

    /// Connects all channels and waits for nothing.
    ///
    /// # Panics
    /// When nobody listens.
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
            waiting: VecDeque::new(),
            kernel_session: None,
        }
    }

    /// Sends a request and gives its number.
    pub fn request(&mut self, channel: Channel, kind: &str, content: Value) -> String {
        let message = Message::request(&self.session, kind, content);
        let id = message.header["msg_id"].as_str().unwrap_or_default().to_owned();
        self.send_frames(channel, message.to_frames(&self.key));
        id
    }

    /// Sends frames as they are, however wrong.
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

    /// A request built for [`Self::send_frames`], to be spoilt.
    pub fn frames(&self, kind: &str, content: Value) -> Vec<Bytes> {
        Message::request(&self.session, kind, content).to_frames(&self.key)
    }

    /// The next message that the kernel sends on a channel.
    ///
    /// # Panics
    /// When none comes.
    pub fn receive(&mut self, channel: Channel) -> Message {
        self.receive_within(channel, PATIENCE)
            .unwrap_or_else(|| panic!("no message on {channel:?}"))
    }

    /// The same with a limit; none when it passes.
    pub fn receive_within(&mut self, channel: Channel, limit: Duration) -> Option<Message> {
        let Self { runtime, shell, control, stdin, .. } = self;
        let socket = match channel {
            Channel::Shell => shell,
            Channel::Control => control,
            Channel::Stdin => stdin,
        };
        let message =
            runtime.block_on(async { tokio::time::timeout(limit, socket.recv()).await.ok() })?;
        Some(self.check(message.expect("an open socket")))
    }

    /// The next published message.
    ///
    /// # Panics
    /// When none comes.
    pub fn published(&mut self) -> Message {
        self.published_within(PATIENCE).unwrap_or_else(|| panic!("nothing was published"))
    }

    /// The same with a limit.
    pub fn published_within(&mut self, limit: Duration) -> Option<Message> {
        if let Some(message) = self.waiting.pop_front() {
            return Some(message);
        }
        let Self { runtime, iopub, .. } = self;
        let message =
            runtime.block_on(async { tokio::time::timeout(limit, iopub.recv()).await.ok() })?;
        Some(self.check(message.expect("an open socket")))
    }

    /// Reads published messages until one of that type comes, which it gives.
    ///
    /// # Panics
    /// When none comes.
    pub fn wait_for(&mut self, kind: &str) -> Message {
        loop {
            let message = self.published();
            if message.kind() == kind {
                return message;
            }
        }
    }

    /// Runs a cell to its end.
    pub fn execute(&mut self, code: &str) -> Cell {
        self.execute_with(json!({ "code": code, "silent": false, "store_history": true, "allow_stdin": false, "stop_on_error": true, "user_expressions": {} }))
    }

    /// Runs a cell with the content given.
    pub fn execute_with(&mut self, content: Value) -> Cell {
        let id = self.request(Channel::Shell, "execute_request", content);
        self.finish(&id)
    }

    /// Reads everything of a cell that was sent before.
    ///
    /// # Panics
    /// When the order of its messages is wrong or one is missing.
    pub fn finish(&mut self, id: &str) -> Cell {
        let first = self.published_under(id);
        assert_eq!(first.content["execution_state"], "busy", "a cell begins with busy");
        let (mut outputs, mut announced) = (Vec::new(), false);
        loop {
            let message = self.published_under(id);
            match message.kind() {
                "status" if message.content["execution_state"] == "idle" => break,
                // A question answered beside the cell is followed by the cell's own state.
                "status" => assert_eq!(message.content["execution_state"], "busy"),
                "execute_input" => announced = true,
                _ => outputs.push(message),
            }
        }
        let reply = self.receive(Channel::Shell);
        assert_eq!((reply.kind(), reply.parent_id()), ("execute_reply", id));
        Cell { reply, outputs, announced }
    }

    /// Asks something other than a cell and gives the reply; what is published for it must be busy and idle alone.
    ///
    /// # Panics
    /// When it is not.
    pub fn ask(&mut self, channel: Channel, kind: &str, content: Value) -> Message {
        let id = self.request(channel, kind, content);
        let reply = self.receive(channel);
        assert_eq!(reply.parent_id(), id);
        for state in ["busy", "idle"] {
            assert_eq!(self.published_under(&id).content["execution_state"], state);
        }
        reply
    }

    /// Sends bytes to the heartbeat and gives what comes back.
    ///
    /// # Panics
    /// When nothing comes.
    pub fn beat(&mut self, bytes: &[u8]) -> Bytes {
        let message = ZmqMessage::from(bytes.to_vec());
        let Self { runtime, heartbeat, .. } = self;
        let echo = runtime.block_on(async {
            heartbeat.send(message).await.expect("the heartbeat takes bytes");
            tokio::time::timeout(PATIENCE, heartbeat.recv()).await
        });
        echo.expect("an echo").expect("an open socket").into_vec().pop().unwrap_or_default()
    }

    /// The next message published under a request; others wait.
    ///
    /// # Panics
    /// When none comes.
    pub fn published_under(&mut self, id: &str) -> Message {
        if let Some(at) = self.waiting.iter().position(|message| message.parent_id() == id) {
            return self.waiting.remove(at).expect("a position of the queue");
        }
        let mut others = std::mem::take(&mut self.waiting);
        loop {
            let message = self.published();
            if message.parent_id() == id {
                self.waiting = others;
                return message;
            }
            others.push_back(message);
        }
    }

    /// Checks that nothing more is published.
    ///
    /// # Panics
    /// When something is.
    pub fn expect_silence(&mut self) {
        if let Some(message) = self.published_within(SILENCE) {
            panic!("{} was published: {}", message.kind(), message.content);
        }
    }

    /// Drops what is published until nothing comes any more.
    pub fn skip_greetings(&mut self) {
        while self.published_within(SILENCE * 2).is_some() {}
    }

    /// What holds for every message.
    fn check(&mut self, message: ZmqMessage) -> Message {
        let message = Message::read(message, &self.key);
        let session = message.header["session"].as_str().unwrap_or_default().to_owned();
        assert_ne!(session, self.session, "the kernel has a session of its own");
        assert_eq!(
            *self.kernel_session.get_or_insert_with(|| session.clone()),
            session,
            "one session for the kernel's whole life"
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

/// Connects; a kernel that is about to start may take a moment to listen.
async fn connect(socket: &mut impl Socket, file: &ConnectionFile, port: &str) {
    let begin = tokio::time::Instant::now();
    while let Err(error) = socket.connect(&file.endpoint(port)).await {
        assert!(begin.elapsed() < PATIENCE, "cannot connect to {}: {error}", file.endpoint(port));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
