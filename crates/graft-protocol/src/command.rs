//! What a user can ask the session to do: every magic that needs the child parses to one of these.

use serde::{Deserialize, Serialize};

use graft_spec::{Settings, Value};

/// One request to the session. Keys inside the [`Settings`] are canonical and checked; absent ones have their defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// `%model load SOURCE`: `tiny`, a Hugging Face folder, or `ORG/NAME` on the Hub. Keys [`graft_spec::training::MODEL`].
    ModelLoad {
        /// Where the model is.
        source: String,
        /// Keys of the load.
        settings: Settings,
    },
    /// `%model`: the summary of the current model and its README.
    ModelCard,
    /// `%model tree`: its modules with shapes.
    ModelTree,
    /// `%model save DIR`: a plain Hugging Face folder, merged adapters inside. Keys [`graft_spec::training::MODEL_SAVE`].
    ModelSave {
        /// The folder, made if missing.
        directory: String,
        /// Keys of the save.
        settings: Settings,
    },
    /// `%data load SOURCE`: a built-in set (`which-book`, `error-codes`, `rust-docs`) or a jsonl, csv, tsv or txt file. Keys [`graft_spec::training::DATA`].
    DataLoad {
        /// Built-in name or file.
        source: String,
        /// Keys of the load.
        settings: Settings,
    },
    /// `%%data NAME` with examples in the cell.
    DataInline {
        /// Name of the data set.
        name: String,
        /// The cell's body.
        text: String,
        /// Keys of the load.
        settings: Settings,
    },
    /// `%data show [NAME] [n=5]`.
    DataShow {
        /// Which set; none is the current one.
        name: Option<String>,
        /// Rows shown of each split.
        rows: usize,
    },
    /// `%data use NAME`.
    DataUse {
        /// Which set becomes the current one.
        name: String,
    },
    /// Anything done to an adapter: `%lora attach r=8`, `%lora save DIR`, ...
    Adapter {
        /// Verb of the method the line began with, such as `lora`.
        method: String,
        /// What to do.
        action: AdapterAction,
    },
    /// `%train`, or `%prompt_tune tokens=20 steps=300`, which attaches first. Keys [`graft_spec::training::TRAIN`].
    Train {
        /// Attach this first: verb of the method and its settings.
        attach: Option<(String, Settings)>,
        /// Keys of the training.
        settings: Settings,
    },
    /// `%resume [RUN]`: continue an interrupted run from its last checkpoint; keys given replace those of the run.
    Resume {
        /// Which run; none is the last one.
        run: Option<String>,
        /// Keys that replace the run's own.
        settings: Settings,
    },
    /// `%eval`. Keys [`graft_spec::training::EVAL`].
    Eval {
        /// Keys of the evaluation.
        settings: Settings,
    },
    /// `%ablate lora r=1,2,4 seeds=3`: trains every combination and compares; see [`crate::ablation::Ablation::parse`].
    Ablate {
        /// Verbs of the methods.
        methods: Vec<String>,
        /// Keys with their values as typed.
        keys: Vec<(String, String)>,
    },
    /// `%forgetting`: the loss on the base's own domain, of what is attached or of methods that are trained for it; grammar of [`Self::Ablate`].
    Forgetting {
        /// Verbs of the methods; none measure what is attached.
        methods: Vec<String>,
        /// Keys with their values as typed.
        keys: Vec<(String, String)>,
    },
    /// `%trial stop 3`: stops one configuration of the comparison that runs in the background.
    TrialStop {
        /// Its number, from 1.
        number: usize,
    },
    /// `%trial clone 2 r=32`: adds a configuration like another to the comparison in the background, or to the last one.
    TrialClone {
        /// Number of the other, from 1.
        number: usize,
        /// What differs: keys with their values as typed.
        keys: Vec<(String, String)>,
    },
    /// `%generate "prompt"`. Keys [`graft_spec::training::GENERATE`].
    Generate {
        /// The text to continue.
        prompt: String,
        /// Keys of the generation.
        settings: Settings,
    },
    /// `%compare "prompt"`: the base and the active adapter side by side.
    Compare {
        /// The text to continue.
        prompt: String,
        /// Keys of the generation.
        settings: Settings,
    },
    /// `%params`: trainable parameters by module, with HF PEFT's line.
    Params,
    /// `%memory`, `%memory for MODEL`: an estimate of training memory. Keys [`graft_spec::training::MEMORY`].
    Memory {
        /// A published model; none is the current one with its adapter.
        of: Option<String>,
        /// Keys of the question.
        settings: Settings,
    },
    /// `%seed [N]`.
    Seed {
        /// The new seed; none only shows it.
        seed: Option<u64>,
    },
    /// `%device [cpu|cuda]`.
    Device {
        /// The new device; none only shows it.
        device: Option<String>,
    },
    /// `%status`: model, adapters, data, runs, memory, device.
    Status,
    /// `%weights [MODULE]`: what the adapter in use does to the weights, in pictures.
    Weights {
        /// Which layer, or part of its path; none is the one that has moved most.
        module: Option<String>,
    },
    /// `%jobs`: what trains, or has trained, in the background.
    Jobs,
    /// `%stop`: ends the training in the background at its next step, everything kept.
    Stop,
    /// `%watch [RUN]`: the live curve of a run, from its ledger.
    Watch {
        /// Which run; none is the one in the background, else the last one.
        run: Option<String>,
    },
    /// `%runs`, `%plot`: what was trained here.
    Runs {
        /// The action on the runs.
        action: RunsAction,
    },
}

/// An action on the runs on disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum RunsAction {
    /// A row each, the newest first.
    List,
    /// One of them: settings, course, checkpoints.
    Show {
        /// Which run; none is the last one.
        run: Option<String>,
    },
    /// What differs between two of them, in settings and in result.
    Diff {
        /// One run.
        one: String,
        /// The other.
        other: String,
    },
    /// Their curves in one picture. Keys [`graft_spec::training::PLOT`].
    Plot {
        /// Which runs; none are the last ones.
        runs: Vec<String>,
        /// Keys of the picture.
        settings: Settings,
    },
    /// Attaches the weights that it has kept. Keys [`graft_spec::training::RUN_WEIGHTS`].
    Use {
        /// Which run.
        run: String,
        /// Which of its weights, and the name of the adapter.
        settings: Settings,
    },
    /// Its steps as csv, everything as json, or, as `.graft`, a file for `graft run` that trains it again.
    Export {
        /// Which run.
        run: String,
        /// The file; its extension selects the format.
        file: String,
    },
}

/// What to do with an adapter; a name of `None` means the active one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum AdapterAction {
    /// Build and activate; keys of the method. A name in use is replaced, so that a cell can be run twice.
    Attach {
        /// Keys of the method, `adapter_name` among them.
        settings: Settings,
    },
    /// Remove it; the base is as it was.
    Detach {
        /// Which adapter.
        name: Option<String>,
    },
    /// Add the update to the base weights (kept separate so that it can be taken back).
    Merge {
        /// Which adapter.
        name: Option<String>,
    },
    /// Take a merge back.
    Unmerge {
        /// Which adapter.
        name: Option<String>,
    },
    /// Multiply its effect: 1 is as trained, 0 is the base.
    Scale {
        /// Which adapter.
        name: Option<String>,
        /// The factor; none only shows it.
        factor: Option<f64>,
    },
    /// Write `adapter_config.json` and `adapter_model.safetensors` as HF PEFT does.
    Save {
        /// Which adapter.
        name: Option<String>,
        /// The folder, made if missing.
        directory: String,
    },
    /// Read what HF PEFT or Graft wrote, and activate it.
    Load {
        /// The folder.
        directory: String,
        /// Name to give it; none is `default`.
        name: Option<String>,
    },
    /// Make one adapter of several, which stay; keys [`crate::combination::KEYS`].
    Combine {
        /// Which adapters.
        names: Vec<String>,
        /// Weights, way and name.
        settings: Settings,
    },
    /// Table of the adapters.
    List,
    /// Make it the active one.
    Use {
        /// Which adapter.
        name: String,
    },
    /// Switch every adapter off (on = false) or on again without removing it.
    Enable {
        /// Whether adapters act.
        on: bool,
    },
}

impl Command {
    /// Whether the command follows a running job for a long time, so that it gets its own thread.
    pub fn is_patient(&self) -> bool {
        match self {
            Self::Runs { action } => !matches!(action, RunsAction::Use { .. }),
            _ => matches!(self, Self::Stop | Self::Watch { .. }),
        }
    }

    /// Whether the command only reads the model and takes its time: it is a job, and while another runs in the background, work between two of that
    /// job's steps.
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
                    | Self::Eval { .. }
                    | Self::Compare { .. }
                    | Self::Weights { .. }
                    | Self::ModelSave { .. }
            ),
        }
    }

    /// Whether the command shows in a moment what the model has attached: it is answered at once, and between two steps while a job has put something
    /// else into the model.
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

    /// Whether the command starts a background run or comparison (`bg=true`).
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

    /// The same training with nothing said of the background: what a run remembers, and what repeats it.
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

    /// Whether the command only reads the session, so that it may be answered while a job runs.
    pub fn is_read_only(&self) -> bool {
        self.reads_attached()
            || matches!(
                self,
                Self::Memory { .. }
                    | Self::DataShow { .. }
                    | Self::Status
                    | Self::Jobs
                    | Self::TrialStop { .. }
            )
            || matches!(self, Self::Seed { seed: None } | Self::Device { device: None })
    }
}
