//! `%generate`.

use graft_models::{GenerateOptions, Generated, generate as write};
use graft_protocol::{Block, Event, Reply};
use graft_spec::{Failure, Settings, training};

use crate::{CommandContext, SessionError};

/// Continues a prompt with the active adapter, and emits the text while it is generated.
///
/// # Errors
/// [`SessionError::NoModel`], [`SessionError::Interrupted`], and those of the model.
pub fn generate(
    cx: &CommandContext,
    prompt: &str,
    settings: &Settings,
) -> Result<Generated, Failure> {
    continuation(cx, prompt, settings, &|text| cx.emit(Event::Text(text.to_owned())))
}

/// Continues a prompt without emitting the text. Rust cells show the result themselves.
///
/// # Errors
/// As [`generate`].
pub fn quietly(
    cx: &CommandContext,
    prompt: &str,
    settings: &Settings,
) -> Result<Generated, Failure> {
    continuation(cx, prompt, settings, &|_| {})
}

fn continuation(
    cx: &CommandContext,
    prompt: &str,
    settings: &Settings,
    on_piece: &dyn Fn(&str),
) -> Result<Generated, Failure> {
    settings.check(training::GENERATE)?;
    let state = cx.state();
    let model = state.model()?;
    let options = GenerateOptions::from_settings(settings, state.seed);
    let mut on_text = |text: &str| {
        if !text.is_empty() {
            on_piece(text);
        }
        !cx.is_stopping()
    };
    let generated = write(
        model.loaded.model.as_ref(),
        &model.loaded.tokenizer,
        prompt,
        &options,
        &mut on_text,
    )?;
    if cx.is_stopping() {
        let what = format!("stopped after {} tokens", generated.tokens);
        return Err(SessionError::Interrupted { what, next: None }.into());
    }
    Ok(generated)
}

/// The reply to `%generate`.
pub fn reply(generated: Generated) -> Reply {
    Reply::one(Block::Generated {
        prompt: generated.prompt,
        text: generated.text,
        pieces: generated.pieces,
    })
}
