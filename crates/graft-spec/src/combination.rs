//! Keys of `%lora combine`: several adapters become one.

use crate::{KeyKind, KeySpec};

/// Ways to combine the updates of several adapters.
pub const TYPES: &[&str] =
    &["linear", "cat", "svd", "ties", "dare_linear", "dare_ties", "magnitude_prune"];

/// Keys of the combination; the new adapter's name is [`crate::methods::ADAPTER_NAME`].
pub const KEYS: &[KeySpec] = &[
    KeySpec {
        name: "weights",
        aliases: &[],
        kind: KeyKind::List,
        default: "",
        help: "one weight per adapter; without it all adapters have the same weight, 1 divided by their number",
    },
    KeySpec {
        name: "combination_type",
        aliases: &["how"],
        kind: KeyKind::Choice(TYPES),
        default: "linear",
        help: "method of combination. linear and cat: the exact sum; svd: its best approximation of rank svd_rank; the other methods prune the updates first",
    },
    KeySpec {
        name: "svd_rank",
        aliases: &["r"],
        kind: KeyKind::Integer { min: 1, max: 65_536 },
        default: "",
        help: "rank of the result; default: the sum of the ranks for linear and cat, else the largest rank",
    },
    KeySpec {
        name: "density",
        aliases: &[],
        kind: KeyKind::Float { min: 0.0, max: 1.0 },
        default: "0.5",
        help: "fraction of each update that ties, dare and magnitude_prune keep",
    },
    KeySpec {
        name: "majority_sign_method",
        aliases: &[],
        kind: KeyKind::Choice(&["total", "frequency"]),
        default: "total",
        help: "sign that ties elects: the sign of the sum (total) or the most frequent sign (frequency)",
    },
    crate::methods::ADAPTER_NAME,
];
