//! Keys of BitFit. HF PEFT has only LoRA with `bias=all`; here the biases are trained alone.

use super::{ADAPTER_NAME, EXCLUDE_MODULES, MODULES_TO_SAVE, MethodSpec, TARGET_MODULES};
use crate::{KeyKind, KeySpec};

/// BitFit: `y = W x + b` with b trained.
pub const SPEC: MethodSpec = MethodSpec {
    verb: "bitfit",
    peft_type: "BITFIT",
    builder: "BitFit",
    summary: "train only the biases",
    equation: "y = W x + b",
    help: "Each linear layer keeps its weights frozen and trains its bias, y = W x + b; norms with \
        a bias train it too. Copies are trained, so the base model is unchanged. Families \
        without biases (Llama and relatives, including tiny) are refused: use %ln_tuning there, \
        the closest alternative.",
    shapes: "`b: (d_out)` of linear layers, `(C)` of norms",
    source: "Ben Zaken et al. 2021, arXiv:2106.10199",
    keys: KEYS,
    learning_rate: 5e-3,
    rate_falls_with_width: false,
};

const KEYS: &[KeySpec] = &[
    KeySpec {
        help: "modules whose biases are trained, including their submodules; default: every bias of the model",
        ..TARGET_MODULES
    },
    KeySpec { kind: KeyKind::Modules, help: "modules whose biases stay frozen", ..EXCLUDE_MODULES },
    MODULES_TO_SAVE,
    ADAPTER_NAME,
];
