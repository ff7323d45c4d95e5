//! The runs on disk.

use graft_session::verbs;

use crate::{Adapter, Lab, Result, RunWeights};

/// The names of the runs on disk, newest first. [`Runs::adapter`] attaches the weights of one.
///
/// Dereferences to a slice of names.
#[derive(Clone)]
pub struct Runs {
    lab: Lab,
    names: Vec<String>,
}

impl Runs {
    pub(crate) fn new(lab: Lab, names: Vec<String>) -> Self {
        Self { lab, names }
    }

    /// Attaches the weights that a run has saved and makes them the active adapter:
    /// `lab().runs().adapter("lora-001", RunWeights::new())?`.
    ///
    /// # Errors
    /// `session::unknown_run`; `train::no_weights` if the weights of the step were not saved;
    /// `session::other_model` if the run belongs to another model. Nothing changes then.
    pub fn adapter(&self, run: &str, options: RunWeights) -> Result<Adapter> {
        let run = run.to_owned();
        let report = self.lab.job("attaching the weights of a run", move |cx| {
            verbs::runs::attach_run(cx, &run, &options.into())
        })?;
        Ok(Adapter::new(self.lab.clone(), report.attached))
    }

    /// The names.
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

impl std::ops::Deref for Runs {
    type Target = [String];

    fn deref(&self) -> &[String] {
        &self.names
    }
}

impl IntoIterator for Runs {
    type Item = String;
    type IntoIter = std::vec::IntoIter<String>;

    fn into_iter(self) -> Self::IntoIter {
        self.names.into_iter()
    }
}

impl std::fmt::Debug for Runs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.names.fmt(f)
    }
}
