//! What a session refuses, with the line to type next.

use graft_spec::Hint;

use crate::suggest::did_you_mean;
use crate::verbs::words::{counted, duration, thousands};

/// An error of the session itself; those of models, methods and training keep their own codes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// A verb that needs a model came before the first one.
    #[error("no model is loaded")]
    NoModel,
    /// A verb that needs data came before the first set.
    #[error("no data is loaded")]
    NoData,
    /// Something wants the session while a training runs in the background.
    #[error(
        "`{run}` runs in the background; until it ends nothing else may train, or change the model, its adapters or the data"
    )]
    Background {
        /// The run.
        run: String,
    },
    /// There is nothing that could be stopped.
    #[error("nothing runs in the background")]
    NoBackground,
    /// Nobody has said what the model knew before.
    #[error(
        "what `{model}` was trained on is not known here, so what it forgets cannot be measured"
    )]
    NoDomain {
        /// The model.
        model: String,
    },
    /// A text without a part that may be measured on.
    #[error("`{name}` has no validation examples to measure on")]
    NoDomainText {
        /// The set.
        name: String,
    },
    /// A verb that needs an adapter came before the first one.
    #[error("no adapter is attached")]
    NoAdapter {
        /// Verb of the method to propose.
        method: &'static str,
    },
    /// There are adapters, but none acts or none is of the method the line began with.
    #[error("no {method} adapter is attached")]
    NoAdapterOfMethod {
        /// Verb of the method the line began with.
        method: String,
        /// The adapters there are, as `name (method)`.
        known: Vec<String>,
    },
    /// There are adapters, but none acts.
    #[error("no adapter is in use")]
    Silent {
        /// One that could be used.
        name: String,
        /// Verb of its method.
        method: &'static str,
    },
    /// The adapter's update is in the base weights, where training does not reach it.
    #[error("adapter `{name}` is merged into the base")]
    Merged {
        /// Its name.
        name: String,
        /// Verb of its method.
        method: &'static str,
    },
    /// Another adapter is in the base weights: what is trained above it would not fit the base that a later session loads.
    #[error("adapter `{name}` is merged into the base that would be trained on")]
    MergedBelow {
        /// Its name.
        name: String,
        /// Verb of its method.
        method: &'static str,
    },
    /// An adapter acts that is not in the weights: a folder written now would not act as the model does.
    #[error("adapter `{name}` acts beside the weights, so a saved model would act without it")]
    ActsBeside {
        /// Its name.
        name: String,
        /// Verb of its method.
        method: &'static str,
    },
    /// The run was made on other data.
    #[error("run `{run}` was trained on `{data}`, and a resumed run keeps its data")]
    OtherData {
        /// The run.
        run: String,
        /// Its data.
        data: String,
        /// The data typed.
        asked: String,
    },
    /// There is no comparison that a trial could be of.
    #[error("there is no comparison to change")]
    NoComparison,
    /// The adapter changes no layer of that name.
    #[error("the adapter changes no layer `{name}`")]
    NoSuchLayer {
        /// The name typed.
        name: String,
        /// Those it changes.
        known: Vec<String>,
    },
    /// The adapter has no weights of its own to look at.
    #[error("`{name}` ({method}) changes no weight and adds no vectors in front of the text")]
    NoWeights {
        /// The adapter.
        name: String,
        /// Verb of its method.
        method: &'static str,
    },
    /// A resumed run has its batch size already.
    #[error("run `{run}` goes on with the batch size that it began with")]
    OtherBatch {
        /// The run.
        run: String,
    },
    /// No adapter of that name.
    #[error("there is no adapter `{name}`")]
    UnknownAdapter {
        /// The name typed.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// No method of that verb.
    #[error("there is no method `{verb}`")]
    UnknownMethod {
        /// The verb typed.
        verb: String,
    },
    /// No data set of that name.
    #[error("there is no data set `{name}`")]
    UnknownData {
        /// The name typed.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// No published model of that name.
    #[error("the sizes of `{name}` are not known here")]
    UnknownShape {
        /// The name typed.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// Neither a built-in set nor a file.
    #[error("`{source_name}` is neither a built-in data set nor a file")]
    UnknownDataSource {
        /// What was typed.
        source_name: String,
        /// The built-in sets.
        builtin: Vec<String>,
    },
    /// No run of that name.
    #[error("there is no run `{name}`")]
    UnknownRun {
        /// The name typed.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// Nothing to resume.
    #[error("there is no run to resume")]
    NoRun,
    /// The checkpoint was made on other weights.
    #[error(
        "the model at `{model}` is not the one that run `{run}` was made on: its weights differ"
    )]
    OtherModel {
        /// The run.
        run: String,
        /// Where its model was.
        model: String,
    },
    /// The data of a run are not what they were.
    #[error(
        "run `{run}` was trained on data `{data}` with fingerprint {expected}, but {place} has fingerprint {found} now"
    )]
    ChangedData {
        /// The run.
        run: String,
        /// Name of its data.
        data: String,
        /// Where they were read from.
        place: String,
        /// Fingerprint that the run recorded.
        expected: String,
        /// Fingerprint of what is there.
        found: String,
    },
    /// The model that is loaded is not the one of the run.
    #[error("run `{run}` was trained on model `{model}`, and another one is loaded: `{loaded}`")]
    OtherModelLoaded {
        /// The run.
        run: String,
        /// Its model.
        model: String,
        /// The line that loads it.
        line: String,
        /// The model that is loaded.
        loaded: String,
    },
    /// A run's folder in place of an adapter's.
    #[error(
        "`{folder}` is the folder of a run, which has checkpoints in place of an adapter's files"
    )]
    FolderOfRun {
        /// What was typed.
        folder: String,
        /// The run, as `%runs use` finds it.
        run: String,
    },
    /// Another adapter acts together with the one that would be trained.
    #[error("adapter `{other}` acts too, so `{name}` would be trained on top of it")]
    ActsToo {
        /// The adapter that would be trained.
        name: String,
        /// The other one.
        other: String,
        /// Verb of the method of the one that would be trained.
        method: &'static str,
    },
    /// A comparison that would take long, and that nobody has confirmed.
    #[error("these are {} trainings ({}, {}), about {} on this machine", thousands(*trainings), counted(*configurations, "configuration"), counted(*seeds as usize, "seed"), duration(*seconds))]
    LargeGrid {
        /// Trainings in all.
        trainings: u64,
        /// Configurations.
        configurations: usize,
        /// Seeds of each.
        seeds: u64,
        /// Time that they would take.
        seconds: f64,
    },
    /// The user stopped the job.
    #[error("{what}")]
    Interrupted {
        /// What was stopped and where it stands.
        what: String,
        /// What to type next.
        next: Option<String>,
    },
    /// The system refuses threads, for lack of memory most often.
    #[error("the session cannot start the threads that it computes on: {problem}")]
    NoThreads {
        /// What candle says.
        problem: String,
    },
    /// A verb panicked; the session goes on.
    #[error("internal error: {message}")]
    Panic {
        /// Message and place of the panic.
        message: String,
    },
    /// The job thread is gone, because the process is ending.
    #[error("the session is closing")]
    Closed,
}

impl Hint for SessionError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoModel => "session::no_model",
            Self::NoData => "session::no_data",
            Self::Background { .. } | Self::NoBackground => "session::background",
            Self::NoDomain { .. } | Self::NoDomainText { .. } => "session::no_domain",
            Self::NoAdapter { .. } | Self::NoAdapterOfMethod { .. } | Self::Silent { .. } => {
                "session::no_adapter"
            }
            Self::Merged { .. } => "session::merged",
            Self::MergedBelow { .. } => "session::merged",
            Self::ActsBeside { .. } => "session::acts_beside",
            Self::OtherData { .. } => "session::other_data",
            Self::NoComparison => "session::no_comparison",
            Self::NoSuchLayer { .. } => "session::no_such_layer",
            Self::NoWeights { .. } => "session::no_weights",
            Self::OtherBatch { .. } => "session::other_batch",
            Self::UnknownAdapter { .. } => "session::unknown_adapter",
            Self::UnknownMethod { .. } => "session::unknown_method",
            Self::UnknownData { .. } => "session::unknown_data",
            Self::UnknownShape { .. } => "session::unknown_shape",
            Self::UnknownDataSource { .. } => "session::unknown_data_source",
            Self::UnknownRun { .. } => "session::unknown_run",
            Self::NoRun => "session::no_run",
            Self::OtherModel { .. } => "session::other_model",
            Self::ChangedData { .. } => "session::changed_data",
            Self::OtherModelLoaded { .. } => "session::other_model",
            Self::FolderOfRun { .. } => "session::folder_of_run",
            Self::ActsToo { .. } => "session::acts_too",
            Self::LargeGrid { .. } => "ablate::many",
            Self::Interrupted { .. } => "session::interrupted",
            Self::NoThreads { .. } => "session::no_threads",
            Self::Panic { .. } => "session::panic",
            Self::Closed => "session::closed",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoModel => Some("load one first: `%model load tiny`".to_owned()),
            Self::NoData => Some("load some first: `%data load which-book`".to_owned()),
            Self::Background { .. } => Some(
                "`%watch` waits for its end, `%stop` ends it; what only reads answers meanwhile: %generate, %eval, %compare, %weights, %lora save, %params, \
                     %memory, %status, %runs"
                    .to_owned(),
            ),
            Self::NoBackground => Some("the stop button stops a cell that runs; `%train bg=true` trains in the background".to_owned()),
            Self::NoDomain { .. } => Some("name text like that of its training: %forgetting domain=FILE.txt, a loaded data set, or rust-docs".to_owned()),
            Self::NoDomainText { .. } => Some("name a set with a validation part, or a longer file, of which a tenth becomes one".to_owned()),
            Self::NoAdapter { method } => Some(format!("attach one first: `%{method} attach`")),
            Self::NoAdapterOfMethod { method, known } => Some(format!("attach one: `%{method} attach`; attached now: {}", known.join(", "))),
            Self::Silent { name, method } => Some(format!("take one in use: `%{method} use {name}`")),
            Self::Merged { name, method } => Some(format!("take it out first: `%{method} unmerge {name}`")),
            Self::MergedBelow { name, method } => Some(format!("take it out first: `%{method} unmerge {name}`")),
            Self::ActsBeside { name, method } => {
                Some(format!("`%{method} merge {name}` puts it into the weights, `%{method} off` leaves it out; `%{method} save DIR` writes it alone"))
            }
            Self::OtherData { asked, .. } => Some(format!("leave `data` out to go on, or train on it: `%train data={asked}`")),
            Self::NoComparison => {
                Some("begin one: %ablate lora r=1,4,16 bg=true; %trial stop changes one in the background, %trial clone adds to the last one too".to_owned())
            }
            Self::NoSuchLayer { name, known } => Some(did_you_mean(name, known, "layers", "%params")),
            Self::NoWeights { .. } => Some("%params shows what it trains, %compare what it does".to_owned()),
            Self::OtherBatch { .. } => Some("leave `batch` out, or give a number: the losses are then those of another run".to_owned()),
            Self::UnknownAdapter { name, known } => Some(did_you_mean(name, known, "adapters", "%lora attach")),
            Self::UnknownMethod { verb } => {
                let verbs: Vec<_> = graft_spec::methods::METHODS.iter().map(|spec| spec.verb.to_owned()).collect();
                Some(did_you_mean(verb, &verbs, "methods", "%lora attach"))
            }
            Self::UnknownData { name, known } => Some(did_you_mean(name, known, "data sets", "%data load which-book")),
            Self::UnknownShape { name, known } => Some(did_you_mean(name, known, "published models", "%memory for llama-3.2-1b")),
            Self::UnknownDataSource { source_name, builtin } => Some(did_you_mean(source_name, builtin, "built-in sets", "%data load which-book")),
            Self::UnknownRun { name, known } => Some(did_you_mean(name, known, "runs", "%train")),
            Self::NoRun => Some("start one: `%train steps=200`".to_owned()),
            Self::OtherModel { .. } => Some("put the weights of that run back, or start a new run with `%train`".to_owned()),
            Self::ChangedData { run, .. } => Some(format!(
                "put the old data back and type `%resume {run}` again; or train on the new data from the weights of that run: `%runs use {run}`, then `%train`"
            )),
            Self::OtherModelLoaded { run, line, .. } => Some(format!("load its model first: `{line}`, then `%runs use {run}`")),
            Self::FolderOfRun { run, .. } => Some(format!("`%runs use {run}` attaches its weights")),
            Self::ActsToo { name, method, .. } => Some(format!("`%{method} use {name}` lets it act alone")),
            Self::LargeGrid { .. } => Some(
                "add confirm=true to train them all, or name fewer values; early=halving gives up the worse ones, and finished trials are never trained twice"
                    .to_owned(),
            ),
            Self::Interrupted { next, .. } => next.clone(),
            Self::NoThreads { .. } => {
                Some("the process may not have more memory or threads: raise its limit (ulimit -v, ulimit -u, that of the container), or free some".to_owned())
            }
            Self::Panic { .. } => Some("the session goes on and keeps its model, adapters and data; this is a defect of Graft".to_owned()),
            Self::Closed => None,
        }
    }
}
