//! Keys of LayerNorm tuning, as HF PEFT's `LNTuningConfig` names them.

use super::{ADAPTER_NAME, EXCLUDE_MODULES, MODULES_TO_SAVE, MethodSpec, TARGET_MODULES};
use crate::KeySpec;

/// LayerNorm tuning: `y = x̂ ∘ w + b` with w and b trained.
pub const SPEC: MethodSpec = MethodSpec {
    verb: "ln_tuning",
    peft_type: "LN_TUNING",
    builder: "LnTuning",
    summary: "train only the weights of the normalization layers",
    equation: "y = x̂ ∘ w + b",
    help: "Each targeted norm gets a trained copy of its weight w, and of its bias b where it has \
        one: y = x̂ ∘ w + b with x̂ the normalized input. The copies are initialized with the \
        base weights, so attaching changes nothing.",
    shapes: "`x̂: (.., C)`; `w, b: (C)`",
    source: "Zhao et al. 2023, arXiv:2312.11420",
    keys: KEYS,
    learning_rate: 1e-1,
    rate_falls_with_width: false,
};

const KEYS: &[KeySpec] = &[
    KeySpec {
        help: "names of norms (suffixes, or a regular expression); default: those of the blocks and the final one",
        ..TARGET_MODULES
    },
    KeySpec {
        help: "norms, or a regular expression, to exclude from the targets",
        ..EXCLUDE_MODULES
    },
    MODULES_TO_SAVE,
    ADAPTER_NAME,
];
