//! The best result of a student in one exercise.

use std::collections::BTreeMap;

use super::{Kind, Record};

/// The runs of a student in one exercise.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// The best run; `None` before the first one.
    pub(crate) best: Option<Record>,
    /// Number of runs.
    pub(crate) runs: usize,
    /// Time of the newest record.
    pub(crate) newest: u64,
}

impl Standing {
    /// The standing after these records. A run replaces an earlier one of the same name; an
    /// evaluation replaces the scores of its run.
    ///
    /// `None` if the student has no record of the exercise.
    pub(crate) fn of(records: &[Record], exercise: &str) -> Option<Self> {
        let mut newest = None;
        let mut runs: BTreeMap<&str, Record> = BTreeMap::new();
        for record in records.iter().filter(|record| record.exercise == exercise) {
            newest = newest.max(Some(record.time));
            match (record.kind, runs.get_mut(record.run.as_str())) {
                (Kind::Joined, _) => {}
                (Kind::Evaluation, Some(run)) => {
                    let outcome = std::mem::take(&mut run.outcome);
                    *run = Record { outcome, ..record.clone() };
                }
                _ => drop(runs.insert(&record.run, record.clone())),
            }
        }
        let count = runs.len();
        let best = runs
            .into_values()
            .reduce(|one, other| if is_better(&other, &one) { other } else { one });
        Some(Self { best, runs: count, newest: newest? })
    }
}

/// Whether a run is better than another one: by accuracy, without one by the loss.
pub(crate) fn is_better(one: &Record, other: &Record) -> bool {
    let score = |record: &Record| {
        (record.accuracy.unwrap_or(-1.0), -record.held_out_loss.unwrap_or(f64::INFINITY))
    };
    let (one, other) = (score(one), score(other));
    one.0.total_cmp(&other.0).then(one.1.total_cmp(&other.1)).is_gt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: &str, accuracy: Option<f64>, loss: f64) -> Record {
        Record {
            kind: Kind::Run,
            run: name.to_owned(),
            accuracy,
            held_out_loss: Some(loss),
            ..Record::now("1")
        }
    }

    #[test]
    fn the_best_run_has_the_scores_of_its_evaluation() {
        let evaluation =
            Record { kind: Kind::Evaluation, split: "test".to_owned(), ..run("b", Some(0.4), 1.0) };
        let records = [
            Record::now("1"),
            run("a", Some(0.5), 2.0),
            run("b", Some(0.9), 1.0),
            evaluation,
            run("other", Some(1.0), 0.0),
        ];
        let mut records = records.to_vec();
        records[4].exercise = "2".to_owned();
        let standing = Standing::of(&records, "1").unwrap();
        assert_eq!((standing.runs, standing.best.unwrap().run.as_str()), (2, "a"));
        assert!(Standing::of(&records, "3").is_none());
        let joined = Standing::of(&records[..1], "1").unwrap();
        assert!(joined.best.is_none() && joined.runs == 0);
    }

    #[test]
    fn without_labels_the_lower_loss_is_better() {
        assert!(is_better(&run("a", None, 1.0), &run("b", None, 2.0)));
        assert!(is_better(&run("a", Some(0.1), 9.0), &run("b", None, 2.0)));
        let unknown = Record { held_out_loss: None, ..run("c", None, 0.0) };
        assert!(is_better(&run("a", None, 5.0), &unknown));
    }
}
