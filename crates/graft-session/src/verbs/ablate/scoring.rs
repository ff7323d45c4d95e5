//! Scores the model on the data of a comparison.

use graft_protocol::Event;
use graft_spec::{Failure, training::ABLATE};
use graft_train::{Evaluation, evaluate};

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
        Ok(evaluate(
            model.loaded.model.as_ref(),
            model.loaded.tokenizer.as_ref(),
            &self.data.dataset,
            &split,
            examples,
            BATCH,
            &self.cx.control(),
            progress,
        )?)
    }
}
