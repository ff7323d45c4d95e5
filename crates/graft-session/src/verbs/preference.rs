//! Preference data: reference models, and evaluation on pairs.

use std::sync::Arc;

use graft_nn::TokenEncoder;
use graft_peft::Acting;
use graft_spec::{Settings, training::TRAIN};
use graft_train::{
    AdapterCheckpoint, Control, Evaluation, Request, TrainError,
    data::{Dataset, Kind},
    evaluate_with_predictions,
    preference::{Objective, Reference, ReferenceModel, StartingWeights, evaluate_preferences},
    runs::{RunFolder, RunHeader, Start},
};

use super::{adapters_disabled::AdaptersDisabled, runs, train::TrainingSetup};
use crate::{
    CommandContext, SessionState,
    state::{AttachedAdapter, LoadedModel},
};

/// The model with its adapters switched off. No adapter may be merged.
pub(crate) struct AdaptersOff(pub(crate) Arc<LoadedModel>);

/// Restores the active adapters when dropped, also after a panic.
struct Switched<'a> {
    model: &'a LoadedModel,
    slots: Acting,
}

impl Drop for Switched<'_> {
    fn drop(&mut self) {
        self.slots.restore(self.model.loaded.model.as_ref());
    }
}

impl ReferenceModel for AdaptersOff {
    fn with(&self, pass: &mut dyn FnMut() -> graft_train::Result<()>) -> graft_train::Result<()> {
        let base = self.0.loaded.model.as_ref();
        let _switched = Switched { model: &self.0, slots: Acting::of(base) };
        Acting::silence(base);
        pass()
    }
}

/// The model without the user's adapters, merged or not.
struct WithoutUserAdapters(Arc<SessionState>);

impl ReferenceModel for WithoutUserAdapters {
    fn with(&self, pass: &mut dyn FnMut() -> graft_train::Result<()>) -> graft_train::Result<()> {
        let guard = AdaptersDisabled::new(&self.0);
        let _guard = guard.map_err(|failure| TrainError::Reference { problem: failure.message })?;
        pass()
    }
}

/// The reference model of a training run.
pub(crate) enum RunReference<'a> {
    /// The loss has none.
    None,
    /// The model with the adapter switched off.
    Base(AdaptersOff),
    /// The adapter as it was before the run.
    Start(StartingWeights<'a>),
}

/// The reference of preference training with these keys. Without a name it is the model without the
/// adapter if the adapter is new, and the adapter itself if it has trained weights.
fn reference_of(train: &Settings, is_fresh: bool) -> Reference {
    let default = if is_fresh { Reference::Base } else { Reference::Start };
    Reference::from_settings(train).unwrap_or(default)
}

/// Copies of the trained parameters that the reference of a run with these keys will keep.
pub(crate) fn reference_copies(
    objective: Option<Objective>,
    train: &Settings,
    attached: &AttachedAdapter,
) -> u64 {
    let has_reference = objective.is_some_and(|objective| objective.loss.has_reference());
    match reference_of(train, attached.start().0.is_fresh()) {
        Reference::Start if has_reference => StartingWeights::COPIES,
        _ => 0,
    }
}

impl<'a> RunReference<'a> {
    /// The reference that the keys of `%train` name, or its default.
    ///
    /// # Errors
    /// When the weights from before the run cannot be read.
    pub(crate) fn of(
        setup: &TrainingSetup,
        header: &RunHeader,
        checkpoint: &'a AdapterCheckpoint<'a>,
    ) -> graft_train::Result<Self> {
        if !setup.config.preference.is_some_and(|objective| objective.loss.has_reference()) {
            return Ok(Self::None);
        }
        let is_fresh = header.start.as_ref().is_none_or(Start::is_fresh);
        Ok(match reference_of(&header.train, is_fresh) {
            Reference::Base => Self::Base(AdaptersOff(setup.model.clone())),
            Reference::Start => Self::Start(StartingWeights::of(&setup.folder, checkpoint)?),
        })
    }

    /// The reference model, if there is one.
    pub(crate) fn model(&self) -> Option<&dyn ReferenceModel> {
        match self {
            Self::None => None,
            Self::Base(off) => Some(off),
            Self::Start(weights) => Some(weights),
        }
    }
}

/// The loss of an evaluation: the keys of `%eval`, then those of the run that trained the adapter
/// in use, then DPO.
fn objective(state: &SessionState, settings: &Settings) -> Objective {
    let trained = state.acting().and_then(|attached| match attached.start().0 {
        Start::Run { run, .. } => RunFolder::open(&runs::base(), Some(&run)).ok()?.header(),
        _ => None,
    });
    let mut keys = trained.map(|header| header.train).unwrap_or_default();
    keys.values.extend(settings.values.clone());
    if keys.text(TRAIN, "loss").is_none() {
        keys = keys.with("loss", graft_spec::Value::Text("dpo".to_owned()));
    }
    Objective::from_settings(&keys).unwrap_or_default()
}

/// Evaluates the model as it is, on data of any kind. The reference of pairs is the model without
/// the user's adapters.
///
/// # Errors
/// Those of [`graft_train::evaluate`].
pub(crate) fn evaluate_any(
    cx: &CommandContext,
    model: &LoadedModel,
    (data, request): (&Dataset, Request),
    settings: &Settings,
    progress: &mut dyn FnMut(u64, u64),
) -> graft_train::Result<(Evaluation, Vec<Option<usize>>)> {
    let state = cx.state();
    let base = model.loaded.model.as_ref();
    let is_active = state.adapters.iter().any(|attached| attached.adapter.is_active(base));
    let other = is_active.then(|| WithoutUserAdapters(state.clone()));
    let reference = other.as_ref().map(|other| other as &dyn ReferenceModel);
    let objective = Some(objective(&state, settings)).filter(|_| data.kind == Kind::Preference);
    evaluate_with(model, (data, request), (objective, reference), &cx.control(), progress)
}

/// Evaluates the model as it is; with an objective on pairs, else on other data. The second value
/// is the label with the highest score for each example, and empty for pairs.
///
/// # Errors
/// Those of [`graft_train::evaluate`].
pub(crate) fn evaluate_with(
    model: &LoadedModel,
    (data, request): (&Dataset, Request),
    (objective, reference): (Option<Objective>, Option<&dyn ReferenceModel>),
    control: &Control,
    progress: &mut dyn FnMut(u64, u64),
) -> graft_train::Result<(Evaluation, Vec<Option<usize>>)> {
    let base = model.loaded.model.as_ref();
    let tokenizer = model.loaded.tokenizer.as_ref() as &dyn TokenEncoder;
    if let Some(objective) = objective {
        let data = (data, request);
        let found =
            evaluate_preferences((base, tokenizer), data, objective, reference, control, progress);
        return Ok((found?, Vec::new()));
    }
    evaluate_with_predictions(base, tokenizer, data, request, control, progress)
}
