//! The errors of a session.

mod hint;

use crate::verbs::format::{counted, duration, thousands};

/// An error of the session itself. Errors of models, methods and training keep their own codes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// A command needs a model.
    #[error("no model is loaded")]
    NoModel,
    /// A system message for a conversation that has begun.
    #[error("a system message starts a conversation, and this one already has {messages} messages")]
    SystemLater {
        /// Number of messages.
        messages: usize,
    },
    /// A command needs data.
    #[error("no data is loaded")]
    NoData,
    /// A command cannot run while a background job uses the session.
    #[error(
        "`{run}` is running in the background; until it ends, nothing else can train or change the \
         model, its adapters or the data"
    )]
    Background {
        /// The run.
        run: String,
    },
    /// `%stop` without a background job.
    #[error("no background job is running")]
    NoBackground,
    /// The domain of the base model is unknown.
    #[error("cannot measure forgetting: the training data of `{model}` is unknown")]
    NoDomain {
        /// The model.
        model: String,
    },
    /// A data set has no validation split.
    #[error("`{name}` has no validation examples to measure on")]
    NoDomainText {
        /// The data set.
        name: String,
    },
    /// A metric of texts on data without expected texts.
    #[error("`{data}` has no expected answers to compare generated texts with")]
    NoAnswers {
        /// The data set.
        data: String,
    },
    /// A file cannot be written.
    #[error("cannot write `{file}`: {problem}")]
    CannotWrite {
        /// The file.
        file: String,
        /// What is wrong.
        problem: String,
    },
    /// A metric of the user with a name that cannot be used.
    #[error("`{name}` cannot be the name of a metric: {problem}")]
    MetricName {
        /// The name.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A command needs an adapter.
    #[error("no adapter is attached")]
    NoAdapter {
        /// Verb of the method to suggest.
        method: &'static str,
    },
    /// No adapter of the method is attached.
    #[error("no {method} adapter is attached")]
    NoAdapterOfMethod {
        /// Verb of the method.
        method: String,
        /// The attached adapters, as `name (method)`.
        known: Vec<String>,
    },
    /// All adapters are switched off.
    #[error("no adapter is in use")]
    NoneActive {
        /// An adapter that could be used.
        name: String,
        /// Verb of its method.
        method: &'static str,
    },
    /// The adapter is merged, so training would not change the weights in use.
    #[error("adapter `{name}` is merged into the base")]
    Merged {
        /// The adapter.
        name: String,
        /// Verb of its method.
        method: &'static str,
    },
    /// Another adapter is merged. An adapter trained on top of it would not fit the base that a
    /// later session loads.
    #[error("cannot train while adapter `{name}` is merged into the base")]
    MergedBelow {
        /// The merged adapter.
        name: String,
        /// Verb of its method.
        method: &'static str,
    },
    /// An active adapter is not merged, so a saved model would not behave like the current one.
    #[error("adapter `{name}` is not merged, so the saved model would not include it")]
    NotMerged {
        /// The adapter.
        name: String,
        /// Verb of its method.
        method: &'static str,
    },
    /// `%resume` with another data set.
    #[error("run `{run}` was trained on `{data}`, and a resumed run keeps its data")]
    OtherData {
        /// The run.
        run: String,
        /// Its data.
        data: String,
        /// The data that the user named.
        asked: String,
    },
    /// `%trial` without a comparison.
    #[error("no comparison to change")]
    NoComparison,
    /// The adapter does not change this layer.
    #[error("the adapter does not change a layer `{name}`")]
    NoSuchLayer {
        /// The name that the user typed.
        name: String,
        /// The layers that it changes.
        known: Vec<String>,
    },
    /// The adapter changes no weights and adds no virtual tokens.
    #[error("`{name}` ({method}) changes no weights and adds no virtual tokens")]
    NoWeights {
        /// The adapter.
        name: String,
        /// Verb of its method.
        method: &'static str,
    },
    /// `%resume` with `batch=auto`.
    #[error("run `{run}` keeps its batch size when it is resumed")]
    OtherBatch {
        /// The run.
        run: String,
    },
    /// A closure that computes the loss, and a preference loss.
    #[error("`loss={loss}` and the closure of `lab().train_loss` are two losses for one run")]
    TwoLosses {
        /// The value of the key `loss`.
        loss: &'static str,
    },
    /// A run with the loss of a closure is resumed without it.
    #[error("run `{run}` was trained with your own loss, which this session does not have")]
    NoOwnLoss {
        /// The run.
        run: String,
    },
    /// A run with the cross entropy is resumed with the loss of a closure.
    #[error("run `{run}` was trained with the cross entropy, but this session has your own loss")]
    OwnLoss {
        /// The run.
        run: String,
    },
    /// Unknown adapter.
    #[error("unknown adapter `{name}`")]
    UnknownAdapter {
        /// The name that the user typed.
        name: String,
        /// The adapters of the session.
        known: Vec<String>,
    },
    /// Unknown method.
    #[error("unknown method `{verb}`")]
    UnknownMethod {
        /// The verb that the user typed.
        verb: String,
    },
    /// Unknown data set.
    #[error("unknown data set `{name}`")]
    UnknownData {
        /// The name that the user typed.
        name: String,
        /// The data sets of the session.
        known: Vec<String>,
    },
    /// Unknown published model.
    #[error("the size of `{name}` is unknown")]
    UnknownShape {
        /// The name that the user typed.
        name: String,
        /// The models whose sizes are known.
        known: Vec<String>,
    },
    /// Neither a built-in data set nor a file.
    #[error("`{source_name}` is neither a built-in data set nor a file")]
    UnknownDataSource {
        /// What the user typed.
        source_name: String,
        /// The built-in data sets.
        builtin: Vec<String>,
    },
    /// `%data load` without a source.
    #[error("`%data load` needs a source")]
    NoDataSource,
    /// Both a source and `train=` are given.
    #[error(
        "`{source_name}` and `train={train}` are both given; the training examples come from one of them"
    )]
    DataSources {
        /// The source.
        source_name: String,
        /// The value of `train`.
        train: String,
    },
    /// A data set cannot be downloaded from the Hugging Face Hub.
    #[error("data set `{name}` on the Hugging Face Hub: {problem}")]
    HubData {
        /// `ORG/NAME`.
        name: String,
        /// The problem.
        problem: String,
        /// What to do.
        hint: String,
    },
    /// The name of a data set contains control characters.
    #[error("the name of a data set must be one line without control characters, got {name:?}")]
    DataName {
        /// The name.
        name: String,
    },
    /// Unknown run.
    #[error("unknown run `{name}`")]
    UnknownRun {
        /// The name that the user typed.
        name: String,
        /// The runs on disk.
        known: Vec<String>,
    },
    /// `%resume` without a run.
    #[error("no run to resume")]
    NoRun,
    /// The weights of the model have changed since the run.
    #[error("the weights of `{model}` have changed since run `{run}` was trained on them")]
    OtherModel {
        /// The run.
        run: String,
        /// The source of its model.
        model: String,
    },
    /// The data of a run has changed.
    #[error(
        "run `{run}` was trained on data `{data}` with fingerprint {expected}, but {place} now has \
         fingerprint {found}"
    )]
    ChangedData {
        /// The run.
        run: String,
        /// Name of its data.
        data: String,
        /// The file or cell that the data came from.
        place: String,
        /// The fingerprint in the ledger of the run.
        expected: String,
        /// The fingerprint now.
        found: String,
    },
    /// Another model than that of the run is loaded.
    #[error("run `{run}` was trained on model `{model}`, but `{loaded}` is loaded")]
    OtherModelLoaded {
        /// The run.
        run: String,
        /// Its model.
        model: String,
        /// The line that loads it.
        line: String,
        /// The loaded model.
        loaded: String,
    },
    /// The folder of a run where that of an adapter was expected.
    #[error("`{folder}` is the folder of a run; it contains checkpoints, not adapter files")]
    FolderOfRun {
        /// The folder that the user typed.
        folder: String,
        /// The name of the run for `%runs use`.
        run: String,
    },
    /// Another adapter is active together with the one to train.
    #[error("adapter `{other}` is active too, so `{name}` would be trained on top of it")]
    OtherActive {
        /// The adapter to train.
        name: String,
        /// The other adapter.
        other: String,
        /// Verb of the method of the adapter to train.
        method: &'static str,
    },
    /// A large comparison without `confirm=true`.
    #[error(
        "these are {} training runs ({}, {}), about {} on this machine",
        thousands(*training_runs),
        counted(*configurations, "configuration"),
        counted(*seeds as usize, "seed"),
        duration(*seconds)
    )]
    LargeGrid {
        /// Number of training runs.
        training_runs: u64,
        /// Number of configurations.
        configurations: usize,
        /// Number of seeds.
        seeds: u64,
        /// Estimated time.
        seconds: f64,
    },
    /// The name of a student or of an exercise.
    #[error("invalid {what} `{name}`: {problem}")]
    ClassName {
        /// `name` or `exercise`.
        what: &'static str,
        /// The name.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The file of a student belongs to another user.
    #[error("the name `{name}` is taken: `{file}` belongs to another user")]
    ClassNameTaken {
        /// The name.
        name: String,
        /// The file.
        file: String,
    },
    /// `%class` without a folder.
    #[error("the shared folder of the class is unknown")]
    NoClassFolder,
    /// The shared folder cannot be used.
    #[error("cannot use the class folder `{folder}`: {problem}")]
    ClassFolder {
        /// The folder.
        folder: String,
        /// What is wrong with it.
        problem: String,
    },
    /// `%class leave` without a class.
    #[error("this session has not joined a class")]
    NoClass,
    /// The user stopped a command.
    #[error("{what}")]
    Interrupted {
        /// What was stopped, and where.
        what: String,
        /// What to type next.
        next: Option<String>,
    },
    /// The operating system refused to start threads, usually for lack of memory.
    #[error("cannot start the compute threads: {problem}")]
    NoThreads {
        /// The message of candle.
        problem: String,
    },
    /// A command panicked. The session is still usable.
    #[error("internal error: {message}")]
    Panic {
        /// Message and location of the panic.
        message: String,
    },
    /// The job thread has ended because the process is exiting.
    #[error("the session is closing")]
    Closed,
}
