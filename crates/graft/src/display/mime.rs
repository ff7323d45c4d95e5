//! Content in a form that the page knows: HTML, pictures, formulas, data.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{Show, Shown};
use crate::lab;

/// HTML to show. What comes from outside must be escaped by the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Html(pub String);

/// An SVG drawing to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Svg(pub String);

/// Markdown to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Markdown(pub String);

/// A formula to show, with its dollar signs: `Latex("$y = Wx$".into())`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latex(pub String);

/// JSON to show as a tree that folds. A text that is no JSON is shown as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Json(pub String);

/// A Vega-Lite specification (version 5) to draw, as JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VegaLite(pub String);

/// A PNG image to show, the bytes of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Png(pub Vec<u8>);

/// Any MIME types to content, the richest of which a page shows; binary content as base64, JSON as its text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mime(pub BTreeMap<String, String>);

impl Mime {
    /// Adds a form: `Mime::default().with("text/html", "<b>x</b>").with("text/plain", "x")`.
    #[must_use]
    pub fn with(mut self, kind: &str, content: &str) -> Self {
        self.0.insert(kind.to_owned(), content.to_owned());
        self
    }
}

/// Every display has a plain twin, for terminals.
fn twin(kind: &str, content: String, plain: &str) -> Shown {
    Shown::Mime(BTreeMap::from([
        (kind.to_owned(), content),
        ("text/plain".to_owned(), plain.to_owned()),
    ]))
}

impl Show for Html {
    fn shown(&self) -> Shown {
        twin("text/html", self.0.clone(), "HTML")
    }
}

impl Show for Svg {
    fn shown(&self) -> Shown {
        twin("image/svg+xml", self.0.clone(), "SVG drawing")
    }
}

impl Show for Markdown {
    fn shown(&self) -> Shown {
        twin("text/markdown", self.0.clone(), &self.0)
    }
}

impl Show for Latex {
    fn shown(&self) -> Shown {
        twin("text/latex", self.0.clone(), &self.0)
    }
}

impl Show for Json {
    fn shown(&self) -> Shown {
        twin("application/json", self.0.clone(), &self.0)
    }
}

impl Show for VegaLite {
    fn shown(&self) -> Shown {
        twin("application/vnd.vegalite.v5+json", self.0.clone(), &self.0)
    }
}

impl Show for Png {
    fn shown(&self) -> Shown {
        twin("image/png", STANDARD.encode(&self.0), "PNG image")
    }
}

impl Show for Mime {
    fn shown(&self) -> Shown {
        Shown::Mime(self.0.clone())
    }
}

/// As the last expression of a cell each shows itself.
macro_rules! shows_itself {
    ($($name:ident),*) => {$(
        impl $name {
            /// Shows itself: evcxr calls this for the last expression of a cell.
            pub fn evcxr_display(&self) {
                lab().display(self);
            }
        }
    )*};
}

shows_itself!(Html, Svg, Markdown, Latex, Json, VegaLite, Png, Mime);
