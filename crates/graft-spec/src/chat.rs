//! The keys of `%chat`: those of `%generate`, the template and the system message.

use crate::{KeyKind, KeySpec, training::GENERATE};

/// Default of `max_new_tokens`, which is higher than for `%generate`: an answer ends by itself.
const MAX_NEW_TOKENS: &str = "256";

/// Keys that `%generate` does not have.
const OWN: [KeySpec; 2] = [
    KeySpec {
        name: "chat_template",
        aliases: &["template"],
        kind: KeyKind::Text,
        default: "",
        help: "chat template: a name (chatml, llama3, gemma, mistral, zephyr, plain) or a .jinja file; default: the one of the current data set of conversations, else the model's own",
    },
    KeySpec {
        name: "system",
        aliases: &[],
        kind: KeyKind::Text,
        default: "",
        help: "system message at the start of a new conversation",
    },
];

/// Keys of `%chat`.
pub const CHAT: &[KeySpec] = &ALL;

const ALL: [KeySpec; GENERATE.len() + OWN.len()] = {
    let mut all = [OWN[0]; GENERATE.len() + OWN.len()];
    let mut at = 0;
    while at < GENERATE.len() {
        all[at] = GENERATE[at];
        at += 1;
    }
    // The first key of `%generate` is `max_new_tokens`, which a test checks.
    all[0].default = MAX_NEW_TOKENS;
    all[at] = OWN[0];
    all[at + 1] = OWN[1];
    all
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_may_be_longer_than_a_generated_text() {
        let longer = CHAT.iter().find(|key| key.default == MAX_NEW_TOKENS);
        assert_eq!(longer.map(|key| key.name), Some("max_new_tokens"));
        assert_eq!(CHAT.len(), GENERATE.len() + 2);
    }
}
