//! Keys of P-tuning, as HF PEFT's `PromptEncoderConfig` names them.

use super::{ADAPTER_NAME, MethodSpec, VIRTUAL_TOKENS};
use crate::{KeyKind, KeySpec};

/// P-tuning: a soft prompt that a small network computes.
pub const SPEC: MethodSpec = MethodSpec {
    verb: "p_tune",
    peft_type: "P_TUNING",
    builder: "PTuning",
    summary: "P-tuning: a soft prompt computed by a small trained network",
    equation: "x' = [f(E); embed(ids)]",
    help: "A trained network f maps num_virtual_tokens trained vectors E to a soft prompt that is \
        prepended to the embedded input: x' = [f(E); embed(ids)]. f is an MLP of three linear \
        layers with ReLU, or a bidirectional LSTM followed by two linear layers. The network \
        couples the vectors, which makes them easier to train. As in HF PEFT, only f(E) is \
        saved: a loaded adapter trains these vectors directly.",
    shapes: "`E: (P, C)`; MLP: C -> H -> H -> C with ReLU between; LSTM: C -> 2H in both \
        directions, then 2H -> 2H -> C",
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
        help: "prompt encoder: MLP or LSTM",
    },
    KeySpec {
        name: "encoder_hidden_size",
        aliases: &["hidden"],
        kind: KeyKind::Integer { min: 1, max: 65_536 },
        default: "",
        help: "hidden size of the prompt encoder; default: that of the model",
    },
    KeySpec {
        name: "encoder_num_layers",
        aliases: &[],
        kind: KeyKind::Integer { min: 1, max: 16 },
        default: "2",
        help: "layers of the LSTM; the MLP always has three linear layers",
    },
    KeySpec {
        name: "encoder_dropout",
        aliases: &["dropout"],
        kind: KeyKind::Float { min: 0.0, max: 0.999 },
        default: "0",
        help: "dropout probability between the layers of the LSTM",
    },
    ADAPTER_NAME,
];
