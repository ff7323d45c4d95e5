//! Codes and hints of the session's errors.

use graft_spec::{Hint, methods::METHODS};

use super::SessionError;
use crate::suggest::did_you_mean;

impl Hint for SessionError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoModel => "session::no_model",
            Self::NoData => "session::no_data",
            Self::SystemLater { .. } => "session::system_later",
            Self::Background { .. } | Self::NoBackground => "session::background",
            Self::NoDomain { .. } | Self::NoDomainText { .. } => "session::no_domain",
            Self::NoAnswers { .. } => "session::no_answers",
            Self::CannotWrite { .. } => "session::io",
            Self::MetricName { .. } => "session::metric_name",
            Self::NoAdapter { .. } | Self::NoAdapterOfMethod { .. } | Self::NoneActive { .. } => {
                "session::no_adapter"
            }
            Self::Merged { .. } | Self::MergedBelow { .. } => "session::merged",
            Self::NotMerged { .. } => "session::not_merged",
            Self::OtherData { .. } => "session::other_data",
            Self::NoComparison => "session::no_comparison",
            Self::NoSuchLayer { .. } => "session::no_such_layer",
            Self::NoWeights { .. } => "session::no_weights",
            Self::OtherBatch { .. } => "session::other_batch",
            Self::TwoLosses { .. } => "session::two_losses",
            Self::NoOwnLoss { .. } => "session::no_own_loss",
            Self::OwnLoss { .. } => "session::own_loss",
            Self::UnknownAdapter { .. } => "session::unknown_adapter",
            Self::UnknownMethod { .. } => "session::unknown_method",
            Self::UnknownData { .. } => "session::unknown_data",
            Self::UnknownShape { .. } => "session::unknown_shape",
            Self::UnknownDataSource { .. } => "session::unknown_data_source",
            Self::NoDataSource => "session::no_data_source",
            Self::DataSources { .. } => "session::data_sources",
            Self::HubData { .. } => "session::hub_data",
            Self::DataName { .. } => "session::data_name",
            Self::UnknownRun { .. } => "session::unknown_run",
            Self::NoRun => "session::no_run",
            Self::OtherModel { .. } | Self::OtherModelLoaded { .. } => "session::other_model",
            Self::ChangedData { .. } => "session::changed_data",
            Self::FolderOfRun { .. } => "session::folder_of_run",
            Self::OtherActive { .. } => "session::other_active",
            Self::LargeGrid { .. } => "ablate::many",
            Self::ClassName { .. } | Self::ClassNameTaken { .. } => "class::name",
            Self::NoClassFolder | Self::ClassFolder { .. } => "class::folder",
            Self::NoClass => "class::not_joined",
            Self::Interrupted { .. } => "session::interrupted",
            Self::NoThreads { .. } => "session::no_threads",
            Self::Panic { .. } => "session::panic",
            Self::Closed => "session::closed",
        }
    }

    fn hint(&self) -> Option<String> {
        if let Self::Interrupted { next, .. } = self {
            return next.clone();
        }
        self.fixed_hint().map(str::to_owned).or_else(|| self.command()).or_else(|| self.names())
    }
}

impl SessionError {
    /// Hints without values.
    fn fixed_hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoModel => "load one first: `%model load tiny`",
            Self::SystemLater { .. } => "`%chat reset` first; it starts a new conversation",
            Self::NoData => "load some first: `%data load which-book`",
            Self::Background { .. } => {
                "`%watch` shows its progress, `%stop` stops it; commands that only read work \
                 meanwhile: %generate, %eval, %compare, %weights, %lora save, %params, %memory, \
                 %status, %runs"
            }
            Self::NoBackground => {
                "the stop button stops a running cell; `%train bg=true` trains in the background"
            }
            Self::NoAnswers { .. } => {
                "use data with prompts and completions, labels or conversations; `%eval` without \
                 metric measures the loss on plain text"
            }
            Self::CannotWrite { .. } => "choose another path: out=answers.jsonl",
            Self::MetricName { .. } => {
                "use letters, digits and underscores: lab().metric(\"my_metric\", |predicted, gold| ...)"
            }
            Self::NoDomain { .. } => {
                "name text like its training data: %forgetting domain=FILE.txt, a loaded data set, \
                 or rust-docs"
            }
            Self::NoDomainText { .. } => {
                "use a data set with a validation split, or a longer file: a tenth of it becomes \
                 the validation split"
            }
            Self::NoComparison => {
                "start one: %ablate lora r=1,4,16 bg=true; %trial stop works while it runs in the \
                 background, %trial clone also after its end"
            }
            Self::NoWeights { .. } => "%params shows what it trains, %compare its effect",
            Self::OtherBatch { .. } => {
                "remove `batch`, or set a number: with another batch size the losses change"
            }
            Self::NoOwnLoss { .. } => {
                "run the cell with `lab().train_loss(|logits, labels| ...)` again, then %resume"
            }
            Self::TwoLosses { .. } => "run `lab().clear_callbacks();` in a cell first",
            Self::OwnLoss { .. } => {
                "run `lab().clear_callbacks();` in a cell first, or start a new run with %train"
            }
            Self::NoRun => "start one: `%train steps=200`",
            Self::OtherModel { .. } => {
                "restore the weights of that run, or start a new run with `%train`"
            }
            Self::DataName { .. } => "for example name=my-data",
            Self::ClassName { .. } => "for example `%class join \"Ada Lovelace\" exercise=2`",
            Self::ClassNameTaken { .. } => "choose another name: `%class join NAME`",
            Self::NoClassFolder => {
                "name it: `%class join NAME folder=DIR`, `%class folder=DIR`, or `%env \
                 GRAFT_CLASS=DIR`"
            }
            Self::ClassFolder { .. } => {
                "ask your teacher for the folder, or, as the teacher, create it: `!mkdir DIR`"
            }
            Self::NoClass => "join one: `%class join NAME folder=DIR`",
            Self::LargeGrid { .. } => {
                "add confirm=true to train them all, or use fewer values; early=halving stops the \
                 worse ones early, and finished trials are not trained again"
            }
            Self::NoThreads { .. } => {
                "raise the memory or thread limit of the process (ulimit -v, ulimit -u, or that of \
                 the container), or free some"
            }
            Self::Panic { .. } => {
                "this is a bug in Graft; the session keeps its model, adapters and data"
            }
            _ => return None,
        })
    }

    /// Hints that name a command to type.
    fn command(&self) -> Option<String> {
        Some(match self {
            Self::NoAdapter { method } => format!("attach one first: `%{method} attach`"),
            Self::NoAdapterOfMethod { method, known } => {
                format!("attach one: `%{method} attach`; attached now: {}", known.join(", "))
            }
            Self::NoneActive { name, method } => format!("enable one: `%{method} use {name}`"),
            Self::Merged { name, method } | Self::MergedBelow { name, method } => {
                format!("unmerge it first: `%{method} unmerge {name}`")
            }
            Self::NotMerged { name, method } => format!(
                "`%{method} merge {name}` merges it into the weights, `%{method} off` disables it; \
                 `%{method} save DIR` saves only the adapter"
            ),
            Self::OtherData { asked, .. } => {
                format!("remove `data` to resume, or start a new run: `%train data={asked}`")
            }
            Self::ChangedData { run, .. } => format!(
                "restore the old data and type `%resume {run}` again; or train the weights of that \
                 run on the new data: `%runs use {run}`, then `%train`"
            ),
            Self::OtherModelLoaded { run, line, .. } => {
                format!("load its model first: `{line}`, then `%runs use {run}`")
            }
            Self::FolderOfRun { run, .. } => format!("`%runs use {run}` attaches its weights"),
            Self::OtherActive { name, method, .. } => {
                format!("`%{method} use {name}` disables the others")
            }
            _ => return None,
        })
    }

    /// Hints that list the known names.
    fn names(&self) -> Option<String> {
        Some(match self {
            Self::NoSuchLayer { name, known } => did_you_mean(name, known, "layers", "%params"),
            Self::UnknownAdapter { name, known } => {
                did_you_mean(name, known, "adapters", "%lora attach")
            }
            Self::UnknownMethod { verb } => {
                let verbs: Vec<_> = METHODS.iter().map(|spec| spec.verb.to_owned()).collect();
                did_you_mean(verb, &verbs, "methods", "%lora attach")
            }
            Self::UnknownData { name, known } => {
                did_you_mean(name, known, "data sets", "%data load which-book")
            }
            Self::UnknownShape { name, known } => {
                did_you_mean(name, known, "published models", "%memory for llama-3.2-1b")
            }
            Self::NoDataSource => {
                "%data load FILE, or %data load train=FILE validation=FILE".to_owned()
            }
            Self::DataSources { source_name, .. } => {
                format!("%data load {source_name}, without train=")
            }
            Self::HubData { hint, .. } => hint.clone(),
            Self::UnknownDataSource { source_name, builtin } => {
                did_you_mean(source_name, builtin, "built-in sets", "%data load which-book")
            }
            Self::UnknownRun { name, known } => did_you_mean(name, known, "runs", "%train"),
            _ => return None,
        })
    }
}
