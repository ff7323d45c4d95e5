//! Keys of SHiRA, named as in HF PEFT's `ShiraConfig`.

use super::{ADAPTER_NAME, MODULES_TO_SAVE, MethodSpec, TARGET_MODULES};
use crate::{KeyKind, KeySpec};

/// SHiRA: `y = (W + S) x` with S sparse.
pub const SPEC: MethodSpec = MethodSpec {
    verb: "shira",
    peft_type: "SHIRA",
    builder: "Shira",
    summary: "a sparse update: train a few weights of each matrix, chosen at random",
    equation: "y = (W + S) x",
    help: "Each targeted linear layer computes y = (W + S)·x where S has r × (d_in + d_out) entries at \
        random positions and zeros elsewhere: as many parameters as a LoRA of rank r, but of high \
        rank. random_seed and the size of the layer determine the positions, as in HF PEFT. S \
        starts at zero, so attaching does not change the output.",
    shapes: "`S: (d_out, d_in)` with `r (d_in + d_out)` trained entries",
    source: "Bhardwaj et al. 2024, arXiv:2406.13175",
    keys: KEYS,
    learning_rate: 2e-2,
    rate_falls_with_width: true,
};

const KEYS: &[KeySpec] = &[
    KeySpec {
        name: "r",
        aliases: &["rank"],
        kind: KeyKind::Integer { min: 1, max: 65_536 },
        default: "32",
        help: "number of trained entries per layer, r × (d_in + d_out), at most all of them",
    },
    KeySpec {
        name: "random_seed",
        aliases: &[],
        kind: KeyKind::Integer { min: 0, max: i64::MAX },
        default: "",
        help: "seed of the positions, the same as in HF PEFT; without it the default seed of PyTorch",
    },
    TARGET_MODULES,
    MODULES_TO_SAVE,
    ADAPTER_NAME,
];
