//! Keys of DoRA, named as in HF PEFT's `LoraConfig(use_dora=True)`.

use super::{
    ADAPTER_NAME, ALPHA_PATTERN, EXCLUDE_MODULES, LAYERS_TO_TRANSFORM, MODULES_TO_SAVE, MethodSpec,
    RANK, RANK_PATTERN, TARGET_MODULES, TRAINABLE_TOKEN_INDICES,
};
use crate::{KeyKind, KeySpec};

/// DoRA: `y = m ∘ (W + s B A) x / ‖W + s B A‖`.
pub const SPEC: MethodSpec = MethodSpec {
    verb: "dora",
    peft_type: "LORA",
    builder: "Dora",
    summary: "weight-decomposed LoRA: train the direction as B·A and the length m of each row",
    equation: "y = m ∘ (W + s B A) x / ‖W + s B A‖",
    help: "Each targeted linear layer computes y = m ∘ (W x + s·B A x) / n. n holds the lengths of \
        the rows of W + s·B A and is a constant in the backward pass. m starts as the lengths of \
        the rows of W and is trained together with A (r × d_in) and B (d_out × r); s = lora_alpha \
        / r, or lora_alpha / √r with use_rslora. B starts at zero, so attaching does not change the output. The files are those of HF \
        PEFT's LoRA with use_dora.",
    shapes: "`x: (.., d_in)`, `A: (r, d_in)`, `B: (d_out, r)`, `W: (d_out, d_in)` frozen, `m, n: \
        (d_out)`",
    source: "Liu et al. 2024, arXiv:2402.09353",
    keys: KEYS,
    learning_rate: 5e-3,
    rate_falls_with_width: true,
};

const KEYS: &[KeySpec] = &[
    RANK,
    KeySpec {
        name: "lora_alpha",
        aliases: &["alpha"],
        kind: KeyKind::Float { min: 0.0, max: 1e9 },
        default: "8",
        help: "scale of the update: s = lora_alpha / r",
    },
    KeySpec {
        name: "lora_dropout",
        aliases: &["dropout"],
        kind: KeyKind::Float { min: 0.0, max: 0.999 },
        default: "0",
        help: "dropout probability on the input of the update during training",
    },
    TARGET_MODULES,
    EXCLUDE_MODULES,
    LAYERS_TO_TRANSFORM,
    RANK_PATTERN,
    ALPHA_PATTERN,
    KeySpec {
        name: "use_rslora",
        aliases: &["rslora"],
        kind: KeyKind::Bool,
        default: "false",
        help: "rank-stabilized LoRA: s = lora_alpha / sqrt(r)",
    },
    KeySpec {
        name: "bias",
        aliases: &[],
        kind: KeyKind::Choice(&["none", "all", "lora_only"]),
        default: "none",
        help: "biases to train as well: none, all, or those of the targets (lora_only); copies are trained, so the base does not change",
    },
    MODULES_TO_SAVE,
    TRAINABLE_TOKEN_INDICES,
    ADAPTER_NAME,
];
