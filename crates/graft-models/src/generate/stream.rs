//! Streaming detokenization: pieces consist of whole characters, and text that may become a stop
//! text is held back.
//!
//! The new text is the difference between decoding prompt and tokens together and decoding the
//! prompt. Decoding the tokens alone would lose a leading space, which SentencePiece decoders strip
//! from the first token of a text.

use graft_nn::{Result, TokenEncoder};

/// Number of prompt tokens that are decoded with the new tokens. The whole prompt is used if their
/// text is not the end of the prompt's text.
const CONTEXT: usize = 16;

/// Maximum number of tokens of a character: one for each byte of UTF-8.
const MAX_CHARACTER_TOKENS: usize = 4;

/// The text of a growing list of tokens.
pub(super) struct TextStream<'a> {
    tokenizer: &'a dyn TokenEncoder,
    /// Tokens before those of the text, and their decoded text.
    context: Vec<u32>,
    before: String,
    /// Final text, and the tokens after it.
    done: String,
    ids: Vec<u32>,
    /// Number of tokens up to the last whole character, and the length of the text there in bytes.
    settled: (usize, usize),
    /// Whether the last token did not change the text, because it is part of a character.
    is_unread: bool,
    /// Texts that end the text; none of them is empty.
    stops: Vec<&'a str>,
    text: String,
    emitted: usize,
    stopped: bool,
}

impl<'a> TextStream<'a> {
    pub(super) fn new(
        tokenizer: &'a dyn TokenEncoder,
        prompt: &[u32],
        stops: Vec<&'a str>,
    ) -> Result<Self> {
        let (context, before) = context(tokenizer, prompt)?;
        Ok(Self {
            tokenizer,
            context,
            before,
            done: String::new(),
            ids: Vec::new(),
            settled: (0, 0),
            is_unread: false,
            stops,
            text: String::new(),
            emitted: 0,
            stopped: false,
        })
    }

    /// Adds a token, and returns the text that became final.
    pub(super) fn push(&mut self, id: u32) -> Result<String> {
        self.ids.push(id);
        self.is_unread = !self.read()?;
        if self.is_unread && self.ids.len() - self.settled.0 > MAX_CHARACTER_TOKENS {
            self.restart()?;
        }
        if let Some(place) = self.stops.iter().filter_map(|stop| self.text.find(stop)).min() {
            self.text.truncate(place);
            self.stopped = true;
        }
        let certain = if self.stopped { self.text.len() } else { self.certain() };
        Ok(self.emit_to(certain))
    }

    /// Returns the rest of the text after the last token.
    pub(super) fn finish(&mut self) -> Result<String> {
        if self.is_unread {
            self.restart()?;
        }
        Ok(self.emit_to(self.text.len()))
    }

    /// Whether a stop text was found; [`Self::text`] ends before it.
    pub(super) fn stopped(&self) -> bool {
        self.stopped
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Decodes the tokens. Returns false, and leaves the text unchanged, if they end inside a
    /// character and the decoder therefore corrupts previous characters, as that of Llama 2 does
    /// for a run of bytes.
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

    /// Decodes the tokens after the last whole character separately: they are not a valid
    /// character, and must not corrupt the previous ones.
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

    /// Length in bytes of the text that later tokens cannot change: without an incomplete character
    /// or the beginning of a stop text.
    fn certain(&self) -> usize {
        let finished = self.text.trim_end_matches(char::REPLACEMENT_CHARACTER);
        let held = |stop: &&str| {
            (1..stop.len())
                .rev()
                .find(|length| stop.get(..*length).is_some_and(|start| finished.ends_with(start)))
        };
        finished.len() - self.stops.iter().filter_map(held).max().unwrap_or(0)
    }

    fn emit_to(&mut self, end: usize) -> String {
        let piece = self.text.get(self.emitted..end).unwrap_or_default().to_owned();
        self.emitted += piece.len();
        piece
    }
}

/// The last tokens of a prompt and their text, if the prompt's text ends with it; otherwise the
/// whole prompt and its text.
fn context(tokenizer: &dyn TokenEncoder, prompt: &[u32]) -> Result<(Vec<u32>, String)> {
    let whole = tokenizer.decode(prompt)?;
    let tail = prompt.get(prompt.len().saturating_sub(CONTEXT)..).unwrap_or_default();
    let before = tokenizer.decode(tail)?;
    // With an empty tail the new tokens would begin the text, and a decoder may treat the beginning
    // of a text differently.
    let is_end = !before.is_empty()
        && !before.contains(char::REPLACEMENT_CHARACTER)
        && whole.ends_with(&before);
    Ok(if is_end { (tail.to_vec(), before) } else { (prompt.to_vec(), whole) })
}

#[cfg(test)]
mod tests;
