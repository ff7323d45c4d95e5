//! A run as a file: its steps, everything, or the magics that train it again. A ledger may be somebody else's: nothing in it is written unescaped.

mod magic;
mod replay;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use graft_nn::atomic_file;
use graft_protocol::{RunEnded, StepRecord, ValidationRecord};
use graft_spec::Failure;
use graft_train::runs::{RunFolder, RunHeader, RunRecord};
use serde::Serialize;

use crate::CommandContext;

pub(crate) use magic::load_line;

/// Writes a run; what was written, in words.
///
/// # Errors
/// [`graft_train::TrainError::NoRun`] with the names there are, and a [`Failure`] for another ending, for a run that no magics can repeat, or when the file
/// cannot be written.
pub fn export(desk: &CommandContext, name: &str, file: &Path) -> Result<String, Failure> {
    let folder = RunFolder::open(&super::base(), Some(name))?;
    let (record, header) = super::read(desk, &folder)?;
    let failed = |error: io::Error| {
        Failure::new("session::io", format!("cannot write `{}`: {error}", file.display()))
            .hint("choose another place")
    };
    let put = |fill: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>| {
        atomic_file::write_with(file, |out| fill(out)).map_err(failed)
    };
    let replaced = if file.exists() { "; it replaced the file of that name" } else { "" };
    let what = match file.extension().and_then(|ending| ending.to_str()) {
        Some("csv") => {
            put(&mut |out| csv(&record, out))?;
            format!("{}{}", counted(record.steps.len()), left_out(&record))
        }
        Some("json") => {
            put(&mut |out| json(&record, &header, out))?;
            format!("settings, steps and validations{}", left_out(&record))
        }
        Some("graft") => {
            let script = replay::script(&folder, &record, &header)?;
            put(&mut |out| out.write_all(script.as_bytes()))?;
            "the magics that train it again: graft run FILE".to_owned()
        }
        _ => {
            let failure = Failure::new(
                "session::export",
                format!("`{}` does not say in what form the run is to be written", file.display()),
            );
            return Err(
                failure.hint(format!("%runs export {name} {name}.csv, .json, .graft, or as a magic .svg and .png; a Rust cell draws with lab().plot_runs"))
            );
        }
    };
    Ok(format!("`{}` has {what}{replaced}", file.display()))
}

fn counted(steps: usize) -> String {
    super::super::words::counted(steps, "step")
}

/// What a very long ledger has more than is written.
fn left_out(record: &RunRecord) -> String {
    let last = record.steps.last().map_or(0, |last| last.step);
    if record.every > 1 {
        format!(": of {last} steps one in {}, since more are not held in memory", record.every)
    } else {
        String::new()
    }
}

/// A row a step; validations stand in the rows of their steps. There are only numbers in it, so no spreadsheet takes a cell for a formula.
fn csv(record: &RunRecord, out: &mut dyn Write) -> io::Result<()> {
    let validations: BTreeMap<u64, &ValidationRecord> =
        record.validations.iter().map(|found| (found.step, found)).collect();
    let or_empty = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    writeln!(
        out,
        "step,loss,lr,grad_norm,tokens_per_second,elapsed_seconds,validation_loss,accuracy"
    )?;
    for step in &record.steps {
        let found = validations.get(&step.step);
        let (validation, accuracy) = (
            or_empty(found.map(|found| found.loss)),
            or_empty(found.and_then(|found| found.accuracy)),
        );
        let StepRecord { step, loss, lr, grad_norm, tokens_per_second, elapsed_seconds } = step;
        writeln!(
            out,
            "{step},{loss},{lr},{grad_norm},{tokens_per_second},{elapsed_seconds},{validation},{accuracy}"
        )?;
    }
    Ok(())
}

/// All of a run.
#[derive(Serialize)]
struct Everything<'a> {
    header: &'a RunHeader,
    steps: &'a [StepRecord],
    validations: &'a [ValidationRecord],
    ended: &'a Option<RunEnded>,
}

fn json(record: &RunRecord, header: &RunHeader, mut out: &mut dyn Write) -> io::Result<()> {
    let RunRecord { steps, validations, ended, .. } = record;
    serde_json::to_writer_pretty(&mut out, &Everything { header, steps, validations, ended })?;
    out.write_all(b"\n")
}
