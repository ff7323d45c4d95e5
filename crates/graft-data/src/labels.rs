//! The labels of a data set while it is read: one copy of each, with the places where it was first
//! seen.

use std::collections::HashMap;
use std::sync::Arc;

use super::DataError;
use super::dataset::SplitName;
use super::place::Place;

/// Most labels of a data set: a classifier has a row of weights per label, and an evaluation scores
/// all of them.
pub(crate) const MOST_LABELS: usize = 10_000;
/// A missing number, as pandas writes it.
const NAN: &str = "nan";
/// Words for missing values, which are names of classes in a file of texts.
const MISSING: [&str; 4] = [NAN, "null", "n/a", "<na>"];
/// Integers up to here are exact in 64-bit floats.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The labels in the order in which they were first seen.
#[derive(Default)]
pub(crate) struct Labels {
    numbers: HashMap<Arc<str>, usize>,
    seen: Vec<Seen>,
    whole_floats: bool,
}

/// One label.
struct Seen {
    name: Arc<str>,
    place: Place,
    source_name: Arc<str>,
    /// The first place in each split of the data's own.
    splits: [Option<(Arc<str>, Place)>; 3],
}

/// The labels of a finished data set.
pub(crate) struct Sorted {
    /// The names, sorted.
    pub(crate) names: Vec<String>,
    /// The index of each label in `names`.
    pub(crate) order: Vec<usize>,
    /// Whether labels such as `1.0` were read as whole numbers.
    pub(crate) whole_floats: bool,
}

impl Labels {
    /// The number of a label.
    ///
    /// # Errors
    /// [`DataError::TooManyLabels`].
    pub(crate) fn number(
        &mut self,
        name: &str,
        (source_name, place): (&Arc<str>, Place),
        split: Option<SplitName>,
    ) -> Result<usize, DataError> {
        let number = match self.numbers.get(name) {
            Some(number) => *number,
            None if self.seen.len() == MOST_LABELS => {
                return Err(DataError::TooManyLabels {
                    source_name: source_name.to_string(),
                    place,
                    most: MOST_LABELS,
                });
            }
            None => {
                let name: Arc<str> = name.into();
                self.numbers.insert(name.clone(), self.seen.len());
                self.seen.push(Seen {
                    name,
                    place,
                    source_name: source_name.clone(),
                    splits: [const { None }; 3],
                });
                self.seen.len() - 1
            }
        };
        // Without a split of its own, an example is for training.
        let first = &mut self.seen[number].splits[split.unwrap_or(SplitName::Train) as usize];
        first.get_or_insert_with(|| (source_name.clone(), place));
        Ok(number)
    }

    /// Notes that a label was written as a float.
    pub(crate) fn note_whole_float(&mut self) {
        self.whole_floats = true;
    }

    /// A label of a validation or test split that no training example has, with its place.
    pub(crate) fn unseen_in_training(&self) -> Option<(&str, SplitName, &str, Place)> {
        self.seen.iter().find_map(|label| {
            let [train, rest @ ..] = &label.splits;
            let (split, first) = SplitName::ALL[1..]
                .iter()
                .zip(rest)
                .find_map(|(split, first)| Some((*split, first.as_ref()?)))?;
            train.is_none().then_some((&*label.name, split, &*first.0, first.1))
        })
    }

    /// Names of the labels with training examples.
    pub(crate) fn of_training(&self) -> Vec<&str> {
        let trained = self.seen.iter().filter(|label| label.splits[0].is_some());
        trained.map(|label| &*label.name).collect()
    }

    /// The labels that look like missing values in a file of texts: their numbers and names.
    pub(crate) fn looking_missing(&self) -> Vec<(usize, &str)> {
        let names = self.seen.iter().enumerate();
        names
            .filter(|(_, label)| is_missing(&label.name))
            .map(|(number, label)| (number, &*label.name))
            .collect()
    }

    /// Removes a label such as `nan` if all others are numbers or missing, and returns its number
    /// and the error of its first row. The labels after it get the next lower number.
    pub(crate) fn take_missing(&mut self) -> Option<(usize, DataError)> {
        let number = missing_number(&self.seen)?;
        let label = self.seen.remove(number);
        self.numbers = (0..).zip(&self.seen).map(|(at, seen)| (seen.name.clone(), at)).collect();
        Some((number, label.missing()))
    }

    /// Number of labels.
    pub(crate) fn len(&self) -> usize {
        self.seen.len()
    }

    /// Sorts the labels: integers, and `LABEL_` with an integer, by number (`2` before `10`),
    /// others by name. In a format without types, numbers are checked first: if every label is a
    /// number, a fraction is a quantity and is refused, and 1.0 is the class 1.
    ///
    /// # Errors
    /// [`DataError::FloatLabel`], [`DataError::MissingLabel`].
    pub(crate) fn sorted(self, typed: bool) -> Result<Sorted, DataError> {
        let mut whole_floats = self.whole_floats;
        let mut names: Vec<Arc<str>> = self.seen.iter().map(|label| label.name.clone()).collect();
        if !typed && let Some(settled) = settled(&self.seen)? {
            (names, whole_floats) = (settled, true);
        }
        let mut sorted: Vec<&Arc<str>> = names.iter().collect();
        sorted.sort();
        sorted.dedup();
        in_numeric_order(&mut sorted);
        let place: HashMap<&str, usize> =
            sorted.iter().enumerate().map(|(index, name)| (&***name, index)).collect();
        let order = names.iter().map(|name| place[&**name]).collect();
        let names = sorted.iter().map(|name| name.to_string()).collect();
        Ok(Sorted { names, order, whole_floats })
    }
}

fn in_numeric_order(labels: &mut [&Arc<str>]) {
    let number = |label: &str| label.strip_prefix("LABEL_").unwrap_or(label).parse::<i64>().ok();
    if labels.iter().all(|label| number(label).is_some()) {
        labels.sort_by_key(|label| number(label));
    }
}

/// The number of the first label that names a missing value, such as `nan`, if all others are
/// numbers or name one, too.
fn missing_number(seen: &[Seen]) -> Option<usize> {
    let numeric = seen.iter().filter(|label| number(&label.name).is_some()).count();
    let missing = seen.iter().filter(|label| is_missing(&label.name)).count();
    let is_numeric = numeric > 0 && numeric + missing == seen.len();
    seen.iter().position(|label| is_missing(&label.name)).filter(|_| is_numeric)
}

/// Whether a label is a usual name for a missing value.
fn is_missing(label: &str) -> bool {
    MISSING.iter().any(|missing| label.trim().eq_ignore_ascii_case(missing))
}

impl Seen {
    /// The error for a label that is a missing value.
    fn missing(&self) -> DataError {
        DataError::MissingLabel {
            source_name: self.source_name.to_string(),
            place: self.place,
            found: format!("`{}`", self.name),
        }
    }
}

/// The names of labels that are all numbers, some of them written with a fraction; `None` if they
/// are names or whole numbers.
fn settled(seen: &[Seen]) -> Result<Option<Vec<Arc<str>>>, DataError> {
    if let Some(missing) = missing_number(seen) {
        return Err(seen[missing].missing());
    }
    let numeric = seen.iter().filter(|label| number(&label.name).is_some()).count();
    if numeric < seen.len() || !seen.iter().any(|label| label.name.contains(['.', 'e', 'E'])) {
        return Ok(None);
    }
    let whole = |label: &Seen| match number(&label.name) {
        Some(number) if is_whole(number) => Ok(Arc::from(whole_name(number))),
        _ => Err(DataError::FloatLabel {
            source_name: label.source_name.to_string(),
            place: label.place,
            label: label.name.to_string(),
        }),
    };
    seen.iter().map(whole).collect::<Result<_, _>>().map(Some)
}

/// Whether a float is the number of a class.
pub(crate) fn is_whole(number: f64) -> bool {
    number.fract() == 0.0 && number.abs() <= EXACT
}

/// `1.0` as `1`.
pub(crate) fn whole_name(number: f64) -> String {
    format!("{}", number as i64)
}

/// The value of a numeric label in csv; words such as `inf` are names.
fn number(label: &str) -> Option<f64> {
    let label = label.trim();
    label
        .starts_with(|first: char| first.is_ascii_digit() || matches!(first, '-' | '+' | '.'))
        .then(|| label.parse().ok())
        .flatten()
}
