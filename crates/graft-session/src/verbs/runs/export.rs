//! A run as a file: its steps, everything, or the magics that train it again.

use std::fmt::Write as _;
use std::path::Path;

use graft_nn::atomic_file;
use graft_protocol::{Failure, Settings};
use graft_train::runs::{RunFolder, RunHeader, RunRecord};

/// Writes a run; what was written, in words.
///
/// # Errors
/// [`graft_train::TrainError::NoRun`] with the names there are, and a [`Failure`] for another ending or when the file cannot be written.
pub fn export(name: &str, file: &Path) -> Result<String, Failure> {
    let folder = RunFolder::open(&super::base(), Some(name))?;
    let (record, header) = (folder.record()?, folder.header().unwrap_or_default());
    let (text, what) = match file.extension().and_then(|ending| ending.to_str()) {
        Some("csv") => (csv(&record), format!("{} steps", record.steps.len())),
        Some("json") => (json(&record, &header), "settings, steps and validations".to_owned()),
        Some("graft") => (script(&header), "the magics that train it again: graft run FILE".to_owned()),
        _ => {
            let failure = Failure::new("session::export", format!("`{}` does not say in what form the run is to be written", file.display()));
            return Err(
                failure.hint(format!("%runs export {name} {name}.csv, .json, .graft, or as a magic .svg and .png; a Rust cell draws with lab().plot_runs"))
            );
        }
    };
    let failed = |error: std::io::Error| Failure::new("session::io", format!("cannot write `{}`: {error}", file.display())).hint("choose another place");
    atomic_file::write(file, text.as_bytes()).map_err(failed)?;
    Ok(format!("`{}` has {what}", file.display()))
}

/// A row a step; validations stand in the rows of their steps.
fn csv(record: &RunRecord) -> String {
    let mut text = "step,loss,lr,grad_norm,tokens_per_second,elapsed_seconds,validation_loss,accuracy\n".to_owned();
    for step in &record.steps {
        let found = record.validations.iter().find(|found| found.step == step.step);
        let or_empty = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
        let (validation, accuracy) = (or_empty(found.map(|found| found.loss)), or_empty(found.and_then(|found| found.accuracy)));
        let graft_protocol::StepRecord { step, loss, lr, grad_norm, tokens_per_second, elapsed_seconds } = step;
        let _ = writeln!(text, "{step},{loss},{lr},{grad_norm},{tokens_per_second},{elapsed_seconds},{validation},{accuracy}");
    }
    text
}

fn json(record: &RunRecord, header: &RunHeader) -> String {
    let all = serde_json::json!({"header": header, "steps": record.steps, "validations": record.validations, "ended": record.ended});
    format!("{all:#}\n")
}

/// A file for `graft run`. What decided the losses is all there: model, data, seed, adapter and training.
fn script(header: &RunHeader) -> String {
    let seed = header.session_seed.unwrap_or(header.seed);
    let mut text = format!("// {}\n// trained with Graft {}, as run {}\n%seed {seed}\n", header.title, header.version, header.run);
    let _ = writeln!(text, "%model load {}{}", word(&header.model), keys(&header.model_settings));
    if header.data_inline.is_none() {
        let _ = writeln!(text, "%data load {}{}", word(&header.data_source), keys(&header.data_settings));
    }
    let asked = if header.adapter_asked.values.is_empty() { &header.adapter_settings } else { &header.adapter_asked };
    let _ = writeln!(text, "%{} attach{}", header.method, keys(asked));
    // Defaults may be others in the version that reads it.
    let rate = header.default_lr.to_string();
    let rate = if header.train.values.contains_key("lr") || header.default_lr == 0.0 { String::new() } else { format!(" lr={rate}") };
    let _ = writeln!(text, "%train{}{rate}", keys(&header.train));
    match &header.data_inline {
        None => text,
        Some(inline) => format!("%%data {}{}\n{}\n// %%\n{text}", word(&header.data), keys(&header.data_settings), inline.trim_end()),
    }
}

fn keys(settings: &Settings) -> String {
    settings.values.iter().map(|(key, value)| format!(" {key}={}", word(&value.to_string()))).collect()
}

/// A word as a magic reads it.
fn word(text: &str) -> String {
    if text.is_empty() || text.contains([' ', '\t', '"', '\'', '\\']) { format!("{text:?}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use graft_protocol::Value;

    use super::*;

    #[test]
    fn a_script_says_everything_that_decides_the_losses() {
        let header = RunHeader {
            title: "lora r=8".to_owned(),
            model: "tiny".to_owned(),
            data_source: "my data.jsonl".to_owned(),
            method: "lora".to_owned(),
            adapter_settings: Settings::default().with("r", Value::Integer(8)),
            train: Settings::default().with("steps", Value::Integer(5)).with("lr", Value::Float(0.003)),
            seed: 7,
            ..RunHeader::default()
        };
        let text = script(&header);
        let with_default = RunHeader { train: Settings::default().with("steps", Value::Integer(5)), default_lr: 0.005, ..header.clone() };
        assert!(script(&with_default).ends_with("%train steps=5 lr=0.005\n"));
        assert!(text.ends_with("%seed 7\n%model load tiny\n%data load \"my data.jsonl\"\n%lora attach r=8\n%train lr=0.003 steps=5\n"), "{text}");
    }
}
