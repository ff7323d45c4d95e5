//! What a death of the child took with it, in words.

use graft_protocol::Snapshot;
use graft_spec::Failure;

/// Why the host ended a child itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// An interrupt that nothing answered.
    Interrupt,
    /// The user asked for a new one.
    Restart,
    /// The host goes.
    Shutdown,
}

/// A death, for those who waited for the child.
#[derive(Clone, Debug)]
pub(crate) struct ChildExit {
    /// Why the host ended it; none when it died of itself.
    pub(crate) cause: Option<Cause>,
    /// How the process ended: `signal 9 (killed)`, `status 1`.
    pub(crate) how: String,
    /// What the session held.
    pub(crate) snapshot: std::sync::Arc<Snapshot>,
    /// The Rust variables it held.
    pub(crate) variables: Vec<(String, String)>,
}

impl ChildExit {
    /// The failure that everybody gets who waited.
    pub(crate) fn failure(&self) -> Failure {
        let what = match self.cause {
            Some(Cause::Interrupt) => {
                "interrupted: nothing answered, so the session's process was ended".to_owned()
            }
            Some(Cause::Restart) => "the session was restarted".to_owned(),
            Some(Cause::Shutdown) => "the kernel is shutting down".to_owned(),
            None => format!("the session's process died ({})", self.how),
        };
        let code = if self.cause == Some(Cause::Interrupt) {
            "engine::interrupted"
        } else {
            "engine::child_died"
        };
        let failure =
            Failure::new(code, format!("{what}; {}; a new session is ready", self.losses()));
        match self.way_back() {
            Some(way) => failure.hint(way),
            None => failure,
        }
    }

    /// Everything that is gone, by name.
    pub(crate) fn losses(&self) -> String {
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

    fn way_back(&self) -> Option<String> {
        let model = self.snapshot.model.as_ref()?;
        // What ran may have been a training; one that is over has nothing to resume, but weights.
        let weights = match (self.snapshot.runs.first(), &self.snapshot.job) {
            (None, _) => String::new(),
            (Some(_), Some(_)) => ", then `%resume` continues from the last checkpoint".to_owned(),
            (Some(newest), None) => {
                format!(", then `%runs use {newest}` attaches the weights of its newest run")
            }
        };
        Some(format!("`%model load {}` loads the model again{weights}", model.name))
    }
}

/// How a process ended.
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

    use graft_protocol::ModelEntry;

    use super::*;

    fn death(cause: Option<Cause>) -> ChildExit {
        let snapshot = Snapshot {
            model: Some(ModelEntry { name: "tiny".to_owned(), ..ModelEntry::default() }),
            runs: vec!["run-1".to_owned()],
            data: vec!["which-book".to_owned()],
            ..Snapshot::default()
        };
        ChildExit {
            cause,
            how: "signal 9, killed".to_owned(),
            snapshot: Arc::new(snapshot),
            variables: vec![("w".to_owned(), "Tensor".to_owned())],
        }
    }

    #[test]
    fn a_death_names_what_is_gone_and_the_way_back() {
        let failure = death(None).failure();
        assert_eq!(failure.code, "engine::child_died");
        for part in ["signal 9", "model tiny", "data which-book", "variables w"] {
            assert!(failure.message.contains(part), "{part}: {}", failure.message);
        }
        assert!(failure.hint.unwrap().contains("%runs use run-1"));
        let mut training = death(None);
        Arc::make_mut(&mut training.snapshot).job = Some("%train".to_owned());
        assert!(training.failure().hint.unwrap().contains("`%resume`"));
    }

    #[test]
    fn an_interrupt_says_so() {
        assert_eq!(death(Some(Cause::Interrupt)).failure().code, "engine::interrupted");
    }

    #[test]
    fn a_signal_and_a_status_are_told_apart() {
        use std::os::unix::process::ExitStatusExt;
        assert!(describe(std::process::ExitStatus::from_raw(11)).contains("segmentation"));
        assert_eq!(describe(std::process::ExitStatus::from_raw(256)), "exit status 1");
    }
}
