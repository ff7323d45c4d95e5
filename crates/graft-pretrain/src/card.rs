//! The model card: origin of the text, training, and measurements.

mod figures;
mod page;

use std::fs;

use graft_models::{GenerateOptions, Loaded, generate};
use graft_nn::Device;
use graft_protocol::{RunStarted, StepRecord, ValidationRecord};
use graft_render::{chart_svg, run_chart};
use graft_spec::Settings;
use graft_train::runs::RunFolder;

use crate::corpus;
use crate::paths::Paths;
use crate::pretrain::{run_name, tokenizer};
use crate::recipe::{PHASES, SEED};
use crate::stream::tokens;
use crate::vocabulary::is_pretraining;
use crate::{PretrainError, Result};

/// Prompts of the samples.
const PROMPTS: [&str; 3] =
    ["# Ownership\n\nOwnership is", "Returns `true` if", "The borrow checker"];

/// The content of the model card.
struct Facts {
    pages: usize,
    bytes: usize,
    tokens: usize,
    figures: Vec<figures::Figures>,
    validations: Vec<ValidationRecord>,
    /// Prompts and generated texts.
    samples: Vec<(String, String)>,
}

/// Measures the model and writes `README.md` and `loss.svg` to its folder. Returns the measurements
/// as text.
///
/// # Errors
/// Errors of reading the corpus, the runs and the model, and of writing files.
pub fn write(paths: &Paths) -> Result<String> {
    let all = corpus::read(paths)?;
    let tokenizer = tokenizer(paths)?;
    let loaded = graft_models::load(
        &paths.model.display().to_string(),
        &Settings::default(),
        &Device::Cpu,
        &mut |_, _, _| {},
    )?;
    let train: Vec<_> = all.iter().filter(|page| is_pretraining(page)).collect();
    let stream = tokens(&train, &tokenizer)?;
    let (steps, validations) = record(paths)?;
    let facts = Facts {
        pages: train.len(),
        bytes: train.iter().map(|page| page.text().len()).sum(),
        tokens: stream.len(),
        figures: figures::measure(&all, &stream, &tokenizer, loaded.model.as_ref())?,
        validations,
        samples: samples(&loaded)?,
    };
    put(paths, "loss.svg", &curve(&steps, &facts.validations))?;
    put(paths, "README.md", &page::text(&facts))?;
    Ok(facts.figures.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

fn put(paths: &Paths, name: &str, text: &str) -> Result<()> {
    let path = paths.model.join(name);
    fs::write(&path, text).map_err(|source| PretrainError::io(&path, source))
}

/// Steps and validations of all cycles, numbered consecutively.
fn record(paths: &Paths) -> Result<(Vec<StepRecord>, Vec<ValidationRecord>)> {
    let mut steps = Vec::new();
    let mut validations = Vec::new();
    let mut before = 0;
    for (index, phase) in PHASES.iter().enumerate() {
        let Ok(folder) = RunFolder::open(&paths.work, Some(&run_name(index))) else { break };
        let record = folder.record()?;
        steps.extend(
            record.steps.iter().map(|step| StepRecord { step: step.step + before, ..*step }),
        );
        // A cycle's validation before its first step repeats the last one of the previous cycle.
        validations.extend(
            record
                .validations
                .iter()
                .filter(|it| it.step > 0 || before == 0)
                .map(|it| ValidationRecord { step: it.step + before, ..*it }),
        );
        before += phase.steps;
    }
    Ok((steps, validations))
}

fn samples(loaded: &Loaded) -> Result<Vec<(String, String)>> {
    let sample = |prompt: &&str| {
        let options = GenerateOptions {
            max_new_tokens: 160,
            temperature: 0.7,
            top_k: 0,
            top_p: 0.95,
            repetition_penalty: 1.0,
            seed: SEED,
            stop: String::new(),
            end_tokens: Vec::new(),
            end_texts: Vec::new(),
        };
        let written =
            generate(loaded.model.as_ref(), &loaded.tokenizer, prompt, &options, &mut |_| true)?;
        Ok(((*prompt).to_owned(), written.text))
    };
    PROMPTS.iter().map(sample).collect()
}

fn curve(steps: &[StepRecord], validations: &[ValidationRecord]) -> String {
    let started = RunStarted {
        run: "pretrain".to_owned(),
        title: "pretraining of tiny".to_owned(),
        first_step: 0,
        steps: steps.last().map_or(0, |step| step.step),
        trainable: 0,
        total: 0,
        earlier: Vec::new(),
        earlier_validations: Vec::new(),
        best: String::new(),
    };
    chart_svg(&run_chart(&started, steps, validations, None))
}
