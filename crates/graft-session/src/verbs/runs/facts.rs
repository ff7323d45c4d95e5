//! `%runs show` and `%runs diff`: the settings and results of runs.

use graft_protocol::{Cell, Table};
use graft_spec::{Failure, Settings, number::decimals, training::TRAIN};
use graft_train::runs::{RunFolder, RunHeader, RunRecord, SavedWeights};

use super::{base, final_loss, memory_text, outcome, read};
use crate::CommandContext;

/// A named value.
type Fact = (String, String);

/// One run: its settings, its results and its checkpoints.
///
/// # Errors
/// [`graft_train::TrainError::NoRun`] with the names of the runs.
pub fn facts(cx: &CommandContext, name: Option<&str>) -> Result<Table, Failure> {
    let folder = RunFolder::open(&base(), name)?;
    let (record, header) = read(cx, &folder)?;
    let mut table = Table::new(format!("run {}", folder.name()), &["fact", "value"]);
    let mut add = |fact: &str, value: Cell| table.row(vec![Cell::Text(fact.to_owned()), value]);
    for (fact, value) in settings_of(&header).into_iter().chain(results_of(&record, &folder)) {
        add(&fact, Cell::Text(value));
    }
    let checkpoints: Vec<_> = folder
        .checkpoints()
        .iter()
        .filter_map(|checkpoint| checkpoint.progress().ok())
        .map(|progress| progress.step.to_string())
        .collect();
    let none = || "none".to_owned();
    let steps = if checkpoints.is_empty() { none() } else { checkpoints.join(", ") };
    add("checkpoints after steps", Cell::Text(steps));
    let best = folder
        .weights(SavedWeights::Best)
        .and_then(|best| best.progress())
        .map(|best| best.step.to_string());
    add("weights of the best step", Cell::Text(best.unwrap_or_else(|_| none())));
    add("folder", Cell::Code(folder.path().display().to_string()));
    table.footer.extend(record.warnings);
    Ok(table)
}

/// The facts in which two runs differ, with the others below the table.
///
/// # Errors
/// [`graft_train::TrainError::NoRun`] with the names of the runs.
pub fn difference(cx: &CommandContext, one: &str, other: &str) -> Result<Table, Failure> {
    let facts_of = |name: &str| -> Result<Vec<Fact>, Failure> {
        let folder = RunFolder::open(&base(), Some(name))?;
        let (record, header) = read(cx, &folder)?;
        Ok(settings_of(&header).into_iter().chain(results_of(&record, &folder)).collect())
    };
    let (first, second) = (facts_of(one)?, facts_of(other)?);
    let value = |facts: &[Fact], fact: &str| {
        facts
            .iter()
            .find(|(known, _)| known == fact)
            .map_or("—".to_owned(), |(_, value)| value.clone())
    };
    let only_second =
        second.iter().filter(|(fact, _)| !first.iter().any(|(known, _)| known == fact));
    let mut table = Table::new(format!("{one} and {other}"), &["fact", one, other]);
    let mut same = Vec::new();
    for (fact, _) in first.iter().chain(only_second) {
        let (left, right) = (value(&first, fact), value(&second, fact));
        if left == right {
            same.push(format!("{fact} {left}"));
        } else {
            table.row(vec![Cell::Text(fact.clone()), Cell::Text(left), Cell::Text(right)]);
        }
    }
    if table.rows.is_empty() {
        table.footer.push("no differences".to_owned());
    }
    table.footer.push(format!("the same: {}", same.join("; ")));
    Ok(table)
}

/// Everything that decided the run, key by key.
fn settings_of(header: &RunHeader) -> Vec<Fact> {
    let fact = |name: &str, value: String| (name.to_owned(), value);
    let keys = |settings: &Settings| -> Vec<Fact> {
        settings.values.iter().map(|(key, value)| (key.clone(), value.to_string())).collect()
    };
    let mut facts = vec![
        fact("model", header.model.clone()),
        fact("data", header.data.clone()),
        fact("method", header.method.clone()),
    ];
    facts.extend(keys(&header.model_settings));
    facts.extend(keys(&header.adapter_settings));
    let shown = ["steps", "batch", "schedule"];
    facts.extend(shown.map(|key| {
        let value = header.train.get(TRAIN, key);
        fact(key, value.map_or_else(String::new, |value| value.to_string()))
    }));
    facts.extend(
        keys(&header.train)
            .into_iter()
            .filter(|(key, _)| !shown.contains(&key.as_str()) && key != "lr" && key != "seed"),
    );
    let lr = header.train.float(TRAIN, "lr").unwrap_or(header.default_lr);
    facts.push(fact("lr", lr.to_string()));
    facts.push(fact("seed", header.seed.to_string()));
    let start = header.start.as_ref().map(ToString::to_string);
    let unknown = || "not recorded by this version".to_owned();
    facts.push(fact("started from", start.unwrap_or_else(unknown)));
    facts.extend(header.adapter_scale.map(|scale| fact("scale", scale.to_string())));
    if !header.data_fingerprint.is_empty() {
        facts.push(fact("data fingerprint", header.data_fingerprint.clone()));
    }
    facts.push(fact("trainable parameters", header.trainable.to_string()));
    facts.push(fact("device", header.device.clone()));
    facts
}

/// The results of the run.
fn results_of(record: &RunRecord, folder: &RunFolder) -> Vec<Fact> {
    let fact = |name: &str, value: String| (name.to_owned(), value);
    let mut facts = vec![fact("outcome", outcome(record, folder).to_owned())];
    if let (Some(first), Some(last)) = (record.steps.first(), record.steps.last()) {
        let final_loss = final_loss(record).unwrap_or(last.loss);
        facts.extend([
            fact("steps done", last.step.to_string()),
            fact("first loss", decimals(first.loss, 4)),
            fact("mean loss over the last tenth", decimals(final_loss, 4)),
            fact("time, s", format!("{:.1}", last.elapsed_seconds)),
        ]);
        if let Some(rewards) = last.rewards {
            facts.push(fact("reward margin of the last step", decimals(rewards.margin(), 4)));
        }
    }
    let memory = record.ended.as_ref().and_then(|ended| ended.memory).and_then(memory_text);
    facts.extend(memory.map(|memory| fact("memory on top of the model", memory)));
    let best = record.validations.iter().min_by(|one, other| one.loss.total_cmp(&other.loss));
    facts.extend(best.map(|best| {
        fact("best validation", format!("{} at step {}", decimals(best.loss, 4), best.step))
    }));
    let accuracy = record.validations.last().and_then(|last| last.accuracy);
    facts.extend(
        accuracy.map(|accuracy| fact("last accuracy", format!("{:.0} %", 100.0 * accuracy))),
    );
    facts
}
