//! `%generate`.

mod data;

use graft_models::{GenerateOptions, Generated, StopReason, generate as write};
use graft_protocol::{Block, Event, Level, Reply};
use graft_spec::{Failure, Settings, training};

use super::named_adapter::NamedAdapterActive;
use crate::{CommandContext, SessionError};

pub use data::{DataText, DataTexts, generate_data};

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
    let _named = NamedAdapterActive::of_settings(&state, settings, training::GENERATE)?;
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

/// The reply to `%generate`. A text that the model ended at once is reported.
pub fn reply(generated: Generated) -> Reply {
    let is_empty = generated.text.is_empty() && generated.stop == StopReason::EndOfText;
    let mut blocks = vec![Block::Generated {
        prompt: generated.prompt,
        text: generated.text,
        pieces: generated.pieces,
    }];
    if is_empty {
        let text = "the model ended the text at once: the end of the text is its likeliest next \
                    token; temperature=1 samples others, and a prompt without a space at its end \
                    often continues";
        blocks.push(Block::Note(Level::Warning, text.to_owned()));
    }
    Reply { blocks }
}
