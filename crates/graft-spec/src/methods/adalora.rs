//! Keys of AdaLoRA, named as in HF PEFT's `AdaLoraConfig`.

use super::{
    ADAPTER_NAME, EXCLUDE_MODULES, LAYERS_TO_TRANSFORM, MODULES_TO_SAVE, MethodSpec, TARGET_MODULES,
};
use crate::{KeyKind, KeySpec};

/// AdaLoRA: `y = W x + s B (E ∘ A) x`.
pub const SPEC: MethodSpec = MethodSpec {
    verb: "adalora",
    peft_type: "ADALORA",
    builder: "AdaLora",
    summary: "LoRA that moves its ranks to the layers that need them during training",
    equation: "y = W x + s B (E ∘ A) x",
    help: "Each targeted linear layer computes y = W x + s·B (E ∘ A) x with A (r × d_in), B (d_out × \
        r) and one factor E per rank; s = lora_alpha / init_r. Training starts with init_r ranks \
        in each layer. Between the first tinit and the last tfinal steps the ranks with the \
        lowest sensitivity are set to zero until target_r are left on average. A term of the loss \
        keeps A and B orthogonal. E starts at zero, so attaching does not change the output.",
    shapes: "`x: (.., d_in)`, `A: (R, d_in)`, `E: (R, 1)`, `B: (d_out, R)` with `R = init_r`, `W: \
        (d_out, d_in)` frozen",
    source: "Zhang et al. 2023, arXiv:2303.10512",
    keys: KEYS,
    learning_rate: 1e-2,
    rate_falls_with_width: true,
};

const KEYS: &[KeySpec] = &[
    KeySpec {
        name: "init_r",
        aliases: &["r"],
        kind: KeyKind::Integer { min: 1, max: 65_536 },
        default: "12",
        help: "initial rank of each layer, at most its smaller side",
    },
    KeySpec {
        name: "target_r",
        aliases: &[],
        kind: KeyKind::Integer { min: 1, max: 65_536 },
        default: "8",
        help: "average rank at the end of training; below init_r",
    },
    KeySpec {
        name: "lora_alpha",
        aliases: &["alpha"],
        kind: KeyKind::Float { min: 0.0, max: 1e9 },
        default: "8",
        help: "scale of the update: s = lora_alpha / init_r",
    },
    KeySpec {
        name: "lora_dropout",
        aliases: &["dropout"],
        kind: KeyKind::Float { min: 0.0, max: 0.999 },
        default: "0",
        help: "dropout probability on the input of A during training",
    },
    KeySpec {
        name: "tinit",
        aliases: &[],
        kind: KeyKind::Integer { min: 0, max: 1 << 40 },
        default: "0",
        help: "steps before the first ranks are pruned",
    },
    KeySpec {
        name: "tfinal",
        aliases: &[],
        kind: KeyKind::Integer { min: 0, max: 1 << 40 },
        default: "0",
        help: "final steps during which the ranks do not change",
    },
    KeySpec {
        name: "deltaT",
        aliases: &["delta_t"],
        kind: KeyKind::Integer { min: 1, max: 1 << 40 },
        default: "1",
        help: "steps between two prunings",
    },
    KeySpec {
        name: "beta1",
        aliases: &[],
        kind: KeyKind::Float { min: 0.001, max: 0.999 },
        default: "0.85",
        help: "smoothing factor of the sensitivity",
    },
    KeySpec {
        name: "beta2",
        aliases: &[],
        kind: KeyKind::Float { min: 0.001, max: 0.999 },
        default: "0.85",
        help: "smoothing factor of the uncertainty of the sensitivity",
    },
    KeySpec {
        name: "orth_reg_weight",
        aliases: &[],
        kind: KeyKind::Float { min: 0.0, max: 1e6 },
        default: "0.5",
        help: "weight of the loss term that keeps A and B orthogonal",
    },
    TARGET_MODULES,
    EXCLUDE_MODULES,
    LAYERS_TO_TRANSFORM,
    MODULES_TO_SAVE,
    ADAPTER_NAME,
];
