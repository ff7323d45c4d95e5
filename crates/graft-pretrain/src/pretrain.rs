//! Pretrains all parameters of the model on the stream of the training pages.

use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use graft_models::{FolderParts, Llama, Tokenizer, save_folder};
use graft_nn::{DType, Device, Model, Trainable};
use graft_protocol::{Event, RunEnded};
use graft_train::runs::{RunFolder, RunHeader, SavedWeights};
use graft_train::{Control, TrainError, TrainingJob, fit};

use crate::corpus::{self, Page, Split};
use crate::held_out;
use crate::paths::Paths;
use crate::recipe::PHASES;
use crate::stream::{Stream, tokens};
use crate::vocabulary::{BOS_ID, EOS_ID, is_pretraining};
use crate::{PretrainError, Result, recipe};

/// Name of the runs.
const RUN: &str = "pretrain";

/// Seconds between two exports of the model as a Hugging Face folder.
const EXPORT_EVERY: u64 = 240;

/// Trains one cycle after another, or resumes from the last checkpoint in the work folder. The
/// model is exported every few minutes. Returns one line per cycle.
///
/// # Errors
/// Errors of training, and of reading and writing files.
pub fn train(paths: &Paths) -> Result<String> {
    let tokenizer = tokenizer(paths)?;
    let (text, validation) = text(paths, &tokenizer)?;
    let model = Llama::random(&recipe::model(), recipe::SEED, &Device::Cpu)?;
    let trainables = trainables(&model)?;
    println!(
        "{} tokens in an epoch, {} parameters",
        text.len(),
        trainables.iter().map(|t| t.var.elem_count()).sum::<usize>()
    );
    let mut summaries = Vec::new();
    for (index, phase) in PHASES.iter().enumerate() {
        let folder = RunFolder::open(&paths.work, Some(&run_name(index)))
            .or_else(|_| RunFolder::create(&paths.work, RUN))?;
        let resumes = !folder.checkpoints().is_empty();
        let job = TrainingJob {
            model: &model,
            header: header(&folder, &trainables),
            trainables: trainables.clone(),
            batches: &Stream::new(text.clone(), &validation, phase),
            config: recipe::training(phase),
            folder: folder.clone(),
            checkpoint: &trainables,
            keeps_best: false,
            callbacks: None,
            metrics: Vec::new(),
            predicted_memory: None,
        };
        let mut emit = exporter(&model, &tokenizer, &paths.model);
        let ended = if resumes {
            graft_train::resume(job, &Control::new(), &mut emit)
        } else {
            fit(job, &Control::new(), &mut emit)
        };
        summaries.push(summary(ended, &folder, &trainables)?);
        export(&model, &tokenizer, &paths.model)?;
    }
    Ok(summaries.join("\n"))
}

/// One line about a cycle that has ended, now or in an earlier call, of which the weights are
/// restored.
fn summary(
    ended: graft_train::Result<RunEnded>,
    folder: &RunFolder,
    trainables: &Vec<Trainable>,
) -> Result<String> {
    match ended {
        Ok(ended) => Ok(ended.summary),
        Err(done @ TrainError::AlreadyDone { .. }) => {
            folder.restore_weights(SavedWeights::Last, trainables)?;
            Ok(done.to_string())
        }
        Err(error) => Err(error.into()),
    }
}

/// Prints the events of a run, and exports the model after a validation every few minutes.
fn exporter<'a>(
    model: &'a dyn Model,
    tokenizer: &'a Tokenizer,
    folder: &'a Path,
) -> impl FnMut(Event) + 'a {
    let mut exported = Instant::now();
    move |event: Event| {
        report(&event);
        if matches!(event, Event::Validation(_)) && exported.elapsed().as_secs() >= EXPORT_EVERY {
            exported = Instant::now();
            if let Err(error) = export(model, tokenizer, folder) {
                eprintln!("could not export the model: {error}");
            }
        }
    }
}

/// Name of a cycle's folder in the work folder.
pub fn run_name(phase: usize) -> String {
    format!("{RUN}-{:03}", phase + 1)
}

/// Loads the tokenizer of the earlier stage.
///
/// # Errors
/// [`PretrainError::Tokenizer`] when it cannot be read.
pub fn tokenizer(paths: &Paths) -> Result<Tokenizer> {
    let inner = tokenizers::Tokenizer::from_file(paths.tokenizer())
        .map_err(|source| PretrainError::Tokenizer { source })?;
    Ok(Tokenizer::new(inner, vec![EOS_ID]))
}

/// Tokens of the training pages, and of some validation pages.
fn text(paths: &Paths, tokenizer: &Tokenizer) -> Result<(Vec<u32>, Vec<u32>)> {
    let pages = corpus::read(paths)?;
    let train: Vec<&Page> = pages.iter().filter(|page| is_pretraining(page)).collect();
    // Every seventh page, so that the few validation windows come from every book.
    let validation: Vec<&Page> =
        held_out::pages(&pages, Split::Validation).into_iter().step_by(7).collect();
    Ok((tokens(&train, tokenizer)?, tokens(&validation, tokenizer)?))
}

/// All parameters of the model. Weight decay applies to matrices except the embedding.
fn trainables(model: &dyn Model) -> Result<Vec<Trainable>> {
    let mut trainables = Vec::new();
    for parameter in model.parameters() {
        let decay = parameter.dims().len() == 2 && !parameter.path().contains("embed");
        trainables
            .push(Trainable { decay, ..Trainable::new(parameter.path(), parameter.train()?) });
    }
    Ok(trainables)
}

fn export(model: &dyn Model, tokenizer: &Tokenizer, folder: &Path) -> Result<()> {
    let config = recipe::model().to_json(Some(BOS_ID), Some(EOS_ID));
    Ok(save_folder(
        folder,
        &FolderParts {
            model,
            dtype: DType::F16,
            config: &config,
            tokenizer: Some(tokenizer),
            others: &[],
        },
    )?)
}

fn header(folder: &RunFolder, trainables: &[Trainable]) -> RunHeader {
    let parameters = trainables.iter().map(|trainable| trainable.var.elem_count() as u64).sum();
    RunHeader {
        run: folder.name(),
        title: "pretraining tiny on the Rust documentation".to_owned(),
        model: "tiny".to_owned(),
        data: "rust-documentation".to_owned(),
        seed: recipe::SEED,
        device: "cpu".to_owned(),
        dtype: "f32".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        trainable: parameters,
        total: parameters,
        ..RunHeader::default()
    }
}

fn report(event: &Event) {
    match event {
        Event::Step(record) if record.step % 10 == 0 => println!(
            "step {} loss {:.4} norm {:.2} lr {:.2e} {:.0} tokens/s {:.0} s",
            record.step,
            record.loss,
            record.grad_norm,
            record.lr,
            record.tokens_per_second,
            record.elapsed_seconds
        ),
        Event::Validation(record) => {
            println!("validation after step {}: {:.4} nats per token", record.step, record.loss)
        }
        _ => {}
    }
}
