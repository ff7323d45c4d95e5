//! `best=rougeL` or `best=f1_macro`: a metric that every validation measures.

use graft_nn::Model;
use graft_spec::{Failure, Settings, Value};
use graft_train::{
    Control, Direction, Request, Result, TrainError, VALIDATION_BATCH, ValidationMetric,
    data::SplitName, evaluate_with_predictions,
};

use super::job::TrainingSetup;
use crate::{
    CommandContext,
    verbs::eval::{MetricRequest, evaluate_generated, measure},
};

/// The metrics that a validation computes without generating text.
pub(super) const OF_LOSS: [&str; 2] = ["loss", "accuracy"];

/// Code of the error of an unknown metric.
const UNKNOWN: &str = "metrics::unknown";
/// Code of the error of a metric that needs a pattern or has an invalid one.
const PATTERN: &str = "metrics::pattern";

/// The metric of the key `best` on the validation examples: on the labels with the highest score
/// where it is about classes and the data has labels, else on texts that the model generates.
pub(super) struct GeneratedMetric<'a> {
    cx: &'a CommandContext,
    setup: &'a TrainingSetup,
    request: MetricRequest,
}

impl<'a> GeneratedMetric<'a> {
    /// The metric of a setup; `None` if its best weights are those of the best loss or accuracy.
    ///
    /// # Errors
    /// Those of [`MetricRequest::from_settings`] and [`MetricRequest::check`].
    pub(super) fn of(
        cx: &'a CommandContext,
        setup: &'a TrainingSetup,
    ) -> std::result::Result<Option<Self>, Failure> {
        let name = &setup.config.best;
        if OF_LOSS.contains(&name.as_str()) {
            return Ok(None);
        }
        let examples = i64::try_from(setup.config.eval_examples).unwrap_or(i64::MAX);
        let most = i64::try_from(setup.config.max_new_tokens).unwrap_or(i64::MAX);
        let settings = Settings::default()
            .with("metric", Value::List(vec![name.clone()]))
            .with("split", Value::Text("validation".to_owned()))
            .with("examples", Value::Integer(examples))
            .with("max_new_tokens", Value::Integer(most))
            .with("stop", Value::Text(setup.config.stop.clone()));
        let pattern = setup.config.pattern.clone().map(Value::Text);
        let settings = pattern.into_iter().fold(settings, |all, it| all.with("pattern", it));
        let request = match MetricRequest::from_settings(&cx.state(), &settings) {
            // Validations show the values only.
            Ok(Some(request)) => request.without_intervals(),
            Ok(None) => return Ok(None),
            // The training loop reports a name that is no metric at all, with those that it knows.
            Err(failure) if failure.code == UNKNOWN => return Ok(None),
            Err(failure) if failure.code == PATTERN && setup.config.pattern.is_none() => {
                let hint = "for example best=regex pattern=\"answer is (\\w+)\"; the first group \
                            is the answer";
                return Err(failure.hint(hint));
            }
            Err(failure) => return Err(failure),
        };
        request.check(&setup.data.dataset)?;
        Ok(Some(Self { cx, setup, request }))
    }
}

impl GeneratedMetric<'_> {
    /// The label with the highest score for each validation example.
    fn predicted(&self, model: &dyn Model, control: &Control) -> Result<Vec<Option<usize>>> {
        let config = &self.setup.config;
        let request = Request {
            split: SplitName::Validation,
            examples: config.eval_examples,
            batch: config.batch.max(VALIDATION_BATCH),
            encoding: config.encode_options(),
        };
        let tokenizer = self.setup.model.loaded.tokenizer.as_ref();
        let data = &self.setup.data.dataset;
        let found =
            evaluate_with_predictions(model, tokenizer, data, request, control, &mut |_, _| {});
        Ok(found?.1)
    }
}

impl ValidationMetric for GeneratedMetric<'_> {
    fn name(&self) -> &str {
        &self.setup.config.best
    }

    fn direction(&self) -> Direction {
        Direction::Higher
    }

    fn measure(&self, model: &dyn Model, control: &Control) -> Result<Option<f64>> {
        let data = &self.setup.data.dataset;
        let found = if self.request.uses_labels(data) {
            let predicted = match self.predicted(model, control) {
                Err(TrainError::Stopped) => return Ok(None),
                predicted => predicted?,
            };
            measure(self.cx, data, &self.request, &predicted, self.name()).map(|it| it.scores)
        } else {
            let data = (&*self.setup.model, data);
            evaluate_generated(self.cx, data, &self.request, self.name())
        };
        match found {
            // `rouge` stands for three scores, of which the first counts.
            Ok(scores) => {
                let named = scores.iter().find(|score| score.metric == self.name());
                Ok(named.or(scores.first()).map(|score| score.value))
            }
            Err(_) if self.cx.is_stopping() => Ok(None),
            Err(failure) => {
                Err(TrainError::Metric { name: self.name().to_owned(), failure: Box::new(failure) })
            }
        }
    }
}
