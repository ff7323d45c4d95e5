//! Confusion matrices, for `%eval metric=accuracy`.

use serde::{Deserialize, Serialize};

/// How often examples of each class are predicted to be of each class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfusionMatrix {
    /// Title, such as `which-book, test split: default (lora)`.
    pub title: String,
    /// Names of the classes. The last one may stand for all classes that are not shown.
    pub names: Vec<String>,
    /// For each expected class the number of examples of each predicted class.
    pub counts: Vec<Vec<u64>>,
    /// Text below.
    pub note: String,
}
