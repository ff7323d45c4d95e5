//! `%lora load DIR`.

use std::path::Path;

use graft_protocol::Level;
use graft_spec::Failure;

use graft_train::runs::RunFolder;

use super::{
    attach::{AttachReport, install, workbench},
    data::lasting,
    labels,
};
use crate::{CommandContext, SessionError, provenance::Origin};

/// Reads an adapter that HF PEFT or Graft wrote and takes it in use under `name` (`default` without one).
///
/// # Errors
/// [`crate::SessionError::NoModel`], and those of [`graft_peft::load`]; then nothing has changed.
pub fn load(
    desk: &CommandContext,
    directory: &str,
    name: Option<&str>,
) -> Result<AttachReport, Failure> {
    let state = desk.state();
    let model = state.model()?;
    let name = name.unwrap_or("default");
    let path = Path::new(directory);
    // A run's folder, and each of its checkpoints, holds weights, but not as HF PEFT's files.
    let is_adapter = path.join("adapter_config.json").is_file();
    if let Some(run) = [Some(path), path.parent()]
        .into_iter()
        .flatten()
        .filter(|_| !is_adapter)
        .find_map(RunFolder::at)
    {
        return Err(SessionError::FolderOfRun {
            folder: directory.to_owned(),
            run: super::runs::called(&run),
        }
        .into());
    }
    let mut report =
        install(desk, &state, &model, name, Origin::folder(lasting(directory)), || {
            Ok(graft_peft::load(&workbench(&state, &model), path, name)?)
        })?;
    match labels::of_adapter(path, &model) {
        Ok(names) => labels::put(desk, &report.attached, names),
        Err(problem) => report.notes.push((Level::Warning, problem)),
    }
    Ok(report)
}
