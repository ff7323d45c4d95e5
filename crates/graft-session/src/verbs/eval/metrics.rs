//! `%eval metric=...`: metrics of predicted labels and of generated texts.

use std::collections::BTreeMap;
use std::sync::Arc;

use graft_metrics::{
    AnswerPattern, Classes, Metric, MetricError, Pair, Score, check_gold, mean_score,
    parse_metrics, score,
};
use graft_models::{GenerateOptions, Generated, StopReason};
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

/// A metric of the user under its name.
#[derive(Clone)]
pub struct DefinedMetric {
    /// The closure.
    pub function: UserMetric,
    /// Tells apart the closures that have had this name, also those of other sessions.
    pub definition: String,
}

/// The metrics of the user, by name.
pub type UserMetrics = BTreeMap<String, DefinedMetric>;

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
    /// Seed of the bootstrap intervals; without it none are computed.
    pub seed: Option<u64>,
    metrics: Vec<Metric>,
    own: Vec<(String, DefinedMetric)>,
    /// Name of the metric that was named first.
    first: String,
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
        let first = first_metric(&names, &known)?;
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
            seed: Some(seed),
            first,
            own: own.iter().map(|name| (name.clone(), state.metrics[name].clone())).collect(),
            metrics,
            pattern,
        }))
    }

    /// The request without bootstrap intervals, for scores that are compared but not shown.
    #[must_use]
    pub fn without_intervals(self) -> Self {
        Self { seed: None, ..self }
    }

    /// Name of the metric that was named first; of a group, its first metric.
    pub fn first(&self) -> &str {
        &self.first
    }

    /// Everything that decides the values, as text.
    pub fn key(&self) -> String {
        let own = self.own.iter().map(|(name, own)| (name, &own.definition));
        let Self { metrics, pattern, options, seed, .. } = self;
        let pattern = pattern.as_ref().map(AnswerPattern::text);
        let GenerateOptions { max_new_tokens, stop, .. } = options;
        let own: Vec<_> = own.collect();
        format!("{metrics:?} {own:?} {pattern:?} {max_new_tokens} {stop:?} {seed:?}")
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
        Answers::generate(cx, (&*cx.state().model()?, data), request, who)?
    } else {
        Answers::default()
    };
    let pairs = texts.pairs();
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
    measured.scores.extend(texts.own_scores(request)?);
    measured.notes = texts.notes;
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
    let texts = Answers::generate(cx, (model, data), request, who)?;
    let pairs = texts.pairs();
    let builtin = request.metrics.iter();
    let mut scores = builtin
        .map(|metric| score(*metric, &pairs, request.pattern.as_ref(), request.seed))
        .collect::<Result<Vec<_>, _>>()?;
    scores.extend(texts.own_scores(request)?);
    Ok(scores)
}

/// The metric that a list names first; of a group, its first metric.
fn first_metric(names: &[String], known: &[String]) -> Result<String, MetricError> {
    let first = names.iter().find(|name| !name.trim().is_empty());
    let (metrics, own) = parse_metrics(first.map_or(&[][..], std::slice::from_ref), known)?;
    let builtin = metrics.first().map(|metric| metric.name().to_owned());
    builtin.or(own.into_iter().next()).ok_or(MetricError::None)
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

/// The generated texts of the examples that have an expected one.
#[derive(Default)]
struct Answers {
    all: Vec<Answer>,
    /// What the reader should know about them.
    notes: Vec<String>,
}

/// A generated text and the expected one, without spaces around them.
struct Answer {
    /// Number of the example in its split, from 1.
    example: usize,
    prediction: String,
    gold: String,
}

impl Answers {
    /// Generates a text for each example. The expected texts are checked first: generation takes
    /// long.
    fn generate(
        cx: &CommandContext,
        (model, data): (&LoadedModel, &Dataset),
        request: &MetricRequest,
        who: &str,
    ) -> Result<Self, Failure> {
        let examples = data.scored(request.split, request.examples);
        let questions = Questions::new(model, data, examples, request.options.clone())?;
        check_golds(&questions, data, request)?;
        let label = format!("generating answers of {who} for {}", data.name);
        let answers = questions.answer(cx, model, request.batch, &label)?;
        if cx.is_stopping() {
            let done = answers.iter().flatten().count();
            let what = format!("stopped after {done} of {} answers", answers.len());
            return Err(answers::stopped(what));
        }
        let notes = notes(&questions, &answers, who);
        let answer =
            |((question, answer), example): ((answers::Question, Option<Generated>), _)| {
                let (prediction, gold) = (answer?.text.trim().to_owned(), question.gold?);
                Some(Answer { example, prediction, gold })
            };
        let all = questions.all.into_iter().zip(answers).zip(1..).filter_map(answer).collect();
        Ok(Self { all, notes })
    }

    fn pairs(&self) -> Vec<Pair<'_>> {
        self.all.iter().map(|it| Pair { prediction: &it.prediction, gold: &it.gold }).collect()
    }

    /// The metrics of the user.
    fn own_scores(&self, request: &MetricRequest) -> Result<Vec<Score>, MetricError> {
        let score = |(name, own): &(String, DefinedMetric)| {
            let values = self.all.iter().map(|it| (own.function)(&it.prediction, &it.gold));
            mean_score(name, values.collect(), request.seed)
        };
        request.own.iter().map(score).collect::<Result<_, _>>().map_err(|error| match error {
            // The examples without an expected text count too.
            MetricError::NotFinite { name, value, example } => {
                let number = self.all.get(example - 1).map_or(example, |it| it.example);
                MetricError::NotFinite { name, value, example: number }
            }
            other => other,
        })
    }
}

/// Checks that there are expected texts, and that the metrics can compare them.
fn check_golds(
    questions: &Questions,
    data: &Dataset,
    request: &MetricRequest,
) -> Result<(), Failure> {
    if questions.all.iter().all(|question| question.gold.is_none()) {
        return Err(SessionError::NoAnswers { data: data.name.clone() }.into());
    }
    for (question, example) in questions.all.iter().zip(1..) {
        let Some(gold) = &question.gold else { continue };
        let check = |metric: &Metric| check_gold(*metric, example, gold);
        request.metrics.iter().try_for_each(check).map_err(|error| {
            Failure::from(error).site(format!("{} split of {}", request.split, data.name))
        })?;
    }
    Ok(())
}

/// Facts about generated texts that the reader should know.
fn notes(questions: &Questions, answers: &[Option<Generated>], who: &str) -> Vec<String> {
    let ended = |stop| answers.iter().flatten().filter(|it| it.stop == stop).count();
    let empty = answers.iter().flatten().filter(|it| it.text.trim().is_empty()).count();
    let facts = [
        (ended(StopReason::Length), "reached max_new_tokens"),
        (empty, "had no text: the model ended them at once"),
    ];
    let facts = facts.into_iter().filter(|(number, _)| *number > 0);
    let mut notes: Vec<String> = facts
        .map(|(number, what)| format!("{who}: {} {what}", counted(number, "answer")))
        .collect();
    let without = questions.all.iter().filter(|question| question.gold.is_none()).count();
    if without > 0 {
        notes.push(format!("{} without an expected answer left out", counted(without, "example")));
    }
    let cut = questions.all.iter().filter(|question| question.is_cut).count();
    if cut > 0 {
        notes.push(format!("{} too long and lost the start", counted(cut, "prompt")));
    }
    notes
}
