//! Magics that run in the host process, without the session or a compiler.

use std::path::PathBuf;
use std::time::Instant;

use graft_magic::{HostCommand, Part, host_reply};
use graft_protocol::{Block, Cell, Level, Table};
use graft_spec::{Failure, user_file};

use crate::error::KernelError;

use super::shell::{self, Exit, ShellContext};
use super::write_file::write_file;
use super::{CellRunner, CellState, MAX_RUN_DEPTH};
use graft_frontend::{CellError, Rich, Stream};

/// Words that mark an environment variable as secret; its value is hidden in lists.
const SECRET_WORDS: [&str; 4] = ["KEY", "TOKEN", "SECRET", "PASSWORD"];

impl CellRunner {
    /// Runs a host command within the current cell.
    pub(super) async fn host(
        &mut self,
        state: &mut CellState<'_>,
        command: &HostCommand,
        last: bool,
    ) -> Result<(), CellError> {
        match command {
            HostCommand::Help { .. } | HostCommand::Quickref => state
                .frontend
                .page(&Rich::from_blocks(&host_reply(command).unwrap_or_default().blocks)),
            HostCommand::ListMagics => state
                .frontend
                .display(&Rich::from_blocks(&host_reply(command).unwrap_or_default().blocks), None),
            HostCommand::Time(part) => self.time(state, std::slice::from_ref(part), last).await?,
            HostCommand::TimeCell(parts) => self.time(state, parts, last).await?,
            HostCommand::Run(file) => Box::pin(self.run_file(state, file)).await?,
            HostCommand::Reset => self.reset(state).await?,
            HostCommand::Load(file) => {
                let text =
                    read(file).map_err(|failure| CellError::from_failure(&failure, state.text))?;
                state.frontend.set_next_input(&text, true);
            }
            other => {
                let blocks = self
                    .answer(other)
                    .map_err(|failure| CellError::from_failure(&failure, state.text))?;
                for block in &blocks {
                    state.frontend.display(&Rich::from_block(block), None);
                }
            }
        }
        Ok(())
    }

    /// Runs a shell line. As in IPython, a nonzero exit status is shown and is not an error.
    pub(super) async fn shell(
        &mut self,
        state: &mut CellState<'_>,
        line: &str,
    ) -> Result<(), CellError> {
        let exit = shell::run(
            line,
            ShellContext { env: &self.env, interrupt: &self.interrupt, budget: &self.budget },
            state.frontend,
        )
        .await;
        let text = match exit {
            Ok(Exit::Code(0)) => return Ok(()),
            Ok(Exit::Code(code)) => format!("exit status {code}"),
            Ok(Exit::Signal(_)) if self.interrupt.is_pressed() => return Ok(()),
            Ok(Exit::Signal(signal)) => format!("terminated by signal {signal}"),
            Err(error) => {
                let failure = KernelError::Shell { error }.into();
                return Err(CellError::from_failure(&failure, state.text));
            }
        };
        state.frontend.display(&Rich::plain(text), None);
        Ok(())
    }

    async fn time(
        &mut self,
        state: &mut CellState<'_>,
        parts: &[Part],
        last: bool,
    ) -> Result<(), CellError> {
        let begin = Instant::now();
        let result = match parts {
            [part] => Box::pin(self.part(state, part, last)).await,
            parts => self.parts(state, parts).await,
        };
        state.frontend.stream(
            Stream::Stdout,
            format!("wall time: {}\n", duration(begin.elapsed().as_secs_f64())).as_bytes(),
        );
        result
    }

    async fn run_file(&mut self, state: &mut CellState<'_>, file: &str) -> Result<(), CellError> {
        let fail = |failure: Failure, text: &str| Err(CellError::from_failure(&failure, text));
        if state.depth >= MAX_RUN_DEPTH {
            return fail(
                Failure::new(
                    "run::depth",
                    format!("`%run` is nested more than {MAX_RUN_DEPTH} levels deep"),
                )
                .site(file),
                state.text,
            );
        }
        let text = match read(file) {
            Ok(text) => text,
            Err(failure) => return fail(failure, state.text),
        };
        state.depth += 1;
        let result = self.text(state, &text).await;
        state.depth -= 1;
        result
    }

    async fn reset(&mut self, state: &mut CellState<'_>) -> Result<(), CellError> {
        let engine = self
            .engine(state)
            .await
            .map_err(|failure| CellError::from_failure(&failure, state.text))?;
        self.run_with_output(state, engine.restart()).await;
        self.rust_has_run = false;
        state
            .frontend
            .display(&Rich::plain("new session: no model, no adapters, no Rust variables"), None);
        Ok(())
    }

    /// Runs a command whose answer is a list of blocks.
    fn answer(&mut self, command: &HostCommand) -> Result<Vec<Block>, Failure> {
        Ok(match command {
            HostCommand::Env { name: None, .. } => vec![Block::Table(self.variables())],
            HostCommand::Env { name: Some(name), value: None } => {
                vec![Block::Text(self.variable(name)?)]
            }
            HostCommand::Env { name: Some(name), value: Some(value) } => {
                self.env.insert(name.clone(), value.clone());
                if let Some(engine) = self.engine_handle.get() {
                    engine.set_env(name, value);
                }
                vec![Block::Text(format!("{name}={value}"))]
            }
            HostCommand::Cd(folder) => vec![Block::Text(self.change_folder(folder)?)],
            HostCommand::WriteFile { file, append, text } => {
                vec![Block::Text(write_file(&expand(file), text, *append)?)]
            }
            HostCommand::Note(text) => vec![Block::Note(Level::Info, text.clone())],
            HostCommand::Pwd => vec![Block::Text(current_folder()?.display().to_string())],
            HostCommand::History { count } => vec![Block::Text(self.history(*count))],
            HostCommand::Who => vec![Block::Table(self.who())],
            other => host_reply(other).unwrap_or_default().blocks,
        })
    }

    fn variables(&self) -> Table {
        let mut all: std::collections::BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| {
                Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
            })
            .collect();
        all.extend(self.env.clone());
        let mut table = Table::new("environment", &["variable", "value"]);
        for (name, value) in all {
            let secret = SECRET_WORDS.iter().any(|word| name.to_uppercase().contains(word));
            table.row(vec![
                Cell::Code(name),
                Cell::Text(if secret { "(hidden)".to_owned() } else { value }),
            ]);
        }
        table
    }

    fn variable(&self, name: &str) -> Result<String, KernelError> {
        let value =
            self.env.get(name).cloned().or_else(|| {
                std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
            });
        value.ok_or_else(|| KernelError::UnsetVariable { name: name.to_owned() })
    }

    /// Changes the working directory of the host and the child; it also applies to file completion
    /// and `!` lines.
    fn change_folder(&mut self, folder: &str) -> Result<String, KernelError> {
        let before = current_folder().ok();
        let path = match (folder.trim(), &self.previous_folder) {
            ("-", Some(before)) => before.clone(),
            ("-", None) => return Err(KernelError::NoPreviousFolder),
            _ => expand(folder),
        };
        std::env::set_current_dir(&path).map_err(|error| KernelError::ChangeFolder {
            path: path.clone(),
            error,
            here: current_folder().map_err(|error| error.to_string()),
        })?;
        let real = current_folder()?;
        self.previous_folder = before.or(self.previous_folder.take());
        if let Some(engine) = self.engine_handle.get() {
            engine.set_cwd(&real);
        }
        Ok(real.display().to_string())
    }

    fn history(&self, count: Option<usize>) -> String {
        let first = self.executed.len().saturating_sub(count.unwrap_or(usize::MAX));
        self.executed
            .iter()
            .skip(first)
            .map(|text| text.trim_end())
            .collect::<Vec<_>>()
            .join("\n\n")
    }

    fn who(&self) -> Table {
        let mut table = Table::new("Rust variables", &["name", "type"]);
        for (name, kind) in
            self.engine_handle.get().map(|engine| engine.variables()).unwrap_or_default()
        {
            table.row(vec![Cell::Code(name), Cell::Code(kind)]);
        }
        if table.rows.is_empty() {
            table
                .footer
                .push("no Rust variables; `%status` shows the model, adapters and data".to_owned());
        }
        table
    }
}

fn current_folder() -> Result<PathBuf, KernelError> {
    std::env::current_dir().map_err(|error| KernelError::NoCurrentFolder { error })
}

/// Expands `~` and an empty path to the home folder.
fn expand(folder: &str) -> PathBuf {
    let home = || std::env::home_dir().unwrap_or_else(|| PathBuf::from("/"));
    match folder.trim() {
        "" | "~" => home(),
        text => {
            text.strip_prefix("~/").map_or_else(|| PathBuf::from(text), |rest| home().join(rest))
        }
    }
}

fn read(file: &str) -> Result<String, Failure> {
    let path = expand(file);
    user_file::read_text(&path, user_file::MOST_TEXT).map_err(|error| {
        let failure = Failure::from(error);
        match (&failure.hint, current_folder()) {
            (None, Ok(here)) => failure.hint(format!("the current folder is {}", here.display())),
            _ => failure,
        }
    })
}

/// Formats a duration with a suitable unit.
fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 1e-3 => format!("{:.0} µs", s * 1e6),
        s if s < 1.0 => format!("{:.1} ms", s * 1e3),
        s if s < 120.0 => format!("{s:.2} s"),
        s => format!("{:.0} min {:.0} s", (s / 60.0).floor(), s % 60.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_suitable_unit() {
        assert_eq!(duration(0.000_25), "250 µs");
        assert_eq!(duration(0.25), "250.0 ms");
        assert_eq!(duration(2.5), "2.50 s");
        assert_eq!(duration(150.0), "2 min 30 s");
    }

    #[test]
    fn a_tilde_is_the_home_folder() {
        let home = std::env::home_dir().unwrap();
        assert_eq!(expand(""), home);
        assert_eq!(expand("~/x"), home.join("x"));
        assert_eq!(expand("x"), PathBuf::from("x"));
    }
}
