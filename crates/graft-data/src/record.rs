//! A row of a file, before it becomes an example.

use std::borrow::Cow;

/// The value of a field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Field<'a> {
    /// A string, an integer or a boolean, as text.
    Text(Cow<'a, str>),
    /// A number with a fraction or an exponent.
    Float(f64),
    /// No value.
    Null,
    /// A list: its JSON if the column can have messages, otherwise nothing.
    List(Option<String>),
    /// An object; its fields are not stored.
    Object,
    /// Bytes that are not text.
    Bytes,
}

/// The named fields of a row.
pub(crate) type Row<'a> = Vec<(Cow<'a, str>, Field<'a>)>;

impl Field<'_> {
    /// The field without borrowed text.
    #[cfg(test)]
    pub(crate) fn text(text: &str) -> Field<'static> {
        Field::Text(Cow::Owned(text.to_owned()))
    }
}
