//! Tokens to text piece by piece: a piece never ends inside a character, and text that may become the stop text is held back.

use graft_nn::{Result, TokenEncoder};

/// Prompt tokens that are decoded along, because some decoders treat the first token of a text differently.
const CONTEXT: usize = 4;

/// The text of a growing list of tokens.
pub(super) struct TextStream<'a> {
    tokenizer: &'a dyn TokenEncoder,
    ids: Vec<u32>,
    /// The text of the prompt's last tokens, when decoding them together with what follows begins with it.
    before: String,
    stop: &'a str,
    text: String,
    emitted: usize,
    stopped: bool,
}

impl<'a> TextStream<'a> {
    pub(super) fn new(tokenizer: &'a dyn TokenEncoder, prompt: &[u32], stop: &'a str) -> Result<Self> {
        let tail = prompt.get(prompt.len().saturating_sub(CONTEXT)..).unwrap_or_default();
        let before = tokenizer.decode(tail)?;
        let (ids, before) = if before.contains(char::REPLACEMENT_CHARACTER) { (Vec::new(), String::new()) } else { (tail.to_vec(), before) };
        Ok(Self { tokenizer, ids, before, stop, text: String::new(), emitted: 0, stopped: false })
    }

    /// Adds a token and gives the text that is now certain.
    pub(super) fn push(&mut self, id: u32) -> Result<String> {
        self.ids.push(id);
        self.text = self.decoded()?;
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
    pub(super) fn finish(&mut self) -> String {
        self.emit_to(self.text.len())
    }

    /// Whether the stop text was found; [`Self::text`] ends before it.
    pub(super) fn stopped(&self) -> bool {
        self.stopped
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    fn decoded(&self) -> Result<String> {
        let whole = self.tokenizer.decode(&self.ids)?;
        Ok(whole.strip_prefix(self.before.as_str()).map_or(whole.clone(), str::to_owned))
    }

    /// Bytes of the text that later tokens cannot change: without an unfinished character and without the beginning of the stop text.
    fn certain(&self) -> usize {
        let finished = self.text.trim_end_matches(char::REPLACEMENT_CHARACTER);
        let held = (1..self.stop.len()).rev().find(|length| self.stop.get(..*length).is_some_and(|start| finished.ends_with(start)));
        finished.len() - held.unwrap_or(0)
    }

    fn emit_to(&mut self, end: usize) -> String {
        let piece = self.text.get(self.emitted..end).unwrap_or_default().to_owned();
        self.emitted += piece.len();
        piece
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tokens are bytes; a decoder that drops a leading space, as those of SentencePiece do.
    struct Bytes;

    impl TokenEncoder for Bytes {
        fn encode(&self, text: &str) -> Result<Vec<u32>> {
            Ok(text.bytes().map(u32::from).collect())
        }
        fn decode(&self, ids: &[u32]) -> Result<String> {
            let bytes: Vec<u8> = ids.iter().map(|id| *id as u8).collect();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            Ok(text.strip_prefix(' ').map_or(text.clone(), str::to_owned))
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

    fn pieces(prompt: &str, text: &str, stop: &str) -> (Vec<String>, String, bool) {
        let mut stream = TextStream::new(&Bytes, &Bytes.encode(prompt).unwrap(), stop).unwrap();
        let mut pieces = Vec::new();
        for id in Bytes.encode(text).unwrap() {
            pieces.push(stream.push(id).unwrap());
            if stream.stopped() {
                break;
            }
        }
        pieces.push(stream.finish());
        (pieces, stream.text().to_owned(), stream.stopped())
    }

    #[test]
    fn a_character_of_several_tokens_comes_in_one_piece() {
        let (pieces, text, _) = pieces("a", "é→🦀!", "");
        assert_eq!(text, "é→🦀!");
        assert_eq!(pieces.concat(), text);
        assert!(pieces.iter().all(|piece| !piece.contains(char::REPLACEMENT_CHARACTER)));
    }

    #[test]
    fn the_space_after_the_prompt_is_kept() {
        assert_eq!(pieces("let x =", " 5;", "").1, " 5;");
    }

    #[test]
    fn nothing_of_the_stop_text_is_shown_and_what_only_looks_like_it_is() {
        let (found, text, stopped) = pieces("a", "one\n\ntwo", "\n\n");
        assert_eq!((found.concat().as_str(), text.as_str(), stopped), ("one", "one", true));
        let (found, _, stopped) = pieces("a", "one\ntwo\n", "\n\n");
        assert_eq!((found.concat().as_str(), stopped), ("one\ntwo\n", false));
    }

    #[test]
    fn a_broken_end_is_shown_at_the_end() {
        let mut stream = TextStream::new(&Bytes, &[97], "").unwrap();
        assert_eq!(stream.push(0xf0).unwrap(), "");
        assert_eq!(stream.finish(), "\u{fffd}");
    }
}
