//! Magics that the host does itself: they need neither the session nor a compiler.

use std::path::PathBuf;
use std::time::Instant;

use graft_magic::{HostCommand, Part, host_reply};
use graft_protocol::{Block, Cell, Level, Table};
use graft_spec::{Failure, user_file};

use super::shell::{self, Ending, Surroundings};
use super::write_file::write_file;
use super::{CellRunner, CellState, RUN_DEPTH};
use graft_frontend::{CellError, Rich, Stream};

/// Words in the name of a variable whose value is not shown in a list.
const SECRETS: [&str; 4] = ["KEY", "TOKEN", "SECRET", "PASSWORD"];

impl CellRunner {
    /// Does a host command inside the running cell.
    pub(super) async fn host(
        &mut self,
        running: &mut CellState<'_>,
        command: &HostCommand,
        last: bool,
    ) -> Result<(), CellError> {
        match command {
            HostCommand::Help { .. } | HostCommand::Quickref => running
                .frontend
                .page(&Rich::from_blocks(&host_reply(command).unwrap_or_default().blocks)),
            HostCommand::ListMagics => running
                .frontend
                .display(&Rich::from_blocks(&host_reply(command).unwrap_or_default().blocks), None),
            HostCommand::Time(part) => self.time(running, std::slice::from_ref(part), last).await?,
            HostCommand::TimeCell(parts) => self.time(running, parts, last).await?,
            HostCommand::Run(file) => Box::pin(self.run_file(running, file)).await?,
            HostCommand::Reset => self.reset(running).await?,
            HostCommand::Load(file) => {
                let text = read(file)
                    .map_err(|failure| CellError::from_failure(&failure, running.text))?;
                running.frontend.set_next_input(&text, true);
            }
            other => {
                let blocks = self
                    .answer(other)
                    .map_err(|failure| CellError::from_failure(&failure, running.text))?;
                for block in &blocks {
                    running.frontend.display(&Rich::from_block(block), None);
                }
            }
        }
        Ok(())
    }

    /// Runs a shell line; its exit status is told but is no error, as in IPython.
    pub(super) async fn shell(
        &mut self,
        running: &mut CellState<'_>,
        line: &str,
    ) -> Result<(), CellError> {
        let ending = shell::run(
            line,
            Surroundings { env: &self.env, interrupt: &self.interrupt, budget: &self.budget },
            running.frontend,
        )
        .await;
        let text = match ending {
            Ok(Ending::Exit(0)) => return Ok(()),
            Ok(Ending::Exit(code)) => format!("exit status {code}"),
            Ok(Ending::Signal(_)) if self.interrupt.is_pressed() => return Ok(()),
            Ok(Ending::Signal(signal)) => format!("ended by signal {signal}"),
            Err(error) => {
                let failure =
                    Failure::new("shell::start", format!("cannot start the shell: {error}"));
                return Err(CellError::from_failure(&failure, running.text));
            }
        };
        running.frontend.display(&Rich::plain(text), None);
        Ok(())
    }

    async fn time(
        &mut self,
        running: &mut CellState<'_>,
        parts: &[Part],
        last: bool,
    ) -> Result<(), CellError> {
        let begin = Instant::now();
        let result = match parts {
            [part] => Box::pin(self.part(running, part, last)).await,
            parts => self.parts(running, parts).await,
        };
        running.frontend.stream(
            Stream::Stdout,
            format!("wall time: {}\n", duration(begin.elapsed().as_secs_f64())).as_bytes(),
        );
        result
    }

    async fn run_file(&mut self, running: &mut CellState<'_>, file: &str) -> Result<(), CellError> {
        let fail = |failure: Failure, text: &str| Err(CellError::from_failure(&failure, text));
        if running.depth >= RUN_DEPTH {
            return fail(
                Failure::new(
                    "run::depth",
                    format!("files run inside one another more than {RUN_DEPTH} deep"),
                )
                .site(file),
                running.text,
            );
        }
        let text = match read(file) {
            Ok(text) => text,
            Err(failure) => return fail(failure, running.text),
        };
        running.depth += 1;
        let result = self.text(running, &text).await;
        running.depth -= 1;
        result
    }

    async fn reset(&mut self, running: &mut CellState<'_>) -> Result<(), CellError> {
        let engine = self
            .engine(running)
            .await
            .map_err(|failure| CellError::from_failure(&failure, running.text))?;
        self.run_with_output(running, engine.restart()).await;
        self.rust_ran = false;
        running
            .frontend
            .display(&Rich::plain("a new session: no model, no adapters, no Rust variables"), None);
        Ok(())
    }

    /// Commands that answer with blocks.
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
            HostCommand::Pwd => vec![Block::Text(here()?.display().to_string())],
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
            let secret = SECRETS.iter().any(|word| name.to_uppercase().contains(word));
            table.row(vec![
                Cell::Code(name),
                Cell::Text(if secret { "(hidden)".to_owned() } else { value }),
            ]);
        }
        table
    }

    fn variable(&self, name: &str) -> Result<String, Failure> {
        let set =
            self.env.get(name).cloned().or_else(|| {
                std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
            });
        set.ok_or_else(|| {
            Failure::new("env::unset", format!("the variable `{name}` is not set"))
                .hint(format!("`%env {name}=VALUE` sets it"))
        })
    }

    /// Changes the folder of host and child; file completion and `!` lines follow.
    fn change_folder(&mut self, folder: &str) -> Result<String, Failure> {
        let before = here().ok();
        let path = match (folder.trim(), &self.folder_before) {
            ("-", Some(before)) => before.clone(),
            ("-", None) => {
                return Err(Failure::new(
                    "cd::no_folder_before",
                    "there is no earlier folder to go back to",
                )
                .hint("`%cd FOLDER` changes to another"));
            }
            _ => expand(folder),
        };
        let unusable = |error: std::io::Error| {
            Failure::new("cd::folder", format!("cannot change to `{}`: {error}", path.display()))
                .hint(folder_hint())
        };
        std::env::set_current_dir(&path).map_err(unusable)?;
        let real = here()?;
        self.folder_before = before.or(self.folder_before.take());
        if let Some(engine) = self.engine_handle.get() {
            engine.set_cwd(&real);
        }
        Ok(real.display().to_string())
    }

    fn history(&self, count: Option<usize>) -> String {
        let first = self.ran.len().saturating_sub(count.unwrap_or(usize::MAX));
        self.ran.iter().skip(first).map(|text| text.trim_end()).collect::<Vec<_>>().join("\n\n")
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
                .push("no Rust variables; %status shows model, adapters and data".to_owned());
        }
        table
    }
}

fn here() -> Result<PathBuf, Failure> {
    std::env::current_dir().map_err(|error| {
        Failure::new("cd::gone", format!("the current folder cannot be read: {error}"))
            .hint("`%cd FOLDER` changes to another")
    })
}

/// Where the user is: a folder that is not found is often looked for in the wrong place.
fn folder_hint() -> String {
    here().map_or_else(
        |failure| failure.message,
        |here| format!("the current folder is {}; `!ls` lists it", here.display()),
    )
}

/// `~` and an empty text are the home folder.
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
        match (&failure.hint, here()) {
            (None, Ok(here)) => failure.hint(format!("the current folder is {}", here.display())),
            _ => failure,
        }
    })
}

/// Seconds with the unit that fits.
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
    fn durations_have_the_unit_that_fits() {
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
