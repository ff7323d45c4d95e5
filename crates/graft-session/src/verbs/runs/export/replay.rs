//! Writes the magics that train a run again with the same losses, starting with the runs that it
//! continues.

use std::path::Path;

use graft_protocol::RunOutcome;
use graft_spec::{
    Failure, Settings, Value, methods,
    training::{DATA, TRAIN},
};
use graft_train::{
    runs::{DataRecord, RunFolder, RunHeader, RunRecord, SavedWeights, Start},
    tensors_fingerprint,
};

use super::magic::{Script, keys, load_model, not_a_magic, word};

/// Most runs in one file; each continues the one before.
const MAX_RUNS: usize = 32;

/// One run of the file.
struct ReplayedRun {
    /// Its header at the start of the run.
    header: RunHeader,
    /// The keys of each `%resume` that follows; `None` if magics cannot repeat the steps.
    resumed: Option<Vec<Settings>>,
}

/// The weights that the first run starts from.
enum FirstWeights {
    /// A fresh adapter.
    Fresh {
        seed: u64,
        /// The data that the initialization reads.
        data: Option<DataRecord>,
    },
    /// The start weights that the run itself has saved.
    Saved,
}

/// The script so far, with the settings that it has made.
struct ScriptWriter {
    script: Script,
    seed: Option<u64>,
    data: Option<DataRecord>,
    scale: f64,
}

/// Returns the script. It contains everything that decides the losses: model, data, seeds, the
/// adapter with its first weights, and all runs.
///
/// # Errors
/// `session::export` when magics cannot repeat the run, or when its start weights are gone.
pub(super) fn script(
    folder: &RunFolder,
    record: &RunRecord,
    header: &RunHeader,
) -> Result<String, Failure> {
    let this = ReplayedRun::new(record, record.header.as_ref().unwrap_or(header));
    let (start, runs) = lineage(folder, this)?;
    let mut writer = ScriptWriter { script: Script::new(), seed: None, data: None, scale: 1.0 };
    writer.heading(folder, header, &start, &runs);
    let first = runs.first().map_or(header, |run| &run.header);
    match start {
        FirstWeights::Fresh { seed, data } => {
            writer.seed(seed);
            writer.script.line(&load_model(&first.model, &first.model_settings)?);
            writer.data(data.unwrap_or_else(|| first.data_record()))?;
            writer.attach(first)?;
        }
        FirstWeights::Saved => {
            writer.script.line(&load_model(&first.model, &first.model_settings)?);
            writer
                .script
                .line(&format!("%runs use {} step=start", word(&super::super::reference(folder))));
            writer.scale = first.adapter_scale.unwrap_or(1.0);
        }
    }
    for run in &runs {
        writer.training(run)?;
    }
    Ok(writer.script.finish())
}

/// The runs that lead to a run, oldest first, and the weights that the first one starts from. If an
/// earlier run cannot be repeated exactly, the script starts with the saved start weights.
fn lineage(
    folder: &RunFolder,
    this: ReplayedRun,
) -> Result<(FirstWeights, Vec<ReplayedRun>), Failure> {
    let base = folder.path().parent().unwrap_or(Path::new(".")).to_owned();
    let mut runs = vec![this];
    while runs.len() <= MAX_RUNS {
        let Some(oldest) = runs.last() else { break };
        match &oldest.header.start {
            None | Some(Start::Fresh { .. }) => {
                let (seed, data) = first_seed(&oldest.header);
                runs.reverse();
                return Ok((FirstWeights::Fresh { seed, data }, runs));
            }
            Some(Start::Run { run, step }) => match parent(&base, run, *step, &oldest.header) {
                Some(parent) => runs.push(parent),
                None => break,
            },
            Some(_) => break,
        }
    }
    runs.truncate(1);
    folder.weights(SavedWeights::Start).map_err(|_| {
        let start = runs
            .first()
            .and_then(|run| run.header.start.as_ref().map(ToString::to_string))
            .unwrap_or_default();
        let failure = Failure::new(
            "session::export",
            format!(
                "the weights that run `{}` started from ({start}) no longer exist",
                folder.name()
            ),
        );
        failure.hint("without them the run cannot be repeated; export it as .json or .csv instead")
    })?;
    Ok((FirstWeights::Saved, runs))
}

/// The seed of a fresh adapter, and the data that its initialization read. Older ledgers contain
/// only the seed of the session, which trials of comparisons did not use.
fn first_seed(header: &RunHeader) -> (u64, Option<DataRecord>) {
    match &header.start {
        Some(Start::Fresh { seed, data }) => (*seed, data.as_deref().cloned()),
        _ if header.trial.is_some() => (header.seed, None),
        _ => (header.session_seed.unwrap_or(header.seed), None),
    }
}

/// The run that `child` continued, if training it again gives the start weights of `child`.
fn parent(base: &Path, run: &str, step: u64, child: &RunHeader) -> Option<ReplayedRun> {
    let folder = RunFolder::open(base, Some(run)).ok()?;
    let record = folder.record().ok()?;
    let run = ReplayedRun::new(&record, record.header.as_ref()?);
    let ended = record.ended.as_ref()?;
    let is_whole =
        ended.outcome == RunOutcome::Finished && ended.step == step && run.resumed.is_some();
    let same_model = run.header.model_hash == child.model_hash && run.header.dtype == child.dtype;
    // Another run may have this name now.
    let weights = || {
        let tensors = folder.weights(SavedWeights::Step(step)).ok()?.adapter().ok()?;
        tensors_fingerprint(tensors.iter().map(|(name, tensor)| (name.as_str(), tensor.clone())))
            .ok()
    };
    (is_whole && same_model && weights().is_some_and(|found| found == child.start_fingerprint))
        .then_some(run)
}

impl ReplayedRun {
    fn new(record: &RunRecord, header: &RunHeader) -> Self {
        Self { header: header.clone(), resumed: resumed(record, header) }
    }
}

/// The keys that each `%resume` changed. An interruption without changed keys does not affect the
/// steps. A run that was resumed with changed keys before its last step cannot be repeated.
fn resumed(record: &RunRecord, header: &RunHeader) -> Option<Vec<Settings>> {
    let (mut now, mut lines) = (header.train.clone(), Vec::new());
    for resumption in &record.resumptions {
        let Some(next) = &resumption.train else { continue };
        let changed =
            next.values.iter().filter(|(name, value)| now.values.get(*name) != Some(value));
        let changed = Settings {
            values: changed.map(|(name, value)| (name.clone(), value.clone())).collect(),
        };
        if changed.values.is_empty() {
            continue;
        }
        if now.integer(TRAIN, "steps").and_then(|steps| u64::try_from(steps).ok())
            != Some(resumption.after_step)
        {
            return None;
        }
        lines.push(changed);
        now = next.clone();
    }
    Some(lines)
}

impl ScriptWriter {
    fn heading(
        &mut self,
        folder: &RunFolder,
        header: &RunHeader,
        start: &FirstWeights,
        runs: &[ReplayedRun],
    ) {
        self.script.comment(&format!("run {}: {}", folder.name(), header.title));
        self.script.comment(&format!("trained with Graft {}", header.version));
        match (start, &header.start) {
            (FirstWeights::Saved, Some(start)) => self.script.comment(&format!(
                "it started from weights that are saved only in the folder of this run: {start}"
            )),
            (_, None) => self
                .script
                .comment("this version did not record the start weights; fresh ones are assumed"),
            _ if runs.len() > 1 => {
                let earlier: Vec<_> =
                    runs[..runs.len() - 1].iter().map(|run| run.header.run.as_str()).collect();
                self.script.comment(&format!(
                    "it continued earlier runs, which are trained first: {}",
                    earlier.join(", ")
                ));
            }
            _ => {}
        }
        if header.own_loss {
            self.script.comment(
                "a closure of a Rust cell computed the loss; set it with lab().train_loss() first",
            );
        }
        if header.calls_on_step {
            self.script.comment(
                "a closure of a Rust cell ran after each step and may have changed the learning \
                 rate; set it with lab().on_step() first",
            );
        }
        if runs.last().is_some_and(|run| run.resumed.is_none()) {
            self.script.comment(
                "it was stopped and resumed with other keys; this script uses them from the first \
                 step, so its losses differ",
            );
        }
    }

    fn seed(&mut self, seed: u64) {
        if self.seed != Some(seed) {
            self.script.line(&format!("%seed {seed}"));
            self.seed = Some(seed);
        }
    }

    fn data(&mut self, data: DataRecord) -> Result<(), Failure> {
        if self.data.as_ref() == Some(&data) {
            return Ok(());
        }
        let given = keys(&data.settings, DATA)?;
        match &data.inline {
            Some(text) if text.trim().is_empty() => {
                return Err(not_a_magic("the examples of its data are missing"));
            }
            Some(text) => self.script.cell(&format!("%%data {}{given}", word(&data.name)), text),
            None if data.source.is_empty() => {
                return Err(not_a_magic("the source of its data is missing"));
            }
            None => self.script.line(&format!("%data load {}{given}", word(&data.source))),
        }
        self.data = Some(data);
        Ok(())
    }

    fn attach(&mut self, header: &RunHeader) -> Result<(), Failure> {
        let spec = methods::by_verb(&header.method).ok_or_else(|| not_a_magic("unknown method"))?;
        let mut asked = if header.adapter_asked.values.is_empty() {
            header.adapter_settings.clone()
        } else {
            header.adapter_asked.clone()
        };
        if !matches!(header.adapter.as_str(), "" | "default") && !header.adapter.starts_with('_') {
            asked.set(methods::ADAPTER_NAME.name, Value::Text(header.adapter.clone()));
        } else if header.adapter.starts_with('_') {
            asked.values.remove(methods::ADAPTER_NAME.name);
        }
        self.script.line(&format!("%{} attach{}", spec.verb, keys(&asked, spec.keys)?));
        Ok(())
    }

    fn training(&mut self, run: &ReplayedRun) -> Result<(), Failure> {
        let header = &run.header;
        self.data(header.data_record())?;
        let scale = header.adapter_scale.unwrap_or(1.0);
        if scale != self.scale {
            let spec =
                methods::by_verb(&header.method).ok_or_else(|| not_a_magic("unknown method"))?;
            self.script.line(&format!("%{} scale {}", spec.verb, word(&scale.to_string())));
            self.scale = scale;
        }
        if !header.train.values.contains_key("seed") {
            self.seed(header.seed);
        }
        let mut train = header.train.clone();
        // Another version may have another default.
        if !train.values.contains_key("lr") && header.default_lr != 0.0 {
            train.set("lr", Value::Float(header.default_lr));
        }
        self.script.line(&format!("%train{}", keys(&train, TRAIN)?));
        for changed in run.resumed.iter().flatten() {
            self.script.line(&format!("%resume{}", keys(changed, TRAIN)?));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
