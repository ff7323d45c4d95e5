//! The exit of a child: its cause, the state that was lost with it, and how to recover.

use graft_protocol::Snapshot;
use graft_spec::Failure;

/// Why the host killed a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// An interrupt that no job acknowledged.
    Interrupt,
    /// The user restarted the session.
    Restart,
    /// The host is shutting down.
    Shutdown,
}

/// The exit of a child.
#[derive(Clone, Debug)]
pub(crate) struct ChildExit {
    /// Why the host killed it; `None` if it died on its own.
    pub(crate) cause: Option<Cause>,
    /// The exit status: `signal 11, segmentation fault`, `exit status 1`.
    pub(crate) status: String,
    /// The objects of its session.
    pub(crate) snapshot: std::sync::Arc<Snapshot>,
    /// The variables of its Rust cells with their types.
    pub(crate) variables: Vec<(String, String)>,
}

impl ChildExit {
    /// The failure of all requests that were pending.
    pub(crate) fn failure(&self) -> Failure {
        let what = match self.cause {
            Some(Cause::Interrupt) => {
                "the running code did not respond to the interrupt, so the session's process was killed"
                    .to_owned()
            }
            Some(Cause::Restart) => "the session was restarted".to_owned(),
            Some(Cause::Shutdown) => "the kernel is shutting down".to_owned(),
            None => format!("the session's process died ({})", self.status),
        };
        let code = if self.cause == Some(Cause::Interrupt) {
            "engine::interrupted"
        } else {
            "engine::child_died"
        };
        let failure =
            Failure::new(code, format!("{what}; {}; a new session is ready", self.lost_state()));
        match self.recovery_hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }

    /// The names of everything that was lost.
    fn lost_state(&self) -> String {
        let mut lost = Vec::new();
        if let Some(model) = &self.snapshot.model {
            lost.push(format!("model {}", model.name));
        }
        if !self.snapshot.adapters.is_empty() {
            let names: Vec<_> =
                self.snapshot.adapters.iter().map(|adapter| adapter.name.as_str()).collect();
            lost.push(format!("adapters {}", names.join(", ")));
        }
        if !self.snapshot.data.is_empty() {
            lost.push(format!("data {}", self.snapshot.data.join(", ")));
        }
        if !self.variables.is_empty() {
            let names: Vec<_> = self.variables.iter().map(|(name, _)| name.as_str()).collect();
            lost.push(format!("variables {}", names.join(", ")));
        }
        if lost.is_empty() {
            "nothing was lost".to_owned()
        } else {
            format!("gone: {}", lost.join("; "))
        }
    }

    /// The run that the weights of the active adapter come from, or those of another adapter.
    fn trained_run(&self) -> Option<&str> {
        let adapters = &self.snapshot.adapters;
        let active = adapters.iter().filter(|adapter| adapter.active);
        let others = adapters.iter().filter(|adapter| !adapter.active);
        active.chain(others).find_map(|adapter| adapter.run.as_deref())
    }

    /// How to restore model and weights.
    fn recovery_hint(&self) -> Option<String> {
        let model = self.snapshot.model.as_ref()?;
        // The running job may have written checkpoints. A finished run cannot be
        // resumed, but its weights can be attached. The newest run may be a trial of a comparison,
        // so the run is that of the adapter.
        let weights = match (self.trained_run(), &self.snapshot.job) {
            (_, Some(_)) if !self.snapshot.runs.is_empty() => {
                ", then `%resume` continues from the last checkpoint".to_owned()
            }
            (Some(run), None) => format!(", then `%runs use {run}` attaches its trained adapter"),
            _ => String::new(),
        };
        Some(format!("`%model load {}` reloads the model{weights}", model.name))
    }
}

/// Describes an exit status.
pub(crate) fn describe(status: std::process::ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.signal(), status.code()) {
        (Some(signal), _) => match signal_name(signal) {
            Some(name) => format!("signal {signal}, {name}"),
            None => format!("signal {signal}"),
        },
        (None, Some(code)) => format!("exit status {code}"),
        (None, None) => "unknown".to_owned(),
    }
}

fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        libc::SIGKILL => "killed; the machine kills a process when memory runs out",
        libc::SIGSEGV => "segmentation fault",
        libc::SIGABRT => "aborted",
        libc::SIGILL => "illegal instruction",
        libc::SIGBUS => "bus error",
        libc::SIGFPE => "arithmetic error",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use graft_protocol::{AdapterEntry, ModelEntry};

    use super::*;

    fn trained(name: &str, active: bool, run: &str) -> AdapterEntry {
        AdapterEntry {
            name: name.to_owned(),
            method: "lora".to_owned(),
            active,
            merged: false,
            trainable: 1,
            settings: String::new(),
            scale: 1.0,
            run: Some(run.to_owned()),
        }
    }

    fn exit(cause: Option<Cause>) -> ChildExit {
        let snapshot = Snapshot {
            model: Some(ModelEntry { name: "tiny".to_owned(), ..ModelEntry::default() }),
            adapters: vec![trained("soft", false, "run-1"), trained("mine", true, "run-2")],
            runs: vec!["trial-of-a-comparison".to_owned(), "run-2".to_owned(), "run-1".to_owned()],
            data: vec!["which-book".to_owned()],
            ..Snapshot::default()
        };
        ChildExit {
            cause,
            status: "signal 9, killed".to_owned(),
            snapshot: Arc::new(snapshot),
            variables: vec![("w".to_owned(), "Tensor".to_owned())],
        }
    }

    #[test]
    fn an_exit_names_the_lost_state_and_the_recovery() {
        let failure = exit(None).failure();
        assert_eq!(failure.code, "engine::child_died");
        for part in ["signal 9", "model tiny", "data which-book", "variables w"] {
            assert!(failure.message.contains(part), "{part}: {}", failure.message);
        }
        assert!(
            failure.hint.unwrap().contains("`%runs use run-2`"),
            "the run of the active adapter"
        );
        let mut training = exit(None);
        Arc::make_mut(&mut training.snapshot).job = Some("%train".to_owned());
        assert!(training.failure().hint.unwrap().contains("`%resume`"));
    }

    #[test]
    fn an_interrupt_has_its_own_code() {
        assert_eq!(exit(Some(Cause::Interrupt)).failure().code, "engine::interrupted");
    }

    #[test]
    fn a_signal_and_a_status_are_distinguished() {
        use std::os::unix::process::ExitStatusExt;
        assert!(describe(std::process::ExitStatus::from_raw(11)).contains("segmentation"));
        assert_eq!(describe(std::process::ExitStatus::from_raw(256)), "exit status 1");
    }
}
