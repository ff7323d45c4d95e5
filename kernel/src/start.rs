//! Starting an engine with a template that is built first where it is missing.

use std::sync::Arc;
use std::time::Duration;

use graft_spec::Failure;
use tokio::sync::mpsc;

use crate::launch::Start;
use graft_engine::Executor;
use graft_engine::{Engine, EngineEvent, EngineOptions};
use graft_frontend::OutputBudget;
use graft_prebuilt::{Dirs, PrebuiltLibrary, Variant};

/// The runtime of the host's sockets and cells.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::new("kernel::runtime", format!("cannot start threads: {error}")))
}

/// Starts engines for the kernel and for `graft run`; `grace` in seconds, what they print counted in `budget`.
pub(crate) fn starter(warm: bool, grace: f64, budget: OutputBudget) -> Arc<Start> {
    let grace = Duration::try_from_secs_f64(grace).unwrap_or(Duration::from_secs(10));
    Arc::new(move |output| {
        let template = ready_template(&output)?;
        let options = EngineOptions {
            prebuilt: template.layout.root().to_owned(),
            warm,
            cwd: std::env::current_dir().ok(),
            grace,
            budget: budget.clone(),
        };
        let engine: Arc<dyn Executor> = Arc::new(Engine::start(options, output)?);
        Ok(engine)
    })
}

/// The template of this program, built with visible progress where there is none.
pub(crate) fn ready_template(
    output: &mpsc::UnboundedSender<EngineEvent>,
) -> Result<PrebuiltLibrary, Failure> {
    let places = Dirs::user();
    if let Some(template) = graft_prebuilt::find(&places) {
        return Ok(template);
    }
    let tell = |text: String| drop(output.send(EngineEvent::Status(text)));
    tell("building the library that cells use; this is done once…".to_owned());
    let built = graft_prebuilt::build(&places, Variant::Plain, &mut |line| {
        tell(format!("building the library that cells use: {line}"))
    });
    tell(String::new());
    Ok(built?)
}
