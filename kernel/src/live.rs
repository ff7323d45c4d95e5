//! Displays that change while a cell runs: the loss plot, progress, text as it is generated, what the engine is doing.
//!
//! Each is shown once and then updated under its own name, at most once per interval, the newest state alone
//! (a training never waits for the page). The last update of a plot is a static figure, which is what a saved notebook keeps.

mod run_view;
mod slot;

use std::time::Duration;

use graft_protocol::{Block, Event, Level};
use graft_render::Progress;
use graft_spec::Failure;
use tokio::time::Instant;

use graft_engine::EngineEvent;
use graft_frontend::{Frontend, Rich, Stream};
use run_view::RunView;
use slot::Slot;

/// A status or progress that ends sooner is never shown.
const PATIENCE: Duration = Duration::from_millis(300);

/// The live displays of one cell.
pub(crate) struct Live {
    interval: Duration,
    run: Option<RunView>,
    progress: Option<ProgressView>,
    text: Option<TextView>,
    status: Option<StatusView>,
    prompt: String,
}

struct ProgressView {
    slot: Slot,
    label: String,
    done: u64,
    total: u64,
    /// What stands so far, shown below the bar.
    standing: Vec<Block>,
}

struct TextView {
    slot: Slot,
    text: String,
}

struct StatusView {
    slot: Slot,
    since: Instant,
    line: String,
}

impl Live {
    /// None yet; updates come at most once per `interval`.
    pub(crate) fn new(interval: Duration) -> Self {
        Self {
            interval,
            run: None,
            progress: None,
            text: None,
            status: None,
            prompt: String::new(),
        }
    }

    /// The prompt that the next generated text continues.
    pub(crate) fn set_prompt(&mut self, prompt: &str) {
        prompt.clone_into(&mut self.prompt);
    }

    /// Draws, or remembers to draw, what the engine tells. A question for the user is not drawn but given back.
    pub(crate) fn take(
        &mut self,
        output: EngineEvent,
        frontend: &dyn Frontend,
    ) -> Option<Question> {
        match output {
            EngineEvent::Stdout(bytes) => frontend.stream(Stream::Stdout, &bytes),
            EngineEvent::Stderr(bytes) => frontend.stream(Stream::Stderr, &bytes),
            EngineEvent::Session(event) => self.event(event, frontend),
            EngineEvent::Status(line) => self.status(line, frontend),
            EngineEvent::Notice(failure) => {
                frontend.display(&Rich::from_block(&notice(&failure)), None)
            }
            EngineEvent::Input { prompt, password, answer } => {
                return Some(Question { prompt, password, answer });
            }
        }
        None
    }

    /// When the next update is due; none when nothing waits.
    pub(crate) fn next_draw(&self) -> Option<Instant> {
        self.slots().filter_map(Slot::due).min()
    }

    /// Makes the updates that are due.
    pub(crate) fn draw(&mut self, frontend: &dyn Frontend) {
        let now = Instant::now();
        if let Some(view) = self.run.as_mut().filter(|view| view.slot.is_due(now)) {
            view.draw(frontend, self.interval);
        }
        if let Some(view) = self.progress.as_mut().filter(|view| view.slot.is_due(now)) {
            let rich = progress(view).live();
            view.slot.show(&rich, frontend, self.interval);
        }
        if let Some(view) = self.text.as_mut().filter(|view| view.slot.is_due(now)) {
            let rich = Rich::from_block(&grown(&self.prompt, &view.text)).live();
            view.slot.show(&rich, frontend, self.interval);
        }
        if let Some(view) = self.status.as_mut().filter(|view| view.slot.is_due(now)) {
            let rich = Rich::plain(view.line.clone()).live();
            view.slot.show(&rich, frontend, self.interval);
        }
    }

    /// Puts a finished text in the place of the one that was shown while it grew. False when none was.
    pub(crate) fn replace_text(&mut self, rich: &Rich, frontend: &dyn Frontend) -> bool {
        self.text.take().is_some_and(|mut view| view.slot.replace(rich, frontend))
    }

    /// Puts what a progress bar led to in its place. False when none was shown.
    pub(crate) fn replace_progress(&mut self, rich: &Rich, frontend: &dyn Frontend) -> bool {
        self.progress.take().is_some_and(|mut view| view.slot.replace(rich, frontend))
    }

    /// The cell is over: everything gets its last state.
    pub(crate) fn finish(&mut self, frontend: &dyn Frontend) {
        if let Some(mut view) = self.run.take() {
            view.finish(None, frontend);
        }
        self.end_progress(frontend);
        if let Some(mut view) = self.text.take().filter(|view| view.slot.due().is_some()) {
            view.slot.show(
                &Rich::from_block(&grown(&self.prompt, &view.text)),
                frontend,
                self.interval,
            );
        }
        self.end_status(frontend);
    }

    fn event(&mut self, event: Event, frontend: &dyn Frontend) {
        match event {
            Event::RunStarted(started) => {
                self.end_progress(frontend);
                if let Some(mut view) = self.run.replace(RunView::new(started)) {
                    view.finish(None, frontend);
                }
            }
            Event::Step(step) => self.run.iter_mut().for_each(|view| view.step(step)),
            Event::Validation(validation) => {
                self.run.iter_mut().for_each(|view| view.validation(validation))
            }
            Event::RunEnded(ended) => {
                self.end_progress(frontend);
                if let Some(mut view) = self.run.take() {
                    view.finish(Some(&ended), frontend);
                }
            }
            Event::Progress { label, done, total } => self.progress(label, done, total),
            Event::LiveTable(blocks) => {
                if let Some(view) = &mut self.progress {
                    view.standing = blocks;
                    view.slot.change();
                }
            }
            Event::Note { level, text } => {
                frontend.display(&Rich::from_block(&Block::Note(level, text)), None)
            }
            Event::Text(piece) => {
                let view = self
                    .text
                    .get_or_insert_with(|| TextView { slot: Slot::new(), text: String::new() });
                view.text.push_str(&piece);
                view.slot.change();
            }
            Event::Display(bundle) => {
                let rich = Rich { mime: bundle.data, ..Rich::default() };
                place(&rich, bundle.display_id.as_deref(), bundle.update, frontend);
            }
            Event::Named { block, display_id, update } => {
                place(&Rich::from_block(&block), Some(&display_id), update, frontend)
            }
            Event::Block(block) => frontend.display(&Rich::from_block(&block), None),
            Event::ClearOutput { wait } => frontend.clear_output(wait),
        }
    }

    /// One bar for all that a command does before it answers: the next thing takes the place of the last.
    fn progress(&mut self, label: String, done: u64, total: u64) {
        let before = self.progress.take().map(|view| (view.slot, view.standing));
        let (slot, standing) = before.unwrap_or_else(|| (Slot::after(PATIENCE), Vec::new()));
        self.progress.insert(ProgressView { slot, label, done, total, standing }).slot.change();
    }

    fn end_progress(&mut self, frontend: &dyn Frontend) {
        if let Some(mut view) = self.progress.take() {
            // What a stopped comparison has reached is a result: a terminal and a stored notebook keep it too.
            let (charts, tables): (Vec<Block>, Vec<Block>) = std::mem::take(&mut view.standing)
                .into_iter()
                .partition(|block| matches!(block, Block::Chart(_)));
            let rich = if tables.is_empty() { progress(&view) } else { Rich::from_blocks(&tables) };
            // Also when it was shown for less than a moment.
            if !view.slot.replace(&rich, frontend) && !tables.is_empty() {
                frontend.display(&rich, None);
            }
            // A chart is a picture, which one display cannot hold next to a table.
            charts.iter().for_each(|chart| frontend.display(&Rich::from_block(chart), None));
        }
    }

    fn status(&mut self, line: String, frontend: &dyn Frontend) {
        if line.is_empty() {
            return self.end_status(frontend);
        }
        let view = self.status.get_or_insert_with(|| StatusView {
            slot: Slot::after(PATIENCE),
            since: Instant::now(),
            line: String::new(),
        });
        view.line = line;
        view.slot.change();
    }

    fn end_status(&mut self, frontend: &dyn Frontend) {
        if let Some(mut view) = self.status.take() {
            let line = format!(
                "{} {:.1} s",
                view.line.trim_end_matches(['…', '.']),
                view.since.elapsed().as_secs_f64()
            );
            view.slot.replace(&Rich::plain(line), frontend);
        }
    }

    fn slots(&self) -> impl Iterator<Item = &Slot> {
        let run = self.run.iter().map(|view| &view.slot);
        let progress = self.progress.iter().map(|view| &view.slot);
        let text = self.text.iter().map(|view| &view.slot);
        run.chain(progress).chain(text).chain(self.status.iter().map(|view| &view.slot))
    }
}

/// A cell asks the user for a line.
pub(crate) struct Question {
    /// What to show.
    pub(crate) prompt: String,
    /// Whether the answer must not be shown.
    pub(crate) password: bool,
    /// Where the answer goes.
    pub(crate) answer: tokio::sync::oneshot::Sender<Option<String>>,
}

/// Shows something, or puts it in the place of what has that name.
fn place(rich: &Rich, display_id: Option<&str>, update: bool, frontend: &dyn Frontend) {
    match display_id {
        Some(id) if update => frontend.update_display(rich, id),
        id => frontend.display(rich, id),
    }
}

/// A failure that no cell asked for, as a line to look at.
fn notice(failure: &Failure) -> Block {
    Block::Note(Level::Warning, failure.to_string())
}

/// A text while it is written; its shades come with the end.
fn grown(prompt: &str, text: &str) -> Block {
    Block::Generated { prompt: prompt.to_owned(), text: text.to_owned(), pieces: Vec::new() }
}

fn progress(view: &ProgressView) -> Rich {
    let bar = Progress::of(&view.label, view.done, view.total);
    if view.standing.is_empty() {
        Rich::from_progress(&bar)
    } else {
        Rich::from_live_table(&bar, &view.standing)
    }
}

#[cfg(test)]
mod tests;
