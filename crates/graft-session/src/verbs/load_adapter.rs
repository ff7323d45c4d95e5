//! `%lora load DIR`.

use std::path::Path;

use graft_protocol::{Failure, Level};

use super::{
    attach::{AttachReport, install, workbench},
    labels,
};
use crate::Desk;

/// Reads an adapter that HF PEFT or Graft wrote and takes it in use under `name` (`default` without one).
///
/// # Errors
/// [`crate::SessionError::NoModel`], and those of [`graft_peft::load`]; then nothing has changed.
pub fn load(desk: &Desk, directory: &str, name: Option<&str>) -> Result<AttachReport, Failure> {
    let state = desk.state();
    let model = state.model()?;
    let name = name.unwrap_or("default");
    let mut report = install(desk, &state, &model, name, || Ok(graft_peft::load(&workbench(&state, &model), Path::new(directory), name)?))?;
    match labels::of_adapter(Path::new(directory), &model) {
        Ok(names) => labels::put(desk, &report.attached, names),
        Err(problem) => report.notes.push((Level::Warning, problem)),
    }
    Ok(report)
}
