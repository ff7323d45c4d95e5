//! Fine-tuning as the session asks for it: a data set in, a run out.

use graft_nn::{Model, TokenEncoder, Trainable};
use graft_protocol::{Event, Level, RunEnded};

use crate::checkpoint_state::CheckpointState;
use crate::config::TrainConfig;
use crate::control::Control;
use crate::data::Dataset;
use crate::examples::Examples;
use crate::fit::{Run, begin, go_on};
use crate::runs::{RunFolder, RunHeader};
use crate::{Result, TrainError, memory};

/// A fine-tuning, ready to begin or to go on.
pub struct Job<'a> {
    /// The model, adapters attached and active.
    pub model: &'a dyn Model,
    /// What is trained.
    pub trainables: Vec<Trainable>,
    /// The model's tokenizer.
    pub tokenizer: &'a dyn TokenEncoder,
    /// What it is trained on.
    pub data: &'a Dataset,
    /// What is validated on in place of the data's own validation part, such as text from before the training.
    pub watched: Option<&'a Dataset>,
    /// Steps, rates and the rest.
    pub config: TrainConfig,
    /// Where ledger and checkpoints go.
    pub run: RunFolder,
    /// The run's head.
    pub header: RunHeader,
    /// What checkpoints keep of the adapter.
    pub state: &'a dyn CheckpointState,
}

/// Trains from step 1.
///
/// # Errors
/// Those of [`begin`], and of encoding the data.
pub fn fit(job: Job<'_>, control: &Control, emit: &mut dyn FnMut(Event)) -> Result<RunEnded> {
    let folder = job.run.clone();
    let result = train(job, control, emit, begin);
    if result.is_err() && folder.record().is_err() {
        // Nothing was begun: the empty folder goes, and only if it is empty.
        folder.remove_if_empty();
    }
    result
}

/// Goes on from the newest checkpoint, with the losses the uninterrupted run would have had.
///
/// # Errors
/// Those of [`go_on`], and of encoding the data.
pub fn resume(job: Job<'_>, control: &Control, emit: &mut dyn FnMut(Event)) -> Result<RunEnded> {
    train(job, control, emit, go_on)
}

type GoRun = fn(Run<'_>, &Control, &mut dyn FnMut(Event)) -> Result<RunEnded>;

fn train(
    job: Job<'_>,
    control: &Control,
    emit: &mut dyn FnMut(Event),
    go: GoRun,
) -> Result<RunEnded> {
    let source = job.source(emit)?;
    go(job.run(&source), control, emit)
}

impl<'a> Job<'a> {
    /// Encodes the data and checks that the training fits.
    ///
    /// # Errors
    /// [`TrainError::NothingToTrain`], [`TrainError::WouldNotFit`], and those of encoding the data.
    pub fn source(&self, emit: &mut dyn FnMut(Event)) -> Result<Examples<'a>> {
        if self.trainables.is_empty() {
            return Err(TrainError::NothingToTrain);
        }
        let source = Examples::new(self.model, self.tokenizer, self.data, &self.config)?
            .validated_on(self.watched.unwrap_or(self.data));
        for text in source.notes() {
            emit(Event::Note { level: Level::Warning, text });
        }
        let validation = source.largest_validation(self.model)?;
        memory::check(
            self.model,
            &self.trainables,
            (source.rows(), source.longest()),
            self.config.recompute,
            validation,
        )?;
        Ok(source)
    }

    /// The training with that source, for [`crate::fit::Training`].
    pub fn run<'b>(self, source: &'b Examples<'b>) -> Run<'b>
    where
        'a: 'b,
    {
        // A loss on other text than the training's says nothing of which weights are best.
        let keeps_best = self.watched.is_none();
        let Job { model, trainables, config, run: folder, header, state, .. } = self;
        // What cannot be encoded is told by the validation itself.
        let validation = source.largest_validation(model).unwrap_or_default();
        let predicted = memory::predicted_with(
            model,
            &trainables,
            (source.rows(), source.longest()),
            config.recompute,
            validation,
        )
        .on_top();
        Run {
            model,
            trainables,
            source,
            config,
            folder,
            header,
            state,
            keeps_best,
            predicted: Some(predicted),
        }
    }
}

#[cfg(test)]
mod tests;
