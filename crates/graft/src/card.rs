//! The card of a model.

use std::fmt;

use graft_session::verbs::model;

use crate::{Markdown, Table, lab};

/// Properties of a model, and the model card of its authors.
#[derive(Clone, PartialEq)]
pub struct Card {
    facts: Table,
    text: Option<String>,
}

impl Card {
    /// Family, sizes, number of parameters and source.
    pub fn facts(&self) -> &Table {
        &self.facts
    }

    /// The model card (`README.md` of the model), in Markdown.
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// Shows the value. evcxr calls this for the last expression of a cell.
    pub fn evcxr_display(&self) {
        lab().display(&self.facts);
        if let Some(text) = &self.text {
            lab().display(&Markdown(text.clone()));
        }
    }
}

impl From<model::ModelCard> for Card {
    fn from(card: model::ModelCard) -> Self {
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
