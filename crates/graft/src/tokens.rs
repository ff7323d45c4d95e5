//! The tokens of examples, displayed like `%data show tokens=true`.

use std::fmt;

use graft_protocol::{Block, TokenList};

use crate::{Show, Shown, lab, plain};

/// The tokens of one or more examples.
#[derive(Clone, PartialEq, Eq)]
pub struct Tokens {
    lists: Vec<TokenList>,
}

impl Tokens {
    /// The tokens of each example as ids, each with whether it carries loss.
    pub fn ids(&self) -> Vec<Vec<(u32, bool)>> {
        let ids = |list: &TokenList| list.tokens.iter().map(|it| (it.id, it.has_loss)).collect();
        self.lists.iter().map(ids).collect()
    }

    /// Shows the value. evcxr calls this for the last expression of a cell.
    pub fn evcxr_display(&self) {
        lab().display(self);
    }
}

impl From<Vec<TokenList>> for Tokens {
    fn from(lists: Vec<TokenList>) -> Self {
        Self { lists }
    }
}

impl Show for Tokens {
    fn shown(&self) -> Shown {
        match self.lists.as_slice() {
            [only] => Shown::Block(Block::Tokens(only.clone())),
            _ => Shown::Block(Block::Text(self.to_string())),
        }
    }
}

impl fmt::Display for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.lists.iter().map(plain::tokens).collect();
        f.write_str(&texts.join("\n\n"))
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
