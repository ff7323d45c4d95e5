//! `%device`.

use graft_nn::device;
use graft_protocol::{Block, Level, Reply};
use graft_spec::Failure;

use crate::CommandContext;

/// Where tensors live now.
pub struct DeviceReport {
    /// The device in words.
    pub device: String,
    /// What a change cost.
    pub note: Option<String>,
}

/// Shows the device, or changes it. Tensors do not move: with the device the model goes, and is loaded anew.
///
/// # Errors
/// `nn::device` when this build or machine has no such device; those of [`super::model::load`].
pub fn device(desk: &CommandContext, name: Option<&str>) -> Result<DeviceReport, Failure> {
    let old = desk.state();
    let mut note = None;
    if let Some(name) = name {
        let device = device::choose(Some(name))?;
        if !device.same_device(&old.device) {
            desk.change(|state| state.device = device.clone());
            note = reload(desk)?;
        }
    }
    Ok(DeviceReport { device: device::describe(&desk.state().device), note })
}

fn reload(desk: &CommandContext) -> Result<Option<String>, Failure> {
    let Some(model) = desk.state().model.clone() else { return Ok(None) };
    let report = super::model::load(desk, model.lasting_source(), &model.settings)?;
    Ok(Some(format!("the model was loaded again; {}", report.dropped.unwrap_or_default())))
}

impl DeviceReport {
    /// The answer to `%device`.
    pub fn reply(self) -> Reply {
        let mut blocks = vec![Block::Text(format!("device {}", self.device))];
        blocks.extend(self.note.map(|note| Block::Note(Level::Info, note)));
        Reply { blocks }
    }
}
