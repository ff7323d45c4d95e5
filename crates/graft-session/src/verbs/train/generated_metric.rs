//! `best=rougeL`: a metric of generated text that every validation measures.

use graft_nn::Model;
use graft_spec::{Failure, Settings, Value};
use graft_train::{Control, Direction, Result, TrainError, ValidationMetric};

use super::job::TrainingSetup;
use crate::{
    CommandContext,
    verbs::eval::{MetricRequest, evaluate_generated},
};

/// The metrics that a validation computes without generating text.
const OF_LOSS: [&str; 2] = ["loss", "accuracy"];

/// Code of the error of an unknown metric.
const UNKNOWN: &str = "metrics::unknown";

/// The metric of the key `best` on texts that the model generates for the validation examples.
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
        let settings = Settings::default()
            .with("metric", Value::List(vec![name.clone()]))
            .with("split", Value::Text("validation".to_owned()))
            .with("examples", Value::Integer(examples));
        let request = match MetricRequest::from_settings(&cx.state(), &settings) {
            Ok(Some(request)) => request,
            Ok(None) => return Ok(None),
            // The training loop reports a name that is no metric at all, with those that it knows.
            Err(failure) if failure.code == UNKNOWN => return Ok(None),
            Err(failure) => return Err(failure),
        };
        request.check(&setup.data.dataset)?;
        Ok(Some(Self { cx, setup, request }))
    }
}

impl ValidationMetric for GeneratedMetric<'_> {
    fn name(&self) -> &str {
        &self.setup.config.best
    }

    fn direction(&self) -> Direction {
        Direction::Higher
    }

    fn measure(&self, _model: &dyn Model, _control: &Control) -> Result<Option<f64>> {
        let data = (&*self.setup.model, &self.setup.data.dataset);
        match evaluate_generated(self.cx, data, &self.request, self.name()) {
            // `rouge` stands for three scores, of which the first counts.
            Ok(scores) => {
                let named = scores.iter().find(|score| score.metric == self.name());
                Ok(named.or(scores.first()).map(|score| score.value))
            }
            Err(_) if self.cx.is_stopping() => Ok(None),
            Err(failure) => {
                Err(TrainError::Callback { what: "the metric", problem: failure.message })
            }
        }
    }
}
