//! `%eval metric=...`: metrics of predicted labels and of generated texts.

use std::collections::BTreeMap;
use std::sync::Arc;

use graft_metrics::{
    AnswerPattern, Classes, Metric, MetricError, Pair, Score, mean_score, parse_metrics, score,
};
use graft_models::{GenerateOptions, StopReason};
use graft_spec::{Failure, Settings, training::EVAL};
use graft_train::data::{Dataset, Kind, SplitName};

use crate::{
    CommandContext, SessionError, SessionState,
    state::LoadedModel,
    verbs::{answers, answers::Questions, format::counted},
};

/// A metric of the user: from the generated and the expected text, both without spaces around them,
/// to a number.
pub type UserMetric = Arc<dyn Fn(&str, &str) -> f64 + Send + Sync>;

/// The metrics of the user, by name.
pub type UserMetrics = BTreeMap<String, UserMetric>;

/// Metrics to compute, and how texts are generated for them.
#[derive(Clone)]
pub struct MetricRequest {
    /// The split.
    pub split: SplitName,
    /// Most examples, from the first one on.
    pub examples: usize,
    /// Texts that are generated at the same time.
    pub batch: usize,
    /// Options of the generation.
    pub options: GenerateOptions,
    /// Seed of the bootstrap intervals.
    pub seed: u64,
    metrics: Vec<Metric>,
    own: Vec<(String, UserMetric)>,
    pattern: Option<AnswerPattern>,
}

/// The values of the metrics for one model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured {
    /// One score per metric.
    pub scores: Vec<Score>,
    /// Expected and predicted classes, if a metric is about classes.
    pub classes: Option<Classes>,
    /// What the reader should know about the generated texts.
    pub notes: Vec<String>,
}

impl MetricRequest {
    /// The request of the keys of `%eval`; `None` without `metric`.
    ///
    /// # Errors
    /// [`MetricError`] for an unknown metric, and for a pattern that is missing or not valid.
    pub fn from_settings(
        state: &SessionState,
        settings: &Settings,
    ) -> Result<Option<Self>, Failure> {
        let Some(names) = settings.list(EVAL, "metric") else { return Ok(None) };
        let known: Vec<String> = state.metrics.keys().cloned().collect();
        // A text from Rust may contain several names.
        let names: Vec<String> =
            names.iter().flat_map(|name| name.split(',')).map(str::to_owned).collect();
        let (metrics, own) = parse_metrics(&names, &known)?;
        let pattern = settings.text(EVAL, "pattern").filter(|pattern| !pattern.is_empty());
        let pattern = pattern.map(|pattern| AnswerPattern::new(&pattern)).transpose()?;
        if metrics.contains(&Metric::Regex) && pattern.is_none() {
            return Err(MetricError::NoPattern.into());
        }
        let whole = |key, default| {
            let value = settings.integer(EVAL, key);
            value.and_then(|value| usize::try_from(value).ok()).unwrap_or(default)
        };
        let seed = settings.integer(EVAL, "seed").map_or(state.seed, |seed| seed as u64);
        Ok(Some(Self {
            split: SplitName::parse(&super::split(settings)).unwrap_or(SplitName::Test),
            examples: whole("examples", 200),
            batch: whole("batch", 16),
            options: GenerateOptions {
                max_new_tokens: whole("max_new_tokens", 128),
                stop: settings.text(EVAL, "stop").unwrap_or_default(),
                seed,
                ..GenerateOptions::default()
            },
            seed,
            own: own.iter().map(|name| (name.clone(), state.metrics[name].clone())).collect(),
            metrics,
            pattern,
        }))
    }

    /// Checks that the data has expected texts if a metric needs them.
    ///
    /// # Errors
    /// [`SessionError::NoAnswers`]
    pub fn check(&self, data: &Dataset) -> Result<(), SessionError> {
        if self.needs_texts(data) && data.kind == Kind::Text {
            return Err(SessionError::NoAnswers { data: data.name.clone() });
        }
        Ok(())
    }

    /// Whether the labels with the highest score are enough for all metrics.
    pub fn uses_labels(&self, data: &Dataset) -> bool {
        !self.needs_texts(data)
    }

    /// Whether the metrics need generated texts. Metrics of classes use the labels with the highest
    /// score where the data has labels.
    fn needs_texts(&self, data: &Dataset) -> bool {
        let has_labels = matches!(data.kind, Kind::Labels(_));
        !self.own.is_empty()
            || self.metrics.iter().any(|metric| !metric.is_of_classes() || !has_labels)
    }
}

/// Computes the metrics for the model as it is. `predicted` is the label with the highest score of
/// each example, for data with labels. `who` is named in the progress.
///
/// # Errors
/// [`SessionError::NoAnswers`] for data without expected texts, [`SessionError::Interrupted`], and
/// those of the metrics, the chat template and the model.
pub fn measure(
    cx: &CommandContext,
    data: &Dataset,
    request: &MetricRequest,
    predicted: &[Option<usize>],
    who: &str,
) -> Result<Measured, Failure> {
    let mut measured = Measured::default();
    let texts = if request.needs_texts(data) {
        generated_pairs(cx, (&*cx.state().model()?, data), request, who, &mut measured.notes)?
    } else {
        Vec::new()
    };
    let pairs: Vec<Pair<'_>> =
        texts.iter().map(|(prediction, gold)| Pair { prediction, gold }).collect();
    if request.metrics.iter().any(|metric| metric.is_of_classes()) {
        measured.classes = Some(match &data.kind {
            Kind::Labels(labels) => of_labels(data, request, labels, predicted),
            _ => Classes::of_texts(pairs.iter().map(|pair| (pair.gold, pair.prediction))),
        });
    }
    for metric in &request.metrics {
        let of_classes = measured.classes.as_ref().and_then(|it| it.score(*metric, request.seed));
        measured.scores.push(match of_classes {
            Some(score) => score,
            None => score(*metric, &pairs, request.pattern.as_ref(), request.seed)?,
        });
    }
    for (name, own) in &request.own {
        let values = pairs.iter().map(|pair| own(pair.prediction, pair.gold)).collect();
        measured.scores.push(mean_score(name, values, request.seed)?);
    }
    Ok(measured)
}

/// Computes the metrics on generated texts: for the trainer, which selects the best checkpoint by
/// one of them. For data with labels, the generated text is compared with the label.
///
/// # Errors
/// As [`measure`].
pub fn evaluate_generated(
    cx: &CommandContext,
    (model, data): (&LoadedModel, &Dataset),
    request: &MetricRequest,
    who: &str,
) -> Result<Vec<Score>, Failure> {
    let texts = generated_pairs(cx, (model, data), request, who, &mut Vec::new())?;
    let pairs: Vec<Pair<'_>> =
        texts.iter().map(|(prediction, gold)| Pair { prediction, gold }).collect();
    let builtin = request.metrics.iter().map(|metric| {
        score(*metric, &pairs, request.pattern.as_ref(), request.seed).map_err(Failure::from)
    });
    let own = request.own.iter().map(|(name, own)| {
        let values = pairs.iter().map(|pair| own(pair.prediction, pair.gold)).collect();
        Ok(mean_score(name, values, request.seed)?)
    });
    builtin.chain(own).collect()
}

/// Expected and predicted labels. A predicted class that is not a label of the data is one more
/// class.
fn of_labels(
    data: &Dataset,
    request: &MetricRequest,
    labels: &[String],
    predicted: &[Option<usize>],
) -> Classes {
    let mut names = labels.to_vec();
    if predicted.contains(&None) {
        names.push("another class".to_owned());
    }
    let examples = data.scored(request.split, request.examples).iter();
    let pair = |(expected, predicted): (Option<usize>, &Option<usize>)| {
        Some((expected?, predicted.unwrap_or(labels.len())))
    };
    let pairs = examples.map(|example| example.label).zip(predicted).filter_map(pair).collect();
    Classes::new(names, pairs)
}

/// The generated and the expected text of each example, without spaces around them.
fn generated_pairs(
    cx: &CommandContext,
    (model, data): (&LoadedModel, &Dataset),
    request: &MetricRequest,
    who: &str,
    notes: &mut Vec<String>,
) -> Result<Vec<(String, String)>, Failure> {
    let examples = data.scored(request.split, request.examples);
    let questions = Questions::new(model, data, examples, request.options.clone())?;
    if questions.all.iter().all(|question| question.gold.is_none()) {
        return Err(SessionError::NoAnswers { data: data.name.clone() }.into());
    }
    let label = format!("generating answers of {who} for {}", data.name);
    let answers = questions.answer(cx, model, request.batch, &label)?;
    if cx.is_stopping() {
        let done = answers.iter().flatten().count();
        let what = format!("stopped after {done} of {} answers", answers.len());
        return Err(answers::stopped(what));
    }
    let ended = |stop| answers.iter().flatten().filter(|it| it.stop == stop).count();
    let empty = answers.iter().flatten().filter(|it| it.text.trim().is_empty()).count();
    let cut = questions.all.iter().filter(|question| question.is_cut).count();
    let answer = |number| counted(number, "answer");
    let facts = [
        (ended(StopReason::Length), "reached max_new_tokens"),
        (empty, "had no text: the model ended them at once"),
    ];
    let facts = facts.into_iter().filter(|(number, _)| *number > 0);
    notes.extend(facts.map(|(number, what)| format!("{who}: {} {what}", answer(number))));
    let without = questions.all.iter().filter(|question| question.gold.is_none()).count();
    if without > 0 {
        notes.push(format!("{} without an expected answer left out", counted(without, "example")));
    }
    if cut > 0 {
        notes.push(format!("{} too long and lost the start", counted(cut, "prompt")));
    }
    let pair = |(question, answer): (_, Option<graft_models::Generated>)| {
        let answers::Question { gold, .. } = question;
        Some((answer?.text.trim().to_owned(), gold?))
    };
    Ok(questions.all.into_iter().zip(answers).filter_map(pair).collect())
}
