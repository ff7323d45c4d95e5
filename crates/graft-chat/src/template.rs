//! A compiled chat template.

use std::{
    path::Path,
    sync::{Arc, OnceLock},
};

use minijinja::{Environment, Value};

use crate::{ChatError, Conversation, conversation, generation, prefixes, python, render};

/// Maximum size of a template in bytes; the longest published ones have 30 kB.
pub(crate) const LONGEST: u64 = 4 << 20;

/// Name of the template in its environment.
const NAME: &str = "chat_template";

/// Marks the end of the last message while it is rendered to be continued.
const CONTINUE: &str = "CONTINUE_FINAL_MESSAGE_TAG ";

/// The special tokens that a template may use, such as `bos_token`, with their text.
pub type SpecialTokens = Vec<(String, String)>;

/// A chat template, with the special tokens of its tokenizer.
#[derive(Clone, Debug)]
pub struct ChatTemplate {
    environment: Arc<Environment<'static>>,
    /// A file or a built-in name, for messages.
    name: String,
    source: String,
    has_generation: bool,
    uses_date: bool,
    special_tokens: SpecialTokens,
    /// The end of a message and the whitespace after it, computed once by [`crate::prefixes`].
    pub(crate) message_end: Arc<OnceLock<(String, String)>>,
}

/// What the text of a conversation ends with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// The last message.
    #[default]
    Complete,
    /// The start of an answer, for generation (`add_generation_prompt`).
    GenerationPrompt,
    /// The last message without its end, so that the model continues it
    /// (`continue_final_message`).
    ContinueLast,
}

/// The text of a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rendered {
    /// The text, with special tokens.
    pub text: String,
    /// The byte ranges that `{% generation %}` marks.
    pub generated: Vec<std::ops::Range<usize>>,
}

impl ChatTemplate {
    /// Compiles a template. `name` is its file or built-in name.
    ///
    /// # Errors
    /// [`ChatError::Syntax`].
    pub fn new(name: &str, source: &str, special_tokens: SpecialTokens) -> Result<Self, ChatError> {
        let rewritten = generation::rewrite(source);
        let mut environment = python::environment();
        environment.set_fuel(Some(render::MOST_STEPS));
        environment
            .add_template_owned(NAME, rewritten.source)
            .map_err(|error| render::explain(&error, name))?;
        Ok(Self {
            environment: Arc::new(environment),
            name: name.to_owned(),
            source: source.to_owned(),
            has_generation: rewritten.has_generation,
            uses_date: source.contains("strftime_now"),
            special_tokens,
            message_end: Arc::default(),
        })
    }

    /// Reads a template from a file.
    ///
    /// # Errors
    /// [`ChatError::File`] and [`ChatError::Syntax`].
    pub fn from_file(path: &Path, special_tokens: SpecialTokens) -> Result<Self, ChatError> {
        let source = graft_spec::user_file::read_text(path, LONGEST)?;
        Self::new(&path.display().to_string(), &source, special_tokens)
    }

    /// The file or built-in name of the template.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text of the template.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Returns whether the template marks the assistant's text with `{% generation %}`.
    pub fn has_generation(&self) -> bool {
        self.has_generation
    }

    /// Returns whether the template may write the current date, so that the same conversation has
    /// other tokens on another day.
    pub fn uses_date(&self) -> bool {
        self.uses_date
    }

    /// Returns whether the template may write tools and tool calls.
    pub fn writes_tools(&self) -> bool {
        self.source.contains("tool")
    }

    /// The text that the template writes after a message of the assistant, such as `<|im_end|>`:
    /// where an answer is complete. Empty if there is none.
    pub fn message_end(&self) -> &str {
        &prefixes::message_end(self).0
    }

    /// Renders a conversation as `apply_chat_template(tokenize=False)` of transformers does.
    ///
    /// # Errors
    /// [`ChatError::Refused`], [`ChatError::Failed`], [`ChatError::Limit`], and
    /// [`ChatError::NotContinued`].
    pub fn render(&self, chat: &Conversation, ending: Ending) -> Result<Rendered, ChatError> {
        if chat.is_empty() {
            return Err(ChatError::Empty);
        }
        match ending {
            Ending::ContinueLast => self.continued(chat),
            _ => self.render_any(chat, ending),
        }
    }

    /// Renders a conversation that may be empty.
    pub(crate) fn render_any(
        &self,
        chat: &Conversation,
        ending: Ending,
    ) -> Result<Rendered, ChatError> {
        let template = self.environment.get_template(NAME);
        let template = template.map_err(|error| render::explain(&error, &self.name))?;
        let special = self.special_tokens.iter();
        let mut context: Vec<(String, Value)> =
            special.map(|(name, token)| (name.clone(), Value::from(token.as_str()))).collect();
        context.extend(chat.variables());
        let prompt = ending == Ending::GenerationPrompt;
        context.push(("add_generation_prompt".to_owned(), Value::from(prompt)));
        render::run(&template, context).map_err(|error| render::explain(&error, &self.name))
    }

    /// Renders a conversation up to the end of the last message's text.
    fn continued(&self, chat: &Conversation) -> Result<Rendered, ChatError> {
        let refused = |reason| ChatError::NotContinued { reason };
        let last = chat.last().ok_or(ChatError::Empty)?;
        if !self.source.contains("content") {
            return Err(refused("the template does not use `content`"));
        }
        let content = conversation::field(last, "content").ok_or(refused("it has no `content`"))?;
        let (tagged, text) = tag(&content).ok_or(refused("its `content` has no text"))?;
        let tagged = chat.with_last(conversation::with_field(last, "content", tagged));
        let Rendered { text: mut whole, .. } = self.render_any(&tagged, Ending::Complete)?;
        let lost = refused("the template does not write its text unchanged");
        if !whole.contains(python::strip(&text)) {
            return Err(lost);
        }
        let Some(at) = whole.rfind(CONTINUE.trim_end()) else { return Err(lost) };
        let keeps_spaces = whole[at..].starts_with(CONTINUE);
        whole.truncate(at);
        if !keeps_spaces {
            whole.truncate(python::strip_end(&whole).len());
        }
        Ok(Rendered { text: whole, generated: Vec::new() })
    }
}

/// Content with the tag after its last text, and that text.
fn tag(content: &Value) -> Option<(Value, String)> {
    if let Some(text) = content.as_str() {
        return Some((Value::from(format!("{text}{CONTINUE}")), text.to_owned()));
    }
    let mut blocks: Vec<Value> = content.try_iter().ok()?.collect();
    let block = blocks.iter_mut().rev().find(|it| conversation::field(it, "text").is_some())?;
    let text = conversation::field(block, "text")?.as_str()?.to_owned();
    *block = conversation::with_field(block, "text", Value::from(format!("{text}{CONTINUE}")));
    Some((Value::from(blocks), text))
}
