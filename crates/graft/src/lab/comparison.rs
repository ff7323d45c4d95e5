//! Comparing configurations: `%ablate`, `%forgetting` and `%trial`.

use graft_protocol::Command;
use graft_session::verbs;

use crate::{Ablate, Lab, Result, Table};

impl Lab {
    /// Trains every configuration of a grid on the current data and compares the results. The
    /// table has a row for the base model and one per configuration. Attached adapters do not
    /// change.
    ///
    /// # Errors
    /// If the grid is not valid, no model or data is loaded, or every trial fails.
    ///
    /// # Examples
    /// ```
    /// use graft::prelude::*;
    ///
    /// # fn main() -> graft::Result<()> {
    /// # let folder = tempfile::tempdir()?;
    /// # std::env::set_current_dir(&folder)?;
    /// lab().load_model("tiny")?;
    /// lab().load_data("which-book")?;
    /// let grid = Ablate::of(["lora"]).key("r", "1,4").key("steps", "2").key("examples", "8");
    /// let table = lab().ablate(grid)?.to_string();
    /// assert!(table.contains("lora r=1") && table.contains("lora r=4"), "{table}");
    /// # Ok(())
    /// # }
    /// ```
    pub fn ablate(&self, grid: Ablate) -> Result<Table> {
        self.job("comparing configurations", move |cx| {
            verbs::ablate::ablate(cx, &grid.methods, &grid.keys)
        })
        .map(|compared| Table::from(compared.table))
    }

    /// [`Lab::ablate`] in the background. Returns the name of the job: [`Lab::watch`] shows its
    /// table, [`Lab::stop_trial`] and [`Lab::clone_trial`] change its configurations.
    ///
    /// # Errors
    /// As [`Lab::ablate`], for failures before the first step.
    pub fn ablate_in_background(&self, grid: Ablate) -> Result<String> {
        let Ablate { methods, keys } = grid;
        self.start_in_background(Command::Ablate { methods, keys })
    }

    /// Trains the methods of a grid and compares how much each makes the model forget, measured on
    /// text like its training data. Without methods, measures the attached adapters.
    ///
    /// The key `domain` names that text: a data set or a file. For `tiny` it has a default.
    ///
    /// # Errors
    /// As [`Lab::ablate`], and if the model has no default `domain` and none is given.
    pub fn forgetting(&self, grid: Ablate) -> Result<Table> {
        self.job("measuring forgetting", move |cx| {
            verbs::forgetting::forgetting(cx, &grid.methods, &grid.keys)
        })
        .map(|compared| Table::from(compared.table))
    }

    /// [`Lab::forgetting`] in the background. Returns the name of the job.
    ///
    /// # Errors
    /// As [`Lab::forgetting`], for failures before the first step.
    pub fn forgetting_in_background(&self, grid: Ablate) -> Result<String> {
        let Ablate { methods, keys } = grid;
        self.start_in_background(Command::Forgetting { methods, keys })
    }

    /// Stops a configuration, numbered from 1, of the comparison in the background.
    ///
    /// # Errors
    /// `session::no_comparison` if none is running, `ablate::no_trial` for an unknown number.
    pub fn stop_trial(&self, number: usize) -> Result<String> {
        self.read(|cx| verbs::trial::stop(cx, number))
    }

    /// Adds a configuration to the comparison in the background, or to the last comparison, which
    /// is then shown again. The new configuration is a copy of number `number` with other `keys`.
    ///
    /// # Errors
    /// `session::no_comparison` if nothing was compared, for an unknown number or key, and as
    /// [`Lab::ablate`].
    pub fn clone_trial<K: AsRef<str>, V: AsRef<str>>(
        &self,
        number: usize,
        keys: &[(K, V)],
    ) -> Result<()> {
        let keys = keys
            .iter()
            .map(|(key, value)| (key.as_ref().to_owned(), value.as_ref().to_owned()))
            .collect();
        self.show(self.session.execute(Command::TrialClone { number, keys })?);
        Ok(())
    }
}
