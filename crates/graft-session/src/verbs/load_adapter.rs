//! `%lora load DIR`.

use std::path::Path;

use graft_protocol::Level;
use graft_spec::Failure;

use graft_train::runs::RunFolder;

use super::{
    attach::{AttachReport, attach_context, install},
    data::absolute,
    labels,
};
use crate::{CommandContext, SessionError, provenance::Origin};

/// Reads an adapter of HF PEFT or Graft and makes it the one in use. Its name is `default` if none
/// is given.
///
/// # Errors
/// [`crate::SessionError::NoModel`], [`SessionError::FolderOfRun`], and those of
/// [`graft_peft::load`]; in these cases nothing changes.
pub fn load(
    cx: &CommandContext,
    directory: &str,
    name: Option<&str>,
) -> Result<AttachReport, Failure> {
    let state = cx.state();
    let model = state.model()?;
    let name = name.unwrap_or("default");
    let path = Path::new(directory);
    // The folder of a run, and each of its checkpoints, contains weights in another format.
    let is_adapter = path.join("adapter_config.json").is_file();
    if let Some(run) = [Some(path), path.parent()]
        .into_iter()
        .flatten()
        .filter(|_| !is_adapter)
        .find_map(RunFolder::at)
    {
        return Err(SessionError::FolderOfRun {
            folder: directory.to_owned(),
            run: super::runs::reference(&run),
        }
        .into());
    }
    let mut report =
        install(cx, &state, &model, name, Origin::folder(absolute(directory)), || {
            Ok(graft_peft::load(&attach_context(&state, &model), path, name)?)
        })?;
    match labels::of_adapter(path, &model) {
        Ok(names) => labels::put(cx, &report.attached, names),
        Err(problem) => report.notes.push((Level::Warning, problem)),
    }
    Ok(report)
}
