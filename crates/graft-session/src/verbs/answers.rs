//! The prompts of a data set and the texts that the model generates for them.

use graft_chat::{ChatError, ChatTemplate, Conversation, Ending, encode_prompt};
use graft_models::{
    BatchPrompt, GenerateOptions, Generated, StopReason, Tokenizer, generate_batch, prompt_ids,
};
use graft_nn::TokenEncoder;
use graft_protocol::Event;
use graft_spec::Failure;
use graft_train::data::{Dataset, Example, Extra, Kind};
use serde_json::Value;

use super::chat;
use crate::{CommandContext, SessionError, state::LoadedModel};

/// Batches whose prompts are sorted by length, so that a batch has prompts of similar length.
const SORTED_BATCHES: usize = 8;

/// One prompt of a data set.
pub(crate) struct Question {
    /// The prompt as text or, for a conversation, its messages as JSON.
    pub(crate) prompt: String,
    /// Whether the prompt is a conversation.
    pub(crate) is_conversation: bool,
    /// The expected text, if the data has one.
    pub(crate) gold: Option<String>,
    /// The tokens of the prompt.
    ids: Vec<u32>,
    /// Whether the prompt was longer than the context and lost its start.
    pub(crate) is_cut: bool,
}

/// The prompts of examples.
pub(crate) struct Questions {
    /// One per example.
    pub(crate) all: Vec<Question>,
    /// The options of generation, with the end of a message for conversations.
    pub(crate) options: GenerateOptions,
}

impl Questions {
    /// The prompts of `examples`: the prompt or the text with a label in its template; a
    /// conversation until its last answer, through the chat template; plain text as it is.
    ///
    /// # Errors
    /// Those of the tokenizer and of the chat template.
    pub(crate) fn new(
        model: &LoadedModel,
        data: &Dataset,
        examples: &[Example],
        mut options: GenerateOptions,
    ) -> Result<Self, Failure> {
        let tokenizer = model.loaded.tokenizer.as_ref();
        let room = Room::of(model, &options);
        let templates = [
            chat_template(tokenizer, data, examples, false)?,
            chat_template(tokenizer, data, examples, true)?,
        ];
        for template in templates.iter().flatten() {
            chat::end_at_message(&mut options, tokenizer, template);
        }
        let question = |example: &Example| match messages(example) {
            Some((messages, tools)) => {
                let template = templates[usize::from(!tools.is_empty())].as_ref();
                let template = template.ok_or(ChatError::Empty)?;
                of_conversation(tokenizer, template, messages, tools, room)
            }
            None => of_text(tokenizer, data, example, room),
        };
        let all = examples.iter().map(question).collect::<Result<_, Failure>>()?;
        Ok(Self { all, options })
    }

    /// Generates a text for every prompt, `batch` at a time. `on_batch` receives the texts of each
    /// batch with their places. Ends early, without an error, when the command is stopped; the
    /// texts of the last batch are then dropped.
    ///
    /// # Errors
    /// Those of the model.
    pub(crate) fn answer(
        &self,
        cx: &CommandContext,
        model: &LoadedModel,
        batch: usize,
        label: &str,
    ) -> Result<Vec<Option<Generated>>, Failure> {
        let total = self.all.len();
        let mut answers: Vec<Option<Generated>> = vec![None; total];
        let mut order: Vec<usize> = (0..total).collect();
        for part in order.chunks_mut(batch.max(1).saturating_mul(SORTED_BATCHES)) {
            part.sort_by_key(|place| self.all[*place].ids.len());
        }
        let control = cx.control();
        let mut done = 0;
        for places in order.chunks(batch.max(1)) {
            cx.emit(Event::Progress { label: label.to_owned(), done, total: total as u64 });
            let generated = self.batch(cx, model, places)?;
            if cx.is_stopping() {
                return Ok(answers);
            }
            places.iter().zip(generated).for_each(|(place, it)| answers[*place] = Some(it));
            done += places.len() as u64;
            control.pause();
        }
        cx.emit(Event::Progress { label: label.to_owned(), done, total: total as u64 });
        Ok(answers)
    }

    fn batch(
        &self,
        cx: &CommandContext,
        model: &LoadedModel,
        places: &[usize],
    ) -> Result<Vec<Generated>, Failure> {
        let prompt = |place: &usize| BatchPrompt {
            text: String::new(),
            ids: self.all[*place].ids.clone(),
            index: *place as u64,
        };
        let prompts: Vec<_> = places.iter().map(prompt).collect();
        Ok(generate_batch(
            model.loaded.model.as_ref(),
            &model.loaded.tokenizer,
            &prompts,
            &self.options,
            &mut || cx.is_stopping(),
        )?)
    }
}

/// Why a text ended, as a word for files.
pub(crate) fn stop_word(stop: StopReason) -> &'static str {
    match stop {
        StopReason::EndOfText => "end_of_text",
        StopReason::Length => "length",
        StopReason::StopText => "stop_text",
        StopReason::ContextFull(_) => "context_full",
        StopReason::Caller => "stopped",
    }
}

/// The chat template of the conversations with or without tools; `None` if there are no such.
fn chat_template(
    tokenizer: &Tokenizer,
    data: &Dataset,
    examples: &[Example],
    has_tools: bool,
) -> Result<Option<ChatTemplate>, Failure> {
    let uses_it = |example: &Example| {
        messages(example).is_some_and(|(_, tools)| tools.is_empty() != has_tools)
    };
    let template = examples
        .iter()
        .any(uses_it)
        .then(|| graft_train::chat_template(tokenizer, data, has_tools));
    Ok(template.transpose()?)
}

/// Tokens that a prompt may have, and special tokens at its start that are never cut.
#[derive(Clone, Copy)]
struct Room {
    tokens: usize,
    prefix: usize,
}

impl Room {
    /// The context without the new tokens, but at least half of it.
    fn of(model: &LoadedModel, options: &GenerateOptions) -> Self {
        let network = model.loaded.model.as_ref();
        let context =
            network.shape().max_positions.saturating_sub(network.embedding().positions_taken());
        let tokens = context.saturating_sub(options.max_new_tokens.min(context / 2)).max(1);
        Self { tokens, prefix: model.loaded.tokenizer.prefix().len() }
    }

    /// Removes the start of a prompt that is too long. The question is usually at its end.
    fn fit(self, mut ids: Vec<u32>) -> (Vec<u32>, bool) {
        let excess = ids.len().saturating_sub(self.tokens);
        if excess > 0 {
            let prefix = self.prefix.min(self.tokens.saturating_sub(1));
            ids.drain(prefix..prefix + excess);
        }
        (ids, excess > 0)
    }
}

/// The messages and tools of a conversation, of a preference those with the chosen answer.
fn messages(example: &Example) -> Option<(&str, &str)> {
    match example.extra.as_deref()? {
        Extra::Conversation(chat) => Some((&*chat.messages, &*chat.tools)),
        Extra::RejectedConversation { chosen, .. } => Some((&**chosen, "")),
        _ => None,
    }
}

fn of_text(
    tokenizer: &Tokenizer,
    data: &Dataset,
    example: &Example,
    room: Room,
) -> Result<Question, Failure> {
    let (prompt, gold) = match &data.kind {
        // Running text is continued.
        Kind::Text => (&*example.completion, None),
        Kind::Labels(labels) => (
            &*example.prompt,
            example.label.and_then(|label| labels.get(label)).map(String::as_str),
        ),
        _ => (&*example.prompt, Some(&*example.completion)),
    };
    let (ids, is_cut) = room.fit(prompt_ids(tokenizer, prompt)?);
    let gold = gold.map(|text| text.trim().to_owned());
    let prompt = prompt.to_owned();
    Ok(Question { prompt, is_conversation: false, gold, ids, is_cut })
}

fn of_conversation(
    tokenizer: &Tokenizer,
    template: &ChatTemplate,
    messages: &str,
    tools: &str,
    room: Room,
) -> Result<Question, Failure> {
    let mut messages: Vec<Value> = serde_json::from_str(messages).unwrap_or_default();
    let is_answer = |message: &Value| message.get("role").is_some_and(|role| role == "assistant");
    let last = messages.iter().rposition(is_answer);
    let gold = last.map(|last| messages.drain(last..).next().unwrap_or_default());
    let prompt = Value::from(messages).to_string();
    let chat = Conversation::from_json(&prompt)?.with_tools(tools)?;
    let tokenize =
        |text: &str| tokenizer.encode_with_offsets(text).map_err(|error| error.to_string());
    let ids = encode_prompt(template, &tokenize, &chat, Ending::GenerationPrompt)?;
    let (ids, is_cut) = room.fit(ids);
    let gold = gold.map(|message| text_of(&message).trim().to_owned());
    Ok(Question { prompt, is_conversation: true, gold, ids, is_cut })
}

/// The text of a message: its content, the texts of its parts, or its tool calls as JSON.
fn text_of(message: &Value) -> String {
    match message.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            parts.iter().filter_map(|part| part.get("text")?.as_str()).collect()
        }
        _ => message.get("tool_calls").map(Value::to_string).unwrap_or_default(),
    }
}

/// The error of a stopped command.
pub(crate) fn stopped(what: String) -> Failure {
    SessionError::Interrupted { what, next: None }.into()
}
