//! `%eval`: the adapter beside the untuned base and the majority class.

use graft_nn::Task;
use graft_protocol::{Cell, Event, Table};
use graft_spec::{Failure, Settings, training};
use graft_train::{Evaluation, evaluate};

use super::{bare::Bare, labels, words::counted};
use crate::{CommandContext, SessionError, state::LoadedData};

/// Scores on one split of a data set.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// Name of the data set.
    pub data: String,
    /// `train`, `validation` or `test`.
    pub split: String,
    /// Whether the model chooses among labels with a head of its own, instead of predicting tokens.
    pub classifies: bool,
    /// The untuned base, unless it was not asked for.
    pub base: Option<Evaluation>,
    /// The adapter in use: its name, the verb of its method, its scores.
    pub adapter: Option<(String, String, Evaluation)>,
}

/// Scores the adapter in use (when there is one) and the base.
///
/// # Errors
/// [`SessionError::NoModel`], [`SessionError::NoData`], [`SessionError::Interrupted`], and those of [`graft_train::evaluate`].
pub fn eval(desk: &CommandContext, settings: &Settings) -> Result<Scores, Failure> {
    settings.check(training::EVAL)?;
    let state = desk.state();
    let classifies =
        matches!(state.model()?.loaded.model.task(), Task::SequenceClassification { .. });
    let data = state.data(settings.text(training::EVAL, "data").as_deref())?;
    let acting = state.acting();
    let mut scores = Scores {
        data: data.dataset.name.clone(),
        split: split(settings),
        classifies,
        base: None,
        adapter: None,
    };
    let mut warning = None;
    if acting.is_none() || settings.bool(training::EVAL, "base") {
        let _bare = Bare::new(&state)?;
        warning = labels::warning(&state, &data)?;
        warning.iter().for_each(|warning| desk.warn(warning.clone()));
        scores.base = Some(score(desk, &data, settings, "the base")?);
    }
    if let Some(attached) = acting {
        // Its classes may have other names than the base's.
        labels::warning(&state, &data)?
            .filter(|text| warning.as_ref() != Some(text))
            .into_iter()
            .for_each(|text| desk.warn(text));
        let (name, verb) =
            (attached.adapter.name().to_owned(), attached.adapter.spec().verb.to_owned());
        let evaluation = score(desk, &data, settings, &name)?;
        scores.adapter = Some((name, verb, evaluation));
    }
    Ok(scores)
}

fn split(settings: &Settings) -> String {
    settings.text(training::EVAL, "split").unwrap_or_else(|| "test".to_owned())
}

fn score(
    desk: &CommandContext,
    data: &LoadedData,
    settings: &Settings,
    who: &str,
) -> Result<Evaluation, Failure> {
    let model = desk.state().model()?;
    let whole = |key: &str, default: usize| {
        settings
            .integer(training::EVAL, key)
            .and_then(|value| usize::try_from(value).ok())
            .unwrap_or(default)
    };
    let label = format!("evaluating {who} on {}", data.dataset.name);
    let mut progress =
        |done: u64, total: u64| desk.emit(Event::Progress { label: label.clone(), done, total });
    let control = desk.control();
    let evaluation = evaluate(
        model.loaded.model.as_ref(),
        model.loaded.tokenizer.as_ref(),
        &data.dataset,
        &split(settings),
        whole("examples", 200),
        whole("batch", 16),
        &control,
        &mut progress,
    );
    if desk.is_stopping() {
        return Err(SessionError::Interrupted {
            what: format!("stopped while {label}"),
            next: None,
        }
        .into());
    }
    Ok(evaluation?)
}

impl Scores {
    /// The answer to `%eval`; only labels have an accuracy.
    pub fn table(&self) -> Table {
        let all: Vec<_> = self
            .base
            .iter()
            .chain(self.adapter.iter().map(|(_, _, evaluation)| evaluation))
            .collect();
        let labelled = all.iter().any(|evaluation| evaluation.accuracy.is_some());
        let headers: &[&str] = if labelled {
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
        if let Some(first) = all.first() {
            table.footer.push(match self.classifies {
                true => format!(
                    "loss in nats per example, over {}",
                    counted(first.examples as usize, "example")
                ),
                false => format!(
                    "loss in nats per token, over {} of completions",
                    counted(first.tokens as usize, "token")
                ),
            });
        }
        table
    }
}

fn row(name: Cell, evaluation: &Evaluation) -> Vec<Cell> {
    let mut cells = vec![
        name,
        Cell::Float(evaluation.loss, 3),
        Cell::Float(evaluation.perplexity, 2),
        Cell::Integer(evaluation.examples as i64),
    ];
    cells.extend(evaluation.accuracy.map(|accuracy| Cell::Percent(accuracy, 1)));
    cells
}
