//! Scores the model on the data of a comparison.

use graft_chat::LossOn;
use graft_metrics::Score;
use graft_protocol::Event;
use graft_spec::{
    Failure, Settings, Value,
    training::{ABLATE, TRAIN},
};
use graft_train::{
    EncodeOptions, Evaluation, Request,
    data::SplitName,
    loss_on,
    preference::{Objective, ReferenceModel},
};

use super::{
    results::{Metric, Scored},
    runner::GridRunner,
};
use crate::{
    SessionState,
    verbs::{
        eval::{MetricRequest, measure},
        preference::{AdaptersOff, evaluate_with},
    },
};

/// Examples in one forward pass.
const BATCH: usize = 16;

/// The name of the loss, which no metric computes.
const LOSS: &str = "loss";

/// The metrics that a comparison asks for.
#[derive(Clone, Default)]
pub(super) struct ComparedMetrics {
    /// Those that are computed in addition to loss and accuracy.
    request: Option<MetricRequest>,
    /// The one that ranks the configurations; `None` for the default.
    first: Option<String>,
}

impl ComparedMetrics {
    /// The metrics of the keys of `%ablate`.
    ///
    /// # Errors
    /// Those of [`MetricRequest::from_settings`].
    pub(super) fn of(state: &SessionState, settings: &Settings) -> Result<Self, Failure> {
        let Some(names) = settings.list(ABLATE, "metric") else { return Ok(Self::default()) };
        let names: Vec<String> = names
            .iter()
            .flat_map(|name| name.split(','))
            .map(|name| name.trim().to_owned())
            .collect();
        let (losses, others): (Vec<_>, Vec<_>) = names.iter().cloned().partition(|it| it == LOSS);
        if others.is_empty() && !losses.is_empty() {
            return Ok(Self { request: None, first: losses.into_iter().next() });
        }
        let mut keys = settings.clone().with("metric", Value::List(others));
        for name in ["split", "examples"] {
            let value = settings.get(ABLATE, name);
            keys.values.extend(value.map(|value| (name.to_owned(), value)));
        }
        let request = MetricRequest::from_settings(state, &keys)?;
        let named = || request.as_ref().map(|request| request.first().to_owned());
        let first = if names.first().is_some_and(|name| name == LOSS) {
            Some(LOSS.to_owned())
        } else {
            named()
        };
        Ok(Self { request, first })
    }

    /// The name of the metric that ranks the configurations, if it was given.
    pub(super) fn first(&self) -> Option<&str> {
        self.first.as_deref()
    }

    /// What decides the values of the metrics and the order of the trials, as text; empty without
    /// metrics.
    pub(super) fn key(&self) -> String {
        let values = self.request.as_ref().map(|request| format!(" {}", request.key()));
        let order = self.first.as_ref().map(|first| format!(" by {first}"));
        values.into_iter().chain(order).collect()
    }
}

impl GridRunner<'_> {
    /// Checks that the data has what the metrics need.
    ///
    /// # Errors
    /// Those of [`MetricRequest::check`].
    pub(super) fn check_metrics(&self) -> Result<(), Failure> {
        let request = self.metrics.request.as_ref();
        Ok(request.map_or(Ok(()), |request| request.check(&self.data.dataset))?)
    }

    /// Scores the model as it is now on all `examples`.
    ///
    /// # Errors
    /// Those of [`evaluate_with`] and of the metrics; [`crate::SessionError::Interrupted`] when the
    /// user stopped it.
    pub(super) fn score(&self, who: &str) -> Result<Scored, Failure> {
        let examples = self
            .grid
            .settings
            .integer(ABLATE, "examples")
            .map_or(200, |count| count.unsigned_abs() as usize);
        let label = format!("scoring {who} on {}", self.data.dataset.name);
        let found = self.evaluate_on(examples, &mut |done, total| {
            self.cx.emit(Event::Progress { label: label.clone(), done, total });
        });
        self.cx.check_interrupted(&format!("stopped while {label}"))?;
        let (evaluation, predicted) = found?;
        let metrics = match &self.metrics.request {
            Some(request) => self.measured(request, &predicted, who)?,
            None => Vec::new(),
        };
        Ok(Scored { evaluation, metrics })
    }

    /// The metric of the model as it is now, on the first `examples` of the split.
    ///
    /// # Errors
    /// As [`Self::score`].
    pub(super) fn score_briefly(
        &self,
        examples: usize,
        metric: &Metric,
        who: &str,
    ) -> Result<f64, Failure> {
        let (evaluation, predicted) = self.evaluate_on(examples, &mut |_, _| {})?;
        let metrics = match self.metrics.request.clone().filter(|_| metric.is_named()) {
            Some(request) => {
                let mut request = request.without_intervals();
                request.examples = examples;
                self.measured(&request, &predicted, who)?
            }
            None => Vec::new(),
        };
        Ok(metric.of_scored(&Scored { evaluation, metrics }))
    }

    fn measured(
        &self,
        request: &MetricRequest,
        predicted: &[Option<usize>],
        who: &str,
    ) -> Result<Vec<Score>, Failure> {
        let measured = measure(self.cx, &self.data.dataset, request, predicted, who)?;
        // Those of a brief score would be repeated by the whole one.
        if request.seed.is_some() {
            measured.notes.into_iter().for_each(|note| self.cx.note(note));
        }
        Ok(measured.scores)
    }

    /// Evaluates the model as it is now on the first `examples` of the split.
    ///
    /// # Errors
    /// Those of [`evaluate_with`].
    fn evaluate_on(
        &self,
        examples: usize,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(Evaluation, Vec<Option<usize>>), Failure> {
        let model = self.state.model()?;
        let split = self.grid.settings.text(ABLATE, "split").unwrap_or_default();
        let request = Request {
            split: SplitName::parse(&split).unwrap_or(SplitName::Validation),
            examples,
            batch: BATCH,
            encoding: EncodeOptions { loss_on: self.loss_on(), ..EncodeOptions::default() },
        };
        // Every trial is scored with the loss of the first one.
        let first = self.grid.trials.first();
        let objective = first.and_then(|trial| Objective::from_settings(&trial.train));
        let off = AdaptersOff(model.clone());
        let objective = (objective, Some(&off as &dyn ReferenceModel));
        let data = (&self.data.dataset, request);
        Ok(evaluate_with(&model, data, objective, &self.cx.control(), progress)?)
    }

    /// The text that is scored: the one that every trial learns, or else the default of the data.
    fn loss_on(&self) -> Option<LossOn> {
        let mut all =
            self.grid.trials.iter().map(|trial| loss_on(trial.train.text(TRAIN, "loss_on")));
        let first = all.next().flatten();
        first.filter(|first| all.all(|other| other == Some(*first)))
    }
}
