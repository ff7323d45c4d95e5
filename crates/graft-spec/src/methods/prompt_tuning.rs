//! Keys of prompt tuning, as HF PEFT's `PromptTuningConfig` names them.

use super::{ADAPTER_NAME, MethodSpec, VIRTUAL_TOKENS};
use crate::{KeyKind, KeySpec};

/// Prompt tuning: trained embeddings in front of the input.
pub const SPEC: MethodSpec = MethodSpec {
    verb: "prompt_tune",
    peft_type: "PROMPT_TUNING",
    builder: "PromptTuning",
    summary: "prompt tuning: train the embeddings of virtual tokens that are prepended to the input",
    equation: "x' = [E; embed(ids)]",
    help: "num_virtual_tokens vectors of the model's hidden size are prepended to the embedded \
        input; nothing else is trained. prompt_tuning_init: RANDOM (N(0,1)), SAMPLE_VOCAB (rows \
        of the embedding), TEXT (the embeddings of prompt_tuning_init_text, repeated or \
        truncated).",
    shapes: "`E: (P, C)` with P virtual tokens; the model then reads P + T positions and returns \
        logits for all of them, as in HF PEFT",
    source: "Lester et al. 2021, arXiv:2104.08691",
    keys: KEYS,
    learning_rate: 5e-2,
    rate_falls_with_width: true,
};

const KEYS: &[KeySpec] = &[
    VIRTUAL_TOKENS,
    KeySpec {
        name: "prompt_tuning_init",
        aliases: &[],
        kind: KeyKind::Choice(&["RANDOM", "SAMPLE_VOCAB", "TEXT"]),
        default: "SAMPLE_VOCAB",
        help: "initial values of the vectors; TEXT is implied by prompt_tuning_init_text",
    },
    KeySpec {
        name: "prompt_tuning_init_text",
        aliases: &["init", "text"],
        kind: KeyKind::Text,
        default: "",
        help: "the text whose embeddings are the initial values",
    },
    ADAPTER_NAME,
];
