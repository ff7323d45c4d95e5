//! `%generate`.

use graft_models::{GenerateOptions, Generated, generate as write};
use graft_protocol::{Block, Event, Reply};
use graft_spec::{Failure, Settings, training};

use crate::{CommandContext, SessionError};

/// Continues a prompt with whatever adapter acts; the text goes out piece by piece while it is written.
///
/// # Errors
/// [`SessionError::NoModel`], [`SessionError::Interrupted`], and those of the model.
pub fn generate(
    desk: &CommandContext,
    prompt: &str,
    settings: &Settings,
) -> Result<Generated, Failure> {
    continuation(desk, prompt, settings, &|text| desk.emit(Event::Text(text.to_owned())))
}

/// [`generate`] without sending the text on its way: a Rust cell shows what it gets.
///
/// # Errors
/// As [`generate`].
pub fn quietly(
    desk: &CommandContext,
    prompt: &str,
    settings: &Settings,
) -> Result<Generated, Failure> {
    continuation(desk, prompt, settings, &|_| {})
}

fn continuation(
    desk: &CommandContext,
    prompt: &str,
    settings: &Settings,
    heard: &dyn Fn(&str),
) -> Result<Generated, Failure> {
    settings.check(training::GENERATE)?;
    let state = desk.state();
    let model = state.model()?;
    let options = GenerateOptions::from_settings(settings, state.seed);
    let mut on_text = |text: &str| {
        if !text.is_empty() {
            heard(text);
        }
        !desk.is_stopping()
    };
    let generated = write(
        model.loaded.model.as_ref(),
        &model.loaded.tokenizer,
        prompt,
        &options,
        &mut on_text,
    )?;
    if desk.is_stopping() {
        let what = format!("stopped after {} tokens", generated.tokens);
        return Err(SessionError::Interrupted { what, next: None }.into());
    }
    Ok(generated)
}

/// The answer to `%generate`.
pub fn reply(generated: Generated) -> Reply {
    Reply::one(Block::Generated {
        prompt: generated.prompt,
        text: generated.text,
        pieces: generated.pieces,
    })
}
