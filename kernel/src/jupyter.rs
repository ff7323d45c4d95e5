//! `graft kernel -f FILE`: the Jupyter side of Graft.
//!
//! The sockets are bound and answer before the engine is there. [`kernel`] holds what the channels share and answers
//! everything but cells; [`lane`] runs the cells, one after the other.

pub(crate) mod assist;
pub(crate) mod code_points;
pub(crate) mod connection;
pub(crate) mod expression;
pub(crate) mod history;
pub(crate) mod kernel;
pub(crate) mod lane;
pub(crate) mod notebook;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod text_stream;
pub(crate) mod wire;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jupyter_protocol::ConnectionInfo;
use jupyter_protocol::connection_info::Transport;
use tokio::sync::mpsc;
use zeromq::{RepSocket, RouterSocket, Socket};

use crate::cell::Cells;
use crate::channels::iopub::IoPub;
use crate::channels::outbox::Outbox;
use crate::channels::publisher::Publisher;
use crate::channels::stdin::Questions;
use crate::channels::{control, heartbeat, shell};
use crate::launch::{Launch, Start};
use connection::ConnectionError;
use graft_frontend::Interrupt;
use graft_frontend::OutputBudget;
use history::History;
use kernel::{Kernel, Parts};
use lane::Lane;
use wire::Session;

/// zeromq hands messages to the system on tasks of its own and reports nothing; 8 of 20 replies were lost without a
/// pause before the exit, none of 20 with 5 ms.
const LAST_WORDS: Duration = Duration::from_millis(150);
/// How long the engine may take to end.
const FAREWELL: Duration = Duration::from_secs(3);

/// Serves one Jupyter client until it asks for the end, the process is told to terminate, or its parent is gone.
///
/// # Errors
/// [`ConnectionError`] when the connection file is unusable or a port is taken.
pub(crate) async fn serve(
    connection_file: &Path,
    surroundings: Surroundings,
) -> Result<(), ConnectionError> {
    let info = connection::read(connection_file)?;
    let sockets = Sockets::bind(&info).await?;
    let session = Arc::new(Session::new(&info.key));
    let kernel = spawn(sockets, session, surroundings);
    tokio::select! {
        () = kernel.stopped() => {}
        () = told_to_end(&kernel) => {}
        () = orphaned() => crate::log::line("the process that started this kernel is gone"),
    }
    if let Some(engine) = kernel.launch().peek() {
        let _ = tokio::time::timeout(FAREWELL, engine.shutdown()).await;
    }
    kernel.iopub().flushed().await;
    tokio::time::sleep(LAST_WORDS).await;
    remove_ipc(&info);
    Ok(())
}

/// The five sockets of a kernel, bound.
pub(crate) struct Sockets {
    shell: RouterSocket,
    control: RouterSocket,
    stdin: RouterSocket,
    iopub: Publisher,
    heartbeat: RepSocket,
}

impl Sockets {
    /// Binds them all.
    pub(crate) async fn bind(info: &ConnectionInfo) -> Result<Self, ConnectionError> {
        Ok(Self {
            shell: bind("shell", info.shell_url()).await?,
            control: bind("control", info.control_url()).await?,
            stdin: bind("stdin", info.stdin_url()).await?,
            iopub: bind_iopub(info.iopub_url()).await?,
            heartbeat: bind("heartbeat", info.hb_url()).await?,
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

/// What a kernel is given from outside.
pub(crate) struct Surroundings {
    /// Starts the engine.
    pub(crate) start: Arc<Start>,
    /// How much output is on its way.
    pub(crate) budget: OutputBudget,
    /// The cells that ran, and where they are kept.
    pub(crate) history: History,
}

impl Surroundings {
    /// Those of a kernel that a client has started; `warm` and `grace` as the engine has them.
    pub(crate) fn of_user(warm: bool, grace: f64) -> Self {
        let budget = OutputBudget::default();
        Self {
            start: crate::start::starter(warm, grace, budget.clone()),
            budget,
            history: History::of_user(),
        }
    }
}

/// Starts every task of a kernel.
pub(crate) fn spawn(
    sockets: Sockets,
    session: Arc<Session>,
    surroundings: Surroundings,
) -> Arc<Kernel> {
    let Surroundings { start, budget, history } = surroundings;
    let (output, outputs) = mpsc::unbounded_channel();
    let launch = Launch::begin(start, output);
    let (shell_out, shell_in) = sockets.shell.split();
    let (control_out, control_in) = sockets.control.split();
    let (stdin_out, stdin_in) = sockets.stdin.split();
    let published = IoPub::start(sockets.iopub, session.clone(), budget.clone());
    let questions =
        Questions::start(stdin_in, Outbox::start(stdin_out, session.clone()), session.clone());
    let history = Arc::new(Mutex::new(history));
    let interrupt = Interrupt::default();
    let cells = Cells::new(launch.clone(), outputs, interrupt.clone(), budget);
    let kernel = Kernel::new(Parts {
        session: session.clone(),
        iopub: published,
        questions,
        launch,
        interrupt,
        history,
    });
    let outbox = Outbox::start(shell_out, session.clone());
    let lane = Lane::start(kernel.clone(), cells, outbox.clone());
    tokio::spawn(heartbeat::serve(sockets.heartbeat));
    tokio::spawn(control::serve(control_in, Outbox::start(control_out, session), kernel.clone()));
    tokio::spawn(shell::serve(shell_in, outbox, kernel.clone(), lane));
    kernel
}

/// SIGTERM ends the kernel in order; SIGINT is the stop button for clients that send signals.
async fn told_to_end(kernel: &Kernel) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    loop {
        tokio::select! {
            _ = terminate.recv() => return,
            _ = interrupt.recv() => kernel.press_interrupt().await,
        }
    }
}

/// Returns when the client that started this kernel is gone (`JPY_PARENT_PID`, as in ipykernel): no orphan keeps its memory.
async fn orphaned() {
    let Some(parent) =
        std::env::var("JPY_PARENT_PID").ok().and_then(|text| text.parse::<u32>().ok())
    else {
        return std::future::pending().await;
    };
    // Started by something in between (a container's init, a wrapper): its end says nothing about the client.
    if std::os::unix::process::parent_id() != parent {
        return std::future::pending().await;
    }
    while std::os::unix::process::parent_id() == parent {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Sockets of the ipc transport are files.
fn remove_ipc(info: &ConnectionInfo) {
    if info.transport == Transport::IPC {
        for port in
            [info.shell_port, info.control_port, info.stdin_port, info.iopub_port, info.hb_port]
        {
            // Gone already is as good.
            let _ = std::fs::remove_file(format!("{}-{port}", info.ip));
        }
    }
}

#[cfg(test)]
mod tests;
