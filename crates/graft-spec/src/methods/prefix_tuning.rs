//! Keys of prefix tuning, named as in HF PEFT's `PrefixTuningConfig`.

use super::{ADAPTER_NAME, MethodSpec, VIRTUAL_TOKENS};
use crate::{KeyKind, KeySpec};

/// Prefix tuning: trained keys and values in front of those of the input, in every block.
pub const SPEC: MethodSpec = MethodSpec {
    verb: "prefix_tune",
    peft_type: "PREFIX_TUNING",
    builder: "PrefixTuning",
    summary: "prefix tuning: train keys and values in front of the input's, in every block",
    equation: "softmax(q [Pk; k]ᵀ / √D) [Pv; v]",
    help: "In every block, num_virtual_tokens trained keys and values are put in front of those of \
        the input: softmax(q [Pk; k]ᵀ / √D) [Pv; v]. Nothing else is trained. With prefix_projection a \
        two-layer network with tanh computes them from num_virtual_tokens vectors during \
        training; as in HF PEFT the file contains the output of that network.",
    shapes: "`E: (P, L * 2 * K*D)`: the keys and then the values of K heads of width D, for each of L \
        blocks; with projection `E = W₂ tanh(W₁ e + b₁) + b₂` and `e: (P, K*D)`",
    source: "Li and Liang 2021, arXiv:2101.00190",
    keys: KEYS,
    learning_rate: 5e-1,
    rate_falls_with_width: true,
};

const KEYS: &[KeySpec] = &[
    VIRTUAL_TOKENS,
    KeySpec {
        name: "prefix_projection",
        aliases: &["projection"],
        kind: KeyKind::Bool,
        default: "false",
        help: "compute the keys and values by a network during training",
    },
    KeySpec {
        name: "encoder_hidden_size",
        aliases: &["hidden"],
        kind: KeyKind::Integer { min: 1, max: 65_536 },
        default: "",
        help: "width of the hidden layer of that network; without it the width of the keys of a block",
    },
    KeySpec {
        name: "init_weights",
        aliases: &["init"],
        kind: KeyKind::Choice(&["random", "zero"]),
        default: "random",
        help: "initial values. random: N(0, 1), the default of HF PEFT; zero: keys and values of 0, which initially only take attention away from the input",
    },
    ADAPTER_NAME,
];
