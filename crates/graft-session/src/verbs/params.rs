//! `%params`.

use graft_protocol::Table;
use graft_spec::Failure;

use crate::CommandContext;

/// Trainable and frozen parameters by module, with the summary line of HF PEFT.
///
/// # Errors
/// [`crate::SessionError::NoModel`].
pub fn table(cx: &CommandContext) -> Result<Table, Failure> {
    let state = cx.state();
    let model = state.model()?;
    let adapter = state.adapter_in_use();
    Ok(graft_peft::parameter_table(
        model.loaded.model.as_ref(),
        adapter.as_ref().map(|attached| &attached.adapter),
    ))
}
