//! `%params`.

use graft_protocol::Table;
use graft_spec::Failure;

use crate::CommandContext;

/// Parameters by module, trained and frozen, with HF PEFT's line below.
///
/// # Errors
/// [`crate::SessionError::NoModel`].
pub fn table(desk: &CommandContext) -> Result<Table, Failure> {
    let state = desk.state();
    let model = state.model()?;
    let adapter = state.adapter_in_use();
    Ok(graft_peft::parameter_table(
        model.loaded.model.as_ref(),
        adapter.as_ref().map(|attached| &attached.adapter),
    ))
}
