//! Builds examples from rows of named fields, and rejects rows that do not form an example.

mod content;
mod preference;

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::DataError;
use super::columns::{Columns, ReadReport};
use super::dataset::{Example, SplitName};
use super::examples::{Content, Examples};
use super::labels::{Labels, Sorted};
use super::options::{Order, ReadOptions};
use super::place::Place;
use super::record::{Field, Row};
use super::roles::Role;
use super::shape::{Mapping, Misfit, Plan, Shape, plan};

/// Memory of an example in addition to its texts.
const EXAMPLE_BYTES: u64 = 96;
/// Most skipped rows that are named in a note.
const NAMED: usize = 3;

/// Whether to read on.
pub(crate) type Flow = ControlFlow<()>;

/// Collects the rows of one or more files.
pub(crate) struct Collector<'a> {
    options: &'a ReadOptions,
    source_name: Arc<str>,
    /// The split of the whole file, if it has one.
    split: Option<SplitName>,
    /// Whether numbers and strings are different types, as in JSON; in all files so far.
    typed: bool,
    budget: u64,
    taken: u64,
    examples: Examples,
    labels: Labels,
    columns: Columns,
    notes: Vec<String>,
    /// The shape of the first example, and where it is.
    first: Option<(Shape, bool, String)>,
    /// The columns of the last row, and their plan.
    last: Option<(Vec<(String, bool)>, Plan)>,
    /// Examples kept of each split, and of data without splits.
    kept: [usize; 4],
    skipped: Skipped,
}

/// Rows that were skipped.
#[derive(Default)]
struct Skipped {
    count: usize,
    first: Vec<String>,
}

/// The examples of all files, and a report on how they were read.
pub(crate) struct Collected {
    pub(crate) examples: Vec<Example>,
    pub(crate) splits: Vec<Option<SplitName>>,
    pub(crate) shape: Shape,
    pub(crate) is_verbatim: bool,
    pub(crate) labels: Vec<String>,
    pub(crate) report: ReadReport,
}

impl<'a> Collector<'a> {
    /// A collector that uses at most `budget` bytes.
    pub(crate) fn new(options: &'a ReadOptions, budget: u64) -> Self {
        Self {
            options,
            source_name: Arc::from(""),
            split: None,
            typed: true,
            budget,
            taken: 0,
            examples: Examples::default(),
            labels: Labels::default(),
            columns: Columns::default(),
            notes: Vec::new(),
            first: None,
            last: None,
            kept: [0; 4],
            skipped: Skipped::default(),
        }
    }

    /// Begins a file. `typed` if its format distinguishes numbers from strings.
    pub(crate) fn begin(&mut self, source_name: &str, split: Option<SplitName>, typed: bool) {
        self.source_name = source_name.into();
        self.split = split;
        self.typed &= typed;
        self.last = None;
    }

    /// The name of the current file in errors.
    pub(crate) fn source_name(&self) -> &str {
        &self.source_name
    }

    /// The roles given by the user.
    pub(crate) fn mapping(&self) -> &'a Mapping {
        &self.options.mapping
    }

    /// Lists a column as ignored.
    pub(crate) fn ignore(&mut self, column: &str) {
        self.columns.note(column, None);
    }

    /// Adds a note to the report.
    pub(crate) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Adds a text without fields.
    pub(crate) fn text(&mut self, place: Place, text: &str) -> Result<Flow, DataError> {
        self.check_shape(place, Shape::Text, false)?;
        self.push(Content::Text(text), self.split)
    }

    /// Adds a row; a row that is not an example is skipped if the user asked for it.
    pub(crate) fn row(&mut self, place: Place, row: Row<'_>) -> Result<Flow, DataError> {
        match self.fields(place, row) {
            Ok(flow) => Ok(flow),
            Err(error) => self.bad(error),
        }
    }

    /// Skips a row that cannot be used if the user asked for it, and returns the error otherwise.
    pub(crate) fn bad(&mut self, error: DataError) -> Result<Flow, DataError> {
        if !self.options.skips_bad || !error.is_of_one_row() {
            return Err(error);
        }
        self.skipped.count += 1;
        if self.skipped.first.len() < NAMED {
            self.skipped.first.push(error.to_string());
        }
        Ok(Flow::Continue(()))
    }

    fn fields(&mut self, place: Place, row: Row<'_>) -> Result<Flow, DataError> {
        let plan = self.plan(place, &row)?;
        self.check_shape(place, content::shape(&plan, &row), plan.is_verbatim)?;
        let split = match plan.column(Role::Split).map(|column| &row[column].1) {
            Some(field) => self.split_of(place, field)?.or(self.split),
            None => self.split,
        };
        if self.is_beyond_limit(split) {
            return Ok(Flow::Continue(()));
        }
        self.content(place, &plan, row, split)
    }

    /// The plan for a row; that of the last row if the columns are the same.
    fn plan(&mut self, place: Place, row: &Row<'_>) -> Result<Plan, DataError> {
        if let Some((names, plan)) = &self.last
            && names.len() == row.len()
            && names
                .iter()
                .zip(row)
                .all(|((name, null), (other, field))| name == other && *null == is_null(field))
        {
            return Ok(*plan);
        }
        let is_label = |name: &str| {
            Role::Label.candidates().iter().any(|label| label.eq_ignore_ascii_case(name.trim()))
        };
        let is_given = !self.options.mapping.is_empty();
        let names: Vec<Option<&str>> = row
            .iter()
            .map(|(name, field)| {
                (is_given || !is_null(field) || is_label(name)).then_some(name.as_ref())
            })
            .collect();
        let found = plan(&names, &self.options.mapping)
            .map_err(|misfit| self.misfit(place, row, misfit))?;
        for (index, (name, _)) in row.iter().enumerate() {
            self.columns.note(name, found.role(index));
        }
        let key = row.iter().map(|(name, field)| (name.to_string(), is_null(field))).collect();
        self.last = Some((key, found));
        Ok(found)
    }

    fn check_shape(
        &mut self,
        place: Place,
        shape: Shape,
        is_verbatim: bool,
    ) -> Result<(), DataError> {
        match &self.first {
            Some((first, ..)) if *first == shape => Ok(()),
            Some((first, _, first_place)) => Err(DataError::MixedShapes {
                source_name: self.source_name.to_string(),
                place,
                found: shape.described(),
                first: first.described(),
                first_place: first_place.clone(),
            }),
            None => {
                // Checked at the first example, before a large file is read in vain.
                self.options.template.of(shape, is_verbatim)?;
                self.first = Some((shape, is_verbatim, format!("`{}` {place}", self.source_name)));
                Ok(())
            }
        }
    }

    fn push(&mut self, content: Content<'_>, split: Option<SplitName>) -> Result<Flow, DataError> {
        self.taken += content.bytes() as u64 + EXAMPLE_BYTES;
        if self.taken > self.budget {
            return Err(DataError::TooLarge {
                source_name: self.source_name.to_string(),
                bytes: self.taken,
                left: self.budget,
            });
        }
        if self.is_beyond_limit(split) {
            return Ok(Flow::Break(()));
        }
        self.examples.push(content, split);
        let kept = &mut self.kept[slot(split)];
        *kept += 1;
        // Data without splits of its own is complete; a later row may have another split otherwise.
        let is_complete = self.takes_first()
            && (split.is_none() || self.split.is_some())
            && self.is_beyond_limit(split);
        Ok(if is_complete && self.has_no_split_column() {
            Flow::Break(())
        } else {
            Flow::Continue(())
        })
    }

    fn has_no_split_column(&self) -> bool {
        self.last.as_ref().is_none_or(|(_, plan)| plan.column(Role::Split).is_none())
    }

    /// Whether the first examples are kept, not random ones.
    fn takes_first(&self) -> bool {
        self.options.order == Order::AsRead
    }

    /// Whether enough examples of a split are kept.
    fn is_beyond_limit(&self, split: Option<SplitName>) -> bool {
        self.takes_first()
            && self.options.limit.is_some_and(|limit| self.kept[slot(split)] >= limit)
    }

    fn split_of(&self, place: Place, field: &Field<'_>) -> Result<Option<SplitName>, DataError> {
        let name = match field {
            Field::Null => return Ok(None),
            Field::Text(name) if name.is_empty() => return Ok(None),
            Field::Text(name) => name.as_ref(),
            _ => "not a name",
        };
        SplitName::parse(name).map(Some).ok_or_else(|| {
            self.malformed(
                place,
                format!("the split is `{name}`; expected train, validation or test"),
            )
        })
    }

    /// Returns the examples and the report.
    ///
    /// # Errors
    /// [`DataError::Empty`], and errors of the labels.
    pub(crate) fn finish(
        mut self,
        source_name: &str,
        format: String,
    ) -> Result<Collected, DataError> {
        let Some((shape, is_verbatim, _)) = self.first.take().filter(|_| self.examples.len() > 0)
        else {
            return Err(DataError::Empty {
                source_name: source_name.to_owned(),
                skipped: self.skipped.count,
                first: self.skipped.first.first().cloned(),
            });
        };
        let (mut examples, mut splits) = std::mem::take(&mut self.examples).finish();
        if !self.typed && self.options.skips_bad {
            self.skip_missing_labels(&mut examples, &mut splits);
        }
        self.note_labels(&examples);
        let unseen = self.unseen_labels();
        if let (Some(error), None) = (unseen, self.options.limit) {
            return Err(error);
        }
        let Sorted { names, order, whole_floats } = self.labels.sorted(self.typed)?;
        if let [label] = names.as_slice() {
            return Err(DataError::OneLabel {
                source_name: source_name.to_owned(),
                label: label.clone(),
            });
        }
        self.notes.extend(
            whole_floats.then(|| "labels such as 1.0 were read as whole numbers".to_owned()),
        );
        self.notes.extend(self.skipped.note());
        number_labels(&mut examples, &names, &order);
        let report = self.columns.report(format, self.notes);
        Ok(Collected { examples, splits, shape, is_verbatim, labels: names, report })
    }

    /// Skips the examples with the label `nan` if all other labels are numbers, which is known only
    /// after the last row.
    fn skip_missing_labels(
        &mut self,
        examples: &mut Vec<Example>,
        splits: &mut Vec<Option<SplitName>>,
    ) {
        while let Some((missing, error)) = self.labels.take_missing() {
            let is_kept: Vec<bool> =
                examples.iter().map(|example| example.label != Some(missing)).collect();
            let mut each = is_kept.iter();
            examples.retain(|_| each.next() == Some(&true));
            let mut each = is_kept.iter();
            splits.retain(|_| each.next() == Some(&true));
            for label in examples.iter_mut().filter_map(|example| example.label.as_mut()) {
                *label -= usize::from(*label > missing);
            }
            self.skipped.count += is_kept.iter().filter(|is_kept| !**is_kept).count();
            if self.skipped.first.len() < NAMED {
                self.skipped.first.push(error.to_string());
            }
        }
    }

    fn note_labels(&mut self, examples: &[Example]) {
        let (labels, count) = (self.labels.len(), examples.len());
        if labels > 20 && labels * 2 > count {
            self.notes.push(format!("{labels} different labels in {count} examples: is the label column an identifier, a number or free text?"));
        }
        for (number, name) in self.labels.looking_missing() {
            let count = examples.iter().filter(|example| example.label == Some(number)).count();
            let of = if count == 1 { "1 example" } else { &format!("{count} examples") };
            self.notes.push(format!(
                "`{name}` is the label of {of}: if it stands for a missing value, remove these rows"
            ));
        }
    }

    /// The error for a label that only validation or test examples have.
    fn unseen_labels(&self) -> Option<DataError> {
        let known = self.labels.of_training();
        if known.is_empty() {
            return None;
        }
        let (label, split, source_name, place) = self.labels.unseen_in_training()?;
        Some(DataError::UnseenLabel {
            source_name: source_name.to_owned(),
            place,
            label: label.to_owned(),
            split: split.name(),
            known: known.into_iter().map(str::to_owned).collect(),
        })
    }

    /// An error of one row.
    pub(crate) fn malformed(&self, place: Place, problem: String) -> DataError {
        DataError::Malformed { source_name: self.source_name.to_string(), place, problem }
    }

    fn misfit(&self, place: Place, row: &Row<'_>, misfit: Misfit) -> DataError {
        let source_name = self.source_name.to_string();
        let found = || row.iter().map(|(name, _)| name.to_string()).collect();
        match misfit {
            Misfit::Ambiguous { name, first, second } => self.malformed(
                place,
                format!("it has both `{first}` and `{second}`: which one is the {name}?"),
            ),
            Misfit::UnknownColumn { role, column } => DataError::UnknownColumn {
                source_name,
                place,
                role: role.name(),
                column,
                found: found(),
            },
            Misfit::Missing(missing) => DataError::MissingField {
                source_name,
                place,
                missing,
                found: found(),
                is_given: !self.options.mapping.is_empty(),
            },
        }
    }
}

impl Skipped {
    fn note(&self) -> Option<String> {
        let rows = if self.count == 1 { "row" } else { "rows" };
        let more = match self.count - self.first.len() {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        (self.count > 0)
            .then(|| format!("skipped {} bad {rows}: {}{more}", self.count, self.first.join("; ")))
    }
}

fn slot(split: Option<SplitName>) -> usize {
    split.map_or(3, |split| split as usize)
}

fn is_null(field: &Field<'_>) -> bool {
    matches!(field, Field::Null)
}

/// Replaces the numbers of labels by their index among the sorted labels, and sets the completions,
/// which all examples of a label share.
fn number_labels(examples: &mut [Example], names: &[String], order: &[usize]) {
    let completions: Vec<super::Text> = names
        .iter()
        .map(|label| super::Text::from(super::Dataset::label_completion(label)))
        .collect();
    for example in examples {
        if let Some(label) = example.label.map(|label| order[label]) {
            example.label = Some(label);
            example.completion = completions[label].clone();
        }
    }
}

/// The text of a field, trimmed of nothing; numbers as written.
fn written<'r>(field: &'r Field<'_>) -> Option<Cow<'r, str>> {
    match field {
        Field::Text(text) => Some(Cow::Borrowed(text)),
        Field::Float(number) => Some(Cow::Owned(number.to_string())),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
