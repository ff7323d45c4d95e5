//! Content with a MIME type: HTML, images, formulas, data.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{Show, Shown};
use crate::lab;

/// HTML to show. The caller must escape text from other sources.
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

/// JSON to show as a collapsible tree. Invalid JSON is shown as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Json(pub String);

/// A Vega-Lite specification (version 5) to draw, as JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VegaLite(pub String);

/// A PNG image to show, as the bytes of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Png(pub Vec<u8>);

/// Content by MIME type, of which a frontend shows the richest; binary content as base64, JSON as
/// text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mime(pub BTreeMap<String, String>);

impl Mime {
    /// Adds content: `Mime::default().with("text/html", "<b>x</b>").with("text/plain", "x")`.
    #[must_use]
    pub fn with(mut self, kind: &str, content: &str) -> Self {
        self.0.insert(kind.to_owned(), content.to_owned());
        self
    }
}

/// Content with a text form for terminals.
fn with_text(kind: &str, content: String, plain: &str) -> Shown {
    Shown::Mime(BTreeMap::from([
        (kind.to_owned(), content),
        ("text/plain".to_owned(), plain.to_owned()),
    ]))
}

impl Show for Html {
    fn shown(&self) -> Shown {
        with_text("text/html", self.0.clone(), "HTML")
    }
}

impl Show for Svg {
    fn shown(&self) -> Shown {
        with_text("image/svg+xml", self.0.clone(), "SVG drawing")
    }
}

impl Show for Markdown {
    fn shown(&self) -> Shown {
        with_text("text/markdown", self.0.clone(), &self.0)
    }
}

impl Show for Latex {
    fn shown(&self) -> Shown {
        with_text("text/latex", self.0.clone(), &self.0)
    }
}

impl Show for Json {
    fn shown(&self) -> Shown {
        with_text("application/json", self.0.clone(), &self.0)
    }
}

impl Show for VegaLite {
    fn shown(&self) -> Shown {
        with_text("application/vnd.vegalite.v5+json", self.0.clone(), &self.0)
    }
}

impl Show for Png {
    fn shown(&self) -> Shown {
        with_text("image/png", STANDARD.encode(&self.0), "PNG image")
    }
}

impl Show for Mime {
    fn shown(&self) -> Shown {
        Shown::Mime(self.0.clone())
    }
}

/// Implements the method that evcxr calls for the last expression of a cell.
macro_rules! shows_itself {
    ($($name:ident),*) => {$(
        impl $name {
            /// Shows the value. evcxr calls this for the last expression of a cell.
            pub fn evcxr_display(&self) {
                lab().display(self);
            }
        }
    )*};
}

shows_itself!(Html, Svg, Markdown, Latex, Json, VegaLite, Png, Mime);
