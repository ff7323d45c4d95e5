//! The device of a model.

use graft_nn::{Device, Model};

/// The device that the model's weights are on.
pub fn device_of(model: &dyn Model) -> Device {
    model.embedding().weight().base_value().device().clone()
}
