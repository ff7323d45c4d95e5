//! `%runs export`: writes a run as CSV, as JSON, or as the magics that train it again.
//!
//! A ledger can come from another person, so everything in it is escaped.

mod magic;
mod replay;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use graft_nn::atomic_file;
use graft_protocol::{Rewards, RunEnded, StepRecord, ValidationRecord};
use graft_spec::Failure;
use graft_train::runs::{RunFolder, RunHeader, RunRecord};
use serde::Serialize;

use crate::CommandContext;

pub(crate) use magic::load_line;

/// Writes a run to a file and returns a message with its contents.
///
/// # Errors
/// [`graft_train::TrainError::NoRun`] with the names of the runs; `session::export` for an unknown
/// extension and for a run that magics cannot repeat; `session::io` when the file cannot be
/// written.
pub fn export(cx: &CommandContext, name: &str, file: &Path) -> Result<String, Failure> {
    let folder = RunFolder::open(&super::base(), Some(name))?;
    let (record, header) = super::read(cx, &folder)?;
    let failed = |error: io::Error| {
        Failure::new("session::io", format!("cannot write `{}`: {error}", file.display()))
            .hint("choose another path")
    };
    let put = |fill: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>| {
        atomic_file::write_with(file, |out| fill(out)).map_err(failed)
    };
    let replaced = if file.exists() { "; replaced the existing file" } else { "" };
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
            "magics that train it again: graft run FILE".to_owned()
        }
        _ => {
            let failure = Failure::new(
                "session::export",
                format!("cannot tell the format from the extension of `{}`", file.display()),
            );
            return Err(
                failure.hint(format!("%runs export {name} {name}.csv, .json, .graft; the magic also writes .svg and .png; in \
                 Rust use lab().plot_runs"))
            );
        }
    };
    Ok(format!("wrote `{}`: {what}{replaced}", file.display()))
}

fn counted(steps: usize) -> String {
    super::super::format::counted(steps, "step")
}

/// A note on the steps of a very long ledger that were left out.
fn left_out(record: &RunRecord) -> String {
    let last = record.steps.last().map_or(0, |last| last.step);
    if record.every > 1 {
        format!(" (one in {} of {last} steps)", record.every)
    } else {
        String::new()
    }
}

/// One row per step, with the validation after that step. All cells are numbers, so a spreadsheet
/// cannot interpret them as formulas.
fn csv(record: &RunRecord, out: &mut dyn Write) -> io::Result<()> {
    let validations: BTreeMap<u64, &ValidationRecord> =
        record.validations.iter().map(|found| (found.step, found)).collect();
    let or_empty = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    let has_rewards = record.steps.iter().any(|step| step.rewards.is_some());
    writeln!(
        out,
        "step,loss,lr,grad_norm,tokens_per_second,elapsed_seconds,validation_loss,accuracy{}",
        if has_rewards {
            ",reward_chosen,reward_rejected,reward_margin,reward_accuracy"
        } else {
            ""
        }
    )?;
    for step in &record.steps {
        let found = validations.get(&step.step);
        let (validation, accuracy) = (
            or_empty(found.map(|found| found.loss)),
            or_empty(found.and_then(|found| found.accuracy)),
        );
        let rewards = if has_rewards { reward_fields(step.rewards) } else { String::new() };
        let StepRecord { step, loss, lr, grad_norm, tokens_per_second, elapsed_seconds, .. } = step;
        writeln!(
            out,
            "{step},{loss},{lr},{grad_norm},{tokens_per_second},{elapsed_seconds},{validation},{accuracy}{rewards}"
        )?;
    }
    Ok(())
}

/// The fields of the rewards, each after a comma.
fn reward_fields(rewards: Option<Rewards>) -> String {
    let Some(rewards) = rewards else { return ",,,,".to_owned() };
    let Rewards { chosen, rejected, accuracy } = rewards;
    format!(",{chosen},{rejected},{},{accuracy}", rewards.margin())
}

/// The JSON form of a run.
#[derive(Serialize)]
struct ExportedRun<'a> {
    header: &'a RunHeader,
    steps: &'a [StepRecord],
    validations: &'a [ValidationRecord],
    ended: &'a Option<RunEnded>,
}

fn json(record: &RunRecord, header: &RunHeader, mut out: &mut dyn Write) -> io::Result<()> {
    let RunRecord { steps, validations, ended, .. } = record;
    serde_json::to_writer_pretty(&mut out, &ExportedRun { header, steps, validations, ended })?;
    out.write_all(b"\n")
}
