use super::*;

/// A tokenizer of bytes whose decoder drops a leading space, as those of SentencePiece.
struct Bytes;

impl TokenEncoder for Bytes {
    fn encode(&self, text: &str) -> Result<Vec<u32>> {
        Ok(text.bytes().map(u32::from).collect())
    }
    fn encode_with_offsets(&self, text: &str) -> Result<Vec<(u32, std::ops::Range<usize>)>> {
        Ok(text
            .char_indices()
            .flat_map(|(at, letter)| {
                text[at..]
                    .bytes()
                    .take(letter.len_utf8())
                    .map(move |byte| (u32::from(byte), at..at + letter.len_utf8()))
            })
            .collect())
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

fn pieces(prompt: &str, text: &str, stops: &[&str]) -> (Vec<String>, String, bool) {
    let mut stream =
        TextStream::new(&Bytes, &Bytes.encode(prompt).unwrap(), stops.to_vec()).unwrap();
    let mut pieces = Vec::new();
    for id in Bytes.encode(text).unwrap() {
        pieces.push(stream.push(id).unwrap());
        if stream.stopped() {
            break;
        }
    }
    pieces.push(stream.finish().unwrap());
    (pieces, stream.text().to_owned(), stream.stopped())
}

#[test]
fn a_character_of_several_tokens_is_emitted_as_a_whole() {
    let (pieces, text, _) = pieces("a", "é→🦀!", &[]);
    assert_eq!(text, "é→🦀!");
    assert_eq!(pieces.concat(), text);
    assert!(pieces.iter().all(|piece| !piece.contains(char::REPLACEMENT_CHARACTER)));
}

#[test]
fn the_space_after_the_prompt_is_preserved() {
    assert_eq!(pieces("let x =", " 5;", &[]).1, " 5;");
}

#[test]
fn the_stop_text_is_withheld_and_a_partial_match_is_shown() {
    let (found, text, stopped) = pieces("a", "one\n\ntwo", &["\n\n"]);
    assert_eq!((found.concat().as_str(), text.as_str(), stopped), ("one", "one", true));
    let (found, _, stopped) = pieces("a", "one\ntwo\n", &["\n\n"]);
    assert_eq!((found.concat().as_str(), stopped), ("one\ntwo\n", false));
}

#[test]
fn the_first_of_several_stop_texts_ends_the_text_and_the_longest_start_of_one_is_withheld() {
    let (found, text, stopped) = pieces("a", "one<end>two\n\n", &["\n\n", "<end>"]);
    assert_eq!((found.concat().as_str(), text.as_str(), stopped), ("one", "one", true));
    let (found, text, stopped) = pieces("a", "one\n\ntwo<end>", &["\n\n", "<end>"]);
    assert_eq!((found.concat().as_str(), text.as_str(), stopped), ("one", "one", true));
    let (found, text, stopped) = pieces("a", "x<en!", &["!", "<end>"]);
    assert_eq!((found.concat().as_str(), text.as_str(), stopped), ("x<en", "x<en", true));
}

#[test]
fn a_broken_end_is_shown_at_the_end() {
    let mut stream = TextStream::new(&Bytes, &[97], Vec::new()).unwrap();
    assert_eq!(stream.push(0xf0).unwrap(), "");
    assert_eq!(stream.finish().unwrap(), "\u{fffd}");
}

/// The five common kinds of tokenizers, with and without a space in front of a text. Unlike in
/// published models, the bytes are special tokens here.
fn kinds() -> Vec<(String, crate::Tokenizer)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/goldens/text/tokenizers");
    let mut kinds: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    kinds.sort();
    let read = |kind: std::path::PathBuf| {
        let mut json: serde_json::Value =
            serde_json::from_slice(&std::fs::read(kind.join("tokenizer.json")).unwrap()).unwrap();
        json["added_tokens"]
            .as_array_mut()
            .unwrap()
            .retain(|token| !token["content"].as_str().unwrap().starts_with("<0x"));
        let inner = tokenizers::Tokenizer::from_bytes(json.to_string()).unwrap();
        (
            kind.file_name().unwrap().to_string_lossy().into_owned(),
            crate::Tokenizer::new(inner, Vec::new()),
        )
    };
    kinds.into_iter().map(read).collect()
}

#[test]
fn streamed_text_continues_the_prompt_with_every_kind_of_tokenizer() {
    let long = "the weather in one two three ".repeat(9);
    let prompts = [
        "Answer:",
        "日本",
        "",
        "the value  ",
        "[INST] hello [/INST]",
        "<|im_start|>",
        "label é",
        long.trim_end(),
    ];
    for (kind, tokenizer) in kinds() {
        for prompt in prompts {
            for text in
                [" yes", "yes", "  moves\n\n", " 日本 🦀 é", "\n</s> no", "🦀🦀🦀日本日本日本!"]
            {
                let (before, after) = (
                    tokenizer.encode(prompt).unwrap(),
                    tokenizer.encode(&format!("x{text}")).unwrap(),
                );
                // The tokens that a model may generate, independent of the boundary in training.
                let written = &after[after.len().min(1)..];
                let expected = tokenizer.decode(&[before.as_slice(), written].concat()).unwrap();
                let expected =
                    expected.strip_prefix(&tokenizer.decode(&before).unwrap()).unwrap().to_owned();
                let mut stream = TextStream::new(&tokenizer, &before, Vec::new()).unwrap();
                let mut streamed: String =
                    written.iter().map(|id| stream.push(*id).unwrap()).collect();
                assert!(
                    !streamed.contains(char::REPLACEMENT_CHARACTER),
                    "{kind} {prompt:?} {text:?}: {streamed:?}"
                );
                streamed.push_str(&stream.finish().unwrap());
                assert_eq!(
                    (streamed.as_str(), stream.text()),
                    (expected.as_str(), expected.as_str()),
                    "{kind} {prompt:?} {text:?}"
                );
            }
        }
    }
}

#[test]
fn invalid_utf_8_bytes_neither_corrupt_earlier_text_nor_delay_later_text() {
    let (_, tokenizer) = kinds().remove(1);
    let byte = |byte: u8| tokenizer.token_id(&format!("<0x{byte:02X}>")).unwrap();
    let letters = |bytes: &[u8]| bytes.iter().map(|each| byte(*each)).collect::<Vec<u32>>();
    let mut stream =
        TextStream::new(&tokenizer, &tokenizer.encode("日本").unwrap(), Vec::new()).unwrap();
    let mut streamed: String = letters("é".as_bytes())
        .into_iter()
        .chain([byte(0xf0)])
        .map(|id| stream.push(id).unwrap())
        .collect();
    assert_eq!(streamed, "é");
    for id in tokenizer.encode("yes yes yes yes").unwrap() {
        streamed.push_str(&stream.push(id).unwrap());
    }
    assert!(
        streamed.ends_with("yes yes yes yes") && streamed.starts_with("é\u{fffd}"),
        "{streamed:?}"
    );
    let mut cut =
        TextStream::new(&tokenizer, &tokenizer.encode("日本").unwrap(), Vec::new()).unwrap();
    cut.push(byte(0xf0)).unwrap();
    assert_eq!((cut.finish().unwrap().as_str(), cut.text()), ("\u{fffd}", "\u{fffd}"));
}
