//! An engine for tests: each line of a Rust cell names an action; session commands answer at once.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use graft_protocol::{
    Block, Command, Event, Reply, RunEnded, RunOutcome, RunStarted, Snapshot, StepRecord,
};
use graft_spec::Failure;
use tokio::sync::{mpsc, oneshot};

use graft_engine::{
    EngineEvent, Executor, RustCompletion, RustError, RustInspection, RustOutput, Work,
};
use graft_frontend::Interrupt;

/// Executes the instructions of a Rust cell: `print TEXT`, `eprint TEXT`, `value TEXT`, `show
/// TEXT`, `ask PROMPT`, `secret PROMPT`, `clear`, `wait` (for an interrupt), `fail TEXT` and
/// `panic`.
pub(crate) struct ScriptedEngine {
    events: mpsc::UnboundedSender<EngineEvent>,
    interrupt: Interrupt,
    /// The calls in order.
    pub(crate) calls: Arc<Mutex<Vec<String>>>,
}

impl ScriptedEngine {
    /// An engine that sends its events to `events`.
    pub(crate) fn new(events: mpsc::UnboundedSender<EngineEvent>) -> Self {
        Self { events, interrupt: Interrupt::default(), calls: Arc::default() }
    }

    fn send(&self, event: EngineEvent) {
        self.events.send(event).unwrap();
    }

    fn event(&self, event: Event) {
        self.send(EngineEvent::Session(event));
    }

    fn note(&self, call: impl Into<String>) {
        self.calls.lock().unwrap().push(call.into());
    }

    async fn line(&self, line: &str, mime: &mut RustOutput) -> Result<(), RustError> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "print" => self.send(EngineEvent::Stdout(format!("{rest}\n").into())),
            "eprint" => self.send(EngineEvent::Stderr(format!("{rest}\n").into())),
            "value" => mime.mime.push([("text/plain".to_owned(), rest.to_owned())].into()),
            "clear" => self.event(Event::ClearOutput { wait: true }),
            "show" => self.event(Event::Block(Block::Text(rest.to_owned()))),
            "ask" | "secret" => {
                let (answer, wait) = oneshot::channel();
                self.send(EngineEvent::Input {
                    prompt: rest.to_owned(),
                    password: word == "secret",
                    answer,
                });
                match wait.await.unwrap() {
                    Some(typed) => self.send(EngineEvent::Stdout(format!("got {typed}\n").into())),
                    None => return Err(error("Input", "no input")),
                }
            }
            "wait" => {
                self.send(EngineEvent::Stdout("waiting\n".into()));
                self.interrupt.pressed().await;
                return Err(error("Interrupted", "the cell was interrupted"));
            }
            "fail" => return Err(error("Failed", rest)),
            "panic" => panic!("the engine itself broke"),
            _ => {}
        }
        Ok(())
    }

    async fn train(&self) -> Reply {
        let run = "run-1".to_owned();
        let started = RunStarted {
            run: run.clone(),
            title: "lora on tiny".into(),
            first_step: 0,
            steps: 50,
            trainable: 1,
            total: 2,
            earlier: vec![],
            earlier_validations: vec![],
            best: String::new(),
        };
        self.event(Event::RunStarted(started));
        for step in 1..=50 {
            self.event(Event::Step(StepRecord {
                step,
                loss: 1.0 / step as f64,
                lr: 1e-3,
                grad_norm: 1.0,
                tokens_per_second: 1e3,
                elapsed_seconds: step as f64,
                rewards: None,
            }));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.event(Event::RunEnded(RunEnded {
            run,
            outcome: RunOutcome::Finished,
            step: 50,
            memory: None,
            summary: "done".into(),
        }));
        Reply::text("trained")
    }
}

fn error(ename: &str, evalue: &str) -> RustError {
    RustError {
        ename: ename.to_owned(),
        evalue: evalue.to_owned(),
        traceback: vec![format!("{ename}: {evalue}")],
    }
}

impl Executor for ScriptedEngine {
    fn command(&self, command: Command) -> Work<'_, Result<Reply, Failure>> {
        Box::pin(async move {
            match command {
                Command::Status => Ok(Reply::text("no model")),
                Command::Eval { .. } => {
                    for done in 1..=40 {
                        self.event(Event::Progress { label: "evaluating".into(), done, total: 40 });
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                    Ok(Reply::text("accuracy 0.9"))
                }
                Command::Train { .. } => Ok(self.train().await),
                Command::Generate { prompt, .. } => {
                    for piece in ["once ", "upon ", "a time"] {
                        self.event(Event::Text(piece.to_owned()));
                        tokio::time::sleep(Duration::from_millis(30)).await;
                    }
                    Ok(Reply::one(Block::Generated {
                        prompt,
                        text: "once upon a time".into(),
                        pieces: Vec::new(),
                    }))
                }
                other => {
                    Err(Failure::new("script::unknown", format!("{other:?} is not in the script"))
                        .hint("use another"))
                }
            }
        })
    }

    fn rust<'a>(&'a self, code: &'a str) -> Work<'a, Result<RustOutput, RustError>> {
        Box::pin(async move {
            self.interrupt.clear();
            let mut output = RustOutput::default();
            for line in code.lines().filter(|line| !line.is_empty()) {
                self.line(line.trim_end_matches(';'), &mut output).await?;
            }
            Ok(output)
        })
    }

    fn complete_rust<'a>(
        &'a self,
        code: &'a str,
        byte: usize,
    ) -> Work<'a, Option<Vec<RustCompletion>>> {
        let start = code[..byte].rfind([' ', '.']).map_or(0, |at| at + 1);
        Box::pin(async move {
            Some(vec![RustCompletion {
                text: "length".into(),
                kind: "function".into(),
                start,
                end: byte,
            }])
        })
    }

    fn inspect_rust<'a>(
        &'a self,
        _code: &'a str,
        _byte: usize,
    ) -> Work<'a, Option<RustInspection>> {
        Box::pin(async {
            Some(RustInspection { plain: "a name".into(), html: "<b>a name</b>".into() })
        })
    }

    fn interrupt(&self) -> Work<'_, ()> {
        self.note("interrupt");
        self.interrupt.press();
        Box::pin(async {})
    }

    fn drain(&self) -> Work<'_, ()> {
        Box::pin(async {})
    }

    fn restart(&self) -> Work<'_, ()> {
        self.note("restart");
        Box::pin(async {})
    }

    fn shutdown(&self) -> Work<'_, ()> {
        self.note("shutdown");
        Box::pin(async {})
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::default()
    }

    fn variables(&self) -> Vec<(String, String)> {
        vec![("x".to_owned(), "i32".to_owned())]
    }

    fn set_env(&self, name: &str, value: &str) {
        self.note(format!("env {name}={value}"));
    }

    fn set_cwd(&self, path: &Path) {
        self.note(format!("cwd {}", path.display()));
    }
}
