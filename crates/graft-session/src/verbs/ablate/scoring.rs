//! Scores the model on the data of a comparison.

use graft_chat::LossOn;
use graft_protocol::Event;
use graft_spec::{
    Failure,
    training::{ABLATE, TRAIN},
};
use graft_train::{EncodeOptions, Evaluation, Request, data::SplitName, evaluate, loss_on};

use super::runner::GridRunner;

/// Examples in one forward pass.
const BATCH: usize = 16;

impl GridRunner<'_> {
    /// Scores the model as it is now on all `examples`.
    ///
    /// # Errors
    /// Those of [`evaluate`]; [`crate::SessionError::Interrupted`] when the user stopped it.
    pub(super) fn score(&self, who: &str) -> Result<Evaluation, Failure> {
        let examples = self
            .grid
            .settings
            .integer(ABLATE, "examples")
            .map_or(200, |count| count.unsigned_abs() as usize);
        let label = format!("scoring {who} on {}", self.data.dataset.name);
        let found = self.score_on(examples, &mut |done, total| {
            self.cx.emit(Event::Progress { label: label.clone(), done, total });
        });
        self.cx.check_interrupted(&format!("stopped while {label}"))?;
        found
    }

    /// Scores the model as it is now on the first `examples` of the split.
    ///
    /// # Errors
    /// Those of [`evaluate`].
    pub(super) fn score_on(
        &self,
        examples: usize,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Evaluation, Failure> {
        let model = self.state.model()?;
        let split = self.grid.settings.text(ABLATE, "split").unwrap_or_default();
        let request = Request {
            split: SplitName::parse(&split).unwrap_or(SplitName::Validation),
            examples,
            batch: BATCH,
            encoding: EncodeOptions { loss_on: self.loss_on(), ..EncodeOptions::default() },
        };
        Ok(evaluate(
            model.loaded.model.as_ref(),
            model.loaded.tokenizer.as_ref(),
            &self.data.dataset,
            request,
            &self.cx.control(),
            progress,
        )?)
    }

    /// The text that is scored: the one that every trial learns, or else the default of the data.
    fn loss_on(&self) -> Option<LossOn> {
        let mut all =
            self.grid.trials.iter().map(|trial| loss_on(trial.train.text(TRAIN, "loss_on")));
        let first = all.next().flatten();
        first.filter(|first| all.all(|other| other == Some(*first)))
    }
}
