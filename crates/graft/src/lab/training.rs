//! Training, in the foreground and in the background.

use graft_protocol::Command;
use graft_session::verbs;

use crate::{Error, Lab, MemoryOptions, Result, Run, Table, Train};

impl Lab {
    /// Trains the active adapter on the current data, and shows a live plot in a notebook.
    ///
    /// # Errors
    /// If the model, the adapter or the data is missing; if the loss is not finite;
    /// `session::interrupted` if the run was stopped.
    ///
    /// # Examples
    /// ```
    /// use graft::prelude::*;
    ///
    /// # fn main() -> graft::Result<()> {
    /// # let folder = tempfile::tempdir()?;
    /// # std::env::set_current_dir(&folder)?;
    /// lab().load_model("tiny")?.attach(Lora::new().r(4))?;
    /// lab().load_data("which-book")?;
    /// let run = lab().train(Train::new().steps(3).batch(2).lr(5e-3).eval_every(0))?;
    /// assert_eq!(run.losses()?.len(), 3);
    /// # Ok(())
    /// # }
    /// ```
    pub fn train(&self, options: Train) -> Result<Run> {
        self.job("training", move |cx| verbs::train::train(cx, None, &options.into())).map(Run::new)
    }

    /// Trains the active adapter in the background and returns the name of the run. Cells can be
    /// executed meanwhile. See [`Lab::jobs`], [`Lab::watch`] and [`Lab::stop`].
    ///
    /// # Errors
    /// As [`Lab::train`], for failures before the first step; `session::background` if another job
    /// is in the background.
    pub fn train_in_background(&self, options: Train) -> Result<String> {
        self.start_in_background(Command::Train { attach: None, settings: options.into() })
    }

    /// Resumes a run, or the last one, from its last checkpoint.
    ///
    /// # Errors
    /// `session::unknown_run`, and as [`Lab::train`].
    pub fn resume(&self, run: Option<&str>) -> Result<Run> {
        self.resume_with(run, Train::new())
    }

    /// [`Lab::resume`] with options that replace those of the run.
    ///
    /// # Errors
    /// As [`Lab::resume`].
    pub fn resume_with(&self, run: Option<&str>, options: Train) -> Result<Run> {
        let run = run.map(str::to_owned);
        self.job("resuming a run", move |cx| {
            verbs::resume::resume(cx, run.as_deref(), &options.into())
        })
        .map(Run::new)
    }

    /// [`Lab::resume_with`] in the background.
    ///
    /// # Errors
    /// As [`Lab::resume`] and [`Lab::train_in_background`].
    pub fn resume_in_background(&self, run: Option<&str>, options: Train) -> Result<String> {
        self.start_in_background(Command::Resume {
            run: run.map(str::to_owned),
            settings: options.into(),
        })
    }

    /// The jobs in the background, running and finished.
    ///
    /// # Errors
    /// Never, currently.
    pub fn jobs(&self) -> Result<Table> {
        self.read(verbs::jobs::table).map(Table::from)
    }

    /// Stops the job in the background at its next step and returns a line about its result. The
    /// weights, the curve and the checkpoint are kept.
    ///
    /// # Errors
    /// `session::background` if no job is in the background.
    pub fn stop(&self) -> Result<String> {
        self.read(verbs::jobs::stop)
    }

    /// Shows the live curve of a run, or of the job in the background, until it ends.
    ///
    /// # Errors
    /// `session::unknown_run`; `session::interrupted` if the stop button was pressed, which does
    /// not stop the run.
    pub fn watch(&self, run: Option<&str>) -> Result<()> {
        self.in_order(|session| {
            session.run_blocking_read("watching", |cx| verbs::jobs::watch(cx, run))
        })
        .map(drop)
        .map_err(Error::from)
    }

    /// Predicts the memory that training the active adapter takes, in parts, compared with full
    /// fine-tuning. With a name: for LoRA on that published model.
    ///
    /// # Errors
    /// If no model is loaded or no adapter is active; for a name, if the model is not known.
    pub fn memory(&self, of: Option<&str>, options: MemoryOptions) -> Result<Table> {
        let of = of.map(str::to_owned);
        self.read_attached("predicting memory", move |cx| {
            verbs::memory::table(cx, of.as_deref(), &options.into())
        })
        .map(Table::from)
    }

    /// Starts a job in the background and returns its name.
    pub(super) fn start_in_background(&self, command: Command) -> Result<String> {
        self.in_order(|session| session.start(command)).map_err(Error::from)?;
        Ok(self.read(|cx| Ok(verbs::jobs::newest(cx)))?.unwrap_or_default())
    }
}
