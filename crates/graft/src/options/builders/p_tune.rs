//! The keys of `%p_tune` as a builder.
// Generated from graft-spec by tests/it/builders.rs. Do not edit: change the key's `KeySpec` and
// run `GRAFT_BLESS=1 cargo test -p graft --test it builders`.

use graft_spec::Settings;

use crate::options::{Method, integer, number, text};

/// P-tuning: a soft prompt computed by a small trained network. The method of `%p_tune attach`.
///
/// ```text
/// x' = [f(E); embed(ids)]
/// ```
///
/// `num_virtual_tokens` trained vectors E pass through a trained network f, and its output is put
/// in front of the embedded input: x' = \[f(E); embed(ids)\]. f is an MLP with three linear layers
/// and ReLU between them, or a bidirectional LSTM followed by two linear layers. The network
/// couples the vectors, which makes them easier to train. As in HF PEFT the file contains f(E)
/// alone: after loading, the vectors themselves are trained.
///
/// # Shapes
/// `E: (P, C)`; MLP: C -> H -> H -> C with ReLU between; LSTM: C -> 2H in both directions, then 2H
/// -> 2H -> C
/// # Examples
/// ```
/// use graft::prelude::*;
///
/// # fn main() -> graft::Result<()> {
/// let model = lab().load_model("tiny")?;
/// let adapter = model.attach(PTuning::new().num_virtual_tokens(20))?;
/// println!("{adapter}");
/// # Ok(())
/// # }
/// ```
/// # Source
/// Liu et al. 2021, [arXiv:2103.10385](https://arxiv.org/abs/2103.10385).
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a builder has no effect until it is passed to a call"]
pub struct PTuning {
    settings: Settings,
}

impl PTuning {
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

    /// Type of the network.
    ///
    /// Default: `MLP`. One of `MLP`, `LSTM`.
    pub fn encoder_reparameterization_type(self, value: &str) -> Self {
        Self { settings: self.settings.with("encoder_reparameterization_type", text(value)) }
    }

    /// Width of the hidden layers of the network; without it the hidden size of the model.
    ///
    /// From 1 to 65,536.
    pub fn encoder_hidden_size(self, value: usize) -> Self {
        Self { settings: self.settings.with("encoder_hidden_size", integer(value)) }
    }

    /// Number of layers of the LSTM; the MLP always has three.
    ///
    /// Default: `2`. From 1 to 16.
    pub fn encoder_num_layers(self, value: usize) -> Self {
        Self { settings: self.settings.with("encoder_num_layers", integer(value)) }
    }

    /// Dropout probability between two layers of the LSTM during training.
    ///
    /// Default: `0`. From 0 to 0.999.
    pub fn encoder_dropout(self, value: f64) -> Self {
        Self { settings: self.settings.with("encoder_dropout", number(value)) }
    }

    /// Name of the adapter; an attached adapter of the same name is replaced.
    ///
    /// Default: `default`.
    pub fn adapter_name(self, value: &str) -> Self {
        Self { settings: self.settings.with("adapter_name", text(value)) }
    }
}

impl Method for PTuning {
    fn verb(&self) -> &'static str {
        "p_tune"
    }

    fn into_settings(self) -> Settings {
        self.settings
    }
}
