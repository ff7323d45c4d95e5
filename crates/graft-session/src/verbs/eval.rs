//! `%eval`: compares the adapter with the untuned base and the majority class.

mod metrics;
mod table;
mod user_metric;

use graft_nn::Task;
use graft_protocol::{Cell, Event, Rewards, Table};
use graft_spec::{Failure, Settings, training};
use graft_train::{EncodeOptions, Evaluation, Request, data::SplitName, loss_on};

use super::{
    adapters_disabled::AdaptersDisabled, format::counted, labels, preference::evaluate_any,
};
use crate::{CommandContext, class, state::LoadedData};

pub use metrics::{
    DefinedMetric, Measured, MetricRequest, UserMetric, UserMetrics, evaluate_generated, measure,
};
pub(crate) use table::{number_text, score_text};
pub use user_metric::define_metric;

/// Scores on one split of a data set.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// Name of the data set.
    pub data: String,
    /// `train`, `validation` or `test`.
    pub split: String,
    /// Whether the model has a classification head, instead of predicting tokens.
    pub classifies: bool,
    /// The untuned base; `None` with `base=false`.
    pub base: Option<Evaluation>,
    /// The adapter in use: its name, the verb of its method, and its scores.
    pub adapter: Option<(String, String, Evaluation)>,
    /// The metrics of `metric=`.
    pub metrics: Option<MetricScores>,
}

/// The metrics of `metric=` for each model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricScores {
    /// The untuned base; `None` with `base=false`.
    pub base: Option<Measured>,
    /// The adapter in use.
    pub adapter: Option<Measured>,
}

/// Evaluates the base and the adapter in use, if any.
///
/// # Errors
/// [`crate::SessionError::NoModel`], [`crate::SessionError::NoData`],
/// [`crate::SessionError::Interrupted`], and those of [`graft_train::evaluate`].
pub fn eval(cx: &CommandContext, settings: &Settings) -> Result<Scores, Failure> {
    settings.check(training::EVAL)?;
    let state = cx.state();
    let classifies =
        matches!(state.model()?.loaded.model.task(), Task::SequenceClassification { .. });
    let data = state.data(settings.text(training::EVAL, "data").as_deref())?;
    let request = MetricRequest::from_settings(&state, settings)?;
    request.iter().try_for_each(|request| request.check(&data.dataset))?;
    let acting = state.acting();
    let mut scores = Scores {
        data: data.dataset.name.clone(),
        split: split(settings),
        classifies,
        base: None,
        adapter: None,
        metrics: None,
    };
    let mut metrics = MetricScores::default();
    let with_metrics = |who: &str| -> Result<(Evaluation, Option<Measured>), Failure> {
        let (evaluation, predicted) = scored(cx, &data, settings, who)?;
        let measure = |request| measure(cx, &data.dataset, request, &predicted, who);
        Ok((evaluation, request.as_ref().map(measure).transpose()?))
    };
    let mut warning = None;
    if acting.is_none() || settings.bool(training::EVAL, "base") {
        let _disabled = AdaptersDisabled::new(&state)?;
        warning = labels::warning(&state, &data)?;
        warning.iter().for_each(|warning| cx.warn(warning.clone()));
        let (base, measured) = with_metrics("the base")?;
        (scores.base, metrics.base) = (Some(base), measured);
    }
    if let Some(attached) = acting {
        // Its label names can differ from those of the base.
        labels::warning(&state, &data)?
            .filter(|text| warning.as_ref() != Some(text))
            .into_iter()
            .for_each(|text| cx.warn(text));
        let (name, verb) =
            (attached.adapter.name().to_owned(), attached.adapter.spec().verb.to_owned());
        let (evaluation, measured) = with_metrics(&name)?;
        metrics.adapter = measured;
        class::after_evaluation(cx, &attached, &scores.data, &scores.split, &evaluation);
        scores.adapter = Some((name, verb, evaluation));
    }
    scores.metrics = request.map(|_| metrics);
    Ok(scores)
}

fn split(settings: &Settings) -> String {
    settings.text(training::EVAL, "split").unwrap_or_else(|| "test".to_owned())
}

/// Evaluates the model as it is, with the keys of `%eval`.
///
/// # Errors
/// [`crate::SessionError::Interrupted`], and those of [`graft_train::evaluate`].
pub(super) fn score(
    cx: &CommandContext,
    data: &LoadedData,
    settings: &Settings,
    who: &str,
) -> Result<Evaluation, Failure> {
    Ok(scored(cx, data, settings, who)?.0)
}

/// As [`score`], with the label that has the highest score for each example.
fn scored(
    cx: &CommandContext,
    data: &LoadedData,
    settings: &Settings,
    who: &str,
) -> Result<(Evaluation, Vec<Option<usize>>), Failure> {
    let model = cx.state().model()?;
    let whole = |key: &str, default: usize| {
        settings
            .integer(training::EVAL, key)
            .and_then(|value| usize::try_from(value).ok())
            .unwrap_or(default)
    };
    let label = format!("evaluating {who} on {}", data.dataset.name);
    let mut progress =
        |done: u64, total: u64| cx.emit(Event::Progress { label: label.clone(), done, total });
    let loss_on = loss_on(settings.text(training::EVAL, "loss_on"));
    let request = Request {
        split: SplitName::parse(&split(settings)).unwrap_or(SplitName::Test),
        examples: whole("examples", 200),
        batch: whole("batch", 16),
        encoding: EncodeOptions { loss_on, ..EncodeOptions::default() },
    };
    let evaluation = evaluate_any(cx, &model, (&data.dataset, request), settings, &mut progress);
    cx.check_interrupted(&format!("stopped while {label}"))?;
    Ok(evaluation?)
}

impl Scores {
    /// The table of `%eval`. Only data with labels has an accuracy.
    pub fn table(&self) -> Table {
        if self.metrics.is_some() {
            let mut table = self.table_of_metrics();
            let first = self.base.as_ref().or(self.adapter.as_ref().map(|(.., it)| it));
            table.footer.extend(first.map(|first| self.unit(first)));
            return table;
        }
        let all: Vec<_> = self
            .base
            .iter()
            .chain(self.adapter.iter().map(|(_, _, evaluation)| evaluation))
            .collect();
        let has = |metric: fn(&Evaluation) -> bool| all.iter().any(|found| metric(found));
        let headers: &[&str] = if has(|found| found.rewards.is_some()) {
            PREFERENCE_HEADERS
        } else if has(|found| found.accuracy.is_some()) {
            &["model", "#loss", "#perplexity", "#examples", "#accuracy"]
        } else {
            &["model", "#loss", "#perplexity", "#examples"]
        };
        let mut table = Table::new(format!("{}, {} split", self.data, self.split), headers);
        if let Some(base) = &self.base {
            table.row(row(Cell::Text("base".to_owned()), base));
        }
        if let Some((name, verb, evaluation)) = &self.adapter {
            table.row(row(Cell::Strong(format!("{name} ({verb})")), evaluation));
        }
        if let Some((majority, examples)) =
            all.iter().find_map(|evaluation| Some((evaluation.majority?, evaluation.examples)))
        {
            let examples = Cell::Integer(examples as i64);
            table.row(vec![
                Cell::Text("majority class".to_owned()),
                Cell::Empty,
                Cell::Empty,
                examples,
                Cell::Percent(majority, 1),
            ]);
        }
        table.footer.extend(all.first().map(|first| self.unit(first)));
        table.footer.extend(all.first().and_then(|first| cut(first)));
        table
    }

    /// The unit of the loss.
    fn unit(&self, evaluation: &Evaluation) -> String {
        if evaluation.rewards.is_some() {
            let pairs = counted(evaluation.examples as usize, "pair");
            return format!(
                "loss per pair, over {pairs}; accuracy: pairs whose chosen answer is more likely \
                 than the rejected one; rewards: compared with the base"
            );
        }
        if self.classifies {
            let examples = counted(evaluation.examples as usize, "example");
            format!("loss in nats per example, over {examples}")
        } else {
            let tokens = counted(evaluation.tokens as usize, "token");
            format!("loss in nats per token, over {tokens} with loss")
        }
    }
}

/// The number of examples that the model could not read to their end.
fn cut(evaluation: &Evaluation) -> Option<String> {
    let examples = counted(evaluation.cut as usize, "example");
    (evaluation.cut > 0).then(|| format!("{examples} longer than the model can read, and cut"))
}

/// Columns of a table of preference data.
const PREFERENCE_HEADERS: &[&str] =
    &["model", "#loss", "#examples", "#accuracy", "#reward margin", "#reward accuracy"];

fn preference_row(name: Cell, evaluation: &Evaluation, rewards: Rewards) -> Vec<Cell> {
    let mut cells = vec![
        name,
        Cell::Float(evaluation.loss, 3),
        Cell::Integer(evaluation.examples as i64),
        evaluation.accuracy.map_or(Cell::Empty, |accuracy| Cell::Percent(accuracy, 1)),
    ];
    // A model has no reward compared with itself.
    if (rewards.chosen, rewards.rejected) == (0.0, 0.0) {
        cells.extend([Cell::Empty, Cell::Empty]);
    } else {
        cells.extend([Cell::Float(rewards.margin(), 3), Cell::Percent(rewards.accuracy, 1)]);
    }
    cells
}

fn row(name: Cell, evaluation: &Evaluation) -> Vec<Cell> {
    if let Some(rewards) = evaluation.rewards {
        return preference_row(name, evaluation, rewards);
    }
    let mut cells = vec![
        name,
        Cell::Float(evaluation.loss, 3),
        Cell::Float(evaluation.perplexity, 2),
        Cell::Integer(evaluation.examples as i64),
    ];
    cells.extend(evaluation.accuracy.map(|accuracy| Cell::Percent(accuracy, 1)));
    cells
}
