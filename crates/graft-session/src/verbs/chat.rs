//! `%chat`.

use std::sync::Arc;

use graft_chat::{ChatTemplate, Conversation, Ending, encode_prompt};
use graft_models::{GenerateOptions, Generated, StopReason, Tokenizer, generate_from};
use graft_nn::TokenEncoder;
use graft_protocol::{Block, Cell, Event, Level, Reply, Table};
use graft_spec::{Failure, Settings, Value, chat::CHAT};

use super::named_adapter::NamedAdapterActive;
use crate::{CommandContext, SessionError, SessionState};

/// The conversation of a session.
#[derive(Clone, Debug, Default)]
pub struct ChatLog {
    /// Role and text of each message.
    pub messages: Vec<(String, String)>,
    /// The template that the user has chosen.
    pub template: Option<String>,
}

/// Adds a message of the user, and the answer, which is emitted while it is generated. If the
/// generation fails or is stopped, the conversation stays as it was.
///
/// # Errors
/// [`SessionError::NoModel`], [`SessionError::SystemLater`], [`SessionError::Interrupted`], and
/// those of the template and the model.
pub fn say(cx: &CommandContext, text: &str, settings: &Settings) -> Result<Generated, Failure> {
    answer(cx, text, settings, &|piece| cx.emit(Event::Text(piece.to_owned())))
}

/// As [`say`], without emitting the text. Rust cells show the result themselves.
///
/// # Errors
/// As [`say`].
pub fn quietly(cx: &CommandContext, text: &str, settings: &Settings) -> Result<Generated, Failure> {
    answer(cx, text, settings, &|_| {})
}

fn answer(
    cx: &CommandContext,
    text: &str,
    settings: &Settings,
    on_piece: &dyn Fn(&str),
) -> Result<Generated, Failure> {
    settings.check(CHAT)?;
    let state = cx.state();
    let _named = NamedAdapterActive::of_settings(&state, settings, CHAT)?;
    let model = state.model()?;
    let tokenizer = &model.loaded.tokenizer;
    let mut log = ChatLog::clone(&state.chat);
    add(&mut log, text, settings)?;
    let template = template(&state, tokenizer.as_ref(), &log)?;
    let tokenize =
        |text: &str| tokenizer.encode_with_offsets(text).map_err(|error| error.to_string());
    let ids = encode_prompt(&template, &tokenize, &conversation(&log), Ending::GenerationPrompt)?;
    let options = options(tokenizer, &template, settings, state.seed);
    let mut on_text = |piece: &str| {
        if !piece.is_empty() {
            on_piece(piece);
        }
        !cx.is_stopping()
    };
    let network = model.loaded.model.as_ref();
    let generated = generate_from(network, tokenizer, (text, &ids), &options, &mut on_text)
        .map_err(too_long)?;
    if cx.is_stopping() {
        let what = format!("stopped after {} tokens", generated.tokens);
        return Err(SessionError::Interrupted { what, next: None }.into());
    }
    log.messages.push(("assistant".to_owned(), generated.text.trim().to_owned()));
    let log = Arc::new(log);
    cx.change(|state| state.chat = Arc::clone(&log));
    Ok(generated)
}

/// The template that the user chose for the conversation, or else the one of the current data set
/// of conversations, with which the adapter was probably trained, or else the model's own.
fn template(
    state: &SessionState,
    tokenizer: &dyn TokenEncoder,
    log: &ChatLog,
) -> Result<ChatTemplate, Failure> {
    let data = state.data(None).ok().filter(|data| data.dataset.chat_template.is_some());
    match (&log.template, data) {
        (None, Some(data)) => Ok(graft_train::chat_template(tokenizer, &data.dataset, false)?),
        (chosen, _) => Ok(tokenizer.chat_templates().select(chosen.as_deref(), false)?),
    }
}

/// Adds the user's message and what the settings change.
fn add(log: &mut ChatLog, text: &str, settings: &Settings) -> Result<(), SessionError> {
    let given = |key| settings.text(CHAT, key).filter(|value| !value.is_empty());
    if let Some(system) = given("system") {
        let message = ("system".to_owned(), system);
        if log.messages.first().is_some_and(|first| *first != message) {
            return Err(SessionError::SystemLater { messages: log.messages.len() });
        }
        if log.messages.is_empty() {
            log.messages.push(message);
        }
    }
    if let Some(template) = given("chat_template") {
        log.template = Some(super::data::absolute(&template));
    }
    log.messages.push(("user".to_owned(), text.to_owned()));
    Ok(())
}

fn conversation(log: &ChatLog) -> Conversation {
    let mut chat = Conversation::default();
    log.messages.iter().for_each(|(role, text)| chat.push(role, text));
    chat
}

/// The options of the generation. An answer also ends where the template ends a message: at its
/// token, or at its text if the tokenizer has no such token.
fn options(
    tokenizer: &Tokenizer,
    template: &ChatTemplate,
    settings: &Settings,
    seed: u64,
) -> GenerateOptions {
    let length = settings.integer(CHAT, "max_new_tokens").unwrap_or(256);
    let settings = settings.clone().with("max_new_tokens", Value::Integer(length));
    let mut options = GenerateOptions::from_settings(&settings, seed);
    end_at_message(&mut options, tokenizer, template);
    options
}

/// Ends the text also where the template ends a message. Several templates may be added.
pub(crate) fn end_at_message(
    options: &mut GenerateOptions,
    tokenizer: &Tokenizer,
    template: &ChatTemplate,
) {
    let end = template.message_end();
    match tokenizer.encode(end).unwrap_or_default().as_slice() {
        [] => {}
        [token] if tokenizer.is_special(*token) => options.end_tokens.push(*token),
        _ => options.end_texts.push(end.to_owned()),
    }
}

/// Suggests a new conversation when the context is full.
fn too_long(error: graft_models::ModelError) -> Failure {
    let failure = Failure::from(error);
    if failure.code == "models::prompt_too_long" {
        return failure.hint("`%chat reset` starts a new conversation");
    }
    failure
}

/// The reply to a message. An answer without text is reported.
pub fn reply(generated: Generated) -> Reply {
    let mut blocks = vec![Block::Generated {
        prompt: format!("{}\n\n", generated.prompt),
        text: generated.text.trim_start().to_owned(),
        pieces: Vec::new(),
    }];
    if generated.text.trim().is_empty() && generated.stop == StopReason::EndOfText {
        let text = "the model ended its answer at once; a model that was not trained on \
                    conversations often does: `%data show tokens=true` shows what it learns"
            .to_owned();
        blocks.push(Block::Note(Level::Warning, text));
    }
    Reply { blocks }
}

/// The messages so far.
pub fn table(cx: &CommandContext) -> Table {
    let log = cx.state().chat.clone();
    let mut table = Table::new("conversation", &["role", "message"]);
    for (role, text) in &log.messages {
        table.row(vec![Cell::Strong(role.clone()), Cell::Text(text.clone())]);
    }
    if log.messages.is_empty() {
        table.footer.push("no messages yet; %chat \"Hello\" starts a conversation".to_owned());
    }
    table
}

/// Starts a new conversation, and returns the number of messages that it had.
pub fn reset(cx: &CommandContext) -> usize {
    let messages = cx.state().chat.messages.len();
    cx.change(|state| state.chat = Arc::default());
    messages
}
