//! The grid of `%ablate`.

/// A grid for [`crate::Lab::ablate`]: methods, and keys with their values as the magic takes them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ablate {
    pub(crate) methods: Vec<String>,
    pub(crate) keys: Vec<(String, String)>,
}

impl Ablate {
    /// Compares these methods, by the names of their magics: `["lora", "ia3"]`.
    pub fn of<T: Into<String>>(methods: impl IntoIterator<Item = T>) -> Self {
        Self { methods: methods.into_iter().map(Into::into).collect(), keys: Vec::new() }
    }

    /// A key of the methods, of the training or of `%ablate`, with one value or several: `.key("r", "1,4,16")`, `.key("seeds", "3")`.
    #[must_use]
    pub fn key(mut self, key: &str, values: &str) -> Self {
        self.keys.push((key.to_owned(), values.to_owned()));
        self
    }
}
