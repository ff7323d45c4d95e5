//! Keys of full fine-tuning, the baseline; HF PEFT has no such method, so the names are its words for the same things.

use super::{ADAPTER_NAME, MethodSpec};
use crate::{KeyKind, KeySpec};

/// Full fine-tuning: every weight is trained, or those of some modules.
pub const SPEC: MethodSpec = MethodSpec {
    verb: "full",
    peft_type: "FULL",
    builder: "Full",
    summary: "full fine-tuning, the baseline: train all weights, or those of some modules",
    equation: "y = W' x + b'",
    help: "A copy W' of every weight is trained and replaces W while the adapter is active; W \
        itself is unchanged, so detaching restores the base model. Training needs a copy, a \
        gradient and two moments per trained weight; %memory shows the breakdown. \
        exclude_modules freezes modules by name (embed_tokens, layers.0) or by a regular \
        expression; target_modules trains only those. A base model in 4 or 8 bits cannot be \
        trained in full. Saved as an adapter in Graft's own format; %full merge and %model save \
        give a plain Hugging Face folder.",
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
        help: "modules to train, including their submodules: names such as layers.3 or lm_head, or a regular expression; default: all",
    },
    KeySpec {
        name: "exclude_modules",
        aliases: &["exclude", "freeze"],
        kind: KeyKind::Modules,
        default: "",
        help: "modules to keep frozen, including their submodules: names such as embed_tokens or layers.0, or a regular expression",
    },
    ADAPTER_NAME,
];
