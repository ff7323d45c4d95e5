//! The keys that decide how examples become tokens.

use crate::{KeyKind, KeySpec};

/// The length limit.
pub(super) const MAX_LENGTH: KeySpec = KeySpec {
    name: "max_length",
    aliases: &["seq", "max_seq_length"],
    kind: KeyKind::Integer { min: 2, max: 1_000_000 },
    default: "",
    help: "maximum length of an example in tokens; without it the context length of the model; longer examples are cut and counted",
};

/// Splitting instead of cutting.
pub(super) const STRIDE: KeySpec = KeySpec {
    name: "stride",
    aliases: &[],
    kind: KeyKind::Integer { min: 0, max: 1_000_000 },
    default: "",
    help: "split examples that are longer than max_length into pieces instead of cutting them; each piece repeats this many tokens of the piece before it, without loss; 0 repeats none",
};

/// Rows of several examples.
pub(super) const PACKING: KeySpec = KeySpec {
    name: "packing",
    aliases: &[],
    kind: KeyKind::Bool,
    default: "false",
    help: "put several examples into each row of a batch, up to max_length tokens; each example attends only to itself; batch then counts rows",
};

/// The text with loss.
pub(super) const LOSS_ON: KeySpec = KeySpec {
    name: "loss_on",
    aliases: &[],
    kind: KeyKind::Choice(&["assistant", "completion", "all"]),
    default: "",
    help: "text that carries loss: assistant, every message of the assistant; completion, the last message or the completion; all, also the prompt; without it the messages of the assistant, or the completion",
};

/// Keys of `%data show`.
pub const DATA_SHOW: &[KeySpec] = &[
    KeySpec {
        name: "rows",
        aliases: &["n"],
        kind: KeyKind::Integer { min: 1, max: 10_000 },
        default: "5",
        help: "rows to show of each split",
    },
    KeySpec {
        name: "tokens",
        aliases: &[],
        kind: KeyKind::Bool,
        default: "false",
        help: "show every token with its id, as %train reads it with the same max_length, stride and loss_on; those that carry loss are in color",
    },
    MAX_LENGTH,
    STRIDE,
    LOSS_ON,
];
