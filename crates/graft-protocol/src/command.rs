//! The requests a user can make of the session. Every magic that is executed in the child parses to
//! one of them.

use serde::{Deserialize, Serialize};

use graft_spec::{Settings, Value};

/// One request to the session. Keys in the [`Settings`] are canonical and validated; absent keys
/// have their defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// `%model load SOURCE`: `tiny`, a Hugging Face folder, or `ORG/NAME` on the Hub. Keys
    /// [`graft_spec::training::MODEL`].
    ModelLoad {
        /// Name, folder or Hub repository of the model.
        source: String,
        /// Options of the load.
        settings: Settings,
    },
    /// `%model resize_tokens 260`: loads the current model again with more or fewer tokens. Keys
    /// [`graft_spec::training::MODEL_RESIZE`].
    ModelResize {
        /// The number of tokens, or the tokens to add.
        settings: Settings,
    },
    /// `%model`: a summary of the current model, and its README.
    ModelCard,
    /// `%model tree`: the modules of the model with their shapes.
    ModelTree,
    /// `%model save DIR`: writes a plain Hugging Face folder with merged adapters. Keys
    /// [`graft_spec::training::MODEL_SAVE`].
    ModelSave {
        /// The folder; created if missing.
        directory: String,
        /// Options of the save.
        settings: Settings,
    },
    /// `%data load SOURCE`: a built-in data set (`which-book`, `error-codes`, `rust-docs`) or a
    /// jsonl, json, csv, tsv, txt or parquet file. Keys [`graft_spec::training::DATA`].
    DataLoad {
        /// Name of a built-in data set, or a file.
        source: String,
        /// Options of the load.
        settings: Settings,
    },
    /// `%%data NAME`: a data set with its examples in the cell.
    DataInline {
        /// Name of the data set.
        name: String,
        /// The cell's body.
        text: String,
        /// Options of the load.
        settings: Settings,
    },
    /// `%data show [NAME] [n=5] [tokens=true]`.
    DataShow {
        /// Name of the data set; `None`: the current one.
        name: Option<String>,
        /// Number of rows to show of each split.
        rows: usize,
        /// The keys of `%train` with which the tokens of the rows are shown, instead of their text.
        tokens: Option<Settings>,
    },
    /// `%data use NAME`.
    DataUse {
        /// Name of the data set that becomes the current one.
        name: String,
    },
    /// An action on an adapter: `%lora attach r=8`, `%lora save DIR`, ...
    Adapter {
        /// Verb of the method at the start of the line, such as `lora`.
        method: String,
        /// The action.
        action: AdapterAction,
    },
    /// `%train`, or `%prompt_tune tokens=20 steps=300`, which attaches first. Keys
    /// [`graft_spec::training::TRAIN`].
    Train {
        /// The adapter to attach first: verb of the method and its settings.
        attach: Option<(String, Settings)>,
        /// Options of the training run.
        settings: Settings,
    },
    /// `%resume [RUN]`: continues an interrupted run from its last checkpoint. The given keys
    /// override those of the run.
    Resume {
        /// Name of the run; `None`: the latest.
        run: Option<String>,
        /// Keys that override those of the run.
        settings: Settings,
    },
    /// `%eval`. Keys [`graft_spec::training::EVAL`].
    Eval {
        /// Options of the evaluation.
        settings: Settings,
    },
    /// `%check accuracy >= 0.4 on test`, or the lines of a `%%check` cell: measures the session and
    /// reports whether the conditions hold; see [`graft_spec::check::Check::parse`].
    Check {
        /// The checks as typed, each with its keys.
        checks: Vec<String>,
    },
    /// `%ablate lora r=1,2,4 seeds=3`: trains every combination and compares the results; see
    /// [`graft_spec::ablation::Ablation::parse`].
    Ablate {
        /// Verbs of the methods.
        methods: Vec<String>,
        /// Keys with their values as typed.
        keys: Vec<(String, String)>,
    },
    /// `%forgetting`: the loss on the base model's own domain, for the attached adapter or for
    /// methods that are trained first. Same grammar as [`Self::Ablate`].
    Forgetting {
        /// Verbs of the methods; if empty, the attached adapter is measured.
        methods: Vec<String>,
        /// Keys with their values as typed.
        keys: Vec<(String, String)>,
    },
    /// `%trial stop 3`: stops one configuration of the comparison in the background.
    TrialStop {
        /// Number of the configuration, from 1.
        number: usize,
    },
    /// `%trial clone 2 r=32`: adds a modified copy of a configuration to the comparison in the
    /// background, or to the latest one.
    TrialClone {
        /// Number of the configuration to copy, from 1.
        number: usize,
        /// Keys that differ, with their values as typed.
        keys: Vec<(String, String)>,
    },
    /// `%generate "prompt"`. Keys [`graft_spec::training::GENERATE`].
    Generate {
        /// The text to continue.
        prompt: String,
        /// Options of the generation.
        settings: Settings,
    },
    /// `%generate data=test out=answers.jsonl`: continues the prompts of a data set. Keys
    /// [`graft_spec::training::GENERATE_DATA`].
    GenerateData {
        /// Options of the generation, the data set and the file.
        settings: Settings,
    },
    /// `%compare "prompt"`: continuations by the base model and by the active adapter, side by
    /// side.
    Compare {
        /// The text to continue.
        prompt: String,
        /// Options of the generation.
        settings: Settings,
    },
    /// `%chat`: a conversation with the model.
    Chat {
        /// What to do.
        action: ChatAction,
    },
    /// `%params`: trainable parameters by module, with the summary line of HF PEFT.
    Params,
    /// `%memory`, `%memory for MODEL`: an estimate of the memory that training needs. Keys
    /// [`graft_spec::training::MEMORY`].
    Memory {
        /// Name of a published model; `None`: the current model with its adapter.
        of: Option<String>,
        /// Options of the estimate.
        settings: Settings,
    },
    /// `%seed [N]`.
    Seed {
        /// The new seed; `None`: show the current one.
        seed: Option<u64>,
    },
    /// `%device [cpu|cuda]`.
    Device {
        /// The new device; `None`: show the current one.
        device: Option<String>,
    },
    /// `%status`: model, adapters, data, runs, memory and device.
    Status,
    /// `%weights [MODULE]`: plots of what the active adapter changes in the weights.
    Weights {
        /// Path of a layer, or part of it; `None`: the layer that has changed most.
        module: Option<String>,
    },
    /// `%jobs`: the jobs in the background, running and finished.
    Jobs,
    /// `%stop`: ends the training run in the background at its next step and saves everything.
    Stop,
    /// `%watch [RUN]`: the live loss curve of a run, read from its ledger.
    Watch {
        /// Name of the run; `None`: the run in the background, otherwise the latest.
        run: Option<String>,
    },
    /// `%runs`, `%plot`: the runs on disk.
    Runs {
        /// The action on the runs.
        action: RunsAction,
    },
    /// `%class`: the results of a class in a shared folder.
    Class {
        /// The action on the class.
        action: ClassAction,
    },
}

/// An action on the shared folder of a class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ClassAction {
    /// Writes the results of this session to the folder from now on. Keys
    /// [`graft_spec::training::CLASS_JOIN`].
    Join {
        /// Name of the student; `None`: the login name.
        name: Option<String>,
        /// Folder and exercise.
        settings: Settings,
    },
    /// Stops writing results.
    Leave,
    /// A table and a chart of everyone's results. Keys [`graft_spec::training::CLASS_VIEW`].
    Show {
        /// What to show.
        settings: Settings,
    },
    /// The same, updated until the user stops it.
    Watch {
        /// What to show.
        settings: Settings,
    },
}

/// An action on the conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ChatAction {
    /// Adds a message of the user and generates the answer. Keys [`graft_spec::chat::CHAT`].
    Say {
        /// The message.
        text: String,
        /// Options of the generation.
        settings: Settings,
    },
    /// Shows the conversation.
    Show,
    /// Starts a new conversation.
    Reset,
}

/// An action on the runs on disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum RunsAction {
    /// A table with one row for each run, newest first.
    List,
    /// One run: settings, loss curve, checkpoints.
    Show {
        /// Name of the run; `None`: the latest.
        run: Option<String>,
    },
    /// The differences between two runs, in settings and results.
    Diff {
        /// One run.
        one: String,
        /// The other.
        other: String,
    },
    /// The loss curves of several runs in one figure. Keys [`graft_spec::training::PLOT`].
    Plot {
        /// Names of the runs; if empty, the latest.
        runs: Vec<String>,
        /// Options of the figure.
        settings: Settings,
    },
    /// Attaches weights that the run saved. Keys [`graft_spec::training::RUN_WEIGHTS`].
    Use {
        /// Name of the run.
        run: String,
        /// Which of its weights to attach, and the name of the adapter.
        settings: Settings,
    },
    /// Writes the steps of a run as csv, all of it as json, or a `.graft` script with which `graft
    /// run` repeats it.
    Export {
        /// Name of the run.
        run: String,
        /// The output file; its extension selects the format.
        file: String,
    },
}

/// An action on an adapter. A name of `None` means the active adapter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum AdapterAction {
    /// Builds and activates an adapter. A name that exists is replaced, so that a cell can be run
    /// twice.
    Attach {
        /// Keys of the method, including `adapter_name`.
        settings: Settings,
    },
    /// Removes the adapter and restores the base model.
    Detach {
        /// Name of the adapter.
        name: Option<String>,
    },
    /// Adds the update to the base weights; it can be undone.
    Merge {
        /// Name of the adapter.
        name: Option<String>,
    },
    /// Undoes a merge.
    Unmerge {
        /// Name of the adapter.
        name: Option<String>,
    },
    /// Multiplies the effect of the adapter: 1 is as trained, 0 is the base model.
    Scale {
        /// Name of the adapter.
        name: Option<String>,
        /// The factor; `None`: show the current one.
        factor: Option<f64>,
    },
    /// Writes `adapter_config.json` and `adapter_model.safetensors` in the format of HF PEFT.
    Save {
        /// Name of the adapter.
        name: Option<String>,
        /// The folder; created if missing.
        directory: String,
    },
    /// Loads an adapter that HF PEFT or Graft saved, and activates it.
    Load {
        /// The folder.
        directory: String,
        /// Name of the loaded adapter; `None`: `default`.
        name: Option<String>,
    },
    /// Combines several adapters into a new one. Keys [`graft_spec::combination::KEYS`].
    Combine {
        /// Names of the adapters, which remain attached.
        names: Vec<String>,
        /// Weights, combination type and name.
        settings: Settings,
    },
    /// A table of the adapters.
    List,
    /// Activates the adapter.
    Use {
        /// Name of the adapter.
        name: String,
    },
    /// Disables every adapter (`on = false`) or enables them again, without removing any.
    Enable {
        /// Whether adapters are enabled.
        on: bool,
    },
}

impl Command {
    /// Returns whether the command follows a running job for a long time and therefore gets its own
    /// thread.
    pub fn is_long_running_read(&self) -> bool {
        match self {
            Self::Runs { action } => !matches!(action, RunsAction::Use { .. }),
            // The shared folder may not answer.
            _ => matches!(self, Self::Stop | Self::Watch { .. } | Self::Class { .. }),
        }
    }

    /// Returns whether the command only reads the model but takes long. It is a job of its own;
    /// while another job runs in the background, it is executed between two steps of that job.
    pub fn reads_model(&self) -> bool {
        match self {
            Self::Forgetting { methods, keys } => {
                methods.is_empty()
                    && keys.iter().all(|(key, _)| key != "methods")
                    && !self.is_background()
            }
            Self::Adapter { action, .. } => matches!(
                action,
                AdapterAction::Save { .. } | AdapterAction::Scale { factor: None, .. }
            ),
            _ => matches!(
                self,
                Self::Generate { .. }
                    | Self::GenerateData { .. }
                    | Self::Chat { action: ChatAction::Say { .. } }
                    | Self::Eval { .. }
                    | Self::Check { .. }
                    | Self::Compare { .. }
                    | Self::Weights { .. }
                    | Self::ModelSave { .. }
            ),
        }
    }

    /// Returns whether the command quickly shows what is attached to the model. It is answered at
    /// once, or between two steps while a job has attached something else.
    pub fn reads_attached(&self) -> bool {
        matches!(
            self,
            Self::ModelCard
                | Self::ModelTree
                | Self::Params
                | Self::Memory { of: None, .. }
                | Self::Adapter { action: AdapterAction::List, .. }
        )
    }

    /// Returns whether the command starts a run or comparison in the background (`bg=true`).
    pub fn is_background(&self) -> bool {
        match self {
            Self::Train { settings, .. } | Self::Resume { settings, .. } => {
                settings.bool(graft_spec::training::TRAIN, "bg")
            }
            Self::Ablate { keys, .. } | Self::Forgetting { keys, .. } => {
                let spec = graft_spec::training::ABLATE.iter().find(|spec| spec.name == "bg");
                let asks = |(key, value): &(String, String)| {
                    spec.is_some_and(|spec| {
                        spec.is_named(key) && spec.parse(value) == Ok(Value::Bool(true))
                    })
                };
                keys.iter().any(asks)
            }
            _ => false,
        }
    }

    /// Returns the same training command without its background settings: this form is stored with
    /// a run and repeats it.
    #[must_use]
    pub fn in_foreground(mut self) -> Self {
        match &mut self {
            Self::Train { settings, .. } | Self::Resume { settings, .. } => {
                drop(settings.values.remove("bg"))
            }
            Self::Ablate { keys, .. } | Self::Forgetting { keys, .. } => {
                keys.retain(|(key, _)| !matches!(key.as_str(), "bg" | "background"))
            }
            _ => {}
        }
        self
    }

    /// Returns whether the command only reads the session, so that it can be answered while a job
    /// runs.
    pub fn is_read_only(&self) -> bool {
        self.reads_attached()
            || matches!(
                self,
                Self::Memory { .. }
                    | Self::DataShow { .. }
                    | Self::Chat { action: ChatAction::Show }
                    | Self::Status
                    | Self::Jobs
                    | Self::TrialStop { .. }
            )
            || matches!(self, Self::Seed { seed: None } | Self::Device { device: None })
    }
}
