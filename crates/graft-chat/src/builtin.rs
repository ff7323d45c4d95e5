//! Built-in chat templates, for base models that have none.

use crate::{ChatError, ChatTemplate, SpecialTokens};

/// The names of the templates. `plain` needs no special tokens but the end of the text.
pub const NAMES: [&str; 6] = ["chatml", "llama3", "gemma", "mistral", "zephyr", "plain"];

const SOURCES: [&str; 6] = [
    include_str!("../assets/chatml.jinja"),
    include_str!("../assets/llama3.jinja"),
    include_str!("../assets/gemma.jinja"),
    include_str!("../assets/mistral.jinja"),
    include_str!("../assets/zephyr.jinja"),
    include_str!("../assets/plain.jinja"),
];

/// The built-in template of a name, with the special tokens of a tokenizer. `None` if there is none
/// of this name.
///
/// # Errors
/// [`ChatError::Syntax`], which a test excludes.
pub fn template(
    name: &str,
    special_tokens: SpecialTokens,
) -> Result<Option<ChatTemplate>, ChatError> {
    match NAMES.iter().position(|it| *it == name) {
        Some(at) => ChatTemplate::new(name, SOURCES[at], special_tokens).map(Some),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Conversation, Ending, Loss, LossOn};

    fn special() -> SpecialTokens {
        [("bos_token", "<s>"), ("eos_token", "</s>")]
            .map(|(name, token)| (name.to_owned(), token.to_owned()))
            .to_vec()
    }

    /// The text of a conversation, with brackets around what the assistant wrote.
    fn marked(name: &str, messages: &str) -> String {
        let template = template(name, special()).unwrap().unwrap();
        let chat = Conversation::from_json(messages).unwrap();
        let Loss { mut text, ranges } = Loss::find(&template, &chat, LossOn::Assistant).unwrap();
        for range in ranges.iter().rev() {
            text.insert(range.end, ']');
            text.insert(range.start, '[');
        }
        text
    }

    const CHAT: &str = r#"[{"role":"system","content":"S"},{"role":"user","content":[{"type":"text","text":"U"}]},{"role":"assistant","content":"A"}]"#;

    #[test]
    fn every_template_marks_the_answer_and_its_end() {
        let expected = [
            "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n[A<|im_end|>]\n",
            "<s><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nU<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n[A<|eot_id|>]",
            "<s><start_of_turn>user\nS\n\nU<end_of_turn>\n<start_of_turn>model\n[A<end_of_turn>]\n",
            "<s>[INST] S\n\nU [/INST][ A</s>]",
            "<|system|>\nS</s>\n<|user|>\nU</s>\n<|assistant|>\n[A</s>]\n",
            "S\n\nUser: U\n\nAssistant:[ A</s>]\n\n",
        ];
        for (name, expected) in NAMES.iter().zip(expected) {
            assert_eq!(marked(name, CHAT), expected, "{name}");
        }
    }

    #[test]
    fn gemma_and_mistral_refuse_two_messages_of_the_user_in_a_row() {
        let twice = r#"[{"role":"user","content":"U"},{"role":"user","content":"V"}]"#;
        let chat = Conversation::from_json(twice).unwrap();
        for name in ["gemma", "mistral"] {
            let template = template(name, special()).unwrap().unwrap();
            let error = template.render(&chat, Ending::Complete).unwrap_err();
            assert!(matches!(error, ChatError::Refused { .. }), "{name}: {error}");
        }
    }

    #[test]
    fn the_generation_prompt_is_where_the_answer_starts() {
        let chat = Conversation::from_json(CHAT).unwrap();
        for name in NAMES {
            let template = template(name, special()).unwrap().unwrap();
            let prompt = template.render(&chat.first(2), Ending::GenerationPrompt).unwrap().text;
            let loss = Loss::find(&template, &chat, LossOn::Assistant).unwrap();
            assert_eq!(loss.text[..loss.ranges[0].start], prompt, "{name}");
        }
    }
}
