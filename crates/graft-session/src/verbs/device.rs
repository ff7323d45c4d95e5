//! `%device`.

use graft_nn::device;
use graft_protocol::{Block, Level, Reply};
use graft_spec::Failure;

use crate::CommandContext;

/// The current device.
pub struct DeviceReport {
    /// Description of the device.
    pub device: String,
    /// Effect of a change of the device on the model.
    pub note: Option<String>,
}

/// Shows the device, or changes it. A change loads the model again, because tensors do not move
/// between devices.
///
/// # Errors
/// `nn::device` when this build or machine does not have the device; those of
/// [`super::model::load`].
pub fn device(cx: &CommandContext, name: Option<&str>) -> Result<DeviceReport, Failure> {
    let old = cx.state();
    let mut note = None;
    if let Some(name) = name {
        let device = device::choose(Some(name))?;
        if !device.same_device(&old.device) {
            cx.change(|state| state.device = device.clone());
            note = reload(cx)?;
        }
    }
    Ok(DeviceReport { device: device::describe(&cx.state().device), note })
}

fn reload(cx: &CommandContext) -> Result<Option<String>, Failure> {
    let Some(model) = cx.state().model.clone() else { return Ok(None) };
    let report = super::model::load(cx, model.absolute_source(), &model.settings)?;
    Ok(Some(format!("loaded the model again; {}", report.dropped.unwrap_or_default())))
}

impl DeviceReport {
    /// The reply to `%device`.
    pub fn reply(self) -> Reply {
        let mut blocks = vec![Block::Text(format!("device {}", self.device))];
        blocks.extend(self.note.map(|note| Block::Note(Level::Info, note)));
        Reply { blocks }
    }
}
