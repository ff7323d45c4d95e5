//! The keys of `%model load` that change the vocabulary.

use crate::{KeyKind, KeySpec};

/// Keys of `%model resize_tokens`.
pub const MODEL_RESIZE: &[KeySpec] = &[ADDED_TOKENS, RESIZE_TOKENS];

/// Special tokens to add.
pub(super) const ADDED_TOKENS: KeySpec = KeySpec {
    name: "added_tokens",
    aliases: &["add_tokens", "additional_special_tokens"],
    kind: KeyKind::List,
    default: "",
    help: "special tokens to add to the tokenizer if it lacks them, such as added_tokens=\"<|im_start|>,<|im_end|>\"; the embedding and the head get rows for them, the mean of the other rows",
};

/// The number of tokens.
pub(super) const RESIZE_TOKENS: KeySpec = KeySpec {
    name: "resize_tokens",
    aliases: &["resize_token_embeddings"],
    kind: KeyKind::Integer { min: 1, max: 10_000_000 },
    default: "",
    help: "number of rows of the embedding and the head, for example of the model that an adapter was trained on; new rows are the mean of the others",
};
