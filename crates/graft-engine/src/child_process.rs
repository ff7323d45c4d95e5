//! Starting one child: `graft child` with its link, its control socket and the pipes of what it prints.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::unix;
use graft_prebuilt::PrebuiltLibrary;

/// Variables that libraries of the child read when they start, where the user has not set them. They are set before the child exists:
/// nothing in a process may change its environment safely once it has threads.
///
/// candle runs a job on the threads of its own pool, which have std's default stack of 2 MiB unless `RUST_MIN_STACK` says more, and its
/// backward pass recurses along the graph. Its pool for elementwise operations competes with rayon's, hence one thread.
const TUNING: [(&str, &str); 2] = [("RUST_MIN_STACK", "16777216"), ("CANDLE_NUM_THREADS", "1")];

/// How a child is started.
#[derive(Clone, Debug)]
pub(crate) struct ChildCommand {
    /// What it opens.
    pub(crate) prebuilt: PrebuiltLibrary,
    /// This program.
    pub(crate) executable: PathBuf,
}

/// What a child has of the user's doing: it holds for the next child too.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChildEnvironment {
    /// Working folder.
    pub(crate) cwd: Option<PathBuf>,
    /// Variables set, or with none removed.
    pub(crate) environment: BTreeMap<String, Option<String>>,
}

/// A child that has just been started.
pub(crate) struct Started {
    /// The process, what it prints piped.
    pub(crate) process: Child,
    /// The host's end of the link.
    pub(crate) link: UnixStream,
    /// The host's end of the control socket; the child waits there for the secret of its marks.
    pub(crate) control: UnixStream,
}

impl ChildCommand {
    /// Starts a child. It ends itself when the host closes its sockets, which the system does for a host that is killed.
    pub(crate) fn spawn(&self, environment: &ChildEnvironment) -> io::Result<Started> {
        let (link, childs_link) = UnixStream::pair()?;
        let (control, childs_control) = UnixStream::pair()?;
        let mut command = Command::new(&self.executable);
        command
            .arg("child")
            .arg(childs_link.as_raw_fd().to_string())
            .arg(childs_control.as_raw_fd().to_string());
        command.arg(self.prebuilt.layout.library()).arg(self.prebuilt.info.fingerprint.as_str());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A backtrace of a cell shows evcxr's frames and ours, not the cell's lines; `%env RUST_BACKTRACE=1` brings it back.
        command.env("LD_LIBRARY_PATH", self.library_path()).env("RUST_BACKTRACE", "0");
        for (name, value) in TUNING.iter().filter(|(name, _)| std::env::var_os(name).is_none()) {
            command.env(name, value);
        }
        graft_prebuilt::toolchain::leave_choice(|variable| {
            command.env_remove(variable);
        });
        for (name, value) in &environment.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(cwd) = environment.cwd.as_ref().filter(|cwd| cwd.is_dir()) {
            command.current_dir(cwd);
        }
        unix::inherit(&mut command, &[childs_link.as_raw_fd(), childs_control.as_raw_fd()]);
        command.process_group(0);
        Ok(Started { process: command.spawn()?, link, control })
    }

    /// The template's libraries before the user's: no toolchain is needed to run.
    fn library_path(&self) -> std::ffi::OsString {
        let mut path = self.prebuilt.layout.libraries().into_os_string();
        if let Some(users) = std::env::var_os("LD_LIBRARY_PATH").filter(|users| !users.is_empty()) {
            path.push(":");
            path.push(users);
        }
        path
    }
}
