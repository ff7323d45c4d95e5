//! One result, which is one line of a student's file.

use std::time::{SystemTime, UNIX_EPOCH};

use graft_protocol::RunOutcome;
use graft_train::runs::RunFolder;
use serde::{Deserialize, Serialize};

/// Longest line that is written or read, in bytes.
pub(super) const MAX_LINE: usize = 4096;
/// Most characters of a text in a record.
const MAX_TEXT: usize = 120;
/// The largest number of parameters and steps that is believed.
const MAX_COUNT: u64 = 1_000_000_000_000_000;

/// What a line reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// The student has joined.
    #[default]
    Joined,
    /// A run has ended.
    Run,
    /// The weights of a run have been evaluated.
    Evaluation,
}

/// One result of a student.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Record {
    pub(crate) kind: Kind,
    /// Seconds since 1970.
    pub(crate) time: u64,
    /// The exercise; empty for none.
    pub(crate) exercise: String,
    /// Name of the run.
    pub(crate) run: String,
    /// Verb of the method.
    pub(crate) method: String,
    /// Settings of the adapter in one line.
    pub(crate) settings: String,
    /// Name of the data set.
    pub(crate) data: String,
    /// Split of the accuracy.
    pub(crate) split: String,
    /// Number of examples of the accuracy; 0 if unknown.
    pub(crate) examples: u64,
    /// Number of trained parameters.
    pub(crate) trainable: u64,
    /// Number of optimizer steps.
    pub(crate) steps: u64,
    /// Mean loss on held-out examples in nats.
    #[serde(with = "graft_spec::number::option")]
    pub(crate) held_out_loss: Option<f64>,
    /// Share of the held-out examples that are classified correctly.
    #[serde(with = "graft_spec::number::option")]
    pub(crate) accuracy: Option<f64>,
    /// `finished`, `interrupted` or `failed`; empty for other kinds.
    pub(crate) outcome: String,
}

impl Record {
    /// A record of this moment without a result.
    pub(crate) fn now(exercise: &str) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { time: since.as_secs(), exercise: exercise.to_owned(), ..Self::default() }
    }

    /// The result of a run in its ledger; `None` for a run without a step.
    pub(crate) fn of_run(folder: &RunFolder, exercise: &str) -> Option<Self> {
        let record = folder.record().ok()?;
        let header = record.current_header().or_else(|| folder.header())?;
        let last = record.validations.last();
        Some(Self {
            kind: Kind::Run,
            run: folder.name(),
            method: header.method.clone(),
            settings: header
                .adapter_asked
                .values
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect::<Vec<_>>()
                .join(" "),
            data: header.data.clone(),
            split: "validation".to_owned(),
            trainable: header.trainable,
            steps: record.steps.last()?.step,
            held_out_loss: last.map(|last| last.loss),
            accuracy: last.and_then(|last| last.accuracy),
            outcome: match record.ended.as_ref().map(|ended| &ended.outcome) {
                Some(RunOutcome::Finished) => "finished",
                Some(RunOutcome::Interrupted) => "interrupted",
                Some(RunOutcome::Failed) | None => "failed",
            }
            .to_owned(),
            ..Self::now(exercise)
        })
    }

    /// The record as one line with its end.
    pub(super) fn line(&self) -> String {
        let mut short = self.clone();
        for text in short.texts() {
            *text = text.chars().take(MAX_TEXT).collect();
        }
        let mut line = serde_json::to_string(&short).unwrap_or_default();
        line.push('\n');
        line
    }

    /// Reads a line of another user.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(line: &[u8]) -> Result<Self, String> {
        if line.len() > MAX_LINE {
            return Err(format!("it is longer than {MAX_LINE} bytes"));
        }
        if line.first() != Some(&b'{') {
            return Err("it is not a JSON object".to_owned());
        }
        let mut record: Self = serde_json::from_slice(line).map_err(|error| {
            let text = error.to_string();
            text.split(" at line ")
                .next()
                .unwrap_or_default()
                .chars()
                .take(MAX_TEXT)
                .collect::<String>()
        })?;
        if record.accuracy.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
            return Err("its accuracy is not between 0 and 1".to_owned());
        }
        if record.trainable > MAX_COUNT || record.steps > MAX_COUNT {
            return Err("its number of parameters or steps is not possible".to_owned());
        }
        if record.texts().iter().any(|text| text.chars().count() > MAX_TEXT) {
            return Err(format!("a text in it is longer than {MAX_TEXT} characters"));
        }
        if !record.exercise.is_empty() && super::check_exercise(&record.exercise).is_err() {
            return Err("its exercise is not a valid name".to_owned());
        }
        record.held_out_loss = record.held_out_loss.filter(|loss| loss.is_finite());
        Ok(record)
    }

    fn texts(&mut self) -> [&mut String; 7] {
        [
            &mut self.exercise,
            &mut self.run,
            &mut self.method,
            &mut self.settings,
            &mut self.data,
            &mut self.split,
            &mut self.outcome,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_its_line_and_long_texts_are_cut() {
        let record = Record {
            run: "r".repeat(500),
            accuracy: Some(0.5),
            held_out_loss: Some(f64::NAN),
            ..Record::now("LoRA rank")
        };
        let line = record.line();
        assert!(line.len() < MAX_LINE && line.ends_with('\n'));
        let read = Record::parse(line.trim_end().as_bytes()).unwrap();
        assert_eq!(
            (read.run.len(), read.accuracy, read.held_out_loss),
            (MAX_TEXT, Some(0.5), None)
        );
    }

    #[test]
    fn impossible_values_are_refused_with_their_reason() {
        let long = format!(r#"{{"run":"{}"}}"#, "a".repeat(200));
        let huge = format!(r#"{{"run":"{}"}}"#, "a".repeat(5000));
        for (line, word) in [
            (r#"{"accuracy":2}"#, "accuracy"),
            (r#"{"accuracy":-0.1}"#, "accuracy"),
            (r#"{"accuracy":"NaN"}"#, "accuracy"),
            (r#"{"trainable":99999999999999999}"#, "not possible"),
            (r#"{"trainable":-1}"#, "invalid"),
            (r#"{"exercise":"../x"}"#, "exercise"),
            (r#"{"kind":"admin"}"#, "unknown variant"),
            (r#"{"kind":"#, "EOF"),
            ("[]", "not a JSON object"),
            (&long, "longer than 120"),
            (&huge, "longer than 4096"),
        ] {
            let problem = Record::parse(line.as_bytes()).unwrap_err();
            assert!(problem.contains(word), "{line}: {problem}");
        }
    }
}
