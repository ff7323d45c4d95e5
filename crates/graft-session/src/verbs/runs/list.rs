//! `%runs`: the table of the runs.

use graft_protocol::{Cell, Table};
use graft_spec::{Failure, training::TRAIN};
use graft_train::runs::{RunFolder, RunHeader, RunRecord, Start, is_temporary};

use super::{TEMPORARY, base, final_loss, outcome, read};
use crate::CommandContext;

/// Columns of the table.
const COLUMNS: [&str; 11] = [
    "run",
    "method",
    "data",
    "#trained",
    "#steps",
    "#loss",
    "#validation",
    "#accuracy",
    "outcome",
    "started from",
    "trial",
];

/// The table of the runs, newest first.
///
/// # Errors
/// [`crate::SessionError::Interrupted`] when the user stopped it.
pub fn table(cx: &CommandContext) -> Result<Table, Failure> {
    let mut table = Table::new("runs", &COLUMNS);
    let base = base();
    let mut has_trials = false;
    for folder in RunFolder::list(&base) {
        let (record, header) = match read(cx, &folder) {
            Err(stopped) if cx.is_stopping() => return Err(stopped),
            Err(_) => continue,
            Ok(read) => read,
        };
        has_trials |= header.trial.is_some();
        table.row(row(&folder, &record, &header));
    }
    if !has_trials {
        table.columns.pop();
        table.rows.iter_mut().for_each(|row| drop(row.pop()));
    }
    if table.rows.is_empty() {
        table.footer.push("no runs here yet; %train makes one".to_owned());
    } else {
        table.footer.push(
            "loss: mean training loss over the last tenth of the steps; validation and accuracy: \
             the last validation"
                .to_owned(),
        );
        table.footer.push(
            "%runs show RUN shows the settings, %runs use RUN attaches the weights, %plot RUN RUN \
             plots the loss curves, %resume RUN continues"
                .to_owned(),
        );
    }
    table.footer.extend(is_temporary(&base).then(|| TEMPORARY.to_owned()));
    Ok(table)
}

fn row(folder: &RunFolder, record: &RunRecord, header: &RunHeader) -> Vec<Cell> {
    let integer = |value: u64| Cell::Integer(i64::try_from(value).unwrap_or(i64::MAX));
    let float = |value: Option<f64>| value.map_or(Cell::Empty, |value| Cell::Float(value, 3));
    let last = record.validations.last();
    vec![
        Cell::Code(folder.name()),
        Cell::Text(header.method.clone()),
        Cell::Text(header.data.clone()),
        integer(header.trainable),
        integer(record.steps.last().map_or(0, |step| step.step)),
        float(final_loss(record)),
        float(last.map(|last| last.loss)),
        last.and_then(|last| last.accuracy).map_or(Cell::Empty, |share| Cell::Percent(share, 0)),
        Cell::Text(outcome(record, folder).to_owned()),
        Cell::Text(started_from(header)),
        trial(header).map_or(Cell::Empty, Cell::Text),
    ]
}

/// The origin of the weights of a run.
fn started_from(header: &RunHeader) -> String {
    match &header.start {
        None => String::new(),
        Some(Start::Fresh { .. }) => "fresh weights".to_owned(),
        Some(start) => start.to_string(),
    }
}

/// The method keys that the grid of a comparison has set for this trial, its learning rate and its
/// seed; `None` for other runs.
fn trial(header: &RunHeader) -> Option<String> {
    let trial = header.trial.as_deref()?;
    // The adapter's own settings also contain defaults of the model, such as `target_modules`. The
    // identity of the trial quotes only the keys of the grid.
    let is_of_grid = |name: &str| trial.contains(&format!("\"{name}\": "));
    let mut words: Vec<String> = header
        .adapter_settings
        .values
        .iter()
        .filter(|(name, _)| is_of_grid(name))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let lr = header.train.float(TRAIN, "lr").unwrap_or(header.default_lr);
    words.push(format!("lr={lr:e}"));
    words.push(format!("seed={}", header.seed));
    Some(words.join(" "))
}
