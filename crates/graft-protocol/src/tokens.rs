//! The tokens of an example, for `%data show tokens=true`.

use serde::{Deserialize, Serialize};

/// The tokens of one example.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenList {
    /// Title, such as `train, example 1`.
    pub title: String,
    /// The tokens in order.
    pub tokens: Vec<ShownToken>,
    /// Text below: how many tokens carry loss, and what was cut.
    pub note: String,
}

/// One token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownToken {
    /// The id.
    pub id: u32,
    /// The text that it stands for, or its vocabulary entry.
    pub text: String,
    /// Whether the model learns to predict it.
    pub has_loss: bool,
    /// Whether it is a special token, such as `<s>`.
    pub is_special: bool,
}
