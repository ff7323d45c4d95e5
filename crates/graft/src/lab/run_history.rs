//! The runs on disk.

use std::path::Path;

use graft_session::verbs;

use crate::{Chart, Lab, Plot, Result, Runs, Table};

impl Lab {
    /// The names of the runs on disk, newest first. [`Runs::adapter`] attaches the weights of one.
    pub fn runs(&self) -> Runs {
        Runs::new(self.clone(), self.state().runs.clone())
    }

    /// A table with a row for each run on disk, newest first.
    ///
    /// # Errors
    /// Never, currently.
    pub fn run_table(&self) -> Result<Table> {
        self.read(verbs::runs::table).map(Table::from)
    }

    /// The settings and results of a run, or of the last one.
    ///
    /// # Errors
    /// `session::unknown_run`.
    pub fn run_facts(&self, run: Option<&str>) -> Result<Table> {
        self.read(|cx| verbs::runs::facts(cx, run)).map(Table::from)
    }

    /// The differences between two runs, in settings and results.
    ///
    /// # Errors
    /// `session::unknown_run`.
    pub fn compare_runs(&self, one: &str, other: &str) -> Result<Table> {
        self.read(|cx| verbs::runs::difference(cx, one, other)).map(Table::from)
    }

    /// The curves of several runs in one chart; without names, those of the newest runs.
    ///
    /// # Errors
    /// `session::unknown_run`, or if there are too many runs for one chart.
    pub fn plot_runs<S: AsRef<str>>(&self, runs: &[S], options: Plot) -> Result<Chart> {
        let runs: Vec<String> = runs.iter().map(|run| run.as_ref().to_owned()).collect();
        self.read(|cx| verbs::runs::plot(cx, &runs, &options.into())).map(Chart::from)
    }

    /// Writes a run to a file. The extension decides the format: `.csv` (the steps), `.json`
    /// (everything), `.graft` (the magics that repeat the run).
    ///
    /// # Errors
    /// `session::unknown_run`, or if the extension is another one or the file cannot be written.
    pub fn export_run(&self, run: &str, file: &str) -> Result<()> {
        self.read(|cx| verbs::runs::export(cx, run, Path::new(file))).map(drop)
    }
}
