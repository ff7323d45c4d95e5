//! The terminal as a [`Frontend`]: tables with colours, a bar that is drawn over and over, plain lines where output is a pipe.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use graft_protocol::Block;
use tokio::sync::Notify;

use super::keyboard;
use graft_frontend::{Answer, CellError, Frontend, Rich, Source, Stream};

/// How the output is to look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    /// Whether a line can be drawn over.
    pub(crate) terminal: bool,
    /// Whether escape sequences are understood and wanted.
    pub(crate) colours: bool,
    /// Columns.
    pub(crate) width: usize,
}

/// Standard output and standard error of this process, or what a test gives.
pub(crate) struct Screen {
    look: Look,
    state: Mutex<State>,
}

struct State {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    /// Whether a bar stands in the last line.
    bar: bool,
    /// Whether the last byte written ended a line.
    at_start: bool,
    /// Text of live displays as far as it is on the screen.
    grown: BTreeMap<String, String>,
    /// The progress last written as a line: label and count.
    last: (String, u64),
    /// Nobody reads any more.
    closed: bool,
    /// Told when that happens.
    left: Arc<Notify>,
}

impl Screen {
    /// That of this process. `NO_COLOR` is obeyed.
    pub(crate) fn standard() -> Self {
        let terminal = io::stdout().is_terminal();
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let width = terminal_size::terminal_size().map_or(100, |(width, _)| usize::from(width.0));
        Self::new(
            Look { terminal, colours: terminal && !plain, width },
            Box::new(io::stdout()),
            Box::new(io::stderr()),
        )
    }

    /// One that writes there.
    pub(crate) fn new(look: Look, out: Box<dyn Write + Send>, err: Box<dyn Write + Send>) -> Self {
        Self {
            look,
            state: Mutex::new(State {
                out,
                err,
                bar: false,
                at_start: true,
                grown: BTreeMap::new(),
                last: Default::default(),
                closed: false,
                left: Arc::default(),
            }),
        }
    }

    /// Whether nobody reads the output any more, as after `| head`.
    pub(crate) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Returns a permit when the reader has left.
    pub(crate) fn left(&self) -> Arc<Notify> {
        self.state().left.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `rich` looks like here.
    fn text(&self, rich: &Rich) -> String {
        match &rich.source {
            Source::Blocks(blocks) if self.look.colours => blocks
                .iter()
                .map(|block| graft_render::ansi(block, self.look.width))
                .collect::<Vec<_>>()
                .join("\n\n"),
            Source::Blocks(_) | Source::Progress(_) => rich.text().to_owned(),
            Source::Mime if rich.text().is_empty() => {
                format!("[{}]", rich.mime.keys().cloned().collect::<Vec<_>>().join(", "))
            }
            Source::Mime => rich.text().to_owned(),
        }
    }

    /// A passing state: a bar that the next one replaces, or a text that grows. A pipe gets lines, and texts only when they are done.
    fn passing(&self, rich: &Rich, id: &str) {
        if let Source::Blocks(blocks) = &rich.source
            && let [Block::Generated { .. }] = blocks.as_slice()
        {
            if self.look.terminal {
                let text = self.text(rich);
                self.state().grow(id, &text);
            }
            return;
        }
        let line = match &rich.source {
            Source::Progress(progress) if self.look.colours => {
                progress.ansi(self.look.width.saturating_sub(1))
            }
            _ => rich
                .text()
                .lines()
                .next()
                .unwrap_or("")
                .chars()
                .take(self.look.width.saturating_sub(1))
                .collect(),
        };
        let mut state = self.state();
        if !self.look.terminal && state.is_told(rich) {
            return;
        }
        if self.look.terminal {
            state.clear_bar();
            state.fresh_line();
            state.write(line.as_bytes());
            state.bar = true;
            state.at_start = true;
        } else {
            state.line(&line);
        }
    }

    fn lasting(&self, rich: &Rich, id: Option<&str>) {
        let text = self.text(rich);
        let mut state = self.state();
        state.clear_bar();
        if state.is_told(rich) {
            return;
        }
        if let Some(id) = id.filter(|id| state.grown.contains_key(*id)) {
            state.grow(id, &text);
            state.grown.remove(id);
            state.fresh_line();
            return;
        }
        state.line(&text);
    }
}

impl Frontend for Screen {
    fn stream(&self, stream: Stream, bytes: &[u8]) {
        let mut state = self.state();
        state.clear_bar();
        match stream {
            Stream::Stdout => state.write(bytes),
            Stream::Stderr => state.write_error(bytes),
        }
    }

    fn display(&self, rich: &Rich, display_id: Option<&str>) {
        match display_id {
            Some(id) if rich.live => self.passing(rich, id),
            id => self.lasting(rich, id),
        }
    }

    fn update_display(&self, rich: &Rich, display_id: &str) {
        self.display(rich, Some(display_id));
    }

    fn result(&self, rich: &Rich) {
        self.lasting(rich, None);
    }

    /// What was written stays: a terminal's reader may want it.
    fn clear_output(&self, _: bool) {
        self.state().clear_bar();
    }

    fn error(&self, error: &CellError) {
        let colours = self.look.colours && io::stderr().is_terminal();
        let lines: Vec<String> = error
            .traceback
            .iter()
            .map(|line| if colours { line.clone() } else { without_escapes(line) })
            .collect();
        let text = if lines.is_empty() {
            format!("{}: {}", error.ename, error.evalue)
        } else {
            lines.join("\n")
        };
        let mut state = self.state();
        if state.closed {
            return;
        }
        state.clear_bar();
        state.fresh_line();
        state.write_error(format!("{text}\n").as_bytes());
    }

    fn page(&self, rich: &Rich) {
        self.lasting(rich, None);
    }

    /// There is no next cell to put it into, so it is shown.
    fn set_next_input(&self, text: &str, _: bool) {
        self.lasting(&Rich::plain(text), None);
    }

    fn input<'a>(&'a self, prompt: &'a str, password: bool) -> Answer<'a> {
        let mut state = self.state();
        state.clear_bar();
        state.write(prompt.as_bytes());
        state.at_start = true;
        drop(state);
        Box::pin(async move {
            tokio::task::spawn_blocking(move || keyboard::line(password)).await.ok().flatten()
        })
    }

    /// A bar moves ten times a second; a pipe gets a line every two seconds.
    fn display_interval(&self) -> Duration {
        Duration::from_millis(if self.look.terminal { 100 } else { 2000 })
    }
}

impl State {
    /// Whether a line has said already how far this is.
    fn is_told(&mut self, rich: &Rich) -> bool {
        let Source::Progress(progress) = &rich.source else { return false };
        let now = (progress.label.clone(), progress.done);
        std::mem::replace(&mut self.last, now.clone()) == now
    }

    fn write(&mut self, bytes: &[u8]) {
        let written = self.out.write_all(bytes).and_then(|()| self.out.flush());
        if written.is_err() && !std::mem::replace(&mut self.closed, true) {
            self.left.notify_one();
        }
        if let Some(last) = bytes.last() {
            self.at_start = *last == b'\n';
        }
    }

    fn write_error(&mut self, bytes: &[u8]) {
        // Where even this fails there is nobody to tell.
        let _ = self.err.write_all(bytes).and_then(|()| self.err.flush());
    }

    fn line(&mut self, text: &str) {
        self.fresh_line();
        self.write(format!("{}\n", text.trim_end_matches('\n')).as_bytes());
    }

    /// Ends a line that was left open.
    fn fresh_line(&mut self) {
        if !self.at_start {
            self.write(b"\n");
        }
    }

    fn clear_bar(&mut self) {
        if std::mem::take(&mut self.bar) {
            self.write(b"\r\x1b[K");
            self.at_start = true;
        }
    }

    /// Writes what is new of a text; a text that changed is written again from its start.
    fn grow(&mut self, id: &str, text: &str) {
        self.clear_bar();
        let before = self.grown.insert(id.to_owned(), text.to_owned());
        let shown = before.as_deref().unwrap_or("");
        match text.strip_prefix(shown) {
            Some(more) => {
                if shown.is_empty() {
                    self.fresh_line();
                }
                self.write(more.as_bytes());
            }
            None => {
                self.fresh_line();
                self.write(text.as_bytes());
            }
        }
    }
}

/// `text` without the escape sequences that colour it.
fn without_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(next) = chars.next() {
        if next == '\u{1b}' {
            chars.find(char::is_ascii_alphabetic);
        } else {
            out.push(next);
        }
    }
    out
}

#[cfg(test)]
pub(crate) mod tests;
