//! The sink of a program without a notebook: the news goes to the terminal.

use graft_protocol::{Event, Snapshot};
use graft_session::Sink;

/// Prints what a reader wants to know and leaves out the rest.
pub(crate) struct Standalone;

impl Sink for Standalone {
    fn event(&self, _request: Option<u64>, event: Event) {
        if let Some(line) = line(&event) {
            println!("{line}");
        }
    }

    fn snapshot(&self, _snapshot: Snapshot) {}
}

fn line(event: &Event) -> Option<String> {
    match event {
        Event::RunStarted(run) => Some(format!(
            "{}: {} ({} of {} parameters trained)",
            run.run, run.title, run.trainable, run.total
        )),
        Event::Validation(validation) => Some(format!(
            "step {}: validation loss {}",
            validation.step,
            graft_spec::number::decimals(validation.loss, 4)
        )),
        Event::RunEnded(run) => Some(run.summary.clone()),
        Event::Note { text, .. } => Some(text.clone()),
        Event::Block(block) | Event::Named { block, .. } => Some(crate::plain::block(block)),
        Event::Display(bundle) => bundle.data.get("text/plain").cloned(),
        Event::Step(_)
        | Event::Progress { .. }
        | Event::LiveTable(_)
        | Event::Text(_)
        | Event::ClearOutput { .. } => None,
    }
}
