//! Trainable parameters.

use crate::Var;

/// A trainable parameter, shared by methods, models and the optimizer.
#[derive(Clone, Debug)]
pub struct Trainable {
    /// Its name: a path in the model, or a key of the adapter file.
    pub name: String,
    /// The variable, stored in f32.
    pub var: Var,
    /// Whether weight decay applies to it.
    pub decay: bool,
    /// Factor on the learning rate.
    pub lr_scale: f64,
}

impl Trainable {
    /// A parameter with weight decay and the unscaled learning rate.
    pub fn new(name: impl Into<String>, var: Var) -> Self {
        Self { name: name.into(), var, decay: true, lr_scale: 1.0 }
    }
}
