//! Keys of P-tuning, named as in HF PEFT's `PromptEncoderConfig`.

use super::{ADAPTER_NAME, MethodSpec, VIRTUAL_TOKENS};
use crate::{KeyKind, KeySpec};

/// P-tuning: a soft prompt that a small network computes.
pub const SPEC: MethodSpec = MethodSpec {
    verb: "p_tune",
    peft_type: "P_TUNING",
    builder: "PTuning",
    summary: "P-tuning: a soft prompt computed by a small trained network",
    equation: "x' = [f(E); embed(ids)]",
    help: "num_virtual_tokens trained vectors E pass through a trained network f, and its output is \
        put in front of the embedded input: x' = [f(E); embed(ids)]. f is an MLP with three \
        linear layers and ReLU between them, or a bidirectional LSTM followed by two linear \
        layers. The network couples the vectors, which makes them easier to train. As in HF PEFT \
        the file contains f(E) alone: after loading, the vectors themselves are trained.",
    shapes: "`E: (P, C)`; MLP: C -> H -> H -> C with ReLU between; LSTM: C -> 2H in both directions, \
        then 2H -> 2H -> C",
    source: "Liu et al. 2021, arXiv:2103.10385",
    keys: KEYS,
    learning_rate: 5e-2,
    rate_falls_with_width: true,
};

const KEYS: &[KeySpec] = &[
    VIRTUAL_TOKENS,
    KeySpec {
        name: "encoder_reparameterization_type",
        aliases: &["encoder"],
        kind: KeyKind::Choice(&["MLP", "LSTM"]),
        default: "MLP",
        help: "type of the network",
    },
    KeySpec {
        name: "encoder_hidden_size",
        aliases: &["hidden"],
        kind: KeyKind::Integer { min: 1, max: 65_536 },
        default: "",
        help: "width of the hidden layers of the network; without it the hidden size of the model",
    },
    KeySpec {
        name: "encoder_num_layers",
        aliases: &[],
        kind: KeyKind::Integer { min: 1, max: 16 },
        default: "2",
        help: "number of layers of the LSTM; the MLP always has three",
    },
    KeySpec {
        name: "encoder_dropout",
        aliases: &["dropout"],
        kind: KeyKind::Float { min: 0.0, max: 0.999 },
        default: "0",
        help: "dropout probability between two layers of the LSTM during training",
    },
    ADAPTER_NAME,
];
