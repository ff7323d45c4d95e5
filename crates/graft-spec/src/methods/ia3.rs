//! Keys of IA³, named as in HF PEFT's `IA3Config`.

use super::{ADAPTER_NAME, EXCLUDE_MODULES, MODULES_TO_SAVE, MethodSpec, TARGET_MODULES};
use crate::{KeyKind, KeySpec};

/// IA³: `y = l ∘ (W x + b)`, in feed-forward modules `y = W (l ∘ x) + b`.
pub const SPEC: MethodSpec = MethodSpec {
    verb: "ia3",
    peft_type: "IA3",
    builder: "Ia3",
    summary: "rescaling: train one factor per activation",
    equation: "y = l ∘ (W x + b)",
    help: "Each targeted linear layer computes y = l ∘ (W x + b) with one trained factor per output. \
        Layers in feedforward_modules scale their input instead: y = W (l ∘ x) + b. All factors \
        start at 1, so attaching does not change the output. Default targets: keys, values and \
        the last layers of the feed-forward blocks, as in the paper.",
    shapes: "`l: (d_out, 1)`, or `(1, d_in)` in feed-forward modules",
    source: "Liu et al. 2022, arXiv:2205.05638",
    keys: KEYS,
    learning_rate: 5e-2,
    rate_falls_with_width: false,
};

const KEYS: &[KeySpec] = &[
    TARGET_MODULES,
    KeySpec {
        name: "feedforward_modules",
        aliases: &["feedforward"],
        kind: KeyKind::Modules,
        default: "",
        help: "targets whose input is scaled instead of their output; without it the last layers of the feed-forward blocks",
    },
    EXCLUDE_MODULES,
    MODULES_TO_SAVE,
    ADAPTER_NAME,
];
