//! The use of each column of a table, or field of JSON Lines.

use std::collections::BTreeMap;

use super::roles::Role;

/// Most column names listed in a report.
const LISTED: usize = 20;
/// Most column names that are stored.
const KEPT: usize = 1000;

/// How a data set was read: the format, and the use of each column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadReport {
    /// The format, such as `jsonl` or `csv`, and how the file was decompressed and decoded.
    pub format: String,
    /// The used columns, each with its use.
    pub used: Vec<(String, &'static str)>,
    /// The unused columns.
    pub ignored: Vec<String>,
    /// Notes for the user, for example about numbers that were read as names.
    pub notes: Vec<String>,
}

impl ReadReport {
    /// One line, such as ``read as csv: `text`, `labels` as label; ignored: `id` ``.
    pub fn line(&self) -> String {
        if self.ignored.is_empty() {
            self.read_as()
        } else {
            format!("{}; ignored: {}", self.read_as(), self.ignored_names())
        }
    }

    /// The line without the ignored columns, such as ``read as csv: `text`, `labels` as label``.
    pub fn read_as(&self) -> String {
        let column = |(name, role): &(String, &str)| {
            if name == role { format!("`{name}`") } else { format!("`{name}` as {role}") }
        };
        let used: Vec<String> = self.used.iter().map(column).collect();
        let mut line = format!("read as {}", self.format);
        if !used.is_empty() {
            line.push_str(&format!(": {}", used.join(", ")));
        }
        line
    }

    /// The names of the unused columns, at most twenty of them.
    pub fn ignored_names(&self) -> String {
        let mut names: Vec<String> =
            self.ignored.iter().take(LISTED).map(|name| format!("`{name}`")).collect();
        if self.ignored.len() > LISTED {
            names.push(format!("and {} more", self.ignored.len() - LISTED));
        }
        names.join(", ")
    }
}

/// Records the use of columns while a file is read.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    /// The use of each column; `None` if it was never used.
    seen: BTreeMap<String, Option<Role>>,
}

impl Columns {
    /// Records the use of a column in one record.
    pub(crate) fn note(&mut self, name: &str, role: Option<Role>) {
        if let Some(before) = self.seen.get_mut(name) {
            *before = before.or(role);
        } else if self.seen.len() < KEPT || role.is_some() {
            self.seen.insert(name.to_owned(), role);
        }
    }

    /// The report for a file of that format.
    pub(crate) fn report(self, format: String, notes: Vec<String>) -> ReadReport {
        let mut used = Vec::new();
        let mut ignored = Vec::new();
        for (name, role) in self.seen {
            match role {
                Some(role) => used.push((role, name)),
                None => ignored.push(name),
            }
        }
        used.sort();
        ReadReport {
            format,
            used: used.into_iter().map(|(role, name)| (name, role.name())).collect(),
            ignored,
            notes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_what_was_used_and_what_was_not() {
        let mut columns = Columns::default();
        for (name, role) in [
            ("id", None),
            ("labels", Some(Role::Label)),
            ("text", Some(Role::Text)),
            ("id", None),
            ("split", None),
        ] {
            columns.note(name, role);
        }
        columns.note("split", Some(Role::Split));
        let report = columns.report("tsv".to_owned(), Vec::new());
        assert_eq!(report.line(), "read as tsv: `text`, `labels` as label, `split`; ignored: `id`");
    }

    #[test]
    fn many_ignored_columns_are_counted() {
        let mut columns = Columns::default();
        (0..30).for_each(|number| columns.note(&format!("c{number:02}"), None));
        assert!(
            columns.report("csv".to_owned(), Vec::new()).line().ends_with("`c19`, and 10 more")
        );
    }
}
