//! Displays that change while a cell runs: the loss plot, progress bars, generated text and the
//! status of the engine.
//!
//! Each display is shown once and then updated under its identifier, at most once per interval and
//! with the latest state only, so that the page never slows down training. The last update of a
//! plot is a static figure, which a saved notebook keeps.

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

/// A status or progress bar that ends sooner is never shown.
const DISPLAY_DELAY: Duration = Duration::from_millis(300);

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
    /// The live table, shown below the bar.
    live_blocks: Vec<Block>,
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
    /// No displays yet; each is updated at most once per `interval`.
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

    /// Shows an output of the engine, at once or at the next redraw. An input request is returned
    /// instead.
    pub(crate) fn handle(
        &mut self,
        output: EngineEvent,
        frontend: &dyn Frontend,
    ) -> Option<InputRequest> {
        match output {
            EngineEvent::Stdout(bytes) => frontend.stream(Stream::Stdout, &bytes),
            EngineEvent::Stderr(bytes) => frontend.stream(Stream::Stderr, &bytes),
            EngineEvent::Session(event) => self.event(event, frontend),
            EngineEvent::Status(line) => self.status(line, frontend),
            EngineEvent::Notice(failure) => {
                frontend.display(&Rich::from_block(&notice(&failure)), None)
            }
            EngineEvent::Input { prompt, password, answer } => {
                return Some(InputRequest { prompt, password, answer });
            }
        }
        None
    }

    /// When the next redraw is due; `None` if nothing has changed.
    pub(crate) fn next_redraw(&self) -> Option<Instant> {
        self.slots().filter_map(Slot::due).min()
    }

    /// Redraws the displays that are due.
    pub(crate) fn redraw(&mut self, frontend: &dyn Frontend) {
        let now = Instant::now();
        if let Some(view) = self.run.as_mut().filter(|view| view.slot.is_due(now)) {
            view.redraw(frontend, self.interval);
        }
        if let Some(view) = self.progress.as_mut().filter(|view| view.slot.is_due(now)) {
            let rich = progress(view).live();
            view.slot.show(&rich, frontend, self.interval);
        }
        if let Some(view) = self.text.as_mut().filter(|view| view.slot.is_due(now)) {
            let rich = Rich::from_block(&generated(&self.prompt, &view.text)).live();
            view.slot.show(&rich, frontend, self.interval);
        }
        if let Some(view) = self.status.as_mut().filter(|view| view.slot.is_due(now)) {
            let rich = Rich::plain(view.line.clone()).live();
            view.slot.show(&rich, frontend, self.interval);
        }
    }

    /// Replaces the text shown during generation by its final form; `false` if none was shown.
    pub(crate) fn replace_text(&mut self, rich: &Rich, frontend: &dyn Frontend) -> bool {
        self.text.take().is_some_and(|mut view| view.slot.replace(rich, frontend))
    }

    /// Replaces the progress bar by the result; `false` if none was shown.
    pub(crate) fn replace_progress(&mut self, rich: &Rich, frontend: &dyn Frontend) -> bool {
        self.progress.take().is_some_and(|mut view| view.slot.replace(rich, frontend))
    }

    /// Shows the final state of all displays at the end of the cell.
    pub(crate) fn finish(&mut self, frontend: &dyn Frontend) {
        if let Some(mut view) = self.run.take() {
            view.finish(None, frontend);
        }
        self.end_progress(frontend);
        if let Some(mut view) = self.text.take().filter(|view| view.slot.due().is_some()) {
            view.slot.show(
                &Rich::from_block(&generated(&self.prompt, &view.text)),
                frontend,
                self.interval,
            );
        }
        self.end_status(frontend);
    }

    fn event(&mut self, event: Event, frontend: &dyn Frontend) {
        match event {
            Event::RunStarted(started) => self.start_run(RunView::new(started), frontend),
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
                    view.live_blocks = blocks;
                    view.slot.mark_changed();
                }
            }
            Event::Note { level, text } => {
                frontend.display(&Rich::from_block(&Block::Note(level, text)), None)
            }
            Event::Text(piece) => self.add_text(&piece),
            Event::Display(bundle) => {
                let rich = Rich { mime: bundle.data, ..Rich::default() };
                show_or_update(&rich, bundle.display_id.as_deref(), bundle.update, frontend);
            }
            Event::Named { block, display_id, update } => {
                show_or_update(&Rich::from_block(&block), Some(&display_id), update, frontend)
            }
            Event::Block(block) => frontend.display(&Rich::from_block(&block), None),
            Event::ClearOutput { wait } => frontend.clear_output(wait),
        }
    }

    /// Shows a new run in place of the previous one.
    fn start_run(&mut self, run: RunView, frontend: &dyn Frontend) {
        self.end_progress(frontend);
        if let Some(mut view) = self.run.replace(run) {
            view.finish(None, frontend);
        }
    }

    /// Adds a piece to the generated text.
    fn add_text(&mut self, piece: &str) {
        let view =
            self.text.get_or_insert_with(|| TextView { slot: Slot::new(), text: String::new() });
        view.text.push_str(piece);
        view.slot.mark_changed();
    }

    /// Updates the progress bar. A command has a single bar, which each phase reuses.
    fn progress(&mut self, label: String, done: u64, total: u64) {
        let previous = self.progress.take().map(|view| (view.slot, view.live_blocks));
        let (slot, live_blocks) =
            previous.unwrap_or_else(|| (Slot::after(DISPLAY_DELAY), Vec::new()));
        self.progress
            .insert(ProgressView { slot, label, done, total, live_blocks })
            .slot
            .mark_changed();
    }

    fn end_progress(&mut self, frontend: &dyn Frontend) {
        if let Some(mut view) = self.progress.take() {
            // The live table of an interrupted comparison is a result, which terminals and saved
            // notebooks keep.
            let (charts, tables): (Vec<Block>, Vec<Block>) = std::mem::take(&mut view.live_blocks)
                .into_iter()
                .partition(|block| matches!(block, Block::Chart(_)));
            let rich = if tables.is_empty() { progress(&view) } else { Rich::from_blocks(&tables) };
            // Shown even if the progress bar never was.
            if !view.slot.replace(&rich, frontend) && !tables.is_empty() {
                frontend.display(&rich, None);
            }
            // A chart is an image, which cannot be in the same display as a table.
            charts.iter().for_each(|chart| frontend.display(&Rich::from_block(chart), None));
        }
    }

    fn status(&mut self, line: String, frontend: &dyn Frontend) {
        if line.is_empty() {
            return self.end_status(frontend);
        }
        let view = self.status.get_or_insert_with(|| StatusView {
            slot: Slot::after(DISPLAY_DELAY),
            since: Instant::now(),
            line: String::new(),
        });
        view.line = line;
        view.slot.mark_changed();
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

/// A request for a line of input from the user.
pub(crate) struct InputRequest {
    /// The prompt.
    pub(crate) prompt: String,
    /// Whether the input is hidden.
    pub(crate) password: bool,
    /// Receives the answer.
    pub(crate) answer: tokio::sync::oneshot::Sender<Option<String>>,
}

/// Displays a value, or updates the display with that identifier.
fn show_or_update(rich: &Rich, display_id: Option<&str>, update: bool, frontend: &dyn Frontend) {
    match display_id {
        Some(id) if update => frontend.update_display(rich, id),
        id => frontend.display(rich, id),
    }
}

/// A warning for a failure that no cell caused.
fn notice(failure: &Failure) -> Block {
    Block::Note(Level::Warning, failure.to_string())
}

/// Text during generation, without the probabilities of its tokens.
fn generated(prompt: &str, text: &str) -> Block {
    Block::Generated { prompt: prompt.to_owned(), text: text.to_owned(), pieces: Vec::new() }
}

fn progress(view: &ProgressView) -> Rich {
    let bar = Progress::of(&view.label, view.done, view.total);
    if view.live_blocks.is_empty() {
        Rich::from_progress(&bar)
    } else {
        Rich::from_live_table(&bar, &view.live_blocks)
    }
}

#[cfg(test)]
mod tests;
