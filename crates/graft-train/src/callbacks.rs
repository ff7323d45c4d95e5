//! The user's code in a training run: after each step, and as the loss.

use graft_nn::Tensor;
use graft_protocol::{StepRecord, ValidationRecord};

/// Code that a run calls. Errors and panics in it end the run as failed, with a checkpoint of the
/// last step.
pub trait Callbacks: Sync {
    /// Called after each step, and after the validation that follows it.
    ///
    /// # Errors
    /// The message of a failure or panic.
    fn after_step(&self, event: &mut StepEvent) -> Result<(), String>;

    /// Whether [`Self::loss`] replaces the cross entropy.
    fn has_loss(&self) -> bool;

    /// The losses of some labels: of each, or their sum.
    ///
    /// # Shapes
    /// `logits: (L, V)`, `labels: (L)` of type `u32` -> `(L)` or a scalar
    /// # Errors
    /// The message of a failure or panic.
    fn loss(&self, logits: &Tensor, labels: &Tensor) -> Result<Tensor, String>;
}

/// A step that has finished. A callback reads it, and changes how the run continues.
///
/// # Examples
/// ```
/// # use graft_train::StepEvent;
/// # fn callback(event: &mut StepEvent) {
/// if event.step() % 100 == 0 {
///     event.log(format!("loss {:.3}", event.loss()));
/// }
/// if event.validation_loss().is_some_and(|loss| loss < 0.5) {
///     event.stop();
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct StepEvent {
    step: StepRecord,
    steps: u64,
    validation: Option<ValidationRecord>,
    stops: bool,
    lr: Option<f64>,
    lines: Vec<String>,
}

impl StepEvent {
    pub(crate) fn new(step: StepRecord, steps: u64, validation: Option<ValidationRecord>) -> Self {
        Self { step, steps, validation, stops: false, lr: None, lines: Vec::new() }
    }

    /// Number of the step, from 1.
    pub fn step(&self) -> u64 {
        self.step.step
    }

    /// Planned steps of the run.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Training loss of the step, in nats.
    pub fn loss(&self) -> f64 {
        self.step.loss
    }

    /// Learning rate of the step.
    pub fn lr(&self) -> f64 {
        self.step.lr
    }

    /// Global gradient norm before clipping.
    pub fn grad_norm(&self) -> f64 {
        self.step.grad_norm
    }

    /// Loss of the validation after this step, if there was one.
    pub fn validation_loss(&self) -> Option<f64> {
        self.validation.map(|validation| validation.loss)
    }

    /// Accuracy of the validation after this step, if there was one and the data has labels.
    pub fn accuracy(&self) -> Option<f64> {
        self.validation?.accuracy
    }

    /// Ends the run after this step.
    pub fn stop(&mut self) {
        self.stops = true;
    }

    /// Replaces the learning rate of the schedule from the next step on.
    pub fn set_lr(&mut self, lr: f64) {
        self.lr = Some(lr);
    }

    /// Shows a line below the plot.
    pub fn log(&mut self, text: impl Into<String>) {
        self.lines.push(text.into());
    }

    /// Whether [`Self::stop`] was called.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stops
    }

    /// The learning rate of [`Self::set_lr`].
    pub(crate) fn new_lr(&self) -> Option<f64> {
        self.lr
    }

    /// The lines of [`Self::log`].
    pub(crate) fn take_lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }
}
