//! Conversations as training examples.

use graft_chat::{ChatError, ChatTemplate, LossOn, builtin};
use graft_nn::{TokenEncoder, ops::IGNORED};

use crate::data::{Conversation, Dataset, Example, Extra, Kind, SplitName};
use crate::{Result, TrainError, batch::Encoded};

/// Special tokens by which a tokenizer is recognized as one for a built-in template.
const MARKS: [(&str, &str); 3] =
    [("chatml", "<|im_start|>"), ("llama3", "<|start_header_id|>"), ("gemma", "<start_of_turn>")];

/// Special tokens of common templates. Without them, a model cannot tell a mark from text that
/// looks like it.
const TOKENS: [&str; 7] = [
    "<|im_start|>",
    "<|im_end|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
    "<start_of_turn>",
    "<end_of_turn>",
];

/// Tokens and labels of a conversation, as in training, without a length limit.
///
/// The template writes the special tokens, so the tokenizer adds none, not even at the end. The
/// labels are on the text that `loss_on` selects.
///
/// # Errors
/// Those of [`graft_chat::encode()`]: the template refuses the conversation, the text of the
/// assistant cannot be found, or the tokenizer fails.
pub fn encode_chat(
    tokenizer: &dyn TokenEncoder,
    template: &ChatTemplate,
    chat: &graft_chat::Conversation,
    loss_on: LossOn,
) -> std::result::Result<Encoded, ChatError> {
    let tokenize =
        |text: &str| tokenizer.encode_with_offsets(text).map_err(|error| error.to_string());
    let graft_chat::Encoded { ids, loss_mask } =
        graft_chat::encode(template, &tokenize, chat, loss_on)?;
    let label = |(id, has_loss): (&u32, &bool)| if *has_loss { i64::from(*id) } else { IGNORED };
    let labels = ids.iter().zip(&loss_mask).map(label).collect();
    Ok(Encoded { ids, labels, class: None })
}

/// The chat template of a data set under a tokenizer: the one that the user chose, or else the
/// tokenizer's own, which may be another one for conversations with tools.
///
/// # Errors
/// [`TrainError::ChatTemplate`].
pub fn chat_template(
    tokenizer: &dyn TokenEncoder,
    data: &Dataset,
    has_tools: bool,
) -> Result<ChatTemplate> {
    let templates = tokenizer.chat_templates();
    let found = match &data.chat_template {
        None => templates.select(None, has_tools),
        Some(choice) => match &choice.source {
            None => templates.select(Some(&choice.name), has_tools),
            Some(source) => {
                ChatTemplate::new(&choice.name, source, templates.special_tokens().clone())
            }
        },
    };
    found.map_err(|source| TrainError::ChatTemplate {
        data: data.name.clone(),
        suggestion: suggestion(tokenizer),
        source,
    })
}

/// The built-in template for a tokenizer: the one whose special tokens it has, or `plain`.
fn suggestion(tokenizer: &dyn TokenEncoder) -> &'static str {
    let is_token = |mark: &str| tokenizer.encode(mark).is_ok_and(|ids| ids.len() == 1);
    MARKS.iter().find(|(_, mark)| is_token(mark)).map_or("plain", |(name, _)| name)
}

/// Conversations of a data set as tokens.
pub(crate) struct ChatEncoder<'a> {
    tokenizer: &'a dyn TokenEncoder,
    data: &'a Dataset,
    /// For conversations without tools and with tools, where the data has such.
    templates: [Option<ChatTemplate>; 2],
    loss_on: Option<LossOn>,
}

impl<'a> ChatEncoder<'a> {
    /// An encoder for the conversations of a data set; `None` if it has none.
    ///
    /// # Errors
    /// [`TrainError::ChatTemplate`].
    pub(crate) fn new(
        tokenizer: &'a dyn TokenEncoder,
        data: &'a Dataset,
        loss_on: Option<LossOn>,
    ) -> Result<Option<Self>> {
        if data.kind == Kind::Preference {
            return Self::of_preferences(tokenizer, data);
        }
        if data.kind != Kind::Chat {
            return Ok(None);
        }
        let has = |tools: bool| {
            let mut all = SplitName::ALL.into_iter().flat_map(|split| data.split(split));
            all.any(|example| {
                data.conversation(example).is_some_and(|chat| chat.tools.is_empty() != tools)
            })
        };
        let template =
            |tools| has(tools).then(|| chat_template(tokenizer, data, tools)).transpose();
        Ok(Some(Self { tokenizer, data, templates: [template(false)?, template(true)?], loss_on }))
    }

    /// An encoder for preferences between conversations, which have no tools.
    fn of_preferences(tokenizer: &'a dyn TokenEncoder, data: &'a Dataset) -> Result<Option<Self>> {
        let mut all = SplitName::ALL.into_iter().flat_map(|split| data.split(split));
        let is_chat = |example: &Example| {
            matches!(example.extra.as_deref(), Some(Extra::RejectedConversation { .. }))
        };
        if !all.any(is_chat) {
            return Ok(None);
        }
        let templates = [Some(chat_template(tokenizer, data, false)?), None];
        Ok(Some(Self { tokenizer, data, templates, loss_on: None }))
    }

    /// Tokens and labels of a conversation whose messages after the first `prompt_messages` are an
    /// answer, without a length limit.
    ///
    /// # Errors
    /// Those of [`encode_chat`].
    pub(crate) fn encode_answer(
        &self,
        messages: &str,
        prompt_messages: usize,
    ) -> std::result::Result<Encoded, ChatError> {
        let template = self.templates[0].as_ref().ok_or(ChatError::Empty)?;
        let messages = graft_chat::Conversation::from_json(messages)?;
        encode_chat(self.tokenizer, template, &messages, LossOn::From(prompt_messages))
    }

    /// Tokens and labels of a conversation, without a length limit.
    ///
    /// # Errors
    /// Those of [`encode_chat`].
    pub(crate) fn encode(&self, chat: &Conversation) -> std::result::Result<Encoded, ChatError> {
        let has_tools = !chat.tools.is_empty();
        let template = self.templates[usize::from(has_tools)].as_ref();
        let template = template.ok_or(ChatError::Empty)?;
        let messages = graft_chat::Conversation::from_json(&chat.messages)?;
        let messages = messages.with_tools(&chat.tools)?;
        encode_chat(self.tokenizer, template, &messages, self.loss_on(chat))
    }

    /// The text with loss. A prompt that is a conversation itself has none by default.
    fn loss_on(&self, chat: &Conversation) -> LossOn {
        match (self.loss_on, chat.prompt_messages) {
            (None | Some(LossOn::Completion), count) if count > 0 => LossOn::From(count),
            (given, _) => given.unwrap_or_default(),
        }
    }

    /// Warnings about templates that write the date, do not write tool calls, or write special
    /// tokens that the tokenizer lacks.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings: Vec<String> = self.date().into_iter().chain(self.tools()).collect();
        let lacking = self.templates.iter().flatten().filter_map(|template| self.lacking(template));
        warnings.extend(lacking);
        warnings.dedup();
        warnings
    }

    fn date(&self) -> Option<String> {
        let dated = self.templates.iter().flatten().find(|template| template.uses_date())?;
        Some(format!(
            "data `{}`: chat template `{}` may write the current date, so the same conversation \
             can have other tokens on another day",
            self.data.name,
            dated.name()
        ))
    }

    fn tools(&self) -> Option<String> {
        let silent = |has_tools: bool| {
            let template = self.templates[usize::from(has_tools)].as_ref()?;
            (!template.writes_tools()).then(|| template.name())
        };
        let has_calls = |example: &Example| {
            let chat = self.data.conversation(example)?;
            let silent = silent(!chat.tools.is_empty())?;
            let has = !chat.tools.is_empty() || has_tool_calls(&chat.messages);
            has.then_some(silent)
        };
        let all = SplitName::ALL.into_iter().flat_map(|split| self.data.split(split));
        let found: Vec<&str> = all.filter_map(has_calls).collect();
        let name = found.first()?;
        let conversations = if found.len() == 1 {
            "1 conversation has".to_owned()
        } else {
            format!("{} conversations have", found.len())
        };
        Some(format!(
            "data `{}`: {conversations} tools or tool calls, which chat template `{name}` does not \
             write; chat_template=chatml writes them",
            self.data.name
        ))
    }

    /// A warning about special tokens of a template that the tokenizer splits.
    fn lacking(&self, template: &ChatTemplate) -> Option<String> {
        let is_split = |mark: &&str| self.tokenizer.encode(mark).is_ok_and(|ids| ids.len() > 1);
        let marks = TOKENS.into_iter().filter(|mark| template.source().contains(mark));
        let split: Vec<&str> = marks.filter(is_split).collect();
        if split.is_empty() {
            return None;
        }
        let listed: Vec<String> = split.iter().map(|mark| format!("`{mark}`")).collect();
        Some(format!(
            "data `{}`: the tokenizer has no {}, which chat template `{}` writes, and splits them \
             into several tokens; %model load MODEL added_tokens=\"{}\" adds them, and \
             chat_template={} needs no other tokens",
            self.data.name,
            listed.join(", "),
            template.name(),
            split.join(","),
            suggestion(self.tokenizer)
        ))
    }
}

/// What to do about a template that is missing or cannot be used.
pub(crate) fn template_hint(suggestion: &str, source: &ChatError) -> Option<String> {
    use graft_spec::Hint;
    match source {
        ChatError::NoTemplate { .. } => Some(format!(
            "choose one when you load the data: `%data load FILE chat_template={suggestion}` ({}, \
             or a .jinja file); a base model learns any of them",
            builtin::NAMES.join(", ")
        )),
        other => other.hint(),
    }
}

/// Whether one of the messages, a JSON array, calls a tool.
fn has_tool_calls(messages: &str) -> bool {
    if !messages.contains("\"tool_calls\"") {
        return false;
    }
    let messages: Vec<serde_json::Value> = serde_json::from_str(messages).unwrap_or_default();
    let calls = |message: &serde_json::Value| {
        message
            .get("tool_calls")
            .and_then(|calls| calls.as_array())
            .is_some_and(|it| !it.is_empty())
    };
    messages.iter().any(calls)
}

#[cfg(test)]
mod tests {
    use graft_spec::{Hint, Settings};

    use super::*;
    use crate::data::{ChatTemplateChoice, parse_inline};
    use crate::encode::{EncodeOptions, Encoder};
    use crate::testing::{TinyLlama, Words};

    const TEMPLATE: &str = "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %} \
        {{ m.content }} 1{% endgeneration %}{% else %} {{ m.content }}{% endif %}{% endfor %}";

    fn data(lines: &str, template: Option<&str>) -> Dataset {
        let settings = Settings::default();
        let data = parse_inline("chats", lines, &settings).expect("a data set");
        let chat_template = template.map(|source| ChatTemplateChoice {
            name: "own.jinja".to_owned(),
            source: Some(source.to_owned()),
        });
        let train = [data.train, data.validation, data.test].concat();
        Dataset { train, validation: Vec::new(), test: Vec::new(), chat_template, ..data }
    }

    /// The labels of the first example, without those of no loss.
    fn learned(data: &Dataset, loss_on: Option<LossOn>) -> Result<Vec<i64>> {
        let model = TinyLlama::new(16, 32);
        let options = EncodeOptions { loss_on, ..EncodeOptions::default() };
        let pieces = Encoder::new(&model, &Words, data, options)?.example(&data.train[0])?;
        let labels = pieces.all.into_iter().flat_map(|piece| piece.labels);
        Ok(labels.filter(|label| *label != IGNORED).collect())
    }

    const TURNS: &str = r#"{"messages": [{"role": "user", "content": "3"}, {"role": "assistant", "content": "4"}, {"role": "user", "content": "5"}, {"role": "assistant", "content": "6 7"}]}"#;

    #[test]
    fn the_loss_is_on_the_text_that_is_asked_for() {
        let data = data(TURNS, Some(TEMPLATE));
        let found = |loss_on| learned(&data, loss_on).expect("encodes");
        assert_eq!(found(None), [4, 1, 6, 7, 1]);
        assert_eq!(found(Some(LossOn::Assistant)), [4, 1, 6, 7, 1]);
        assert_eq!(found(Some(LossOn::Completion)), [6, 7, 1]);
        assert_eq!(found(Some(LossOn::All)), [3, 4, 1, 5, 6, 7, 1]);
    }

    #[test]
    fn a_prompt_that_is_a_conversation_has_no_loss_by_default() {
        let line = r#"{"prompt": [{"role": "user", "content": "3"}, {"role": "assistant", "content": "4"}, {"role": "user", "content": "5"}], "completion": [{"role": "assistant", "content": "6 7"}]}"#;
        let data = data(line, Some(TEMPLATE));
        assert_eq!(learned(&data, None).expect("encodes"), [6, 7, 1]);
        assert_eq!(learned(&data, Some(LossOn::Completion)).expect("encodes"), [6, 7, 1]);
        assert_eq!(learned(&data, Some(LossOn::Assistant)).expect("encodes"), [4, 1, 6, 7, 1]);
    }

    /// A tokenizer whose tokens are bytes.
    struct Bytes;

    impl TokenEncoder for Bytes {
        fn encode(&self, text: &str) -> graft_nn::Result<Vec<u32>> {
            Ok(text.bytes().map(u32::from).collect())
        }
        fn encode_with_offsets(
            &self,
            text: &str,
        ) -> graft_nn::Result<Vec<(u32, std::ops::Range<usize>)>> {
            Ok(text.bytes().enumerate().map(|(at, byte)| (u32::from(byte), at..at + 1)).collect())
        }
        fn decode(&self, ids: &[u32]) -> graft_nn::Result<String> {
            Ok(ids.iter().filter_map(|id| char::from_u32(*id)).collect())
        }
        fn bos(&self) -> Option<u32> {
            None
        }
        fn eos(&self) -> Option<u32> {
            None
        }
        fn vocab(&self) -> usize {
            256
        }
        fn token(&self, id: u32) -> String {
            id.to_string()
        }
    }

    fn warnings(data: &Dataset) -> Vec<String> {
        let model = TinyLlama::new(16, 32);
        let encoder = Encoder::new(&model, &Bytes, data, EncodeOptions::default());
        encoder.expect("an encoder").warnings()
    }

    #[test]
    fn tool_calls_that_the_template_leaves_out_are_reported() {
        let call = r#"{"messages": [{"role": "user", "content": "3"}, {"role": "assistant", "content": "4", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]}]}"#;
        let silent = warnings(&data(call, Some(TEMPLATE)));
        assert_eq!(silent.len(), 1, "{silent:?}");
        assert!(silent[0].contains("1 conversation has tools or tool calls"), "{silent:?}");
        for empty in ["null", "[]"] {
            let none = call.replace(r#"[{"function": {"name": "f", "arguments": {}}}]"#, empty);
            assert_eq!(warnings(&data(&none, Some(TEMPLATE))), [""; 0]);
        }
        assert!(silent[0].contains("`own.jinja` does not write"), "{silent:?}");
        let writing = format!("{TEMPLATE}{{% if messages[0].tool_calls %}} 5{{% endif %}}");
        assert_eq!(warnings(&data(call, Some(&writing))), [""; 0]);
        assert_eq!(warnings(&data(TURNS, Some(TEMPLATE))), [""; 0]);
    }

    #[test]
    fn special_tokens_that_the_tokenizer_splits_are_named() {
        let marked = TEMPLATE.replace(" 1{%", " 1<|im_end|>{%");
        let found = warnings(&data(TURNS, Some(&marked)));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].contains("`<|im_end|>`") && found[0].contains("added_tokens="),
            "{found:?}"
        );
    }

    #[test]
    fn a_missing_template_and_a_refused_conversation_are_explained() {
        let error = learned(&data(TURNS, None), None).expect_err("no template");
        assert_eq!(error.code(), "chat::no_template");
        assert!(error.hint().expect("a hint").contains("%data load FILE chat_template=plain"));
        let refusing = data(TURNS, Some("{{ raise_exception('no') }}"));
        let error = learned(&refusing, None).expect_err("refused");
        let expected = "conversation 1 of the train split of data set `chats` cannot be used";
        assert_eq!(error.to_string(), expected);
    }
}
