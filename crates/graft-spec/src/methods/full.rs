//! Keys of full fine-tuning, the baseline. HF PEFT does not have this method; the keys are named
//! after its corresponding options.

use super::{ADAPTER_NAME, MethodSpec};
use crate::{KeyKind, KeySpec};

/// Full fine-tuning: every weight is trained, or those of some modules.
pub const SPEC: MethodSpec = MethodSpec {
    verb: "full",
    peft_type: "FULL",
    builder: "Full",
    summary: "full fine-tuning, the baseline: train every weight, or those of some modules",
    equation: "y = W' x + b'",
    help: "A copy of every weight is trained and replaces the base's own weight while the adapter is \
        active, so detaching restores the base. Each trained number takes memory for a copy, a \
        gradient and two moments; %memory lists them. exclude_modules freezes modules by name \
        (embed_tokens, layers.0) or by a regular expression; target_modules trains only those. A \
        base in 4 or 8 bits cannot be trained. Saved as an adapter in Graft's own format; %full \
        merge and %model save write a plain Hugging Face folder.",
    shapes: "those of the weights",
    source: "Howard and Ruder 2018, arXiv:1801.06146 (freezing); Lee et al. 2019, arXiv:1911.03090",
    keys: KEYS,
    learning_rate: 5e-4,
    rate_falls_with_width: true,
};

const KEYS: &[KeySpec] = &[
    KeySpec {
        name: "target_modules",
        aliases: &["targets"],
        kind: KeyKind::Modules,
        default: "",
        help: "modules to train, including the modules inside them: names such as layers.3 or lm_head, or a regular expression; without it all modules",
    },
    KeySpec {
        name: "exclude_modules",
        aliases: &["exclude", "freeze"],
        kind: KeyKind::Modules,
        default: "",
        help: "modules to freeze, including the modules inside them: names such as embed_tokens or layers.0, or a regular expression",
    },
    ADAPTER_NAME,
];
