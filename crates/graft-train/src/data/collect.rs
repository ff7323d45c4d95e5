//! Builds records from named fields, and rejects fields that do not form an example.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::DataError;
use super::columns::{Columns, ReadReport, Role};
use super::dataset::SplitName;
use super::detect::with_name;
use super::record::{Content, Field, Record};
use super::unsupported::{self, Unsupported};

/// Most labels of a data set: a classifier has a row of weights per label, and an evaluation scores
/// all of them.
pub(super) const MOST_LABELS: usize = 10_000;
/// Memory of a record in addition to its texts, while it is read and as an example.
const RECORD_BYTES: u64 = 256;
/// Integers up to here are exact in 64-bit floats.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Collects the records of a file.
pub(super) struct Collector<'a> {
    source_name: &'a str,
    /// Whether numbers and strings are different types, as in JSON.
    typed: bool,
    budget: u64,
    taken: u64,
    records: Vec<Record>,
    labels: BTreeSet<Arc<str>>,
    columns: Columns,
    notes: Vec<String>,
    whole_floats: bool,
}

/// The records of a file, and a report on how they were read.
pub(super) struct Collected {
    pub(super) records: Vec<Record>,
    pub(super) report: ReadReport,
}

impl<'a> Collector<'a> {
    /// A collector that uses at most `budget` bytes. `typed` if the format distinguishes numbers
    /// from strings.
    pub(super) fn new(source_name: &'a str, typed: bool, budget: u64) -> Self {
        Self {
            source_name,
            typed,
            budget,
            taken: 0,
            records: Vec::new(),
            labels: BTreeSet::new(),
            columns: Columns::default(),
            notes: Vec::new(),
            whole_floats: false,
        }
    }

    /// Adds a note to the report.
    pub(super) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Adds a text without fields.
    pub(super) fn text(&mut self, line: usize, text: String) -> Result<(), DataError> {
        self.push(Record { line, content: Content::Text(text), split: None })
    }

    /// Adds a record of named fields: `prompt` and `completion`, or `text` and optionally `label`;
    /// and `split` if present.
    pub(super) fn fields(
        &mut self,
        line: usize,
        mut fields: Vec<(String, Field)>,
    ) -> Result<(), DataError> {
        let chosen = self.chosen(line, &fields)?;
        let roles = self.roles(line, &fields, &chosen)?;
        for (index, (name, _)) in fields.iter().enumerate() {
            let role = roles
                .iter()
                .chain([&Role::Split])
                .find(|role| chosen[**role as usize] == Some(index));
            self.columns.note(name, role.copied());
        }
        let mut take = |role: Role| {
            chosen[role as usize]
                .map_or(Field::Null, |index| std::mem::replace(&mut fields[index].1, Field::Null))
        };
        let split = self.split(line, take(Role::Split))?;
        let content = match *roles {
            [Role::Prompt, _] => Content::Completion {
                prompt: self.string(line, Role::Prompt, take(Role::Prompt))?,
                completion: self.string(line, Role::Completion, take(Role::Completion))?,
            },
            [_, _] => Content::Labeled {
                text: self.string(line, Role::Text, take(Role::Text))?,
                label: self.label(line, take(Role::Label))?,
            },
            _ => Content::Text(self.string(line, Role::Text, take(Role::Text))?),
        };
        if let Some(field) = content.empty_field() {
            return Err(self.malformed(line, format!("the {field} is empty")));
        }
        self.push(Record { line, content, split })
    }

    /// Returns the roles whose fields form the example.
    fn roles(
        &self,
        line: usize,
        fields: &[(String, Field)],
        chosen: &[Option<usize>],
    ) -> Result<&'static [Role], DataError> {
        let has =
            |role: Role| chosen[role as usize].is_some_and(|index| fields[index].1 != Field::Null);
        Ok(match () {
            () if has(Role::Prompt) && has(Role::Completion) => &[Role::Prompt, Role::Completion],
            () if has(Role::Prompt) || has(Role::Completion) || !has(Role::Text) => {
                return Err(self.unusable(line, fields, has(Role::Prompt), has(Role::Completion)));
            }
            () if chosen[Role::Label as usize].is_some() => &[Role::Text, Role::Label],
            () => &[Role::Text],
        })
    }

    /// Returns the records and the report. In an untyped format, numeric labels are checked first.
    pub(super) fn finish(mut self, format: String) -> Result<Collected, DataError> {
        if !self.typed {
            self.settle_numbers()?;
        }
        if self.whole_floats {
            self.notes.push("labels such as 1.0 were read as whole numbers".to_owned());
        }
        let labels = self.labels.len();
        let examples = self.records.len();
        if labels > 20 && labels * 2 > examples {
            self.notes.push(format!("{labels} different labels in {examples} examples: is the label column an identifier, a number or free text?"));
        }
        Ok(Collected { records: self.records, report: self.columns.report(format, self.notes) })
    }

    /// The index of the field for each role. A field with the exact name has priority over one with
    /// a similar name.
    fn chosen(
        &self,
        line: usize,
        fields: &[(String, Field)],
    ) -> Result<[Option<usize>; 5], DataError> {
        let mut chosen = [None; 5];
        for (index, (name, _)) in fields.iter().enumerate() {
            let Some(role) = Role::of(name) else { continue };
            let place = &mut chosen[role as usize];
            let exact = |index: usize| fields[index].0 == role.name();
            match *place {
                Some(before) if exact(before) == exact(index) => {
                    let problem = format!(
                        "it has both `{}` and `{name}`: which one is the {}?",
                        fields[before].0,
                        role.name()
                    );
                    return Err(self.malformed(line, problem));
                }
                Some(before) if exact(before) => {}
                _ => *place = Some(index),
            }
        }
        Ok(chosen)
    }

    fn push(&mut self, record: Record) -> Result<(), DataError> {
        self.taken += record.content.bytes() as u64 + RECORD_BYTES;
        if self.taken > self.budget {
            return Err(DataError::TooLarge {
                source_name: self.source_name.to_owned(),
                bytes: self.taken,
                left: self.budget,
            });
        }
        self.records.push(record);
        Ok(())
    }

    fn string(&self, line: usize, role: Role, field: Field) -> Result<String, DataError> {
        match field {
            Field::Text(text) => Ok(text),
            Field::Float(number) => Ok(number.to_string()),
            Field::List if matches!(role, Role::Prompt | Role::Completion) => {
                Err(self.unsupported(line, unsupported::chat(role.name())))
            }
            Field::List | Field::Object => {
                let what = if field == Field::List { "a list" } else { "an object" };
                Err(self
                    .malformed(line, format!("the {} is {what}; expected a string", role.name())))
            }
            Field::Null => Err(self.malformed(line, format!("the {} is null", role.name()))),
        }
    }

    fn label(&mut self, line: usize, field: Field) -> Result<Arc<str>, DataError> {
        let text = match field {
            Field::Text(text) => text,
            Field::Float(number) if number.fract() == 0.0 && number.abs() <= EXACT => {
                self.whole_floats = true;
                format!("{}", number as i64)
            }
            Field::Float(number) => return Err(self.float(line, number.to_string())),
            Field::List => {
                return Err(DataError::ListLabel {
                    source_name: self.source_name.to_owned(),
                    line,
                });
            }
            Field::Object => {
                return Err(self.malformed(
                    line,
                    "the label is an object; expected a name or a whole number".to_owned(),
                ));
            }
            Field::Null => {
                return Err(self.malformed(
                    line,
                    "the label is null: remove the example, or add a label".to_owned(),
                ));
            }
        };
        self.intern(line, &text)
    }

    /// Stores one copy of each label.
    fn intern(&mut self, line: usize, label: &str) -> Result<Arc<str>, DataError> {
        if let Some(known) = self.labels.get(label) {
            return Ok(known.clone());
        }
        if self.labels.len() == MOST_LABELS {
            return Err(DataError::TooManyLabels {
                source_name: self.source_name.to_owned(),
                line,
                most: MOST_LABELS,
            });
        }
        let label: Arc<str> = label.into();
        self.labels.insert(label.clone());
        Ok(label)
    }

    fn split(&self, line: usize, field: Field) -> Result<Option<SplitName>, DataError> {
        let name = match field {
            Field::Null => return Ok(None),
            field => self.string(line, Role::Split, field)?,
        };
        if name.is_empty() {
            return Ok(None);
        }
        let parsed = SplitName::parse(&name).ok_or_else(|| {
            self.malformed(
                line,
                format!("the split is `{name}`; expected train, validation or test"),
            )
        });
        parsed.map(Some)
    }

    /// csv has no types: if every label is a number, a fraction is a quantity and is refused, and
    /// 1.0 is the class 1.
    fn settle_numbers(&mut self) -> Result<(), DataError> {
        let numbers: Option<BTreeMap<Arc<str>, f64>> = self
            .labels
            .iter()
            .map(|label| number(label).map(|number| (label.clone(), number)))
            .collect();
        let Some(numbers) =
            numbers.filter(|numbers| numbers.keys().any(|label| label.contains(['.', 'e', 'E'])))
        else {
            return Ok(());
        };
        let whole = |number: f64| number.fract() == 0.0 && number.abs() <= EXACT;
        for record in &mut self.records {
            let Content::Labeled { label, .. } = &mut record.content else { continue };
            match numbers.get(label) {
                Some(number) if whole(*number) => *label = format!("{}", *number as i64).into(),
                _ => {
                    return Err(DataError::FloatLabel {
                        source_name: self.source_name.to_owned(),
                        line: record.line,
                        label: label.to_string(),
                    });
                }
            }
        }
        self.whole_floats = true;
        Ok(())
    }

    fn malformed(&self, line: usize, problem: String) -> DataError {
        DataError::Malformed { source_name: self.source_name.to_owned(), line, problem }
    }

    fn float(&self, line: usize, label: String) -> DataError {
        DataError::FloatLabel { source_name: self.source_name.to_owned(), line, label }
    }

    fn unsupported(&self, line: usize, Unsupported { what, hint }: Unsupported) -> DataError {
        DataError::Unsupported {
            source_name: self.source_name.to_owned(),
            line,
            what,
            hint: with_name(&hint, self.source_name),
        }
    }

    /// The error for fields that do not form an example: an unsupported kind of data set, or a
    /// missing field.
    fn unusable(
        &self,
        line: usize,
        fields: &[(String, Field)],
        has_prompt: bool,
        has_completion: bool,
    ) -> DataError {
        let found: Vec<String> = fields.iter().map(|(name, _)| name.clone()).collect();
        let missing = match (has_prompt, has_completion) {
            (true, false) => "`completion`",
            (false, true) => "`prompt`",
            _ => "`text`",
        };
        match unsupported::kind_of(&found, has_prompt || has_completion) {
            Some(kind) => self.unsupported(line, kind),
            None => DataError::MissingField {
                source_name: self.source_name.to_owned(),
                line,
                missing,
                found,
            },
        }
    }
}

/// The value of a numeric label in csv; words such as `nan` and `inf` are names.
fn number(label: &str) -> Option<f64> {
    let label = label.trim();
    label
        .starts_with(|first: char| first.is_ascii_digit() || matches!(first, '-' | '+' | '.'))
        .then(|| label.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests;
