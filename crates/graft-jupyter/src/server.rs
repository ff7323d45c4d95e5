//! Binds the sockets of a kernel and runs its tasks until a client shuts it down.
//!
//! The sockets are bound and answer before the interpreter is ready.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use graft_frontend::{Interrupt, OutputBudget};
use jupyter_protocol::ConnectionInfo;
use jupyter_protocol::connection_info::Transport;
use zeromq::{RepSocket, RouterSocket, Socket};

use crate::channels::iopub::IoPub;
use crate::channels::outbox::Outbox;
use crate::channels::publisher::Publisher;
use crate::channels::stdin::StdinRequests;
use crate::channels::{control, heartbeat, shell};
use crate::connection::{self, ConnectionError};
use crate::execution_queue::ExecutionQueue;
use crate::history::History;
use crate::interpreter::Interpreter;
use crate::kernel::{Kernel, Parts};
use crate::wire::Session;

/// Pause before the process exits. zeromq passes messages to the operating system on its own tasks
/// and reports nothing: without a pause 8 of 20 replies were lost, with 5 ms none of 20.
const FLUSH_GRACE: Duration = Duration::from_millis(150);
/// Time limit for the shutdown of the interpreter.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);
/// How often the parent process is checked.
const PARENT_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Dependencies injected into the kernel.
pub struct KernelConfig {
    /// Runs the cells.
    pub interpreter: Arc<dyn Interpreter>,
    /// The stop button, shared with the interpreter.
    pub interrupt: Interrupt,
    /// Back-pressure for the output of cells, shared with the interpreter.
    pub budget: OutputBudget,
    /// The history of executed cells.
    pub history: History,
}

/// A kernel whose sockets are bound.
pub struct Server {
    connection: ConnectionInfo,
    sockets: Sockets,
}

/// The five sockets of a kernel.
struct Sockets {
    shell: RouterSocket,
    control: RouterSocket,
    stdin: RouterSocket,
    iopub: Publisher,
    heartbeat: RepSocket,
}

impl Server {
    /// Reads a connection file and binds the sockets that it names.
    ///
    /// # Errors
    /// [`ConnectionError`] if the file is unusable or a port is taken.
    pub async fn bind(connection_file: &Path) -> Result<Self, ConnectionError> {
        let connection = connection::read(connection_file)?;
        let sockets = Sockets::bind(&connection).await?;
        Ok(Self { connection, sockets })
    }

    /// Serves requests until a client shuts the kernel down, the process receives SIGTERM, or the
    /// parent process exits.
    pub async fn run(self, config: KernelConfig) {
        let interpreter = config.interpreter.clone();
        let session = Arc::new(Session::new(&self.connection.key));
        let kernel = spawn(self.sockets, session, config);
        tokio::select! {
            () = kernel.stopped() => {}
            () = terminated(&kernel) => {}
            () = parent_exited() => crate::log::line("the process that started this kernel has exited"),
        }
        let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, interpreter.shutdown()).await;
        kernel.iopub().flushed().await;
        tokio::time::sleep(FLUSH_GRACE).await;
        remove_ipc_files(&self.connection);
    }
}

impl Sockets {
    async fn bind(connection: &ConnectionInfo) -> Result<Self, ConnectionError> {
        Ok(Self {
            shell: bind("shell", connection.shell_url()).await?,
            control: bind("control", connection.control_url()).await?,
            stdin: bind("stdin", connection.stdin_url()).await?,
            iopub: bind_iopub(connection.iopub_url()).await?,
            heartbeat: bind("heartbeat", connection.hb_url()).await?,
        })
    }
}

async fn bind<S: Socket>(channel: &'static str, endpoint: String) -> Result<S, ConnectionError> {
    let mut socket = S::new();
    match socket.bind(&endpoint).await {
        Ok(_) => Ok(socket),
        Err(source) => Err(ConnectionError::Bind { channel, endpoint, source }),
    }
}

async fn bind_iopub(endpoint: String) -> Result<Publisher, ConnectionError> {
    Publisher::bind(&endpoint).await.map_err(|source| ConnectionError::Bind {
        channel: "iopub",
        endpoint,
        source: source.into(),
    })
}

/// Starts all tasks of the kernel.
fn spawn(sockets: Sockets, session: Arc<Session>, config: KernelConfig) -> Arc<Kernel> {
    let KernelConfig { interpreter, interrupt, budget, history } = config;
    let (shell_out, shell_in) = sockets.shell.split();
    let (control_out, control_in) = sockets.control.split();
    let (stdin_out, stdin_in) = sockets.stdin.split();
    let stdin_outbox = Outbox::start(stdin_out, session.clone());
    let kernel = Kernel::new(Parts {
        session: session.clone(),
        iopub: IoPub::start(sockets.iopub, session.clone(), budget),
        stdin: StdinRequests::start(stdin_in, stdin_outbox, session.clone()),
        interpreter,
        interrupt,
        history: Arc::new(Mutex::new(history)),
    });
    let outbox = Outbox::start(shell_out, session.clone());
    let queue = ExecutionQueue::start(kernel.clone(), outbox.clone());
    tokio::spawn(heartbeat::serve(sockets.heartbeat));
    tokio::spawn(control::serve(control_in, Outbox::start(control_out, session), kernel.clone()));
    tokio::spawn(shell::serve(shell_in, outbox, kernel.clone(), queue));
    kernel
}

/// Returns on SIGTERM. SIGINT interrupts the running cell, for clients that send signals.
async fn terminated(kernel: &Kernel) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    loop {
        tokio::select! {
            _ = terminate.recv() => return,
            _ = interrupt.recv() => kernel.interrupt_cell().await,
        }
    }
}

/// Returns when the client that started this kernel has exited (`JPY_PARENT_PID`, as in ipykernel),
/// so that an orphaned kernel does not keep its memory.
async fn parent_exited() {
    let Some(parent) =
        std::env::var("JPY_PARENT_PID").ok().and_then(|text| text.parse::<u32>().ok())
    else {
        return std::future::pending().await;
    };
    // If an intermediate process (a container's init, a wrapper) started the kernel, its exit says
    // nothing about the client.
    if std::os::unix::process::parent_id() != parent {
        return std::future::pending().await;
    }
    while std::os::unix::process::parent_id() == parent {
        tokio::time::sleep(PARENT_POLL_INTERVAL).await;
    }
}

/// Removes the socket files of the ipc transport.
fn remove_ipc_files(connection: &ConnectionInfo) {
    if connection.transport != Transport::IPC {
        return;
    }
    for port in [
        connection.shell_port,
        connection.control_port,
        connection.stdin_port,
        connection.iopub_port,
        connection.hb_port,
    ] {
        // A file that is already gone is not an error.
        let _ = std::fs::remove_file(format!("{}-{port}", connection.ip));
    }
}
