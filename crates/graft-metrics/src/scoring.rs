//! From pairs of texts to scores with intervals.

use crate::{
    AnswerPattern, Bleu, Chrf, Classes, Interval, Metric, MetricError, Orders, RougeSummary,
    RougeTokens, Scale, Stemming, bootstrap, exact_match, is_same_number, last_number, token_f1,
};

/// Characters of a text that an error message shows.
const SHOWN: usize = 60;

/// A predicted text and the expected one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair<'a> {
    /// The text of the model.
    pub prediction: &'a str,
    /// The text of the data.
    pub gold: &'a str,
}

/// The value of a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// Name of the metric.
    pub metric: String,
    /// Its range.
    pub scale: Scale,
    /// The value.
    pub value: f64,
    /// The 95 % bootstrap interval; `None` without a seed and for fewer than two examples.
    pub interval: Option<Interval>,
    /// Number of examples.
    pub examples: usize,
}

impl Score {
    pub(crate) fn new(
        metric: &str,
        scale: Scale,
        value: f64,
        interval: Option<Interval>,
        examples: usize,
    ) -> Self {
        Self { metric: metric.to_owned(), scale, value, interval, examples }
    }
}

/// Numbers of each example, and the score of their sum.
struct Statistics {
    /// Numbers per example.
    width: usize,
    /// The numbers of all examples, one after the other.
    numbers: Vec<f64>,
    /// The score of the sum over a number of examples.
    score: fn(&[f64], usize) -> f64,
}

/// Computes a metric over pairs of texts. `pattern` is the expression of [`Metric::Regex`]. Metrics
/// of classes take each different text as a class. `seed` is that of the bootstrap interval, which
/// takes longer than the score; without it none is computed.
///
/// BLEU and chrF are those of the whole corpus, the others means over the examples.
///
/// # Errors
/// [`MetricError::NoPattern`] and [`MetricError::NoNumber`].
pub fn score(
    metric: Metric,
    pairs: &[Pair<'_>],
    pattern: Option<&AnswerPattern>,
    seed: Option<u64>,
) -> Result<Score, MetricError> {
    if metric.is_of_classes() {
        let classes = Classes::of_texts(pairs.iter().map(|pair| (pair.gold, pair.prediction)));
        return classes.score(metric, seed).ok_or(MetricError::None);
    }
    let statistics = match metric {
        Metric::Bleu => Statistics::of(pairs, Bleu::statistics_of, |sum, _| {
            Bleu::from_statistics(sum).score(Orders::All)
        }),
        Metric::Chrf => {
            Statistics::of(pairs, Chrf::statistics_of, |sum, _| Chrf::from_statistics(sum).score())
        }
        _ => Statistics::of_means(means(metric, pairs, pattern)?),
    };
    Ok(statistics.scored(metric.name(), metric.scale(), seed))
}

/// The mean of a value per example: a metric of the user. `seed` is as for [`score`].
///
/// # Errors
/// [`MetricError::NotFinite`]
pub fn mean_score(name: &str, values: Vec<f64>, seed: Option<u64>) -> Result<Score, MetricError> {
    if let Some(place) = values.iter().position(|value| !value.is_finite()) {
        return Err(MetricError::NotFinite {
            name: name.to_owned(),
            value: values[place],
            example: place + 1,
        });
    }
    Ok(Statistics::of_means(values).scored(name, Scale::Number, seed))
}

/// The value of each pair for a metric that is a mean.
fn means(
    metric: Metric,
    pairs: &[Pair<'_>],
    pattern: Option<&AnswerPattern>,
) -> Result<Vec<f64>, MetricError> {
    let each = |value: &dyn Fn(&Pair<'_>) -> f64| Ok(pairs.iter().map(value).collect());
    let share = |is_right: bool| f64::from(u8::from(is_right));
    let words = |text: &str| RougeTokens::new(text, Stemming::None);
    match metric {
        Metric::ExactMatch => each(&|pair| share(exact_match(pair.prediction, pair.gold))),
        Metric::TokenF1 => each(&|pair| token_f1(pair.prediction, pair.gold)),
        Metric::Rouge1 => each(&|it| words(it.prediction).ngrams(&words(it.gold), 1).f1()),
        Metric::Rouge2 => each(&|it| words(it.prediction).ngrams(&words(it.gold), 2).f1()),
        Metric::RougeL => each(&|it| words(it.prediction).longest(&words(it.gold)).f1()),
        Metric::RougeLsum => {
            let lines = |text: &str| RougeSummary::new(text, Stemming::None);
            each(&|it| lines(it.prediction).longest(&lines(it.gold)).f1())
        }
        Metric::Numeric => numeric(pairs),
        _ => {
            let pattern = pattern.ok_or(MetricError::NoPattern)?;
            each(&|pair| share(pattern.agrees(pair.prediction, pair.gold)))
        }
    }
}

/// Whether the last number of each prediction is that of the gold text.
fn numeric(pairs: &[Pair<'_>]) -> Result<Vec<f64>, MetricError> {
    let value = |(place, pair): (usize, &Pair<'_>)| {
        let gold = gold_number(place + 1, pair.gold)?;
        let found = last_number(pair.prediction);
        Ok(f64::from(u8::from(found.is_some_and(|found| is_same_number(found, gold)))))
    };
    pairs.iter().enumerate().map(value).collect()
}

/// Checks that a gold text can be compared, before a text is generated for it. `example` is its
/// number, from 1.
///
/// # Errors
/// [`MetricError::NoNumber`] for [`Metric::Numeric`] and a text without a number.
pub fn check_gold(metric: Metric, example: usize, gold: &str) -> Result<(), MetricError> {
    if metric == Metric::Numeric { gold_number(example, gold).map(drop) } else { Ok(()) }
}

fn gold_number(example: usize, gold: &str) -> Result<f64, MetricError> {
    last_number(gold)
        .ok_or_else(|| MetricError::NoNumber { example, gold: gold.chars().take(SHOWN).collect() })
}

impl Bleu {
    fn statistics_of(pair: &Pair<'_>) -> Vec<f64> {
        Self::of(pair.prediction, pair.gold).statistics().to_vec()
    }
}

impl Chrf {
    fn statistics_of(pair: &Pair<'_>) -> Vec<f64> {
        Self::of(pair.prediction, pair.gold).statistics().to_vec()
    }
}

impl Statistics {
    fn of(
        pairs: &[Pair<'_>],
        count: impl Fn(&Pair<'_>) -> Vec<f64>,
        score: fn(&[f64], usize) -> f64,
    ) -> Self {
        let numbers: Vec<f64> = pairs.iter().flat_map(count).collect();
        Self { width: numbers.len() / pairs.len().max(1), numbers, score }
    }

    fn of_means(values: Vec<f64>) -> Self {
        let mean = |sum: &[f64], examples: usize| sum.iter().sum::<f64>() / examples.max(1) as f64;
        Self { width: 1, numbers: values, score: mean }
    }

    fn examples(&self) -> usize {
        self.numbers.len() / self.width.max(1)
    }

    /// The score of the examples with these indices.
    fn score_of(&self, indices: impl ExactSizeIterator<Item = usize>) -> f64 {
        let (mut sum, examples) = (vec![0.0; self.width], indices.len());
        for index in indices {
            let numbers = &self.numbers[index * self.width..][..self.width];
            sum.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
        }
        (self.score)(&sum, examples)
    }

    fn scored(&self, name: &str, scale: Scale, seed: Option<u64>) -> Score {
        let examples = self.examples();
        let interval = seed.and_then(|seed| {
            bootstrap::interval(examples, seed, &mut |indices| {
                self.score_of(indices.iter().copied())
            })
        });
        Score::new(name, scale, self.score_of(0..examples), interval, examples)
    }
}

#[cfg(test)]
mod tests {
    use graft_spec::Hint;

    use super::*;

    fn pair<'a>(prediction: &'a str, gold: &'a str) -> Pair<'a> {
        Pair { prediction, gold }
    }

    #[test]
    fn a_gold_text_without_a_number_is_named() {
        let pairs = [pair("1", "1"), pair("2", "yes")];
        let error = score(Metric::Numeric, &pairs, None, None).unwrap_err();
        assert!(error.to_string().contains("example 2 has none: \"yes\""), "{error}");
        assert_eq!(check_gold(Metric::Numeric, 2, "yes"), Err(error));
        assert_eq!(check_gold(Metric::ExactMatch, 2, "yes"), Ok(()));
        let error = score(Metric::Numeric, &pairs, None, None).unwrap_err();
        assert!(error.hint().unwrap().contains("metric=exact_match"));
    }

    #[test]
    fn texts_without_labels_are_classes_of_their_own() {
        let pairs = [pair(" yes\n", "yes"), pair("no", "yes"), pair("maybe", "no")];
        let accuracy = score(Metric::Accuracy, &pairs, None, None).unwrap();
        assert!((accuracy.value - 1.0 / 3.0).abs() < 1e-12 && accuracy.examples == 3);
    }

    #[test]
    fn the_interval_contains_the_score_of_a_corpus() {
        let pairs: Vec<_> = ["the cat sat on the mat", "a dog", "the end of the long story"]
            .iter()
            .map(|gold| pair("the cat sat on the long story", gold))
            .collect();
        for metric in [Metric::Bleu, Metric::Chrf, Metric::RougeL, Metric::TokenF1] {
            let score = score(metric, &pairs, None, Some(4)).unwrap();
            let without = super::score(metric, &pairs, None, None).unwrap();
            assert_eq!((without.value, without.interval), (score.value, None));
            let Interval { low, high } = score.interval.unwrap();
            assert!(low <= score.value && score.value <= high && low < high, "{score:?}");
        }
    }

    #[test]
    fn a_metric_of_the_user_must_be_finite() {
        let error = mean_score("mine", vec![1.0, f64::NAN], Some(0)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the metric `mine` must return a finite number, got NaN for example 2"
        );
        assert_eq!(mean_score("mine", vec![1.0, 2.0], Some(0)).unwrap().value, 1.5);
    }

    #[test]
    fn no_examples_have_no_interval_and_score_zero() {
        for metric in Metric::ALL.into_iter().filter(|metric| *metric != Metric::Regex) {
            let score = score(metric, &[], None, Some(0)).unwrap();
            assert_eq!((score.value, score.interval, score.examples), (0.0, None, 0), "{metric:?}");
        }
    }
}
