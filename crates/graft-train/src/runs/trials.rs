//! The finished trials of `%ablate`: one JSON line per trial, so that the same command resumes a
//! comparison.

use std::{
    collections::HashMap,
    fs::OpenOptions,
    io::Write,
    path::{Path, PathBuf},
};

use graft_nn::regular_file;
use serde::{Deserialize, Serialize};

use super::lines::{Line, Lines};
use super::safe_open;
use crate::{Result, TrainError};

/// The value of a metric of generated text or of classes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricValue {
    /// Name of the metric.
    pub metric: String,
    /// The value.
    pub value: f64,
    /// The 95 % bootstrap interval over the examples, if there are at least two.
    pub interval: Option<(f64, f64)>,
}

/// A finished trial of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrialRecord {
    /// Everything that determines the result, as text.
    pub key: String,
    /// Name of its run.
    pub run: String,
    /// Mean loss on the scored examples, in nats.
    #[serde(with = "graft_spec::number")]
    pub loss: f64,
    /// Fraction of the examples whose own label has the highest score, for data with labels.
    #[serde(with = "graft_spec::number::option")]
    pub accuracy: Option<f64>,
    /// Number of trained parameters.
    pub trainable: u64,
    /// Number of all parameters, adapter included.
    pub total: u64,
    /// Training time in seconds.
    pub seconds: f64,
    /// The learning rate, if it was found by a search.
    #[serde(default)]
    pub lr: Option<f64>,
    /// Smoothed training loss by step.
    pub curve: Vec<(u64, f64)>,
    /// Tokens per second, and predicted bytes on top of the base model.
    #[serde(default)]
    pub cost: Option<(f64, u64)>,
    /// The step at which the trial was stopped early in favor of better ones.
    #[serde(default)]
    pub stopped: Option<u64>,
    /// Loss on text of the base model's own domain by step, starting before the first step; empty
    /// if it was not measured.
    #[serde(default)]
    pub domain: Vec<(u64, f64)>,
    /// The metrics of the key `metric`.
    #[serde(default)]
    pub metrics: Vec<MetricValue>,
}

/// Most finished trials that are loaded.
const MOST: usize = 1 << 16;

/// The file `ablations.jsonl` next to the folder of runs.
#[derive(Clone, Debug)]
pub struct Trials {
    path: PathBuf,
    /// The finished trials in order; of several records of one trial, the newest.
    pub records: Vec<TrialRecord>,
    /// Number of unreadable lines.
    pub damaged: usize,
}

impl Trials {
    /// Reads the file. Damaged lines, and lines of a newer version with other fields, are counted
    /// and skipped.
    pub fn read(runs: &Path) -> Self {
        let path = runs.with_file_name("ablations.jsonl");
        let mut trials = Self { path, records: Vec::new(), damaged: 0 };
        let Ok(file) = regular_file::open(&trials.path) else { return trials };
        let mut lines = Lines::new(file);
        let mut places = HashMap::new();
        while let Ok(Some(line)) = lines.next(&|| false) {
            let record = match line {
                Line::Whole(line) if line.iter().all(u8::is_ascii_whitespace) => continue,
                Line::Whole(line) => serde_json::from_slice::<TrialRecord>(line).ok(),
                Line::TooLong => None,
            };
            match record {
                None => trials.damaged += 1,
                Some(record) => match places.get(&record.key) {
                    Some(place) => trials.records[*place] = record,
                    None if trials.records.len() < MOST => {
                        places.insert(record.key.clone(), trials.records.len());
                        trials.records.push(record);
                    }
                    None => {}
                },
            }
        }
        trials
    }

    /// The newest record with that key.
    pub fn find(&self, key: &str) -> Option<&TrialRecord> {
        self.records.iter().rev().find(|record| record.key == key)
    }

    /// Adds a record, first to the file: in one write of a whole line, which another process cannot
    /// interleave.
    ///
    /// # Errors
    /// [`TrainError::Io`] when the file cannot be written.
    pub fn add(&mut self, record: TrialRecord) -> Result<()> {
        let failed = || TrainError::io("write", &self.path);
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).map_err(failed())?;
        }
        let mut line = b"\n".to_vec();
        line.extend(serde_json::to_vec(&record).unwrap_or_default());
        line.push(b'\n');
        let mut file = safe_open::open(OpenOptions::new().create(true).append(true), &self.path)?;
        file.write_all(&line).map_err(failed())?;
        self.records.push(record);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: &str, loss: f64) -> TrialRecord {
        TrialRecord {
            key: key.to_owned(),
            run: "lora-001".to_owned(),
            loss,
            accuracy: Some(0.5),
            trainable: 8,
            total: 80,
            seconds: 1.5,
            lr: None,
            cost: None,
            stopped: None,
            curve: vec![(1, 2.0)],
            domain: Vec::new(),
            metrics: vec![MetricValue {
                metric: "rougeL".to_owned(),
                value: 0.5,
                interval: Some((0.25, 0.75)),
            }],
        }
    }

    #[test]
    fn what_was_added_is_there_for_the_next_reader_and_a_damaged_line_is_skipped() {
        let folder = tempfile::tempdir().expect("a folder");
        let runs = folder.path().join("runs");
        let mut trials = Trials::read(&runs);
        trials.add(record("a", 1.0)).expect("written");
        std::fs::OpenOptions::new()
            .append(true)
            .open(folder.path().join("ablations.jsonl"))
            .and_then(|mut file| file.write_all(b"{\"key\": \"b\xff"))
            .expect("cut");
        Trials::read(&runs).add(record("a", f64::NAN)).expect("written");
        let again = Trials::read(&runs);
        assert_eq!(
            (again.records.len(), again.damaged),
            (1, 1),
            "of one training the newest record"
        );
        assert!(
            again.find("a").is_some_and(|newest| newest.loss.is_nan()) && again.find("b").is_none()
        );
    }

    #[test]
    fn a_line_of_a_newer_version_is_read_if_compatible_and_counted_as_damaged_otherwise() {
        let folder = tempfile::tempdir().expect("a folder");
        let line = |change: fn(&mut serde_json::Map<String, serde_json::Value>)| {
            let mut value = serde_json::to_value(record("a", 1.0)).expect("plain data");
            change(value.as_object_mut().expect("an object"));
            value.to_string()
        };
        let more = line(|fields| drop(fields.insert("watts".to_owned(), 15.into())));
        let other =
            line(|fields| drop(fields.insert("loss".to_owned(), serde_json::json!({"mean": 1.0}))));
        std::fs::write(folder.path().join("ablations.jsonl"), format!("{more}\n{other}\n"))
            .expect("written");
        let read = Trials::read(&folder.path().join("runs"));
        assert_eq!((read.records, read.damaged), (vec![record("a", 1.0)], 1));
    }

    #[test]
    fn two_kernels_write_into_one_ledger_without_cutting_each_others_lines() {
        let folder = tempfile::tempdir().expect("a folder");
        let runs = folder.path().join("runs");
        std::thread::scope(|scope| {
            for kernel in ["one", "other"] {
                let mut trials = Trials::read(&runs);
                // A long curve makes lines that no buffer holds whole.
                let long = move |number: usize| TrialRecord {
                    curve: vec![(1, 2.0); 2000],
                    ..record(&format!("{kernel} {number}"), 1.0)
                };
                scope.spawn(move || {
                    (0..50).for_each(|number| trials.add(long(number)).expect("written"))
                });
            }
        });
        let read = Trials::read(&runs);
        assert_eq!((read.records.len(), read.damaged), (100, 0));
        assert!(read.find("one 49").is_some() && read.find("other 0").is_some());
    }
}
