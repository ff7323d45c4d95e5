//! Keys of prompt tuning, named as in HF PEFT's `PromptTuningConfig`.

use super::{ADAPTER_NAME, MethodSpec, VIRTUAL_TOKENS};
use crate::{KeyKind, KeySpec};

/// Prompt tuning: trained embeddings in front of the input.
pub const SPEC: MethodSpec = MethodSpec {
    verb: "prompt_tune",
    peft_type: "PROMPT_TUNING",
    builder: "PromptTuning",
    summary: "a soft prompt: train the embeddings of virtual tokens in front of the input",
    equation: "x' = [E; embed(ids)]",
    help: "num_virtual_tokens vectors of the model's hidden size are put in front of the embedded \
        input. Nothing else is trained. prompt_tuning_init: RANDOM (N(0,1)), SAMPLE_VOCAB (rows \
        of the embedding), TEXT (the embedded prompt_tuning_init_text, repeated or cut).",
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
        help: "initial values of the vectors; prompt_tuning_init_text implies TEXT",
    },
    KeySpec {
        name: "prompt_tuning_init_text",
        aliases: &["init", "text"],
        kind: KeyKind::Text,
        default: "",
        help: "text whose embeddings are the initial values of the vectors",
    },
    ADAPTER_NAME,
];
