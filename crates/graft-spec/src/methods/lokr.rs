//! Keys of LoKr, named as in HF PEFT's `LoKrConfig`.

use super::{
    ADAPTER_NAME, ALPHA_PATTERN, EXCLUDE_MODULES, LAYERS_TO_TRANSFORM, MODULES_TO_SAVE, MethodSpec,
    RANK, RANK_PATTERN, TARGET_MODULES,
};
use crate::{KeyKind, KeySpec};

/// LoKr: `y = W x + s (W₁ ⊗ W₂) x`.
pub const SPEC: MethodSpec = MethodSpec {
    verb: "lokr",
    peft_type: "LOKR",
    builder: "LoKr",
    summary: "the Kronecker product of a small matrix and a low-rank matrix",
    equation: "y = W x + s (W₁ ⊗ W₂) x",
    help: "Each targeted linear layer computes y = W x + s·(W₁ ⊗ W₂) x with s = alpha / r. Each side \
        of W is split into two factors. W₁ is small; W₂ is a product of rank r if that is smaller \
        than the full matrix. W₁ starts at zero, so attaching does not change the output. The \
        Kronecker product is applied without being formed.",
    shapes: "`d_out = l k`, `d_in = m n`; `W₁: (l, m)`, `W₂: (k, n)`, each of them possibly a product \
        of rank r",
    source: "Edalati et al. 2022, arXiv:2212.10650; Yeh et al. 2023, arXiv:2309.14859 (LyCORIS)",
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
    KeySpec {
        name: "decompose_both",
        aliases: &[],
        kind: KeyKind::Bool,
        default: "false",
        help: "factorize W₁ at rank r as well if that is smaller",
    },
    KeySpec {
        name: "decompose_factor",
        aliases: &["factor"],
        kind: KeyKind::Integer { min: -1, max: 65_536 },
        default: "-1",
        help: "smaller factor of each side; -1 chooses the factors closest to each other",
    },
    TARGET_MODULES,
    EXCLUDE_MODULES,
    LAYERS_TO_TRANSFORM,
    RANK_PATTERN,
    ALPHA_PATTERN,
    MODULES_TO_SAVE,
    ADAPTER_NAME,
];
