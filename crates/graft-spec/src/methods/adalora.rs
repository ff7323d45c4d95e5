//! Keys of AdaLoRA, as HF PEFT's `AdaLoraConfig` names them.

use super::{
    ADAPTER_NAME, EXCLUDE_MODULES, LAYERS_TO_TRANSFORM, MODULES_TO_SAVE, MethodSpec, TARGET_MODULES,
};
use crate::{KeyKind, KeySpec};

/// AdaLoRA: `y = W x + s B (E ∘ A) x`.
pub const SPEC: MethodSpec = MethodSpec {
    verb: "adalora",
    peft_type: "ADALORA",
    builder: "AdaLora",
    summary: "LoRA whose ranks move to the layers that need them while it trains",
    help: "Each targeted linear map becomes y = W x + s·B (E ∘ A) x with A (r × d_in), B (d_out × r) and one factor E per rank, s = lora_alpha / init_r. \
           Training begins with init_r ranks in each layer; between the first tinit and the last tfinal steps those with the least sensitivity are set to zero, \
           until target_r are left on average. The loop does that by itself, and the loss has a term that keeps A and B orthogonal. E starts at zero, so \
           attaching changes nothing. Zhang et al. 2023, arXiv:2303.10512.",
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
        help: "rank of each layer at the start, at most the layer's smaller side",
    },
    KeySpec {
        name: "target_r",
        aliases: &[],
        kind: KeyKind::Integer { min: 1, max: 65_536 },
        default: "8",
        help: "average rank at the end; below init_r",
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
        help: "probability of dropping an input of A while training",
    },
    KeySpec {
        name: "tinit",
        aliases: &[],
        kind: KeyKind::Integer { min: 0, max: 1 << 40 },
        default: "0",
        help: "steps before ranks are taken away",
    },
    KeySpec {
        name: "tfinal",
        aliases: &[],
        kind: KeyKind::Integer { min: 0, max: 1 << 40 },
        default: "0",
        help: "last steps, in which the ranks stay",
    },
    KeySpec {
        name: "deltaT",
        aliases: &["delta_t"],
        kind: KeyKind::Integer { min: 1, max: 1 << 40 },
        default: "1",
        help: "steps between two cuts",
    },
    KeySpec {
        name: "beta1",
        aliases: &[],
        kind: KeyKind::Float { min: 0.001, max: 0.999 },
        default: "0.85",
        help: "smoothing of the sensitivity",
    },
    KeySpec {
        name: "beta2",
        aliases: &[],
        kind: KeyKind::Float { min: 0.001, max: 0.999 },
        default: "0.85",
        help: "smoothing of its uncertainty",
    },
    KeySpec {
        name: "orth_reg_weight",
        aliases: &[],
        kind: KeyKind::Float { min: 0.0, max: 1e6 },
        default: "0.5",
        help: "weight of the term that keeps A and B orthogonal",
    },
    TARGET_MODULES,
    EXCLUDE_MODULES,
    LAYERS_TO_TRANSFORM,
    MODULES_TO_SAVE,
    ADAPTER_NAME,
];
