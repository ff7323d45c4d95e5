//! The closures of Rust cells that `%train` calls.

use std::sync::{Arc, Mutex, PoisonError};

use graft_nn::Tensor;
use graft_train::{Callbacks, StepEvent};

use crate::job;

/// A closure that is called after each step.
type OnStep = Box<dyn FnMut(&mut StepEvent) + Send>;
/// A closure that computes the loss from logits and labels.
type Loss = Box<dyn Fn(&Tensor, &Tensor) -> Result<Tensor, String> + Send + Sync>;

/// The closures of a session. They stay until they are replaced or cleared.
#[derive(Clone, Default)]
pub struct UserCallbacks {
    on_step: Option<Arc<Mutex<OnStep>>>,
    loss: Option<Arc<Loss>>,
}

impl UserCallbacks {
    /// Calls `callback` after each step, instead of an earlier one.
    #[must_use]
    pub fn with_on_step(&self, callback: impl FnMut(&mut StepEvent) + Send + 'static) -> Self {
        let on_step: OnStep = Box::new(callback);
        Self { on_step: Some(Arc::new(Mutex::new(on_step))), ..self.clone() }
    }

    /// Uses `loss` instead of the cross entropy.
    #[must_use]
    pub fn with_loss(
        &self,
        loss: impl Fn(&Tensor, &Tensor) -> Result<Tensor, String> + Send + Sync + 'static,
    ) -> Self {
        Self { loss: Some(Arc::new(Box::new(loss))), ..self.clone() }
    }

    /// Whether there is no closure.
    pub(crate) fn is_empty(&self) -> bool {
        self.on_step.is_none() && self.loss.is_none()
    }

    /// Whether a closure is called after each step.
    pub(crate) fn has_on_step(&self) -> bool {
        self.on_step.is_some()
    }

    /// A note about the closures that a run uses.
    pub(crate) fn note(&self) -> Option<String> {
        let used = match (&self.on_step, &self.loss) {
            (None, None) => return None,
            (Some(_), None) => "your `on_step` closure",
            (None, Some(_)) => "your own loss",
            (Some(_), Some(_)) => "your `on_step` closure and your own loss",
        };
        Some(format!("uses {used}; `lab().clear_callbacks();` removes it"))
    }
}

impl Callbacks for UserCallbacks {
    fn after_step(&self, event: &mut StepEvent) -> Result<(), String> {
        let Some(callback) = &self.on_step else { return Ok(()) };
        // After a panic the closure may be called again: its variables are the user's own.
        let mut callback = callback.lock().unwrap_or_else(PoisonError::into_inner);
        job::guarded(|| {
            callback(event);
            Ok(())
        })
        .map_err(|failure| failure.message)
    }

    fn has_loss(&self) -> bool {
        self.loss.is_some()
    }

    fn loss(&self, logits: &Tensor, labels: &Tensor) -> Result<Tensor, String> {
        let Some(loss) = &self.loss else { return Err("there is no closure".to_owned()) };
        let mut found = None;
        job::guarded(|| {
            found = Some(loss(logits, labels));
            Ok(())
        })
        .map_err(|failure| failure.message)?;
        found.unwrap_or_else(|| Err("the closure did not return".to_owned()))
    }
}
