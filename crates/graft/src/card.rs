//! A model's card.

use std::fmt;

use graft_session::verbs::model;

use crate::{Markdown, Table, lab};

/// Facts of a model and what its makers say of it.
#[derive(Clone, PartialEq)]
pub struct Card {
    facts: Table,
    text: Option<String>,
}

impl Card {
    /// Family, sizes, parameters, where it was read from.
    pub fn facts(&self) -> &Table {
        &self.facts
    }

    /// What its makers say, in Markdown.
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// Shows itself: evcxr calls this for the last expression of a cell.
    pub fn evcxr_display(&self) {
        lab().display(&self.facts);
        if let Some(text) = &self.text {
            lab().display(&Markdown(text.clone()));
        }
    }
}

impl From<model::Card> for Card {
    fn from(card: model::Card) -> Self {
        Self { facts: card.facts.into(), text: card.text }
    }
}

impl fmt::Display for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.facts)?;
        self.text.as_ref().map_or(Ok(()), |text| write!(f, "\n\n{text}"))
    }
}

impl fmt::Debug for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
