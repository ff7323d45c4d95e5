//! A module tree that prints as text and is displayed like `%model tree`.

use std::fmt;

use graft_protocol::{Block, TreeLine};

use crate::{Show, Shown, lab, plain};

/// The modules of a model with shapes and adapters.
#[derive(Clone, PartialEq, Eq)]
pub struct Tree {
    lines: Vec<TreeLine>,
}

impl Tree {
    /// Shows the value. evcxr calls this for the last expression of a cell.
    pub fn evcxr_display(&self) {
        lab().display(self);
    }
}

impl From<Vec<TreeLine>> for Tree {
    fn from(lines: Vec<TreeLine>) -> Self {
        Self { lines }
    }
}

impl Show for Tree {
    fn shown(&self) -> Shown {
        Shown::Block(Block::Tree(self.lines.clone()))
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&plain::tree(&self.lines))
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
