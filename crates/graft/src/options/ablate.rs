//! The grid of `%ablate`.

/// A grid of configurations: the argument of [`Lab::ablate`](crate::Lab::ablate) and
/// [`Lab::forgetting`](crate::Lab::forgetting).
///
/// # Examples
/// ```
/// use graft::prelude::*;
///
/// // LoRA at three ranks, and (IA)³, with two seeds each.
/// let grid = Ablate::of(["lora", "ia3"]).key("r", "1,4,16").key("seeds", "2");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ablate {
    pub(crate) methods: Vec<String>,
    pub(crate) keys: Vec<(String, String)>,
}

impl Ablate {
    /// Compares these methods, named as their magics: `["lora", "ia3"]`.
    pub fn of<T: Into<String>>(methods: impl IntoIterator<Item = T>) -> Self {
        Self { methods: methods.into_iter().map(Into::into).collect(), keys: Vec::new() }
    }

    /// Sets a key of the methods, of `%train` or of `%ablate` to one value or several:
    /// `.key("r", "1,4,16")`, `.key("seeds", "3")`.
    #[must_use]
    pub fn key(mut self, key: &str, values: &str) -> Self {
        self.keys.push((key.to_owned(), values.to_owned()));
        self
    }
}
