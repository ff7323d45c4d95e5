//! Keys of OFT, named as in HF PEFT's `OFTConfig`.

use super::{
    ADAPTER_NAME, EXCLUDE_MODULES, LAYERS_TO_TRANSFORM, MODULES_TO_SAVE, MethodSpec, TARGET_MODULES,
};
use crate::{KeyKind, KeySpec};

/// OFT: `y = W Rᵀ x` with R orthogonal, in blocks.
pub const SPEC: MethodSpec = MethodSpec {
    verb: "oft",
    peft_type: "OFT",
    builder: "Oft",
    summary: "orthogonal fine-tuning: rotate the inputs of each layer, in blocks",
    equation: "y = W Rᵀ x",
    help: "Each targeted linear layer computes y = W Rᵀ x. R is orthogonal and block-diagonal; each \
        block is the Cayley transform (I - Q)(I + Q)⁻¹ of a trained skew-symmetric Q, so lengths \
        and angles between the rows of W are preserved. use_cayley_neumann replaces the inverse \
        by the first terms of its series. Q starts at zero, so attaching does not change the \
        output.",
    shapes: "`n` blocks of side `b` with `n b = d_in`; trained: `(n, b (b - 1) / 2)`, the numbers of \
        `Q` above its diagonal, row by row",
    source: "Qiu et al. 2023, arXiv:2306.07280; Qiu et al. 2025, arXiv:2506.19847 (OFTv2)",
    keys: KEYS,
    learning_rate: 5e-3,
    rate_falls_with_width: true,
};

const KEYS: &[KeySpec] = &[
    KeySpec {
        name: "oft_block_size",
        aliases: &["block_size"],
        kind: KeyKind::Integer { min: 0, max: 65_536 },
        default: "32",
        help: "size of a block; it must divide the width of the input; 0 if r is set",
    },
    KeySpec {
        name: "r",
        aliases: &["blocks"],
        kind: KeyKind::Integer { min: 0, max: 65_536 },
        default: "0",
        help: "number of blocks, instead of their size; 0 if oft_block_size is set",
    },
    KeySpec {
        name: "block_share",
        aliases: &[],
        kind: KeyKind::Bool,
        default: "false",
        help: "use one Q for all blocks of a layer",
    },
    KeySpec {
        name: "use_cayley_neumann",
        aliases: &[],
        kind: KeyKind::Bool,
        default: "true",
        help: "use the first terms of the series instead of the inverse: faster, but orthogonal only while Q is small",
    },
    KeySpec {
        name: "num_cayley_neumann_terms",
        aliases: &[],
        kind: KeyKind::Integer { min: 1, max: 64 },
        default: "5",
        help: "number of terms of the series",
    },
    TARGET_MODULES,
    EXCLUDE_MODULES,
    LAYERS_TO_TRANSFORM,
    MODULES_TO_SAVE,
    ADAPTER_NAME,
];
