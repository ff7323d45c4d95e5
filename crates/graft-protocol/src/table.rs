//! Tables as data; graft-render draws them as HTML, plain text and ANSI.

use serde::{Deserialize, Serialize};

/// A titled table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Shown above; may be empty.
    pub title: String,
    /// Header and alignment.
    pub columns: Vec<Column>,
    /// Rows, each as long as `columns`.
    pub rows: Vec<Vec<Cell>>,
    /// Lines below the table, such as HF PEFT's line.
    pub footer: Vec<String>,
}

/// One column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Header, with the unit where the numbers have one.
    pub name: String,
    /// Alignment of header and cells.
    pub align: Align,
}

/// Where a cell's text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// One cell; the renderer formats it, so that notebook and terminal agree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Cell {
    /// Nothing.
    Empty,
    /// Words.
    Text(String),
    /// Words in code type: module paths, commands.
    Code(String),
    /// A count, drawn with thousands separators.
    Integer(i64),
    /// A number with that many decimals.
    Float(#[serde(with = "graft_spec::number")] f64, u8),
    /// A share in `[0, 1]`, drawn as percent with that many decimals.
    Percent(#[serde(with = "graft_spec::number")] f64, u8),
    /// Bytes, drawn with a binary unit.
    Bytes(u64),
    /// Words that stand out (a total, the active adapter).
    Strong(String),
}

impl Table {
    /// An empty table with these columns; a header that starts with `#` marks a column of numbers and loses the sign.
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

    /// Adds a row; missing cells at its end are empty.
    pub fn row(&mut self, mut cells: Vec<Cell>) {
        cells.resize(self.columns.len(), Cell::Empty);
        self.rows.push(cells);
    }
}
