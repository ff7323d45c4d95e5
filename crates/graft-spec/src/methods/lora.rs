//! Keys of LoRA, named as in HF PEFT's `LoraConfig`.

use super::{
    ADAPTER_NAME, ALPHA_PATTERN, EXCLUDE_MODULES, LAYERS_TO_TRANSFORM, MODULES_TO_SAVE, MethodSpec,
    RANK, RANK_PATTERN, TARGET_MODULES, TRAINABLE_TOKEN_INDICES,
};
use crate::{KeyKind, KeySpec};

/// LoRA: `y = W x + s B A x`.
pub const SPEC: MethodSpec = MethodSpec {
    verb: "lora",
    peft_type: "LORA",
    builder: "Lora",
    summary: "low-rank adapters: train B·A on top of frozen weights",
    equation: "y = W x + s B A x",
    help: "Each targeted linear layer computes y = W x + s·B A x with W frozen and A (r × d_in) and \
        B (d_out × r) trained; s = lora_alpha / r, or lora_alpha / √r with use_rslora. B starts \
        at zero, so attaching does not change the output.",
    shapes: "`x: (.., d_in)`, `A: (r, d_in)`, `B: (d_out, r)`, `W: (d_out, d_in)` frozen",
    source: "Hu et al. 2021, arXiv:2106.09685; rsLoRA: Kalajdzievski 2023, arXiv:2312.03732; LoRA+: \
        Hayou et al. 2024, arXiv:2402.12354",
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
        help: "dropout probability on the input of A during training",
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
        name: "init_lora_weights",
        aliases: &["init"],
        kind: KeyKind::Choice(&[
            "true",
            "gaussian",
            "orthogonal",
            "pissa",
            "olora",
            "eva",
            "loftq",
        ]),
        default: "true",
        help: "initial values of A and B. true: A uniform in ±1/sqrt(d_in), B zero; gaussian: A from N(0, 1/r²); \
            orthogonal: B·A = 0 with both factors nonzero; pissa and olora: the leading part of W, by singular values or \
            by columns, which is subtracted from the base while the adapter is active; eva: A from the principal \
            directions of the layer's inputs on the current data, with the ranks distributed by explained variance; \
            loftq: a low-rank approximation of the quantization error of a base in 4 or 8 bits",
    },
    KeySpec {
        name: "eva_rho",
        aliases: &["rho"],
        kind: KeyKind::Float { min: 1.0, max: 1000.0 },
        default: "2",
        help: "with init=eva: a layer gets at most rank eva_rho × r; 1 gives every layer rank r",
    },
    KeySpec {
        name: "loraplus_lr_ratio",
        aliases: &["lr_ratio"],
        kind: KeyKind::Float { min: 0.0, max: 1e6 },
        default: "1",
        help: "LoRA+: factor on the learning rate of B, usually 4 to 16; applies to training and is not saved in the file",
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
