//! Keys of VeRA, named as in HF PEFT's `VeraConfig`.

use super::{ADAPTER_NAME, LAYERS_TO_TRANSFORM, MODULES_TO_SAVE, MethodSpec, TARGET_MODULES};
use crate::{KeyKind, KeySpec};

/// VeRA: `y = W x + b ∘ B (d ∘ A x)` with A and B random, frozen and shared by all layers.
pub const SPEC: MethodSpec = MethodSpec {
    verb: "vera",
    peft_type: "VERA",
    builder: "Vera",
    summary: "two vectors per layer around random matrices that all layers share",
    equation: "y = W x + λ_b ∘ B (λ_d ∘ A x)",
    help: "Each targeted linear layer computes y = W x + λ_b ∘ B (λ_d ∘ A x). A (r × d_in) and B \
        (d_out × r) are random, frozen and shared by all layers, each of which uses a slice of \
        its own size. Only λ_d (r) and λ_b (d_out) are trained, so a large r is cheap. λ_b starts \
        at zero, so attaching does not change the output.",
    shapes: "`x: (.., d_in)`, `A: (r, D_in)` and `B: (D_out, r)` with the widest input and output of \
        the targets; a layer uses the first `d_in` columns of A and the first `d_out` rows of B; \
        `λ_d: (r)`, `λ_b: (d_out)`",
    source: "Kopiczko et al. 2023, arXiv:2310.11454",
    keys: KEYS,
    learning_rate: 5e-2,
    rate_falls_with_width: false,
};

const KEYS: &[KeySpec] = &[
    KeySpec {
        name: "r",
        aliases: &["rank"],
        kind: KeyKind::Integer { min: 1, max: 65_536 },
        default: "256",
        help: "rank of the shared matrices; it may exceed the dimensions of a layer",
    },
    KeySpec {
        name: "d_initial",
        aliases: &[],
        kind: KeyKind::Float { min: -1e9, max: 1e9 },
        default: "0.1",
        help: "initial value of every element of λ_d",
    },
    KeySpec {
        name: "vera_dropout",
        aliases: &["dropout"],
        kind: KeyKind::Float { min: 0.0, max: 0.999 },
        default: "0",
        help: "dropout probability on the input of A during training",
    },
    KeySpec {
        name: "projection_prng_key",
        aliases: &["key"],
        kind: KeyKind::Integer { min: 0, max: 4_294_967_295 },
        default: "0",
        help: "seed of A and B; the same seed gives the same matrices as HF PEFT",
    },
    KeySpec {
        name: "save_projection",
        aliases: &[],
        kind: KeyKind::Bool,
        default: "true",
        help: "save A and B in the file; without them the file is smaller, and loading draws them from projection_prng_key",
    },
    TARGET_MODULES,
    LAYERS_TO_TRANSFORM,
    MODULES_TO_SAVE,
    ADAPTER_NAME,
];
