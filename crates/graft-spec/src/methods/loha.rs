//! Keys of LoHa, named as in HF PEFT's `LoHaConfig`.

use super::{
    ADAPTER_NAME, ALPHA_PATTERN, EXCLUDE_MODULES, LAYERS_TO_TRANSFORM, MODULES_TO_SAVE, MethodSpec,
    RANK, RANK_PATTERN, TARGET_MODULES,
};
use crate::{KeyKind, KeySpec};

/// LoHa: `y = W x + s (B₁A₁ ∘ B₂A₂) x`.
pub const SPEC: MethodSpec = MethodSpec {
    verb: "loha",
    peft_type: "LOHA",
    builder: "LoHa",
    summary: "the elementwise product of two low-rank updates",
    equation: "y = W x + s (B₁A₁ ∘ B₂A₂) x",
    help: "Each targeted linear layer computes y = W x + s·(B₁A₁ ∘ B₂A₂) x with s = alpha / r. The \
        elementwise product of two matrices of rank r has rank up to r², with twice the \
        parameters of a LoRA. The second product starts at zero, so attaching does not change the \
        output.",
    shapes: "`B₁, B₂: (d_out, r)`, `A₁, A₂: (r, d_in)`, `W: (d_out, d_in)` frozen",
    source: "Hyeon-Woo et al. 2021, arXiv:2108.06098 (FedPara); Yeh et al. 2023, arXiv:2309.14859 \
        (LyCORIS)",
    keys: KEYS,
    learning_rate: 1e-2,
    rate_falls_with_width: true,
};

const KEYS: &[KeySpec] = &[
    RANK,
    KeySpec {
        name: "alpha",
        aliases: &[],
        kind: KeyKind::Float { min: 0.0, max: 1e9 },
        default: "8",
        help: "scale of the update: s = alpha / r",
    },
    KeySpec {
        name: "rank_dropout",
        aliases: &[],
        kind: KeyKind::Float { min: 0.0, max: 0.999 },
        default: "0",
        help: "dropout probability on the output of the update during training",
    },
    KeySpec {
        name: "module_dropout",
        aliases: &[],
        kind: KeyKind::Float { min: 0.0, max: 0.999 },
        default: "0",
        help: "probability of skipping the whole update of a layer in each training step",
    },
    TARGET_MODULES,
    EXCLUDE_MODULES,
    LAYERS_TO_TRANSFORM,
    RANK_PATTERN,
    ALPHA_PATTERN,
    MODULES_TO_SAVE,
    ADAPTER_NAME,
];
