//! The keys of generation.

use crate::{KeyKind, KeySpec};

/// Keys of `%generate`, `%compare` and, with others, of `%chat`.
pub const GENERATE: &[KeySpec] = &[
    KeySpec {
        name: "max_new_tokens",
        aliases: &["tokens"],
        kind: KeyKind::Integer { min: 1, max: 100_000 },
        default: "60",
        help: "maximum number of generated tokens",
    },
    KeySpec {
        name: "temperature",
        aliases: &["temp"],
        kind: KeyKind::Float { min: 0.0, max: 100.0 },
        default: "0",
        help: "sampling temperature; 0 is greedy, 1 samples from the distribution of the model",
    },
    KeySpec {
        name: "top_k",
        aliases: &[],
        kind: KeyKind::Integer { min: 0, max: 10_000_000 },
        default: "0",
        help: "sample from the k most likely tokens; 0 means all",
    },
    KeySpec {
        name: "top_p",
        aliases: &[],
        kind: KeyKind::Float { min: 0.0, max: 1.0 },
        default: "1",
        help: "nucleus sampling: sample from the most likely tokens whose probabilities sum to p",
    },
    KeySpec {
        name: "repetition_penalty",
        aliases: &[],
        kind: KeyKind::Float { min: 0.01, max: 100.0 },
        default: "1",
        help: "make tokens that the prompt or the text already has less likely, by this factor; 1 is off, 1.1 to 1.3 is usual",
    },
    KeySpec {
        name: "seed",
        aliases: &[],
        kind: KeyKind::Integer { min: 0, max: i64::MAX },
        default: "",
        help: "seed of the sampling; without it the seed of the session",
    },
    KeySpec {
        name: "stop",
        aliases: &[],
        kind: KeyKind::Text,
        default: "",
        help: "stop before this text",
    },
    KeySpec {
        name: "adapter_name",
        aliases: &["adapter"],
        kind: KeyKind::Text,
        default: "",
        help: "generate with this adapter instead of the active one",
    },
];

/// Keys of `%generate data=NAME` that the generation from a prompt does not have.
const OWN: [KeySpec; 5] = [
    KeySpec {
        name: "data",
        aliases: &[],
        kind: KeyKind::Text,
        default: "",
        help: "continue the prompts of a data set: its name, or train, validation or test for a split of the current one",
    },
    KeySpec {
        name: "split",
        aliases: &[],
        kind: KeyKind::Choice(&["train", "validation", "test"]),
        default: "test",
        help: "split of the data set",
    },
    KeySpec {
        name: "examples",
        aliases: &["n"],
        kind: KeyKind::Integer { min: 1, max: 100_000_000 },
        default: "",
        help: "maximum number of examples, from the first one on; without it all of them",
    },
    KeySpec {
        name: "batch",
        aliases: &["batch_size"],
        kind: KeyKind::Integer { min: 1, max: 65_536 },
        default: "16",
        help: "texts that are generated at the same time",
    },
    KeySpec {
        name: "out",
        aliases: &["output", "file"],
        kind: KeyKind::Path,
        default: "",
        help: "file for the texts, one JSON object per line; without it the first texts are shown",
    },
];

/// Keys of `%generate` with a data set in place of a prompt.
pub const GENERATE_DATA: &[KeySpec] = &ALL;

const ALL: [KeySpec; GENERATE.len() + OWN.len()] = {
    let mut all = [OWN[0]; GENERATE.len() + OWN.len()];
    let mut at = 0;
    while at < all.len() {
        all[at] = if at < GENERATE.len() { GENERATE[at] } else { OWN[at - GENERATE.len()] };
        at += 1;
    }
    all
};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_keys_have_the_same_name() {
        let names = GENERATE_DATA.iter().flat_map(|key| key.aliases.iter().chain([&key.name]));
        let names: Vec<_> = names.collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    }
}
