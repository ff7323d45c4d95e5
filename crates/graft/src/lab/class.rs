//! The results of a class: `%class`.

use graft_session::verbs::class;

use crate::{Chart, ClassJoin, ClassView, Error, Lab, Result, Table};

impl Lab {
    /// Joins a class: from now on, the result of each run and of each evaluation is appended to the
    /// student's file in the shared folder. Without a name, the login name is used.
    ///
    /// # Errors
    /// `class::name` for a name that is not valid or belongs to another user; `class::folder` if
    /// the folder is unknown or cannot be used.
    ///
    /// # Examples
    /// ```
    /// use graft::prelude::*;
    ///
    /// # fn main() -> graft::Result<()> {
    /// # let folder = tempfile::tempdir()?;
    /// # let folder = folder.path().display().to_string();
    /// # std::env::set_current_dir(&folder)?;
    /// lab().join_class(Some("ada"), ClassJoin::new().folder(&folder).exercise("LoRA rank"))?;
    /// println!("{}", lab().class(ClassView::new())?);
    /// lab().leave_class()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn join_class(&self, name: Option<&str>, options: ClassJoin) -> Result<String> {
        self.read(|cx| class::join(cx, name, &options.into()))
    }

    /// Leaves the class. The file with the results remains.
    ///
    /// # Errors
    /// `class::not_joined`.
    pub fn leave_class(&self) -> Result<String> {
        self.read(class::leave)
    }

    /// The best result of every student in an exercise, the best first.
    ///
    /// # Errors
    /// `class::folder` if the folder is unknown or cannot be read.
    pub fn class(&self, options: ClassView) -> Result<Table> {
        self.class_picture(options).map(|picture| Table::from(picture.table))
    }

    /// Accuracy by trained parameters, with one point per student; an empty chart before the first
    /// result.
    ///
    /// # Errors
    /// As [`Lab::class`].
    pub fn class_chart(&self, options: ClassView) -> Result<Chart> {
        let picture = self.class_picture(options)?;
        Ok(Chart::from(picture.chart.unwrap_or_default()))
    }

    /// Shows the table and the chart, and updates them until the stop button is pressed.
    ///
    /// # Errors
    /// As [`Lab::class`].
    pub fn watch_class(&self, options: ClassView) -> Result<()> {
        let picture = self.in_order(|session| {
            session.run_blocking_read("watching", |cx| class::watch(cx, &options.into()))
        });
        self.show(picture.map_err(Error::from)?.reply());
        Ok(())
    }

    fn class_picture(&self, options: ClassView) -> Result<class::ClassPicture> {
        self.session
            .run_blocking_read("reading the class folder", |cx| class::show(cx, &options.into()))
            .map_err(Error::from)
    }
}
