//! Errors of reading conversations and of rendering templates.

use graft_spec::{Hint, user_file::UserFileError};

use crate::builtin;

/// An error of a conversation or of a chat template. `template` is a file or a built-in name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChatError {
    /// The messages, tools or documents are not valid JSON.
    #[error("the {part} are not valid JSON")]
    Json {
        /// `messages`, `tools`, `documents` or `variables`.
        part: &'static str,
        /// The error of the parser.
        source: serde_json::Error,
    },
    /// The JSON does not have the required form.
    #[error("the {part} must be a list of objects, got {found}")]
    NotObjects {
        /// `messages`, `tools` or `documents`.
        part: &'static str,
        /// What was found, with its position.
        found: String,
    },
    /// A message has no role.
    #[error("message {number} has no `role` (its fields: {fields})")]
    NoRole {
        /// Number of the message, from 1.
        number: usize,
        /// Names of its fields.
        fields: String,
    },
    /// The conversation has no messages.
    #[error("the conversation has no messages")]
    Empty,
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] UserFileError),
    /// A file of the tokenizer does not have the required form.
    #[error("`{path}` is not valid: {problem}")]
    Malformed {
        /// The file.
        path: String,
        /// The problem.
        problem: String,
    },
    /// The model has no chat template.
    #[error("the model has no chat template (looked for {looked_for})")]
    NoTemplate {
        /// The files and keys, with the folder.
        looked_for: String,
    },
    /// The model has several templates and none is the default.
    #[error("the model has several chat templates ({names}) and none is called `default`")]
    NoDefault {
        /// Their names.
        names: String,
    },
    /// No template has this name.
    #[error("no chat template is called `{name}`, and it is not a file")]
    UnknownTemplate {
        /// The name.
        name: String,
        /// Names that exist.
        known: Vec<String>,
    },
    /// The template cannot be parsed.
    #[error("chat template `{template}` line {line}: {problem}")]
    Syntax {
        /// The template.
        template: String,
        /// Line, from 1.
        line: usize,
        /// The problem.
        problem: String,
    },
    /// The template called `raise_exception`.
    #[error("chat template `{template}` line {line} refuses the conversation: {message}")]
    Refused {
        /// The template.
        template: String,
        /// Line, from 1.
        line: usize,
        /// The message of the template.
        message: String,
    },
    /// The template failed.
    #[error("chat template `{template}` line {line}: {problem}")]
    Failed {
        /// The template.
        template: String,
        /// Line, from 1.
        line: usize,
        /// The problem.
        problem: String,
    },
    /// The template takes too many steps or writes too much.
    #[error("chat template `{template}` was stopped: {limit}")]
    Limit {
        /// The template.
        template: String,
        /// The limit that was reached.
        limit: String,
    },
    /// The last message cannot be continued.
    #[error("cannot continue the last message: {reason}")]
    NotContinued {
        /// The reason.
        reason: &'static str,
    },
    /// There is no text of the assistant to learn.
    #[error("the conversation has no message to learn: {reason}")]
    NothingToLearn {
        /// The reason.
        reason: String,
    },
    /// The tokens of an assistant message cannot be identified.
    #[error(
        "chat template `{template}`: cannot find the text of message {number} (assistant): {reason}"
    )]
    MaskNotFound {
        /// The template.
        template: String,
        /// Number of the message, from 1.
        number: usize,
        /// The reason.
        reason: &'static str,
    },
    /// Not a value of `loss_on`.
    #[error("`loss_on` must be assistant, completion or all, got `{value}`")]
    LossOn {
        /// The value.
        value: String,
    },
    /// The tokenizer failed.
    #[error("cannot tokenize the conversation: {problem}")]
    Tokenizer {
        /// The error of the tokenizer.
        problem: String,
    },
}

impl Hint for ChatError {
    fn code(&self) -> &'static str {
        match self {
            Self::Json { .. } => "chat::json",
            Self::NotObjects { .. } => "chat::not_objects",
            Self::NoRole { .. } => "chat::no_role",
            Self::Empty => "chat::empty",
            Self::File(error) => error.code(),
            Self::Malformed { .. } => "chat::malformed",
            Self::NoTemplate { .. } => "chat::no_template",
            Self::NoDefault { .. } => "chat::no_default",
            Self::UnknownTemplate { .. } => "chat::unknown_template",
            Self::Syntax { .. } => "chat::syntax",
            Self::Refused { .. } => "chat::refused",
            Self::Failed { .. } => "chat::failed",
            Self::Limit { .. } => "chat::limit",
            Self::NotContinued { .. } => "chat::not_continued",
            Self::NothingToLearn { .. } => "chat::nothing_to_learn",
            Self::MaskNotFound { .. } => "chat::mask_not_found",
            Self::LossOn { .. } => "chat::loss_on",
            Self::Tokenizer { .. } => "chat::tokenizer",
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Json { .. } | Self::NotObjects { .. } | Self::NoRole { .. } => {
                r#"write messages as [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]"#.to_owned()
            }
            Self::File(error) => return error.hint(),
            Self::NoTemplate { .. } => format!(
                "choose one with `chat_template=NAME` ({}) or `chat_template=FILE.jinja`; a base model learns any of them",
                builtin::NAMES.join(", ")
            ),
            Self::NoDefault { names } => format!("choose one with `chat_template=NAME`: {names}"),
            Self::UnknownTemplate { name, known } => unknown(name, known),
            Self::MaskNotFound { .. } => {
                "mark the assistant's text in the template with {% generation %} and {% endgeneration %}, or use `loss_on=all`".to_owned()
            }
            Self::NothingToLearn { .. } => {
                "add an assistant message, or use `loss_on=all`".to_owned()
            }
            Self::Refused { .. } => {
                "change the conversation, or choose another template with `chat_template=chatml`".to_owned()
            }
            _ => return None,
        })
    }
}

/// The hint for an unknown template name.
fn unknown(name: &str, known: &[String]) -> String {
    let near = graft_spec::suggest::nearest(name, known.iter().map(String::as_str));
    match near.first() {
        Some(near) => format!("did you mean `{near}`? Known templates: {}", known.join(", ")),
        None => format!("known templates: {}; or the path of a .jinja file", known.join(", ")),
    }
}
