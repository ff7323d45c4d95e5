//! Builds the training job of a run from the session's objects.

use std::sync::Arc;

use graft_nn::{TokenEncoder, Trainable};
use graft_protocol::{Event, Level};
use graft_spec::methods::MethodSpec;
use graft_train::{
    AdapterCheckpoint, Callbacks, EncodedExamples, Examples, TrainConfig, TrainingJob,
    preference::ReferenceModel,
    runs::{RunFolder, RunHeader},
};

use crate::UserCallbacks;
use crate::state::{AttachedAdapter, LoadedData, LoadedModel};

/// The session's objects for one training run. A [`TrainingJob`] borrows from it.
pub(crate) struct TrainingSetup {
    pub(crate) model: Arc<LoadedModel>,
    pub(crate) data: Arc<LoadedData>,
    /// Data to validate on instead of the validation split of `data`.
    pub(crate) validation_data: Option<Arc<LoadedData>>,
    pub(crate) attached: Arc<AttachedAdapter>,
    pub(crate) config: TrainConfig,
    pub(crate) folder: RunFolder,
    /// Closures of Rust cells; none in comparisons.
    pub(crate) callbacks: Option<Arc<UserCallbacks>>,
    /// The encoded examples, if their number was needed before.
    pub(crate) encoded: Option<Arc<EncodedExamples>>,
}

/// The learning rate of a method when none is given.
pub(crate) fn default_rate(model: &LoadedModel, spec: &MethodSpec) -> f64 {
    spec.learning_rate_for(model.loaded.model.shape().hidden)
}

/// The tensors of a checkpoint: the trained parameters and the state of the method's schedule.
/// Together with the settings in the run's header they restore the adapter.
pub(crate) fn checkpoint_state<'a>(
    setup: &'a TrainingSetup,
    trainables: &'a Vec<Trainable>,
) -> AdapterCheckpoint<'a> {
    AdapterCheckpoint { trainables, training_hook: setup.attached.adapter.training_hook() }
}

/// Encodes the data of a setup, emits the warnings about it, and checks that the run fits into
/// memory.
pub(crate) fn examples<'a>(
    setup: &'a TrainingSetup,
    trainables: &[Trainable],
    reference: Option<&'a dyn ReferenceModel>,
    emit: &mut dyn FnMut(Event),
) -> graft_train::Result<Examples<'a>> {
    let model = setup.model.loaded.model.as_ref();
    let tokenizer = setup.model.loaded.tokenizer.as_ref() as &dyn TokenEncoder;
    let (data, config) = (&setup.data.dataset, &setup.config);
    let encoded = match &setup.encoded {
        Some(encoded) => encoded.clone(),
        None => Arc::new(EncodedExamples::new(model, tokenizer, data, config)?),
    };
    let mut examples = Examples::of(encoded, tokenizer, data, config).with_reference(reference);
    if let Some(data) = &setup.validation_data {
        examples = examples.with_validation(&data.dataset);
    }
    for text in examples.warnings() {
        emit(Event::Note { level: Level::Warning, text });
    }
    for text in examples.notes() {
        emit(Event::Note { level: Level::Info, text });
    }
    examples.check_memory(model, trainables)?;
    Ok(examples)
}

/// The job of a setup.
pub(crate) fn job<'a>(
    setup: &'a TrainingSetup,
    header: RunHeader,
    trainables: &[Trainable],
    checkpoint: &'a AdapterCheckpoint<'a>,
    examples: &'a Examples<'a>,
) -> TrainingJob<'a> {
    let model = setup.model.loaded.model.as_ref();
    TrainingJob {
        model,
        trainables: trainables.to_vec(),
        batches: examples,
        config: setup.config.clone(),
        folder: setup.folder.clone(),
        header,
        checkpoint,
        // The loss on other data does not decide which weights are best.
        keeps_best: setup.validation_data.is_none(),
        callbacks: setup.callbacks.as_deref().map(|callbacks| callbacks as &dyn Callbacks),
        metrics: Vec::new(),
        predicted_memory: Some(examples.predicted_memory(model, trainables)),
    }
}
