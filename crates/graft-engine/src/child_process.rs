//! Starts a child: `graft child` with its link, its control socket and the pipes of its output.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::share::{self, Share};
use crate::unix;
use graft_prebuilt::{PrebuiltLibrary, toolchain};

/// Environment variables for libraries of the child, unless the user has set them. They are set
/// before the child exists, because a process with threads cannot change its environment safely.
///
/// candle runs a job on its own thread pool. Its threads have std's default stack of 2 MiB unless
/// `RUST_MIN_STACK` is larger, and the backward pass recurses along the graph. candle's pool for
/// elementwise operations competes with rayon's, hence one thread.
const TUNING: [(&str, &str); 2] = [("RUST_MIN_STACK", "16777216"), ("CANDLE_NUM_THREADS", "1")];

/// The program and the library of a child.
#[derive(Clone, Debug)]
pub(crate) struct ChildCommand {
    /// The library that the child opens.
    pub(crate) prebuilt: PrebuiltLibrary,
    /// The path of this program.
    pub(crate) executable: PathBuf,
    /// The share of the machine that the child takes.
    pub(crate) share: Share,
}

/// The user's settings of the environment; they apply to the next child too.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChildEnvironment {
    /// The working directory.
    pub(crate) cwd: Option<PathBuf>,
    /// The variables to set, or with `None` to remove.
    pub(crate) variables: BTreeMap<String, Option<String>>,
}

/// A started child.
pub(crate) struct Started {
    /// The process, with pipes for its output.
    pub(crate) process: Child,
    /// The host's end of the link.
    pub(crate) link: UnixStream,
    /// The host's end of the control socket, on which the child expects the secret of its sentinels
    /// first.
    pub(crate) control: UnixStream,
}

impl ChildCommand {
    /// Starts a child. It exits when its sockets are closed, which also happens when the host is
    /// killed.
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
        // A backtrace shows frames of evcxr and Graft instead of the cell's lines; `%env
        // RUST_BACKTRACE=1` enables it.
        command.env("LD_LIBRARY_PATH", self.library_path()).env("RUST_BACKTRACE", "0");
        for (name, value) in TUNING.iter().filter(|(name, _)| std::env::var_os(name).is_none()) {
            command.env(name, value);
        }
        if let Some(threads) = self.share.threads_text() {
            command.env(share::RAYON, threads);
        }
        // The library knows these folders where it was built; an installed one may be elsewhere.
        for (name, folder) in self.prebuilt.layout.assets() {
            if std::env::var_os(name).is_none() && folder.is_dir() {
                command.env(name, folder);
            }
        }
        toolchain::leave_choice(|variable| {
            command.env_remove(variable);
        });
        for (name, value) in &environment.variables {
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
        let process = command.spawn()?;
        self.share.apply(process.id());
        Ok(Started { process, link, control })
    }

    /// The library path: the folder of the prebuilt library first, so that no toolchain is needed
    /// at run time.
    fn library_path(&self) -> std::ffi::OsString {
        let mut path = self.prebuilt.layout.libraries().into_os_string();
        if let Some(users) = std::env::var_os("LD_LIBRARY_PATH").filter(|users| !users.is_empty()) {
            path.push(":");
            path.push(users);
        }
        path
    }
}
