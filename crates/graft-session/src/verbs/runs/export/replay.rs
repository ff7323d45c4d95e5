//! The magics that train a run again, with the same losses: what it started from comes first.

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

/// Most trainings in one file: each continues the one before.
const LONGEST: usize = 32;

/// One training that is repeated.
struct Link {
    /// Its head as it was when it began.
    header: RunHeader,
    /// The keys of each `%resume` that follows; none where no magics give the same steps.
    resumed: Option<Vec<Settings>>,
}

/// What stands before the trainings.
enum Beginning {
    /// A fresh adapter, attached with this seed; some starts look at data.
    Attach(u64, Option<DataRecord>),
    /// The weights that the run itself has kept.
    Kept,
}

/// What has been said so far.
struct Said {
    script: Script,
    seed: Option<u64>,
    data: Option<DataRecord>,
    scale: f64,
}

/// The file. What decided the losses is all in it: model, data, seeds, the adapter with its first weights, and each training.
///
/// # Errors
/// A [`Failure`] when magics cannot say it, or the weights that the run started from are gone.
pub(super) fn script(
    folder: &RunFolder,
    record: &RunRecord,
    header: &RunHeader,
) -> Result<String, Failure> {
    let this = Link::new(record, record.header.as_ref().unwrap_or(header));
    let (beginning, links) = lineage(folder, this)?;
    let mut said = Said { script: Script::new(), seed: None, data: None, scale: 1.0 };
    said.heading(folder, header, &beginning, &links);
    let first = links.first().map_or(header, |link| &link.header);
    match beginning {
        Beginning::Attach(seed, data) => {
            said.seed(seed);
            said.script.line(&load_model(&first.model, &first.model_settings)?);
            said.data(data.unwrap_or_else(|| first.data_record()))?;
            said.attach(first)?;
        }
        Beginning::Kept => {
            said.script.line(&load_model(&first.model, &first.model_settings)?);
            said.script
                .line(&format!("%runs use {} step=start", word(&super::super::called(folder))));
            said.scale = first.adapter_scale.unwrap_or(1.0);
        }
    }
    for link in &links {
        said.training(link)?;
    }
    Ok(said.script.finish())
}

/// The trainings that lead to a run, oldest first, and what stands before them. Where an earlier one cannot be repeated to the very weights, the run
/// begins with the copy that it has kept.
fn lineage(folder: &RunFolder, this: Link) -> Result<(Beginning, Vec<Link>), Failure> {
    let base = folder.path().parent().unwrap_or(Path::new(".")).to_owned();
    let mut links = vec![this];
    while links.len() <= LONGEST {
        let Some(oldest) = links.last() else { break };
        match &oldest.header.start {
            None | Some(Start::Fresh { .. }) => {
                let (seed, data) = first_seed(&oldest.header);
                links.reverse();
                return Ok((Beginning::Attach(seed, data), links));
            }
            Some(Start::Run { run, step }) => match parent(&base, run, *step, &oldest.header) {
                Some(parent) => links.push(parent),
                None => break,
            },
            Some(_) => break,
        }
    }
    links.truncate(1);
    folder.weights(SavedWeights::Start).map_err(|_| {
        let start = links
            .first()
            .and_then(|link| link.header.start.as_ref().map(ToString::to_string))
            .unwrap_or_default();
        let failure = Failure::new(
            "session::export",
            format!("the weights that run `{}` started from ({start}) are gone", folder.name()),
        );
        failure.hint("without them it cannot be repeated; .json and .csv have its steps")
    })?;
    Ok((Beginning::Kept, links))
}

/// The seed of a fresh adapter, and the data it looked at. Older ledgers have the session's seed alone, which a trial of a comparison did not use.
fn first_seed(header: &RunHeader) -> (u64, Option<DataRecord>) {
    match &header.start {
        Some(Start::Fresh { seed, data }) => (*seed, data.as_deref().cloned()),
        _ if header.trial.is_some() => (header.seed, None),
        _ => (header.session_seed.unwrap_or(header.seed), None),
    }
}

/// The run that another one continued, where training it again gives the weights that the other one started from.
fn parent(base: &Path, run: &str, step: u64, child: &RunHeader) -> Option<Link> {
    let folder = RunFolder::open(base, Some(run)).ok()?;
    let record = folder.record().ok()?;
    let link = Link::new(&record, record.header.as_ref()?);
    let ended = record.ended.as_ref()?;
    let is_whole =
        ended.outcome == RunOutcome::Finished && ended.step == step && link.resumed.is_some();
    let same_model = link.header.model_hash == child.model_hash && link.header.dtype == child.dtype;
    // The name may be that of another run by now.
    let weights = || {
        let tensors = folder.weights(SavedWeights::Step(step)).ok()?.adapter().ok()?;
        tensors_fingerprint(tensors.iter().map(|(name, tensor)| (name.as_str(), tensor.clone())))
            .ok()
    };
    (is_whole && same_model && weights().is_some_and(|found| found == child.start_fingerprint))
        .then_some(link)
}

impl Link {
    fn new(record: &RunRecord, header: &RunHeader) -> Self {
        Self { header: header.clone(), resumed: resumed(record, header) }
    }
}

/// The keys that each resumption changed. A run that was stopped and resumed with the same keys has the steps of one that was not; one that was stopped
/// and resumed with others cannot be repeated, unless it had done all its steps.
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

impl Said {
    fn heading(
        &mut self,
        folder: &RunFolder,
        header: &RunHeader,
        beginning: &Beginning,
        links: &[Link],
    ) {
        self.script.comment(&format!("run {}: {}", folder.name(), header.title));
        self.script.comment(&format!("trained with Graft {}", header.version));
        match (beginning, &header.start) {
            (Beginning::Kept, Some(start)) => self.script.comment(&format!("it started from weights that it has kept, in this folder only: {start}")),
            (_, None) => self.script.comment("a ledger of this version does not say from which weights it started: fresh ones are assumed"),
            _ if links.len() > 1 => {
                let earlier: Vec<_> = links[..links.len() - 1].iter().map(|link| link.header.run.as_str()).collect();
                self.script.comment(&format!("it continued {}, which are trained first", earlier.join(", ")));
            }
            _ => {}
        }
        if links.last().is_some_and(|link| link.resumed.is_none()) {
            self.script.comment("it was stopped and resumed with other keys: the losses here are those of a training that has these keys from its first step");
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
                return Err(not_a_magic("its examples are missing"));
            }
            Some(text) => self.script.cell(&format!("%%data {}{given}", word(&data.name)), text),
            None if data.source.is_empty() => {
                return Err(not_a_magic("where its data were loaded from is missing"));
            }
            None => self.script.line(&format!("%data load {}{given}", word(&data.source))),
        }
        self.data = Some(data);
        Ok(())
    }

    fn attach(&mut self, header: &RunHeader) -> Result<(), Failure> {
        let spec = methods::by_verb(&header.method)
            .ok_or_else(|| not_a_magic("its method is not known"))?;
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

    fn training(&mut self, link: &Link) -> Result<(), Failure> {
        let header = &link.header;
        self.data(header.data_record())?;
        let scale = header.adapter_scale.unwrap_or(1.0);
        if scale != self.scale {
            let spec = methods::by_verb(&header.method)
                .ok_or_else(|| not_a_magic("its method is not known"))?;
            self.script.line(&format!("%{} scale {}", spec.verb, word(&scale.to_string())));
            self.scale = scale;
        }
        if !header.train.values.contains_key("seed") {
            self.seed(header.seed);
        }
        let mut train = header.train.clone();
        // The default may be another one in the version that reads it.
        if !train.values.contains_key("lr") && header.default_lr != 0.0 {
            train.set("lr", Value::Float(header.default_lr));
        }
        self.script.line(&format!("%train{}", keys(&train, TRAIN)?));
        for changed in link.resumed.iter().flatten() {
            self.script.line(&format!("%resume{}", keys(changed, TRAIN)?));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
