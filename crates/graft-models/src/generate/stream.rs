//! Tokens to text piece by piece: a piece never ends inside a character, and text that may become the stop text is held back.
//!
//! The continuation of a prompt is what decoding prompt and tokens together adds to decoding the prompt alone. Decoding the tokens alone would lose a
//! leading space, which the decoders of SentencePiece strip from the first token of a text.

use graft_nn::{Result, TokenEncoder};

/// Prompt tokens that are decoded along; more where these alone are not the end of the prompt's text.
const CONTEXT: usize = 16;

/// Most tokens that a character can take: one for each byte of UTF-8.
const LONGEST_CHARACTER: usize = 4;

/// The text of a growing list of tokens.
pub(super) struct TextStream<'a> {
    tokenizer: &'a dyn TokenEncoder,
    /// Tokens before those of the text, and what they decode to.
    context: Vec<u32>,
    before: String,
    /// Text that is read for good, and the tokens after it.
    done: String,
    ids: Vec<u32>,
    /// How many of the tokens end with a whole character, and the bytes of the text there.
    settled: (usize, usize),
    /// Whether the last token left the text as it was, because it is a part of a character.
    is_unread: bool,
    stop: &'a str,
    text: String,
    emitted: usize,
    stopped: bool,
}

impl<'a> TextStream<'a> {
    pub(super) fn new(
        tokenizer: &'a dyn TokenEncoder,
        prompt: &[u32],
        stop: &'a str,
    ) -> Result<Self> {
        let (context, before) = context(tokenizer, prompt)?;
        let (done, ids, text) = Default::default();
        Ok(Self {
            tokenizer,
            context,
            before,
            done,
            ids,
            settled: (0, 0),
            is_unread: false,
            stop,
            text,
            emitted: 0,
            stopped: false,
        })
    }

    /// Adds a token and gives the text that is now certain.
    pub(super) fn push(&mut self, id: u32) -> Result<String> {
        self.ids.push(id);
        self.is_unread = !self.read()?;
        if self.is_unread && self.ids.len() - self.settled.0 > LONGEST_CHARACTER {
            self.restart()?;
        }
        if !self.stop.is_empty()
            && let Some(place) = self.text.find(self.stop)
        {
            self.text.truncate(place);
            self.stopped = true;
        }
        let certain = if self.stopped { self.text.len() } else { self.certain() };
        Ok(self.emit_to(certain))
    }

    /// The rest, when no token follows.
    pub(super) fn finish(&mut self) -> Result<String> {
        if self.is_unread {
            self.restart()?;
        }
        Ok(self.emit_to(self.text.len()))
    }

    /// Whether the stop text was found; [`Self::text`] ends before it.
    pub(super) fn stopped(&self) -> bool {
        self.stopped
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Decodes the tokens; false, and the text stays, where they end inside a character and the decoder therefore spoils the characters before it, as
    /// that of Llama 2 does with a run of bytes.
    fn read(&mut self) -> Result<bool> {
        let whole = self.tokenizer.decode(&[self.context.as_slice(), &self.ids].concat())?;
        let Some(new) = whole.strip_prefix(self.before.as_str()) else { return Ok(false) };
        let text = format!("{}{new}", self.done);
        if !text.starts_with(&self.text[..self.emitted]) {
            return Ok(false);
        }
        if !text.ends_with(char::REPLACEMENT_CHARACTER) {
            self.settled = (self.ids.len(), text.len());
        }
        self.text = text;
        Ok(true)
    }

    /// Reads the tokens after the last whole character apart: they are no character, and must not spoil those before them.
    fn restart(&mut self) -> Result<()> {
        let (tokens, length) = self.settled;
        self.text.truncate(length.max(self.emitted));
        self.done.clone_from(&self.text);
        self.ids.drain(..tokens);
        (self.context, self.before) = Default::default();
        self.settled = (0, self.text.len());
        self.is_unread = !self.read()?;
        Ok(())
    }

    /// Bytes of the text that later tokens cannot change: without an unfinished character and without the beginning of the stop text.
    fn certain(&self) -> usize {
        let finished = self.text.trim_end_matches(char::REPLACEMENT_CHARACTER);
        let held = (1..self.stop.len())
            .rev()
            .find(|length| self.stop.get(..*length).is_some_and(|start| finished.ends_with(start)));
        finished.len() - held.unwrap_or(0)
    }

    fn emit_to(&mut self, end: usize) -> String {
        let piece = self.text.get(self.emitted..end).unwrap_or_default().to_owned();
        self.emitted += piece.len();
        piece
    }
}

/// The last tokens of a prompt and their text, where the prompt's text ends with it; else the whole prompt and its text.
fn context(tokenizer: &dyn TokenEncoder, prompt: &[u32]) -> Result<(Vec<u32>, String)> {
    let whole = tokenizer.decode(prompt)?;
    let tail = prompt.get(prompt.len().saturating_sub(CONTEXT)..).unwrap_or_default();
    let before = tokenizer.decode(tail)?;
    // Without text in it the tail would begin the text, and a decoder may treat what begins a text differently.
    let is_end = !before.is_empty()
        && !before.contains(char::REPLACEMENT_CHARACTER)
        && whole.ends_with(&before);
    Ok(if is_end { (tail.to_vec(), before) } else { (prompt.to_vec(), whole) })
}

#[cfg(test)]
mod tests;
