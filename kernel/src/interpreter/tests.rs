//! The interpreter with a scripted engine.

use super::*;
use crate::scripted_engine::ScriptedEngine;
use graft_engine::Executor;

fn config() -> KernelConfig {
    let factory: Arc<EngineFactory> =
        Arc::new(|output| Ok(Arc::new(ScriptedEngine::new(output)) as Arc<dyn Executor>));
    kernel_config(factory, OutputBudget::default(), History::in_memory())
}

/// A frontend that keeps the last display or page as text.
#[derive(Default)]
struct LastText(std::sync::Mutex<String>);

impl LastText {
    fn keep(&self, rich: &Rich) {
        self.0.lock().unwrap().replace_range(.., rich.text());
    }
}

impl Frontend for LastText {
    fn stream(&self, _: graft_frontend::Stream, _: &[u8]) {}

    fn display(&self, rich: &Rich, _: Option<&str>) {
        self.keep(rich);
    }

    fn update_display(&self, rich: &Rich, _: &str) {
        self.keep(rich);
    }

    fn result(&self, rich: &Rich) {
        self.keep(rich);
    }

    fn clear_output(&self, _: bool) {}

    fn error(&self, _: &CellError) {}

    fn page(&self, rich: &Rich) {
        self.keep(rich);
    }

    fn set_next_input(&self, _: &str, _: bool) {}

    fn input<'a>(&'a self, _: &'a str, _: bool) -> graft_frontend::Answer<'a> {
        Box::pin(std::future::ready(None))
    }
}

#[tokio::test]
async fn magics_complete_while_a_cell_runs_and_rust_completes_by_code_point() {
    let interpreter = config().interpreter;
    let shown = LastText::default();
    interpreter.execute("%status", &shown).await.unwrap();
    assert_eq!(*shown.0.lock().unwrap(), "no model");
    let running = interpreter.execute("wait", &shown);
    tokio::pin!(running);
    assert!(futures::poll!(running.as_mut()).is_pending());
    let magic = interpreter.complete("%stat", 5).await;
    assert_eq!((magic.start, magic.end, magic.items[0].text.as_str()), (0, 5, "%status"));
    let rust = interpreter.complete("e\u{301}😀.len", 7).await;
    assert_eq!((rust.start, rust.end, rust.items[0].text.as_str()), (4, 7, "length"));
    let inspected = interpreter.inspect("e\u{301}😀.len", 7, 0).await.unwrap();
    assert_eq!(inspected.mime["text/html"], "<b>a name</b>");
    interpreter.interrupt().await;
    assert_eq!(running.await.unwrap_err().ename, "Interrupted");
}

#[tokio::test]
async fn help_of_a_magic_goes_to_the_pager() {
    let shown = LastText::default();
    config().interpreter.execute("%train?", &shown).await.unwrap();
    assert!(shown.0.lock().unwrap().contains("steps"));
}

#[tokio::test]
async fn recorded_cells_are_listed_by_the_history_magic() {
    let interpreter = config().interpreter;
    interpreter.record("let x = 1;").await;
    let shown = LastText::default();
    interpreter.execute("%history", &shown).await.unwrap();
    assert_eq!(*shown.0.lock().unwrap(), "let x = 1;");
}
