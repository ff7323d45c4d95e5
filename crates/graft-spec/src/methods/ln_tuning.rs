//! Keys of LayerNorm tuning, named as in HF PEFT's `LNTuningConfig`.

use super::{ADAPTER_NAME, EXCLUDE_MODULES, MODULES_TO_SAVE, MethodSpec, TARGET_MODULES};
use crate::KeySpec;

/// LayerNorm tuning: `y = x̂ ∘ w + b` with w and b trained.
pub const SPEC: MethodSpec = MethodSpec {
    verb: "ln_tuning",
    peft_type: "LN_TUNING",
    builder: "LnTuning",
    summary: "train the weights of the norms and nothing else",
    equation: "y = x̂ ∘ w + b",
    help: "Each targeted norm gets a trained copy of its weight w, and of its bias b if it has one: \
        y = x̂ ∘ w + b with x̂ the normalized input. The copies start as the base's own, so \
        attaching does not change the output.",
    shapes: "`x̂: (.., C)`; `w, b: (C)`",
    source: "Zhao et al. 2023, arXiv:2312.11420",
    keys: KEYS,
    learning_rate: 1e-1,
    rate_falls_with_width: false,
};

const KEYS: &[KeySpec] = &[
    KeySpec {
        help: "norms to train: names (suffixes) or a regular expression; without it the norms of the blocks and the final norm",
        ..TARGET_MODULES
    },
    KeySpec {
        help: "norms to leave out of the targets: names or a regular expression",
        ..EXCLUDE_MODULES
    },
    MODULES_TO_SAVE,
    ADAPTER_NAME,
];
