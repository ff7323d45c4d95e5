//! The effects of evcxr's `:commands` on the child and on the session's folder.

use graft_protocol::message::{CELL_FORMAT, CELL_TYPES};

use super::worker::Worker;
use crate::colon_commands;
use crate::rust_error::RustError;
use crate::rust_result::RustOutput;
use crate::typed_cell::TypedCell;

impl Worker {
    /// Applies the commands of a cell that ran to everything outside evcxr.
    pub(super) fn after_commands(
        &mut self,
        code: &str,
        output: Option<&RustOutput>,
    ) -> Result<(), RustError> {
        for command in colon_commands::of(code) {
            match (command.name, command.argument.split_once('=')) {
                (":clear", _) => self.set_up_again()?,
                (":env", Some((name, value))) if output.is_some() => {
                    self.context.supervisor.set_env(name, Some(value))
                }
                (":fmt", _) if output.is_some() => {
                    let format =
                        if command.argument.is_empty() { None } else { Some(command.argument) };
                    self.context.supervisor.set_env(CELL_FORMAT, format);
                }
                (":types", _) => {
                    let text = output.and_then(RustOutput::plain_text);
                    let is_on = text.is_some_and(|text| text.trim_end().ends_with("true"));
                    self.context.supervisor.set_env(CELL_TYPES, is_on.then_some("1"));
                }
                (":opt", _) => self.copy_opt_level(output),
                _ => {}
            }
        }
        Ok(())
    }

    fn set_up_again(&mut self) -> Result<(), RustError> {
        self.question_mark = false;
        let code = TypedCell::unchanged(&self.set_up_code());
        self.execute(&code).map(drop)
    }

    /// Copies the optimization level into the workspace's manifest. evcxr writes it into the cell's
    /// manifest, but cargo takes profiles only from the workspace's.
    fn copy_opt_level(&self, output: Option<&RustOutput>) {
        let Some(level) = output
            .and_then(RustOutput::plain_text)
            .and_then(|text| text.trim().strip_prefix("Optimization: "))
            .map(str::to_owned)
        else {
            return;
        };
        let manifest = self.context.folder.manifest();
        let Ok(Ok(mut table)) =
            std::fs::read_to_string(&manifest).map(|text| text.parse::<toml::Table>())
        else {
            return;
        };
        let value = level.parse::<i64>().map_or(toml::Value::String(level), toml::Value::Integer);
        if let Some(profile) = table
            .get_mut("profile")
            .and_then(|profile| profile.get_mut("dev"))
            .and_then(toml::Value::as_table_mut)
        {
            profile.insert("opt-level".to_owned(), value);
            let _ = std::fs::write(&manifest, table.to_string());
        }
    }
}
