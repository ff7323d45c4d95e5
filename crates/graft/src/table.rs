//! A table that prints as text and shows as the magics' tables do.

use std::fmt;

use graft_protocol::{Block, Cell};

use crate::{Show, Shown, lab, plain};

/// A table: `println!` gives text, [`crate::Lab::display`] (or the last expression of a cell) the drawn one.
#[derive(Clone, PartialEq)]
pub struct Table {
    table: graft_protocol::Table,
}

impl Table {
    /// An empty table; a header that starts with `#` marks a column of numbers and loses the sign.
    pub fn new(title: &str, headers: &[&str]) -> Self {
        Self { table: graft_protocol::Table::new(title, headers) }
    }

    /// Adds a row of texts.
    pub fn row(&mut self, cells: &[&str]) -> &mut Self {
        self.table.row(cells.iter().map(|cell| Cell::Text((*cell).to_owned())).collect());
        self
    }

    /// Adds a line below.
    pub fn footer(&mut self, line: &str) -> &mut Self {
        self.table.footer.push(line.to_owned());
        self
    }

    /// Shows itself: evcxr calls this for the last expression of a cell.
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
