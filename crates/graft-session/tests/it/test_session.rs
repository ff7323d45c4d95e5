//! A session with a small random model, small data and a sink that records its events.
#![allow(unsafe_code)]

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use graft_protocol::{AdapterAction, Block, Command, Event, Reply, Snapshot};
use graft_session::{Session, Sink};
use graft_spec::{Failure, Settings, Value, training};

use crate::tiny::{colors, write_model};

/// The folder of runs is a property of the process, so tests run one at a time.
static TURN: Mutex<()> = Mutex::new(());

/// The environment of one test: a model folder, a folder of runs, and a session.
pub(crate) struct TestSession {
    pub(crate) session: Arc<Session>,
    pub(crate) sink: Arc<RecordingSink>,
    pub(crate) folder: tempfile::TempDir,
    _turn: MutexGuard<'static, ()>,
}

type Reaction = Box<dyn FnMut(&Event) + Send>;

/// Records all events, and can react to them on the job thread.
#[derive(Default)]
pub(crate) struct RecordingSink {
    events: Mutex<Vec<Event>>,
    snapshots: Mutex<Vec<Snapshot>>,
    reaction: Mutex<Option<Reaction>>,
}

impl Sink for RecordingSink {
    fn event(&self, _request: Option<u64>, event: Event) {
        if let Some(react) = self.reaction.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            react(&event);
        }
        self.events.lock().unwrap().push(event);
    }

    fn snapshot(&self, snapshot: Snapshot) {
        self.snapshots.lock().unwrap().push(snapshot);
    }
}

impl RecordingSink {
    pub(crate) fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }

    pub(crate) fn snapshots(&self) -> Vec<Snapshot> {
        self.snapshots.lock().unwrap().clone()
    }

    pub(crate) fn losses(&self) -> Vec<(u64, f64)> {
        let steps = self.events().into_iter().filter_map(|event| {
            if let Event::Step(step) = event { Some((step.step, step.loss)) } else { None }
        });
        steps.collect()
    }

    pub(crate) fn react(&self, reaction: impl FnMut(&Event) + Send + 'static) {
        *self.reaction.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(reaction));
    }
}

impl TestSession {
    /// An empty session and a model folder.
    pub(crate) fn new() -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().unwrap();
        // SAFETY: tests that read or write the environment hold the lock.
        unsafe { std::env::set_var("GRAFT_RUNS", folder.path().join("runs")) };
        write_model(&folder.path().join("model"), 4);
        let sink = Arc::new(RecordingSink::default());
        Self { session: Session::new(sink.clone()), sink, folder, _turn: turn }
    }

    /// A session with model and data.
    pub(crate) fn ready() -> Self {
        let test = Self::new();
        test.load_model();
        test.run(Command::DataInline {
            name: "colors".to_owned(),
            text: colors(),
            settings: Settings::default(),
        })
        .unwrap();
        test
    }

    /// A session with model, data and a LoRA.
    pub(crate) fn attached() -> Self {
        let test = Self::ready();
        test.attach("r=2 lora_alpha=4").unwrap();
        test
    }

    /// A new, empty session in the same folders, as after a crash of the child process.
    pub(crate) fn restarted(self) -> Self {
        let sink = Arc::new(RecordingSink::default());
        Self { session: Session::new(sink.clone()), sink, folder: self.folder, _turn: self._turn }
    }

    /// Executes a command. The parser must accept the commands in the hint of a failure.
    pub(crate) fn run(&self, command: Command) -> Result<Reply, Failure> {
        let result = self.session.execute(command);
        if let Err(Failure { message, hint: Some(hint), .. }) = &result {
            for command in crate::next_steps::commands(hint) {
                assert!(
                    crate::next_steps::is_understood(command, &self.session.snapshot()),
                    "`{command}`, the hint of `{message}`, is not understood"
                );
            }
        }
        result
    }

    pub(crate) fn model_folder(&self) -> String {
        self.folder.path().join("model").display().to_string()
    }

    pub(crate) fn load_model(&self) {
        self.run(Command::ModelLoad { source: self.model_folder(), settings: Settings::default() })
            .unwrap();
    }

    pub(crate) fn attach(&self, keys: &str) -> Result<Reply, Failure> {
        let settings = keys_of(graft_spec::methods::lora::SPEC.keys, keys);
        self.adapter(AdapterAction::Attach { settings })
    }

    pub(crate) fn adapter(&self, action: AdapterAction) -> Result<Reply, Failure> {
        self.run(Command::Adapter { method: "lora".to_owned(), action })
    }

    pub(crate) fn train(&self, keys: &str) -> Result<Reply, Failure> {
        self.run(Command::Train { attach: None, settings: keys_of(training::TRAIN, keys) })
    }

    /// Greedily generated text, which differs between models.
    pub(crate) fn text(&self) -> String {
        let settings = keys_of(training::GENERATE, "max_new_tokens=24");
        let reply =
            self.run(Command::Generate { prompt: "the sky is".to_owned(), settings }).unwrap();
        let Some(Block::Generated { text, .. }) = reply.blocks.into_iter().next() else {
            panic!("no text")
        };
        text
    }
}

/// `a=1 b=2`, as the magics parse it.
pub(crate) fn keys_of(specs: &[graft_spec::KeySpec], keys: &str) -> Settings {
    let mut settings = Settings::default();
    for (name, value) in keys.split_whitespace().map(|pair| pair.split_once('=').unwrap()) {
        let spec = specs.iter().find(|spec| spec.is_named(name)).unwrap();
        settings
            .set(spec.name, spec.parse(value).unwrap_or_else(|_| Value::Text(value.to_owned())));
    }
    settings
}
