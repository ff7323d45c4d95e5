//! A table that prints as text and is displayed like the tables of the magics.

use std::fmt;

use graft_protocol::{Block, Cell};

use crate::{Show, Shown, lab, plain};

/// A table. `println!` prints it as text; [`Lab::display`](crate::Lab::display) or the last
/// expression of a cell shows it as a rendered table.
///
/// # Examples
/// ```
/// use graft::prelude::*;
///
/// let mut table = Table::new("scores", &["model", "#loss"]);
/// table.row(&["base", "3.02"]).row(&["lora", "2.41"]).footer("lower is better");
/// assert!(table.to_string().starts_with("scores\nmodel  loss"));
/// ```
#[derive(Clone, PartialEq)]
pub struct Table {
    table: graft_protocol::Table,
}

impl Table {
    /// An empty table. A header that starts with `#` marks a right-aligned column; the `#` is
    /// removed.
    pub fn new(title: &str, headers: &[&str]) -> Self {
        Self { table: graft_protocol::Table::new(title, headers) }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: &[&str]) -> &mut Self {
        self.table.row(cells.iter().map(|cell| Cell::Text((*cell).to_owned())).collect());
        self
    }

    /// Adds a line below the table.
    pub fn footer(&mut self, line: &str) -> &mut Self {
        self.table.footer.push(line.to_owned());
        self
    }

    /// Shows the value. evcxr calls this for the last expression of a cell.
    pub fn evcxr_display(&self) {
        lab().display(self);
    }
}

impl From<graft_protocol::Table> for Table {
    fn from(table: graft_protocol::Table) -> Self {
        Self { table }
    }
}

impl Show for Table {
    fn shown(&self) -> Shown {
        Shown::Block(Block::Table(self.table.clone()))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&plain::table(&self.table))
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
