//! The results of a class in a shared folder: one file per student, no server.
//!
//! A student's session appends a line of JSON to its own file for each result ([`writer`]). A
//! teacher's session reads all files ([`roster`]). Files of others are untrusted: their sizes are
//! limited, symbolic links are not followed, and a bad file only costs its own row.

mod name;
mod pseudonyms;
mod record;
mod roster;
mod shared_file;
mod standing;
mod writer;

use std::{path::PathBuf, sync::Arc};

use graft_train::{
    Evaluation,
    runs::{RunFolder, TrialRecord},
};

pub(crate) use name::{check_exercise, check_name};
pub(crate) use pseudonyms::Pseudonyms;
pub(crate) use record::{Kind, Record};
pub(crate) use roster::{Roster, read as read_roster};
pub(crate) use shared_file::{file_name, is_own, owner_of};
pub(crate) use standing::{Standing, is_better};
pub(crate) use writer::{Delivery, Writer};

use crate::{CommandContext, state::AttachedAdapter};

/// Environment variable with the shared folder of the class.
pub(crate) const CLASS_VARIABLE: &str = "GRAFT_CLASS";

/// The class that receives the results of a session.
pub(crate) struct Membership {
    /// Name of the student, and of the file.
    pub(crate) name: String,
    /// The shared folder.
    pub(crate) folder: PathBuf,
    /// The exercise of the next results; empty for none.
    pub(crate) exercise: String,
    pub(crate) writer: Writer,
}

impl Membership {
    /// Sends a record to the folder. The user is told once when the folder cannot be reached, and
    /// once when it is back; training goes on in both cases.
    pub(crate) fn send(&self, cx: &CommandContext, record: &Record) {
        match self.writer.deliver(record) {
            Delivery::Written { late: 0 } => {}
            Delivery::Written { late } => cx.note(format!(
                "the class folder is reachable again: {} written",
                crate::verbs::format::counted(late, "kept result")
            )),
            Delivery::Kept { problem: Some(problem) } => cx.warn(format!(
                "the class folder `{}` cannot be reached ({problem}); training is not affected, \
                 and results are kept and written when the folder is back",
                self.folder.display()
            )),
            Delivery::Kept { problem: None } => {}
        }
    }
}

/// Sends the result of a run that has ended, if the session has joined a class.
pub(crate) fn after_run(cx: &CommandContext, folder: &RunFolder) {
    let Some(class) = cx.state().class.clone() else { return };
    if let Some(record) = Record::of_run(folder, &class.exercise) {
        class.send(cx, &record);
    }
}

/// Sends the result of a trial of a comparison, if the session has joined a class.
pub(crate) fn after_trial(
    cx: &CommandContext,
    folder: &RunFolder,
    split: &str,
    trial: &TrialRecord,
) {
    let Some(class) = cx.state().class.clone() else { return };
    if let Some(record) = Record::of_run(folder, &class.exercise) {
        let (held_out_loss, accuracy) = (Some(trial.loss), trial.accuracy);
        class.send(cx, &Record { split: split.to_owned(), held_out_loss, accuracy, ..record });
    }
}

/// Sends the scores of a trained adapter, if the session has joined a class.
pub(crate) fn after_evaluation(
    cx: &CommandContext,
    attached: &AttachedAdapter,
    data: &str,
    split: &str,
    found: &Evaluation,
) {
    let Some(class) = cx.state().class.clone() else { return };
    let Some(run) = attached.provenance().run() else { return };
    let record = Record {
        kind: Kind::Evaluation,
        run,
        method: attached.adapter.spec().verb.to_owned(),
        settings: attached.adapter.summary(),
        data: data.to_owned(),
        split: split.to_owned(),
        examples: found.examples,
        trainable: attached.adapter.trainable_parameters(),
        steps: attached.trained_steps(),
        held_out_loss: Some(found.loss),
        accuracy: found.accuracy,
        ..Record::now(&class.exercise)
    };
    class.send(cx, &record);
}

/// Joins a class: `exercise` is empty for none.
pub(crate) fn membership(name: String, folder: PathBuf, exercise: String) -> Arc<Membership> {
    let writer = Writer::new(&folder, &name, &crate::verbs::runs::base());
    Arc::new(Membership { name, folder, exercise, writer })
}
