//! Inputs of data-driven adapter initializations: training examples, and the original files of a
//! quantized model.

use graft_models::OriginalWeights;
use graft_nn::{Device, Linear, Tensor, TokenEncoder};
use graft_peft::{InputBatch, Inputs, Originals, PeftError};
use graft_spec::{Failure, Settings};
use graft_train::{BatchSource, Control, Examples, TrainConfig, data::Kind, preference::Objective};

use crate::{
    CommandContext, SessionError, SessionState,
    state::{LoadedData, LoadedModel},
};

/// The training examples in the order in which a run with default keys reads them.
pub(crate) struct DataInputs<'a> {
    examples: Examples<'a>,
    device: Device,
    control: Control,
}

impl<'a> DataInputs<'a> {
    /// The examples of a data set, encoded for a model.
    ///
    /// # Errors
    /// Those of encoding the data.
    pub(crate) fn new(
        cx: &CommandContext,
        state: &SessionState,
        model: &LoadedModel,
        data: &'a LoadedData,
        tokenizer: &'a dyn TokenEncoder,
    ) -> Result<Self, Failure> {
        let mut config = TrainConfig::from_settings(&Settings::default(), 1e-3, state.seed);
        if data.dataset.kind == Kind::Preference {
            // Both answers of a pair are inputs; which loss is trained afterwards does not matter.
            config.preference = Some(Objective::default());
        }
        let examples =
            Examples::new(model.loaded.model.as_ref(), tokenizer, &data.dataset, &config)?;
        Ok(Self { examples, device: state.device.clone(), control: cx.control() })
    }
}

impl Inputs for DataInputs<'_> {
    fn batch(&self, index: u64) -> Result<InputBatch, PeftError> {
        self.control.pause();
        if self.control.is_stopped() {
            return Err(PeftError::InitData(
                SessionError::Interrupted {
                    what: "stopped before the adapter was attached".to_owned(),
                    next: None,
                }
                .into(),
            ));
        }
        let failed = |error: graft_train::TrainError| PeftError::InitData(error.into());
        let batch = self.examples.micro_batch(index).map_err(failed)?;
        Ok(InputBatch {
            ids: batch.ids_tensor(&self.device).map_err(failed)?,
            mask: batch.mask_tensor(&self.device).map_err(failed)?,
        })
    }
}

/// The files that a model was loaded from.
pub(crate) struct ModelFiles(OriginalWeights);

impl ModelFiles {
    /// Opens the files.
    ///
    /// # Errors
    /// When they no longer exist.
    pub(crate) fn of(model: &LoadedModel) -> Result<Self, Failure> {
        Ok(Self(OriginalWeights::open(&model.loaded.source)?))
    }
}

impl Originals for ModelFiles {
    fn weight(&self, linear: &Linear) -> Result<Tensor, PeftError> {
        self.0.of(linear).map_err(|error| PeftError::InitData(error.into()))
    }
}
