//! Your own code in `%train`: after each step, and as the loss.

use graft_session::UserCallbacks;

use crate::{Lab, Result, StepEvent, Tensor};

impl Lab {
    /// Calls `callback` after each step of the training runs that follow, instead of an earlier
    /// closure. It may log a line, stop the run and change the learning rate. A panic in it ends
    /// the run as failed; the steps before it are kept, and `%resume` continues.
    ///
    /// # Errors
    /// Never, currently.
    ///
    /// # Examples
    /// ```
    /// use graft::prelude::*;
    ///
    /// # fn main() -> graft::Result<()> {
    /// # let folder = tempfile::tempdir()?;
    /// # std::env::set_current_dir(&folder)?;
    /// lab().load_model("tiny")?.attach(Lora::new().r(4))?;
    /// lab().load_data("which-book")?;
    /// lab().on_step(|event| {
    ///     event.set_lr(event.lr() * 0.9);
    ///     if event.step() == 3 {
    ///         event.log(format!("loss {:.3}", event.loss()));
    ///         event.stop();
    ///     }
    /// })?;
    /// let run = lab().train(Train::new().steps(50).batch(2).eval_every(0))?;
    /// assert_eq!(run.losses()?.len(), 3);
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_step(&self, callback: impl FnMut(&mut StepEvent) + Send + 'static) -> Result<()> {
        let callbacks = self.state().callbacks.with_on_step(callback);
        self.set_callbacks(callbacks)
    }

    /// Replaces the cross entropy in the training runs that follow. `loss` gets the logits of L
    /// labels and the labels, and returns the loss of each label, or the sum of all. The run takes
    /// the mean over all labels of a step. Validations measure the cross entropy.
    ///
    /// # Shapes
    /// `logits: (L, V)`, `labels: (L)` of type `u32` -> `(L)` or a scalar
    /// # Errors
    /// Never, currently.
    ///
    /// # Examples
    /// Focal loss:
    ///
    /// ```
    /// use graft::prelude::*;
    ///
    /// # fn main() -> graft::Result<()> {
    /// # let folder = tempfile::tempdir()?;
    /// # std::env::set_current_dir(&folder)?;
    /// lab().load_model("tiny")?.attach(Lora::new().r(4))?;
    /// lab().load_data("which-book")?;
    /// lab().train_loss(|logits, labels| {
    ///     let log_probs = graft::candle_nn::ops::log_softmax(logits, D::Minus1)?;
    ///     let own = log_probs.gather(&labels.unsqueeze(1)?, 1)?.squeeze(1)?; // (L)
    ///     let weight = (1.0 - own.exp()?)?.sqr()?;
    ///     weight * own.neg()?
    /// })?;
    /// let run = lab().train(Train::new().steps(3).batch(2).eval_every(0))?;
    /// assert_eq!(run.losses()?.len(), 3);
    /// lab().clear_callbacks()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn train_loss(
        &self,
        loss: impl Fn(&Tensor, &Tensor) -> candle_core::Result<Tensor> + Send + Sync + 'static,
    ) -> Result<()> {
        let loss = move |logits: &Tensor, labels: &Tensor| {
            loss(logits, labels).map_err(|error| error.to_string())
        };
        let callbacks = self.state().callbacks.with_loss(loss);
        self.set_callbacks(callbacks)
    }

    /// Removes the closures of [`Lab::on_step`] and [`Lab::train_loss`].
    ///
    /// # Errors
    /// Never, currently.
    pub fn clear_callbacks(&self) -> Result<()> {
        self.set_callbacks(UserCallbacks::default())
    }

    fn set_callbacks(&self, callbacks: UserCallbacks) -> Result<()> {
        let callbacks = std::sync::Arc::new(callbacks);
        self.read(move |cx| {
            cx.change(|state| state.callbacks = callbacks.clone());
            Ok(())
        })
    }
}
