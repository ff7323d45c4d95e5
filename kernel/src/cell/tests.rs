use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::mpsc;

use super::*;
use crate::scripted_engine::ScriptedEngine;
use graft_frontend::OutputBudget;
use graft_frontend::{Answer, Stream};

/// Records the calls, one line each.
#[derive(Default)]
struct Recorder {
    lines: Mutex<Vec<String>>,
    answer: Option<String>,
}

impl Recorder {
    fn note(&self, line: String) {
        self.lines.lock().unwrap().push(line);
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}

impl Frontend for Recorder {
    fn stream(&self, stream: Stream, bytes: &[u8]) {
        self.note(format!("{stream:?} {}", String::from_utf8_lossy(bytes).trim_end()));
    }

    fn display(&self, rich: &Rich, id: Option<&str>) {
        let types: Vec<&str> = rich.mime.keys().map(String::as_str).collect();
        self.note(format!(
            "display{} {} [{}]",
            if id.is_some() { " live" } else { "" },
            rich.text(),
            types.join(" ")
        ));
    }

    fn update_display(&self, rich: &Rich, _id: &str) {
        let types: Vec<&str> = rich.mime.keys().map(String::as_str).collect();
        self.note(format!("update {} [{}]", rich.text(), types.join(" ")));
    }

    fn result(&self, rich: &Rich) {
        self.note(format!("result {}", rich.text()));
    }

    fn clear_output(&self, wait: bool) {
        self.note(format!("clear {wait}"));
    }

    fn error(&self, error: &CellError) {
        self.note(format!("error {}: {}", error.ename, error.evalue));
    }

    fn page(&self, rich: &Rich) {
        self.note(format!("page {}", rich.text().lines().next().unwrap_or_default()));
    }

    fn set_next_input(&self, text: &str, replace: bool) {
        self.note(format!("next {text} {replace}"));
    }

    fn input<'a>(&'a self, _prompt: &'a str, _password: bool) -> Answer<'a> {
        Box::pin(async { self.answer.clone() })
    }

    fn display_interval(&self) -> Duration {
        Duration::from_millis(15)
    }
}

async fn run_all(cells: &[&str], recorder: &Recorder) -> Vec<Result<(), CellError>> {
    let (output, outputs) = mpsc::unbounded_channel();
    let engine_handle = EngineHandle::start(
        Arc::new(|output| Ok(Arc::new(ScriptedEngine::new(output)) as Arc<dyn Executor>)),
        output,
    );
    let mut runner =
        CellRunner::new(engine_handle, outputs, Interrupt::default(), OutputBudget::default());
    let mut results = Vec::new();
    for cell in cells {
        results.push(runner.run(cell, recorder).await);
        runner.record(cell);
    }
    results
}

async fn run(cell: &str) -> (Result<(), CellError>, Vec<String>) {
    let recorder = Recorder { answer: Some("Ada".to_owned()), ..Recorder::default() };
    let result = run_all(&[cell], &recorder).await.remove(0);
    (result, recorder.lines())
}

#[tokio::test]
async fn magics_and_rust_run_in_order() {
    let (result, lines) = run("print a;\n%status\nprint b;\nvalue 3").await;
    assert_eq!(result, Ok(()));
    assert_eq!(
        lines,
        ["Stdout a", "display no model [text/html text/plain]", "Stdout b", "result 3"]
    );
}

#[tokio::test]
async fn a_value_that_is_not_the_last_is_a_display() {
    let (_, lines) = run("value 1\n%status").await;
    assert_eq!(lines[0], "display 1 [text/plain]");
}

#[tokio::test]
async fn nothing_runs_when_a_magic_is_wrong() {
    let (result, lines) = run("print a;\n%statsu").await;
    assert_eq!(result.unwrap_err().ename, "UsageError");
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with("error UsageError"), "{lines:?}");
    assert!(lines[0].contains("%status"), "{lines:?}");
}

#[tokio::test]
async fn an_error_ends_the_cell_and_is_shown_once() {
    let (result, lines) = run("fail broken\n%status").await;
    assert_eq!(result.unwrap_err().evalue, "broken");
    assert_eq!(lines, ["error Failed: broken"]);
}

#[tokio::test]
async fn training_is_one_live_display_that_ends_as_a_figure() {
    let (_, lines) = run("%train steps=50").await;
    assert!(lines[0].starts_with("display live step"), "{lines:?}");
    let updates = lines.iter().filter(|line| line.starts_with("update step")).count();
    assert!((1..50).contains(&updates), "{updates} updates of 50 steps");
    let figure = &lines[lines.len() - 2];
    assert!(
        figure.starts_with("update ") && figure.ends_with("[image/png image/svg+xml text/plain]"),
        "{figure}"
    );
    assert_eq!(lines.last().unwrap(), "display trained [text/html text/plain]");
}

#[tokio::test]
async fn generated_text_is_replaced_by_its_final_form() {
    let (_, lines) = run("%generate \"Say\"").await;
    assert!(lines[0].starts_with("display live"), "{lines:?}");
    assert!(
        lines.last().unwrap().starts_with("update ")
            && lines.last().unwrap().contains("once upon a time"),
        "{lines:?}"
    );
    assert_eq!(lines.iter().filter(|line| line.starts_with("display")).count(), 1);
}

#[tokio::test]
async fn a_progress_bar_is_replaced_by_the_result() {
    let (_, lines) = run("%eval").await;
    assert!(lines[0].starts_with("display live evaluating"), "{lines:?}");
    assert_eq!(lines.last().unwrap(), "update accuracy 0.9 [text/html text/plain]");
}

#[tokio::test]
async fn a_cell_asks_for_input_and_receives_the_answer() {
    let (_, lines) = run("ask name?").await;
    assert_eq!(lines, ["Stdout got Ada"]);
}

#[tokio::test]
async fn displays_and_clearing_arrive_in_order() {
    let (_, lines) = run("show one\nclear\nshow two").await;
    assert_eq!(
        lines,
        ["display one [text/html text/plain]", "clear true", "display two [text/html text/plain]"]
    );
}

#[tokio::test]
async fn a_shell_line_streams_and_shows_its_status() {
    let (result, lines) = run("!echo out; echo err >&2; exit 3").await;
    assert_eq!(result, Ok(()));
    assert!(
        lines.contains(&"Stdout out".to_owned()) && lines.contains(&"Stderr err".to_owned()),
        "{lines:?}"
    );
    assert_eq!(lines.last().unwrap(), "display exit status 3 [text/plain]");
}

#[tokio::test]
async fn a_shell_line_with_a_background_process_ends() {
    let (result, lines) = run("!sleep 1000 & echo $!").await;
    assert_eq!(result, Ok(()));
    let left: u32 = lines[0].trim_start_matches("Stdout ").parse().unwrap();
    assert!(is_alive(left), "the background process keeps running");
    graft_prebuilt::process::signal(left, libc::SIGKILL);
}

#[tokio::test]
async fn an_interrupt_ends_a_shell_line_and_all_its_processes() {
    let (output, outputs) = mpsc::unbounded_channel();
    let engine_handle = EngineHandle::start(
        Arc::new(|output| Ok(Arc::new(ScriptedEngine::new(output)) as Arc<dyn Executor>)),
        output,
    );
    let (interrupt, recorder) = (Interrupt::default(), Recorder::default());
    let mut runner =
        CellRunner::new(engine_handle, outputs, interrupt.clone(), OutputBudget::default());
    let press = async {
        while recorder.lines().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        interrupt.press();
    };
    // Background processes of the shell ignore SIGINT.
    let (result, ()) = tokio::join!(runner.run("!sleep 1000 & echo $!; wait", &recorder), press);
    assert_eq!(result.unwrap_err().ename, "Interrupted");
    let left: u32 = recorder.lines()[0].trim_start_matches("Stdout ").parse().unwrap();
    while is_alive(left) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Whether a process exists and is not a zombie.
fn is_alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit(") ").next().is_some_and(|rest| !rest.starts_with('Z')))
}

#[tokio::test]
async fn a_variable_set_with_env_reaches_shell_lines() {
    let recorder = Recorder::default();
    run_all(&["%env GRAFT_TEST=42", "!echo $GRAFT_TEST"], &recorder).await;
    assert_eq!(recorder.lines()[1], "Stdout 42");
}

#[tokio::test]
async fn help_goes_to_the_pager_and_a_file_into_the_cell() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "print loaded").unwrap();
    let recorder = Recorder::default();
    run_all(
        &[
            "%train?",
            &format!("%load {}", file.path().display()),
            &format!("%run {}", file.path().display()),
        ],
        &recorder,
    )
    .await;
    let lines = recorder.lines();
    assert!(lines[0].starts_with("page %train"), "{lines:?}");
    assert_eq!(lines[1..], ["next print loaded true", "Stdout loaded"]);
}

#[tokio::test]
async fn a_missing_file_is_an_error_with_the_folder() {
    let (result, _) = run("%run /nonexistent/file.rs").await;
    let error = result.unwrap_err();
    assert!(error.evalue.contains("/nonexistent/file.rs"), "{}", error.evalue);
}

#[tokio::test]
async fn timing_is_shown_after_the_work() {
    let (_, lines) = run("%time print a").await;
    assert_eq!(lines[0], "Stdout a");
    assert!(lines[1].starts_with("Stdout wall time: "), "{lines:?}");
}

#[tokio::test]
async fn host_magics_work_without_an_engine() {
    let (output, outputs) = mpsc::unbounded_channel();
    let engine_handle = EngineHandle::start(
        Arc::new(|_| Err(Failure::new("engine::child", "no child").hint("graft doctor"))),
        output,
    );
    let mut runner =
        CellRunner::new(engine_handle, outputs, Interrupt::default(), OutputBudget::default());
    let recorder = Recorder::default();
    assert!(runner.run("%pwd", &recorder).await.is_ok());
    let error = runner.run("%status", &recorder).await.unwrap_err();
    assert_eq!((error.ename.as_str(), error.evalue.contains("no child")), ("engine::child", true));
}

#[tokio::test]
async fn python_and_magics_without_a_percent_sign_get_a_hint_without_the_engine() {
    let (output, outputs) = mpsc::unbounded_channel();
    let engine_handle = EngineHandle::start(
        Arc::new(|_| Err(Failure::new("engine::child", "no engine may be needed"))),
        output,
    );
    let mut runner =
        CellRunner::new(engine_handle, outputs, Interrupt::default(), OutputBudget::default());
    let recorder = Recorder::default();
    for (cell, hint) in [
        ("lora attach r=8", "%lora attach r=8"),
        ("import torch", "candle_core::Tensor"),
        ("help", "%help"),
        ("exit()", "%reset"),
        ("\nmodel.train()", "%train steps=200"),
        ("pip install torch", "!pip install torch"),
        ("%time import torch", "candle_core::Tensor"),
    ] {
        let begin = Instant::now();
        let error = runner.run(cell, &recorder).await.unwrap_err();
        assert!(error.evalue.contains(hint), "{cell}: {}", error.evalue);
        assert!(begin.elapsed() < Duration::from_millis(250), "{cell} took {:?}", begin.elapsed());
    }
    assert!(runner.run("lora?", &recorder).await.is_ok());
    assert!(recorder.lines().last().unwrap().starts_with("page %lora"), "{:?}", recorder.lines());
    assert!(runner.run("# a note\n  % seed?", &recorder).await.is_ok());
}

#[tokio::test]
async fn after_rust_has_run_the_hint_is_added_to_the_compiler_error() {
    let recorder = Recorder::default();
    let (output, outputs) = mpsc::unbounded_channel();
    let engine_handle = EngineHandle::start(
        Arc::new(|output| Ok(Arc::new(ScriptedEngine::new(output)) as Arc<dyn Executor>)),
        output,
    );
    let mut runner =
        CellRunner::new(engine_handle, outputs, Interrupt::default(), OutputBudget::default());
    assert!(runner.run("help", &recorder).await.is_err(), "nothing can be defined yet");
    assert!(runner.run("value 1", &recorder).await.is_ok());
    assert!(runner.run("help", &recorder).await.is_ok(), "it may be a variable by now");
    let error = |evalue: &str| CellError {
        ename: COMPILE_ERROR.to_owned(),
        evalue: evalue.to_owned(),
        traceback: Vec::new(),
    };
    let hint = |code: &str, evalue: &str| {
        with_hint(error(evalue), code, not_rust(code)).traceback.join("\n")
    };
    assert!(hint("help", "cannot find value `help` in this scope [E0425]").contains("%help"));
    assert!(hint("x = 5\ny = 6", "expected one of `.`, `;`, found `y`").contains("let x = 5;"));
    assert_eq!(hint("help", "mismatched types [E0308]"), "");
    assert!(
        hint("fn f() {}\n  %lora list", "expected expression, found `%`").contains("`%lora list`")
    );
}

#[tokio::test]
async fn writefile_writes_and_appends_the_body_of_the_cell() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("my notes.txt");
    let recorder = Recorder::default();
    let write = format!("%%writefile \"{}\"\n%params\nlet x = 1;", file.display());
    let append = format!("%%writefile -a \"{}\"\nmore", file.display());
    run_all(&[&write, &append], &recorder).await;
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "%params\nlet x = 1;\nmore\n");
    let lines = recorder.lines();
    assert!(
        lines[0].contains(&format!("wrote `{}` (19 bytes)", file.display()))
            && lines[1].contains("appended to"),
        "{lines:?}"
    );
}

#[tokio::test]
async fn python_style_arguments_are_accepted_and_those_without_effect_are_listed() {
    let (_, lines) = run("%train max_steps=5, fp16=True, report_to=\"none\"").await;
    assert!(
        lines[0].contains("no effect here: `fp16`") && lines[0].contains("`report_to`"),
        "{lines:?}"
    );
    assert!(
        lines.last().unwrap().starts_with("display trained")
            || lines.last().unwrap().starts_with("update trained"),
        "{lines:?}"
    );
    let (result, lines) = run("%matplotlib inline").await;
    assert!(result.is_ok() && lines[0].contains("no setup needed"), "{lines:?}");
}
