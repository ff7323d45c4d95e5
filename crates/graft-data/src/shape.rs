//! The shape of a data set, found from the names of its columns or given with `columns=`.

use graft_spec::suggest::nearest;

use super::DataError;
use super::roles::{INSTRUCTIONS, MESSAGES, PAIRS, Role};

/// What the rows of a data set are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Text,
    Labeled,
    Pair,
    Completion,
    Preference,
    Chat,
}

/// The roles of the columns of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) shape: Shape,
    columns: [Option<usize>; Role::ALL.len()],
    /// Whether prompt and completion are joined as they are, because the file itself calls them
    /// `prompt` and `completion`.
    pub(crate) is_verbatim: bool,
}

/// Why columns have no shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// Two columns could have a role.
    Ambiguous { name: &'static str, first: String, second: String },
    /// `columns=` names a column that the row does not have.
    UnknownColumn { role: Role, column: String },
    /// A role has no column.
    Missing(&'static str),
}

/// The roles given with `columns=`; empty without it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mapping(Vec<(Role, String)>);

impl Mapping {
    /// Parses entries such as `text:review`.
    ///
    /// # Errors
    /// [`DataError::Columns`] for an entry of another form, an unknown role, or a role given twice.
    pub(crate) fn parse(entries: &[String]) -> Result<Self, DataError> {
        let mut given: Vec<(Role, String)> = Vec::new();
        for entry in entries {
            let Some((role, column)) =
                entry.split_once(':').filter(|(_, column)| !column.trim().is_empty())
            else {
                return Err(DataError::columns(format!(
                    "`{entry}` is not of the form ROLE:COLUMN"
                )));
            };
            let Some(found) = Role::of(role) else {
                return Err(unknown_role(role.trim(), column.trim()));
            };
            if given.iter().any(|(known, _)| *known == found) {
                return Err(DataError::columns(format!("`{}` is given twice", found.name())));
            }
            given.push((found, column.trim().to_owned()));
        }
        Ok(Self(given))
    }

    /// Whether the value of this column may be a list of messages or of tools.
    pub(crate) fn is_structured(&self, name: &str) -> bool {
        let is = |(role, column): &(Role, String)| {
            role.is_structured() && column.eq_ignore_ascii_case(name.trim())
        };
        self.0.iter().any(is)
    }

    /// Whether a column of this name has a role.
    pub(crate) fn names(&self, name: &str) -> bool {
        self.0.iter().any(|(_, column)| column.eq_ignore_ascii_case(name))
    }

    /// Whether the user gave no roles.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn unknown_role(role: &str, column: &str) -> DataError {
    let names = Role::ALL.map(Role::name);
    let meant = match (nearest(role, names).first(), Role::of(column)) {
        (Some(name), _) => format!("; did you mean `{name}:{column}`?"),
        (None, Some(_)) => format!("; did you mean `{column}:{role}`?"),
        (None, None) => String::new(),
    };
    DataError::columns(format!("`{role}` is not a role{meant}"))
}

impl Plan {
    fn new(shape: Shape) -> Self {
        Self { shape, columns: [None; Role::ALL.len()], is_verbatim: false }
    }

    fn with(mut self, role: Role, column: Option<usize>) -> Self {
        self.columns[role as usize] = column;
        self
    }

    /// The column of a role.
    pub(crate) fn column(&self, role: Role) -> Option<usize> {
        self.columns[role as usize]
    }

    /// The role of a column.
    pub(crate) fn role(&self, column: usize) -> Option<Role> {
        Role::ALL.into_iter().find(|role| self.column(*role) == Some(column))
    }
}

/// The roles of columns. A null column has the name `None`.
///
/// # Errors
/// [`Misfit`] when the columns have no shape.
pub(crate) fn plan(names: &[Option<&str>], mapping: &Mapping) -> Result<Plan, Misfit> {
    let names = Names(names);
    let plan = if mapping.is_empty() { names.recognized()? } else { names.given(mapping)? };
    if plan.column(Role::Split).is_some() {
        return Ok(plan);
    }
    let split = names.find("split")?.filter(|column| plan.role(*column).is_none());
    Ok(plan.with(Role::Split, split))
}

struct Names<'a>(&'a [Option<&'a str>]);

impl Names<'_> {
    /// The column with that name. The exact name has priority over another case.
    fn find(&self, wanted: &'static str) -> Result<Option<usize>, Misfit> {
        let columns =
            || self.0.iter().enumerate().filter_map(|(index, name)| Some((index, (*name)?)));
        let alike: Vec<(usize, &str)> =
            columns().filter(|(_, name)| name.trim().eq_ignore_ascii_case(wanted)).collect();
        let exact: Vec<&(usize, &str)> =
            alike.iter().filter(|(_, name)| name.trim() == wanted).collect();
        match (exact.as_slice(), alike.as_slice()) {
            ([one], _) => Ok(Some(one.0)),
            ([], [one]) => Ok(Some(one.0)),
            ([], []) => Ok(None),
            (_, [first, second, ..]) => Err(Misfit::Ambiguous {
                name: wanted,
                first: first.1.to_owned(),
                second: second.1.to_owned(),
            }),
            (_, [one]) => Ok(Some(one.0)),
            (_, []) => Ok(None),
        }
    }

    /// The first of these columns that exists.
    fn first(&self, wanted: &[&'static str]) -> Result<Option<usize>, Misfit> {
        for name in wanted {
            if let Some(found) = self.find(name)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The shape by the names of the columns.
    fn recognized(&self) -> Result<Plan, Misfit> {
        if let (Some(chosen), Some(rejected)) = (self.find("chosen")?, self.find("rejected")?) {
            return Ok(Plan::new(Shape::Preference)
                .with(Role::Prompt, self.first(Role::Prompt.candidates())?)
                .with(Role::Chosen, Some(chosen))
                .with(Role::Rejected, Some(rejected)));
        }
        if let Some(messages) = self.first(MESSAGES)? {
            return Ok(Plan::new(Shape::Chat)
                .with(Role::Messages, Some(messages))
                .with(Role::Tools, self.first(Role::Tools.candidates())?)
                .with(Role::System, self.first(Role::System.candidates())?));
        }
        if let Some(plan) = self.instruction()? {
            return Ok(plan);
        }
        for (own, other) in [
            ("chosen", "rejected"),
            ("rejected", "chosen"),
            ("prompt", "completion"),
            ("completion", "prompt"),
        ] {
            if self.find(own)?.is_some() {
                return Err(Misfit::Missing(other));
            }
        }
        self.classified()
    }

    fn instruction(&self) -> Result<Option<Plan>, Misfit> {
        for (prompt, completion) in INSTRUCTIONS {
            let (Some(first), Some(second)) = (self.find(prompt)?, self.find(completion)?) else {
                continue;
            };
            let is_verbatim = (*prompt, *completion) == ("prompt", "completion");
            let mut plan = Plan { is_verbatim, ..Plan::new(Shape::Completion) }
                .with(Role::Prompt, Some(first))
                .with(Role::Completion, Some(second));
            if !is_verbatim {
                let input = self.first(Role::Input.candidates())?.filter(|input| *input != first);
                plan = plan.with(Role::Input, input);
            }
            return Ok(Some(plan));
        }
        Ok(None)
    }

    /// Text with or without a label, or two texts with one.
    fn classified(&self) -> Result<Plan, Misfit> {
        let label = self.first(Role::Label.candidates())?;
        for (first, second) in PAIRS {
            if let (Some(first), Some(second), Some(label)) =
                (self.find(first)?, self.find(second)?, label)
            {
                return Ok(Plan::new(Shape::Pair)
                    .with(Role::Text, Some(first))
                    .with(Role::TextPair, Some(second))
                    .with(Role::Label, Some(label)));
            }
        }
        let text = self.first(Role::Text.candidates())?.ok_or(Misfit::Missing("text"))?;
        let shape = if label.is_some() { Shape::Labeled } else { Shape::Text };
        Ok(Plan::new(shape).with(Role::Text, Some(text)).with(Role::Label, label))
    }

    /// The shape by the roles given with `columns=`.
    fn given(&self, mapping: &Mapping) -> Result<Plan, Misfit> {
        let mut plan = Plan::new(Shape::Text);
        for (role, column) in &mapping.0 {
            let is = |exact: bool| {
                self.0.iter().position(|name| {
                    name.is_some_and(|name| match exact {
                        true => name.trim() == column,
                        false => name.trim().eq_ignore_ascii_case(column),
                    })
                })
            };
            let found = is(true)
                .or_else(|| is(false))
                .ok_or_else(|| Misfit::UnknownColumn { role: *role, column: column.clone() })?;
            plan = plan.with(*role, Some(found));
        }
        let has = |role| plan.column(role).is_some();
        let named =
            |role, name: &str| plan.column(role).is_some_and(|column| self.0[column] == Some(name));
        let is_verbatim = named(Role::Prompt, "prompt") && named(Role::Completion, "completion");
        let shape = match () {
            () if has(Role::Chosen) && has(Role::Rejected) => Shape::Preference,
            () if has(Role::Chosen) => return Err(Misfit::Missing("rejected")),
            () if has(Role::Rejected) => return Err(Misfit::Missing("chosen")),
            () if has(Role::Messages) => Shape::Chat,
            () if has(Role::Prompt) && has(Role::Completion) => Shape::Completion,
            () if has(Role::Prompt) => return Err(Misfit::Missing("completion")),
            () if has(Role::Completion) => return Err(Misfit::Missing("prompt")),
            () if !has(Role::Text) => return Err(Misfit::Missing("text")),
            () if has(Role::TextPair) && has(Role::Label) => Shape::Pair,
            () if has(Role::TextPair) => return Err(Misfit::Missing("label")),
            () if has(Role::Label) => Shape::Labeled,
            () => Shape::Text,
        };
        Ok(Plan { shape, is_verbatim, ..plan })
    }
}

#[cfg(test)]
mod tests;
