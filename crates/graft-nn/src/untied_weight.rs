//! The separate weight of a head that was untied from the embedding.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::Tensor;

/// The weight of its own that a tied head has after it was untied from the embedding.
#[derive(Debug, Default)]
pub struct UntiedWeight(ArcSwapOption<Tensor>);

impl UntiedWeight {
    /// Unties the layer with this weight, or ties it again with `None`.
    pub fn set(&self, weight: Option<Tensor>) {
        self.0.store(weight.map(|weight| Arc::new(weight.detach())));
    }

    /// The weight, if the layer is untied.
    pub fn get(&self) -> Option<Tensor> {
        self.0.load().as_deref().cloned()
    }
}
