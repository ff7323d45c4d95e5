//! The keys of `%prefix_tune` as a builder.
// Generated from graft-spec by tests/it/builders.rs. Do not edit: change the key's `KeySpec` and
// run `GRAFT_BLESS=1 cargo test -p graft --test it builders`.

use graft_spec::Settings;

use crate::options::{Method, flag, integer, text};

/// Prefix tuning: train keys and values in front of the input's, in every block. The method of
/// `%prefix_tune attach`.
///
/// ```text
/// softmax(q [Pk; k]ᵀ / √D) [Pv; v]
/// ```
///
/// In every block, `num_virtual_tokens` trained keys and values are put in front of those of the
/// input: softmax(q \[Pk; k\]ᵀ / √D) \[Pv; v\]. Nothing else is trained. With `prefix_projection` a
/// two-layer network with tanh computes them from `num_virtual_tokens` vectors during training; as
/// in HF PEFT the file contains the output of that network.
///
/// # Shapes
/// `E: (P, L * 2 * K*D)`: the keys and then the values of K heads of width D, for each of L blocks;
/// with projection `E = W₂ tanh(W₁ e + b₁) + b₂` and `e: (P, K*D)`
/// # Examples
/// ```
/// use graft::prelude::*;
///
/// # fn main() -> graft::Result<()> {
/// let model = lab().load_model("tiny")?;
/// let adapter = model.attach(PrefixTuning::new().num_virtual_tokens(20))?;
/// println!("{adapter}");
/// # Ok(())
/// # }
/// ```
/// # Source
/// Li and Liang 2021, [arXiv:2101.00190](https://arxiv.org/abs/2101.00190).
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a builder has no effect until it is passed to a call"]
pub struct PrefixTuning {
    settings: Settings,
}

impl PrefixTuning {
    /// Starts with the default of every key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of virtual tokens; they count towards the context length.
    ///
    /// Default: `20`. From 1 to 65,536.
    pub fn num_virtual_tokens(self, value: usize) -> Self {
        Self { settings: self.settings.with("num_virtual_tokens", integer(value)) }
    }

    /// Compute the keys and values by a network during training.
    ///
    /// Default: `false`.
    pub fn prefix_projection(self, value: bool) -> Self {
        Self { settings: self.settings.with("prefix_projection", flag(value)) }
    }

    /// Width of the hidden layer of that network; without it the width of the keys of a block.
    ///
    /// From 1 to 65,536.
    pub fn encoder_hidden_size(self, value: usize) -> Self {
        Self { settings: self.settings.with("encoder_hidden_size", integer(value)) }
    }

    /// Initial values. `random`: N(0, 1), the default of HF PEFT; `zero`: keys and values of 0,
    /// which initially only take attention away from the input.
    ///
    /// Default: `random`. One of `random`, `zero`.
    pub fn init_weights(self, value: &str) -> Self {
        Self { settings: self.settings.with("init_weights", text(value)) }
    }

    /// Name of the adapter; an attached adapter of the same name is replaced.
    ///
    /// Default: `default`.
    pub fn adapter_name(self, value: &str) -> Self {
        Self { settings: self.settings.with("adapter_name", text(value)) }
    }
}

impl Method for PrefixTuning {
    fn verb(&self) -> &'static str {
        "prefix_tune"
    }

    fn into_settings(self) -> Settings {
        self.settings
    }
}
