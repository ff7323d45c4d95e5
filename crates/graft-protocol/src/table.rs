//! Tables as data; graft-render draws them as HTML, plain text and ANSI.

use serde::{Deserialize, Serialize};

/// A titled table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Title above the table; may be empty.
    pub title: String,
    /// Headers and alignments.
    pub columns: Vec<Column>,
    /// Rows, each as long as `columns`.
    pub rows: Vec<Vec<Cell>>,
    /// Lines below the table, such as the summary line of HF PEFT.
    pub footer: Vec<String>,
}

/// One column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Header, including the unit of the numbers.
    pub name: String,
    /// Alignment of header and cells.
    pub align: Align,
}

/// Alignment of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Align {
    /// For text.
    Left,
    /// For numbers.
    Right,
}

/// One cell; the renderer formats it, so that notebook and terminal agree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Cell {
    /// An empty cell.
    Empty,
    /// Text.
    Text(String),
    /// Text in a monospaced font: module paths, commands.
    Code(String),
    /// A count, drawn with thousands separators.
    Integer(i64),
    /// A number with the given number of decimals.
    Float(#[serde(with = "graft_spec::number")] f64, u8),
    /// A share in `[0, 1]`, drawn as a percentage with the given number of decimals.
    Percent(#[serde(with = "graft_spec::number")] f64, u8),
    /// A number of bytes, drawn with a binary unit.
    Bytes(u64),
    /// Highlighted text (a total, the active adapter).
    Strong(String),
}

impl Table {
    /// Creates an empty table. A header that starts with `#` marks a column of numbers and is shown
    /// without the `#`.
    pub fn new(title: impl Into<String>, headers: &[&str]) -> Self {
        let columns = headers
            .iter()
            .map(|header| match header.strip_prefix('#') {
                Some(name) => Column { name: name.to_owned(), align: Align::Right },
                None => Column { name: (*header).to_owned(), align: Align::Left },
            })
            .collect();
        Self { title: title.into(), columns, ..Self::default() }
    }

    /// Adds a row. Missing cells at its end are empty.
    pub fn row(&mut self, mut cells: Vec<Cell>) {
        cells.resize(self.columns.len(), Cell::Empty);
        self.rows.push(cells);
    }
}
