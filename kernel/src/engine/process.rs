//! Starting one child: `graft child` with its link, its control socket and three pipes.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::template::Template;
use crate::unix;

/// How a child is started.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// What it opens.
    pub(super) template: Template,
    /// This program.
    pub(super) executable: PathBuf,
}

/// What a child has of the user's doing: it holds for the next child too.
#[derive(Clone, Debug, Default)]
pub(super) struct Surroundings {
    /// Working folder.
    pub(super) cwd: Option<PathBuf>,
    /// Variables set, or with none removed.
    pub(super) environment: BTreeMap<String, Option<String>>,
}

/// A child that has just been started.
pub(super) struct Started {
    /// The process, its three streams piped.
    pub(super) process: Child,
    /// The host's end of the link.
    pub(super) link: UnixStream,
    /// The host's end of the control socket.
    pub(super) control: UnixStream,
}

impl Plan {
    /// Starts a child. It ends itself when the host closes its sockets, which the system does for a host that is killed.
    pub(super) fn spawn(&self, surroundings: &Surroundings) -> io::Result<Started> {
        let (link, childs_link) = UnixStream::pair()?;
        let (control, childs_control) = UnixStream::pair()?;
        let mut command = Command::new(&self.executable);
        command.arg("child").arg(childs_link.as_raw_fd().to_string()).arg(childs_control.as_raw_fd().to_string());
        command.arg(self.template.layout.library()).arg(self.template.stamp.identity.as_str());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A backtrace of a cell shows evcxr's frames and ours, not the cell's lines; `%env RUST_BACKTRACE=1` brings it back.
        command.env("EVCXR_IS_RUNTIME", "1").env("LD_LIBRARY_PATH", self.library_path()).env("RUST_BACKTRACE", "0");
        for (name, value) in &surroundings.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(cwd) = surroundings.cwd.as_ref().filter(|cwd| cwd.is_dir()) {
            command.current_dir(cwd);
        }
        unix::inherit(&mut command, &[childs_link.as_raw_fd(), childs_control.as_raw_fd()]);
        unix::own_group(&mut command);
        Ok(Started { process: command.spawn()?, link, control })
    }

    /// The template's libraries before the user's: no toolchain is needed to run.
    fn library_path(&self) -> std::ffi::OsString {
        let mut path = self.template.layout.libraries().into_os_string();
        if let Some(users) = std::env::var_os("LD_LIBRARY_PATH").filter(|users| !users.is_empty()) {
            path.push(":");
            path.push(users);
        }
        path
    }
}
