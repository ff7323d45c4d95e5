//! The session of a program without a notebook: status lines go to standard output.

use graft_protocol::{Event, Snapshot};
use graft_session::Sink;

/// Prints the start, validations and end of a run, notes, and what the program displays.
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
