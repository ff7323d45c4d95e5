//! Errors of data, training and runs, with hints for the user.

use std::path::{Path, PathBuf};

use graft_chat::ChatError;
use graft_nn::NnError;
use graft_nn::tensor_file::TensorFileError;
use graft_spec::{Failure, Hint};

use crate::chat::template_hint;
use crate::classify::listed;
use crate::data::DataError;
use crate::optimizer::OptimizerKind;
use crate::runs::SavedWeights;

/// `std::result::Result` with [`TrainError`].
pub type Result<T> = std::result::Result<T, TrainError>;

/// An error of training, evaluation or a run's files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The data set cannot be used.
    #[error("the data cannot be used")]
    Data {
        /// What is wrong with it.
        #[from]
        source: DataError,
    },
    /// A conversation cannot be tokenized with the chat template.
    #[error("conversation {number} of the {split} split of data set `{data}` cannot be used")]
    Conversation {
        /// Name of the data set.
        data: String,
        /// `train`, `validation` or `test`.
        split: &'static str,
        /// Number of the conversation in the split, from 1.
        number: usize,
        /// The error of the conversation or the template.
        source: ChatError,
    },
    /// The chat template of a data set is missing or cannot be used.
    #[error("data set `{data}` has conversations, which need a chat template")]
    ChatTemplate {
        /// Name of the data set.
        data: String,
        /// A built-in template that suits the tokenizer.
        suggestion: &'static str,
        /// The error of the template.
        source: ChatError,
    },
    /// The model or a tensor operation failed.
    #[error("the model failed")]
    Model {
        /// Where and why.
        #[from]
        source: NnError,
    },
    /// The loss, a gradient or a parameter is NaN or infinite.
    #[error("{tensor} is not finite at step {step}; training stopped, and {}", state_of_adapter(*taken_back))]
    NotFinite {
        /// The step, from 1.
        step: u64,
        /// `the loss`, or the parameter whose gradient it is.
        tensor: String,
        /// Whether the last update was undone; `false` if this process has made no update.
        taken_back: bool,
    },
    /// No parameters to train.
    #[error("there is nothing to train")]
    NothingToTrain,
    /// The model is an encoder without a head.
    #[error("`{family}` is an encoder without a classification head: it has no scores for labels")]
    NoHead {
        /// `model_type` of the model.
        family: String,
        /// Number of labels of the data.
        labels: usize,
    },
    /// The head of a classifier does not fit the data.
    #[error("the model has {}, but data set `{data}` has {}", named(*head, "class", "es", names), named(labels.len(), "label", "s", labels))]
    Classes {
        /// Classes of the head.
        head: usize,
        /// Names of the classes; empty if they have none.
        names: Vec<String>,
        /// Name of the data set.
        data: String,
        /// Its labels; empty for data of another kind.
        labels: Vec<String>,
    },
    /// The data has chosen and rejected answers, and no loss for them is given.
    #[error("data set `{data}` has chosen and rejected answers, which need a preference loss")]
    Preferences {
        /// Name of the data set.
        data: String,
    },
    /// A preference loss without chosen and rejected answers.
    #[error("`loss={loss}` needs chosen and rejected answers, and data set `{data}` has none")]
    NoPreferences {
        /// Name of the data set.
        data: String,
        /// The value of the key `loss`.
        loss: &'static str,
    },
    /// A classifier cannot learn from chosen and rejected answers.
    #[error("data set `{data}` has chosen and rejected answers, which a classifier cannot write")]
    ClassifierPreferences {
        /// Name of the data set.
        data: String,
    },
    /// The reference model of a preference loss cannot be used.
    #[error("the reference model cannot be used: {problem}")]
    Reference {
        /// Why the adapters cannot be switched off.
        problem: String,
    },
    /// A classifier cannot read two texts.
    #[error(
        "data set `{data}` has pairs of texts, which a classifier cannot read as two segments yet"
    )]
    Pairs {
        /// Name of the data set.
        data: String,
    },
    /// The split has no examples.
    #[error("data set `{data}` has no {split} examples")]
    EmptySplit {
        /// Name of the data set.
        data: String,
        /// `train`, `validation` or `test`.
        split: &'static str,
    },
    /// The length limit cuts off every token with loss.
    #[error("no training example of data set `{data}` has a token with loss within {limit} tokens")]
    NothingToLearn {
        /// Name of the data set.
        data: String,
        /// The limit.
        limit: usize,
    },
    /// Pieces of long examples would repeat all of their tokens.
    #[error("`stride` must be at least 2 less than the limit of {limit} tokens, got {stride}")]
    Stride {
        /// Tokens that a piece repeats.
        stride: usize,
        /// Tokens of a piece.
        limit: usize,
    },
    /// The soft prompt or `max_length` leaves no room for an example.
    #[error(
        "{virtual_tokens} virtual tokens leave no room for an example in a context of {context} tokens"
    )]
    NoRoom {
        /// Positions of the model.
        context: usize,
        /// Positions of the soft prompt.
        virtual_tokens: usize,
    },
    /// The user stopped an evaluation.
    #[error("stopped")]
    Stopped,
    /// No run has that name.
    #[error("run `{name}` does not exist")]
    NoRun {
        /// The requested name.
        name: String,
        /// Names of the existing runs, newest first.
        known: Vec<String>,
    },
    /// The run has no checkpoint to resume from.
    #[error("run `{run}` has no checkpoint")]
    NoCheckpoint {
        /// Name of the run.
        run: String,
    },
    /// The run has not saved the requested weights.
    #[error("run `{run}` {}", not_saved(*weights))]
    NoWeights {
        /// Name of the run.
        run: String,
        /// Which weights.
        weights: SavedWeights,
        /// Steps whose weights are saved.
        saved: Vec<u64>,
    },
    /// Another process or session trains the run.
    #[error("run `{run}` is being trained by {holder}")]
    InUse {
        /// Name of the run.
        run: String,
        /// The process that trains it.
        holder: String,
    },
    /// A checkpoint is damaged or does not fit the adapter.
    #[error("checkpoint `{}` cannot be used: {problem}", path.display())]
    Checkpoint {
        /// Its folder.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The run has no steps left.
    #[error("run `{run}` has already finished all {steps} steps")]
    AlreadyDone {
        /// Name of the run.
        run: String,
        /// Planned steps.
        steps: u64,
    },
    /// The run has ended early, and nothing has changed since.
    #[error("run `{run}` has stopped early at step {step}: {patience} validations did not improve")]
    StoppedEarly {
        /// Name of the run.
        run: String,
        /// Its last step.
        step: u64,
        /// Value of `early_stopping`.
        patience: u64,
    },
    /// A run is resumed with another optimizer.
    #[error(
        "run `{run}` was trained with optim={optimizer}, whose states optim={asked} cannot use"
    )]
    OtherOptimizer {
        /// Name of the run.
        run: String,
        /// The optimizer of its checkpoint.
        optimizer: OptimizerKind,
        /// The other one.
        asked: OptimizerKind,
    },
    /// A key depends on validations, and the run has none.
    #[error("`{key}` needs validations, but {}", no_validation(*is_off))]
    NoValidation {
        /// The key.
        key: &'static str,
        /// Whether they are switched off.
        is_off: bool,
    },
    /// The key `best` names a metric that is not measured.
    #[error("the validations of this run do not measure `{name}`")]
    UnknownMetric {
        /// The name.
        name: String,
        /// The metrics that they measure.
        known: Vec<String>,
    },
    /// The user's code has failed in a step.
    #[error("{what} failed: {problem}")]
    Callback {
        /// `` `on_step` `` or `the loss`.
        what: &'static str,
        /// The message of the panic or error.
        problem: String,
    },
    /// The metric of the best weights cannot be computed.
    #[error("the metric `{name}` failed: {}", failure.message)]
    Metric {
        /// Name of the metric.
        name: String,
        /// Why, with a hint.
        failure: Box<Failure>,
    },
    /// The run does not fit into memory.
    #[error("a batch of {rows} rows of {tokens} tokens needs {} on top of the model, but only {} is available", gibibytes(*needed), gibibytes(*available))]
    WouldNotFit {
        /// Bytes needed on top of the loaded model.
        needed: u64,
        /// Available bytes.
        available: u64,
        /// Rows of a micro-batch.
        rows: usize,
        /// Positions of the longest row.
        tokens: usize,
        /// The largest number of rows that fits, if any.
        fitting: Option<usize>,
        /// Whether it fits with gradient checkpointing.
        recomputed: bool,
    },
    /// The steps fit into memory, but their validation does not.
    #[error("validation needs {} on top of the model, but only {} is available; the training steps alone need {}", gibibytes(*needed), gibibytes(*available), gibibytes(*trained))]
    ValidationWouldNotFit {
        /// Bytes needed on top of the loaded model.
        needed: u64,
        /// Available bytes.
        available: u64,
        /// Bytes needed on top of the loaded model without validation.
        trained: u64,
    },
    /// The device does not report its free memory.
    #[error("batch=auto needs the amount of free memory, which this device does not report")]
    UnknownMemory,
    /// A file operation failed.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// `read`, `write`, `create`, `remove` or `lock`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// A tensor file cannot be read or written.
    #[error("the tensors of the run cannot be read or written")]
    Tensors {
        /// Which file and why.
        #[from]
        source: TensorFileError,
    },
}

fn no_validation(is_off: bool) -> &'static str {
    if is_off { "eval_every=0 switches them off" } else { "the data has no validation examples" }
}

/// `did you mean best=accuracy? `, or nothing if no metric resembles the name.
fn meant(name: &str, known: &[String]) -> String {
    graft_spec::suggest::nearest(name, known.iter().map(String::as_str))
        .first()
        .map(|near| format!("did you mean best={near}? "))
        .unwrap_or_default()
}

fn state_of_adapter(taken_back: bool) -> &'static str {
    if taken_back {
        "the adapter was reset to the last good step"
    } else {
        "the adapter is unchanged since the run was started or resumed"
    }
}

fn not_saved(weights: SavedWeights) -> String {
    match weights {
        SavedWeights::Best => "has no weights with the lowest validation loss: it was not validated, or an older version of Graft trained it".to_owned(),
        SavedWeights::Start => "started from fresh weights, which are not saved".to_owned(),
        SavedWeights::Last => "has no checkpoint".to_owned(),
        SavedWeights::Step(step) => format!("has no weights of step {step}"),
    }
}

fn saved_steps(run: &str, saved: &[u64]) -> String {
    let lines: Vec<_> = saved.iter().map(|step| format!("`%runs use {run} step={step}`")).collect();
    if lines.is_empty() {
        "train again with `%train`".to_owned()
    } else {
        format!("saved: {}", lines.join(", "))
    }
}

fn gibibytes(bytes: u64) -> String {
    format!("{:.2} GiB", bytes as f64 / (1u64 << 30) as f64)
}

/// A hint for a smaller step: fewer rows if any number fits, else shorter rows.
fn smaller(rows: usize, tokens: usize, fitting: Option<usize>) -> String {
    if let Some(fitting) = fitting {
        return format!(
            "use smaller micro-batches for the same step: batch={fitting} gradient_accumulation_steps={}",
            rows.div_ceil(fitting)
        );
    }
    format!(
        "try max_length={}, a smaller r or a smaller model; %memory shows the memory of each part",
        (tokens / 2).max(2)
    )
}

impl TrainError {
    /// Whether a GPU ran out of memory.
    pub(crate) fn is_gpu_out_of_memory(&self) -> bool {
        self.code() == "nn::gpu_full"
    }

    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

/// `2 labels (`bad`, `good`)`.
fn named(count: usize, noun: &str, plural: &str, names: &[String]) -> String {
    let noun = if count == 1 { noun.to_owned() } else { format!("{noun}{plural}") };
    match (count, names) {
        (0, _) => format!("no {noun}"),
        (_, []) => format!("{count} {noun}"),
        _ => format!("{count} {noun} ({})", listed(names)),
    }
}

impl From<candle_core::Error> for TrainError {
    fn from(source: candle_core::Error) -> Self {
        Self::Model { source: source.into() }
    }
}

impl Hint for TrainError {
    fn code(&self) -> &'static str {
        match self {
            Self::Data { source } => source.code(),
            Self::Conversation { source, .. } | Self::ChatTemplate { source, .. } => source.code(),
            Self::Model { source } => source.code(),
            Self::NotFinite { .. } => "train::not_finite",
            Self::NothingToTrain => "train::nothing_to_train",
            Self::NoHead { .. } => "train::no_head",
            Self::Classes { .. } => "train::classes",
            Self::Preferences { .. } => "train::preferences",
            Self::NoPreferences { .. } => "train::no_preferences",
            Self::ClassifierPreferences { .. } => "train::classifier_preferences",
            Self::Reference { .. } => "train::reference",
            Self::Pairs { .. } => "train::pairs",
            Self::EmptySplit { .. } => "train::empty_split",
            Self::NothingToLearn { .. } => "train::nothing_to_learn",
            Self::Stride { .. } => "train::stride",
            Self::NoRoom { .. } => "train::no_room",
            Self::Stopped => "train::stopped",
            Self::NoRun { .. } => "train::no_run",
            Self::NoCheckpoint { .. } => "train::no_checkpoint",
            Self::NoWeights { .. } => "train::no_weights",
            Self::InUse { .. } => "train::in_use",
            Self::Checkpoint { .. } => "train::checkpoint",
            Self::AlreadyDone { .. } => "train::already_done",
            Self::StoppedEarly { .. } => "train::stopped_early",
            Self::OtherOptimizer { .. } => "train::other_optimizer",
            Self::NoValidation { .. } => "train::no_validation",
            Self::UnknownMetric { .. } => "train::unknown_metric",
            Self::Callback { .. } => "train::callback",
            Self::Metric { .. } => "train::metric",
            Self::WouldNotFit { .. } | Self::ValidationWouldNotFit { .. } => "train::would_not_fit",
            Self::UnknownMemory => "train::unknown_memory",
            Self::Io { .. } => "train::io",
            Self::Tensors { source } => source.code(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Data { source } => source.hint(),
            Self::Conversation { source, .. } => source.hint(),
            Self::ChatTemplate { suggestion, source, .. } => template_hint(suggestion, source),
            Self::Model { source } => source.hint(),
            Self::NotFinite { .. } => Some("try a smaller lr, a longer warmup or max_grad_norm=1".to_owned()),
            Self::NothingToTrain => Some("attach an adapter first: %lora attach r=8".to_owned()),
            Self::NoHead { labels: 0, .. } => Some("load data with labels, such as %data load which-book".to_owned()),
            Self::Classes { labels, .. } if labels.is_empty() => Some("load data with labels, such as %data load which-book".to_owned()),
            Self::NoHead { labels, .. } => Some(format!("load it with a classification head: %model load DIR num_labels={labels}")),
            Self::Classes { labels, .. } => Some(format!("%model load DIR num_labels={} creates a head of that size", labels.len())),
            Self::Preferences { .. } => Some("add loss=dpo, or loss=orpo or loss=simpo, which need no reference model: %train loss=dpo".to_owned()),
            Self::NoPreferences { .. } => Some("leave out loss=, or load pairs of answers such as %data load prose-or-code; the columns of a file are named by %data load FILE columns=prompt:PROMPT,chosen:BETTER,rejected:WORSE".to_owned()),
            Self::ClassifierPreferences { .. } => Some("load a language model, such as %model load tiny".to_owned()),
            Self::Pairs { .. } => Some("load the data with a template that joins both texts: %data load FILE template=\"{text} {text_pair}\"".to_owned()),
            Self::EmptySplit { .. } => Some("add examples, or split the data with %data load FILE validation=0.1 test=0.1".to_owned()),
            Self::NothingToLearn { .. } => Some("`%data show n=1 tokens=true` shows which tokens carry loss; a larger max_length= or stride=0 reads more of each example".to_owned()),
            Self::Stride { limit, .. } => Some(format!("a common choice is stride={}", (limit / 8).min(limit.saturating_sub(2)))),
            Self::NoRoom { .. } => Some("attach a soft prompt with fewer num_virtual_tokens".to_owned()),
            Self::Stopped | Self::Reference { .. } => None,
            Self::NoRun { known, .. } if known.is_empty() => Some("no runs yet; %train creates one".to_owned()),
            Self::NoRun { known, .. } => Some(format!("runs: {}", known.join(", "))),
            Self::NoCheckpoint { .. } => Some("start a new run with %train".to_owned()),
            Self::NoWeights { run, saved, .. } => Some(saved_steps(run, saved)),
            Self::InUse { run, .. } => {
                Some(format!("stop it there first (`%stop`, or the stop button of its cell); `%watch {run}` shows its curve, `%train` starts a new run"))
            }
            Self::Checkpoint { .. } => Some("attach the adapter with the settings of the run, or start a new run with %train".to_owned()),
            Self::AlreadyDone { run, steps } => Some(format!("train for more steps: %resume {run} steps={}", steps.saturating_mul(2))),
            Self::StoppedEarly { run, patience, .. } => Some(format!(
                "train on: %resume {run} early_stopping={}, or early_stopping=0 for all steps; %runs use {run} attaches the best weights",
                patience.saturating_add(3)
            )),
            Self::OtherOptimizer { run, optimizer, asked } => Some(format!(
                "resume with %resume {run} optim={optimizer}, or start a new run with %train optim={asked}"
            )),
            Self::NoValidation { is_off: true, .. } => Some("validate, for example after every 20th step: eval_every=20".to_owned()),
            Self::NoValidation { .. } => Some("split some off with %data load FILE validation=0.1, or leave the key out".to_owned()),
            Self::UnknownMetric { name, known } => Some(format!("{}metrics: {}; or one of generated text, such as best=exact_match", meant(name, known), known.join(", "))),
            Self::Callback { .. } => Some("the steps before it are kept; correct the closure, then continue with %resume".to_owned()),
            Self::Metric { failure, .. } => failure.hint.clone(),
            Self::WouldNotFit { recomputed: true, .. } => {
                Some("gradient_checkpointing=true saves fewer activations and takes about 1.5 times as long".to_owned())
            }
            Self::ValidationWouldNotFit { .. } => Some("turn validation off with eval_every=0, or shorten the examples with max_length=128".to_owned()),
            Self::UnknownMemory => Some("give a number, such as batch=8".to_owned()),
            Self::WouldNotFit { rows, tokens, fitting, .. } => Some(smaller(*rows, *tokens, *fitting)),
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                Some("free some disk space; the last checkpoint is complete".to_owned())
            }
            Self::Io { .. } => None,
            Self::Tensors { source } => source.hint(),
        }
    }
}
