//! The keys of `%model load` and `%model resize_tokens` as a builder.
// Generated from graft-spec by tests/it/builders.rs. Do not edit: change the key's `KeySpec` and
// run `GRAFT_BLESS=1 cargo test -p graft --test it builders`.

use graft_spec::Settings;

use crate::options::{flag, integer, list, text};

/// Options of [`Lab::load_model_with`](crate::Lab::load_model_with) and
/// [`Lab::resize_tokens`](crate::Lab::resize_tokens): the keys of `%model load` and
/// `%model resize_tokens`.
///
/// An option that is not set has the default of its key.
///
/// # Examples
/// ```
/// use graft::prelude::*;
///
/// let options = ModelOptions::new().dtype("f32").load_in_4bit(false);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a builder has no effect until it is passed to a call"]
pub struct ModelOptions {
    settings: Settings,
}

impl ModelOptions {
    /// Starts with the default of every key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number type of the frozen weights; adapters are `f32`.
    ///
    /// Default: `f32`. One of `f32`, `bf16`, `f16`.
    pub fn dtype(self, value: &str) -> Self {
        Self { settings: self.settings.with("dtype", text(value)) }
    }

    /// Quantize the linear layers except the head to 4-bit NormalFloat, as QLoRA does; they stay
    /// quantized while an adapter is trained.
    ///
    /// Default: `false`.
    pub fn load_in_4bit(self, value: bool) -> Self {
        Self { settings: self.settings.with("load_in_4bit", flag(value)) }
    }

    /// With `load_in_4bit`: quantize the scales of the blocks as well, 4.13 bits per weight instead
    /// of 4.5.
    ///
    /// Default: `true`.
    pub fn bnb_4bit_use_double_quant(self, value: bool) -> Self {
        Self { settings: self.settings.with("bnb_4bit_use_double_quant", flag(value)) }
    }

    /// Quantize the linear layers except the head to 8-bit integers with one scale per row.
    ///
    /// Default: `false`.
    pub fn load_in_8bit(self, value: bool) -> Self {
        Self { settings: self.settings.with("load_in_8bit", flag(value)) }
    }

    /// Load the model with a classification head for this many classes; a head that is not in the
    /// files is initialized, trained with every adapter, and its classes are named after the labels
    /// of the data.
    ///
    /// From 1 to 65,536.
    pub fn num_labels(self, value: usize) -> Self {
        Self { settings: self.settings.with("num_labels", integer(value)) }
    }

    /// Branch, tag or commit on the Hub.
    ///
    /// Default: `main`.
    pub fn revision(self, value: &str) -> Self {
        Self { settings: self.settings.with("revision", text(value)) }
    }

    /// Special tokens to add to the tokenizer if it lacks them, such as
    /// added_tokens="\<|im_start|>,\<|im_end|>"; the embedding and the head get rows for them, the
    /// mean of the other rows.
    pub fn added_tokens<T: Into<String>>(self, value: impl IntoIterator<Item = T>) -> Self {
        Self { settings: self.settings.with("added_tokens", list(value)) }
    }

    /// Number of rows of the embedding and the head, for example of the model that an adapter was
    /// trained on; new rows are the mean of the others.
    ///
    /// From 1 to 10,000,000.
    pub fn resize_tokens(self, value: usize) -> Self {
        Self { settings: self.settings.with("resize_tokens", integer(value)) }
    }
}

impl From<ModelOptions> for Settings {
    fn from(builder: ModelOptions) -> Self {
        builder.settings
    }
}
