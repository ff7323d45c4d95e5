//! Keys of trainable tokens, named as in HF PEFT's `TrainableTokensConfig`.

use super::{ADAPTER_NAME, MethodSpec, TARGET_MODULES};
use crate::{KeyKind, KeySpec};

/// Trainable tokens: some rows of the embedding are trained.
pub const SPEC: MethodSpec = MethodSpec {
    verb: "trainable_tokens",
    peft_type: "TRAINABLE_TOKENS",
    builder: "TrainableTokens",
    summary: "train the embeddings of some tokens and nothing else",
    equation: "E'[i] = D[n] for the n-th of the chosen tokens i, else E[i]",
    help: "The rows E[i] of the embedding with i in token_indices are replaced by trained copies; \
        all other rows stay frozen. A head that shares the embedding's weight uses the same \
        trained rows. The copies start as the base's own, so attaching does not change the \
        output. Useful for new words and special tokens.",
    shapes: "`E: (V, C)` frozen, `D: (N, C)` trained for N tokens",
    source: "HF PEFT's TrainableTokensConfig",
    keys: KEYS,
    learning_rate: 1e-2,
    rate_falls_with_width: true,
};

const KEYS: &[KeySpec] = &[
    KeySpec {
        name: "token_indices",
        aliases: &["tokens"],
        kind: KeyKind::List,
        default: "",
        help: "token ids, such as 3,17,40-44; lab().model()?.tokenizer()?.encode(\"text\") returns the ids of a text",
    },
    KeySpec {
        help: "name of the embedding; without it the input embedding of the model, such as embed_tokens",
        ..TARGET_MODULES
    },
    ADAPTER_NAME,
];
