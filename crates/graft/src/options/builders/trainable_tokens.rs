//! The keys of `%trainable_tokens` as a builder.
// Generated from graft-spec by tests/it/builders.rs. Do not edit: change the key's `KeySpec` and
// run `GRAFT_BLESS=1 cargo test -p graft --test it builders`.

use graft_spec::Settings;

use crate::options::{Method, list, text};

/// Train the embeddings of some tokens and nothing else. The method of `%trainable_tokens attach`.
///
/// ```text
/// E'[i] = D[n] for the n-th of the chosen tokens i, else E[i]
/// ```
///
/// The rows E\[i\] of the embedding with i in `token_indices` are replaced by trained copies; all
/// other rows stay frozen. A head that shares the embedding's weight uses the same trained rows.
/// The copies start as the base's own, so attaching does not change the output. Useful for new
/// words and special tokens.
///
/// # Shapes
/// `E: (V, C)` frozen, `D: (N, C)` trained for N tokens
/// # Examples
/// ```
/// use graft::prelude::*;
///
/// # fn main() -> graft::Result<()> {
/// let model = lab().load_model("tiny")?;
/// let adapter = model.attach(TrainableTokens::new().token_indices(["3", "40-44"]))?;
/// println!("{adapter}");
/// # Ok(())
/// # }
/// ```
/// # Source
/// HF PEFT's TrainableTokensConfig.
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a builder has no effect until it is passed to a call"]
pub struct TrainableTokens {
    settings: Settings,
}

impl TrainableTokens {
    /// Starts with the default of every key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Token ids, such as 3,17,40-44; lab().model()?.tokenizer()?.encode("text") returns the ids of
    /// a text.
    pub fn token_indices<T: Into<String>>(self, value: impl IntoIterator<Item = T>) -> Self {
        Self { settings: self.settings.with("token_indices", list(value)) }
    }

    /// Name of the embedding; without it the input embedding of the model, such as `embed_tokens`.
    pub fn target_modules<T: Into<String>>(self, value: impl IntoIterator<Item = T>) -> Self {
        Self { settings: self.settings.with("target_modules", list(value)) }
    }

    /// Name of the adapter; an attached adapter of the same name is replaced.
    ///
    /// Default: `default`.
    pub fn adapter_name(self, value: &str) -> Self {
        Self { settings: self.settings.with("adapter_name", text(value)) }
    }
}

impl Method for TrainableTokens {
    fn verb(&self) -> &'static str {
        "trainable_tokens"
    }

    fn into_settings(self) -> Settings {
        self.settings
    }
}
