use std::fs;

use super::*;

/// A byte-level tokenizer of the 256 bytes and two special tokens, as tokenizer.json.
pub(crate) fn byte_level(bos: bool) -> String {
    let bytes: Vec<char> = byte_alphabet();
    let mut vocab = serde_json::Map::new();
    vocab.insert("<s>".to_owned(), 0.into());
    vocab.insert("</s>".to_owned(), 1.into());
    for (place, letter) in bytes.iter().enumerate() {
        vocab.insert(letter.to_string(), (place + 2).into());
    }
    let special = |id: u32, content: &str| serde_json::json!({ "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true });
    let template = serde_json::json!({ "type": "TemplateProcessing",
        "single": [{ "SpecialToken": { "id": "<s>", "type_id": 0 } }, { "Sequence": { "id": "A", "type_id": 0 } }],
        "pair": [{ "Sequence": { "id": "A", "type_id": 0 } }, { "Sequence": { "id": "B", "type_id": 1 } }],
        "special_tokens": { "<s>": { "id": "<s>", "ids": [0], "tokens": ["<s>"] } } });
    serde_json::json!({ "version": "1.0", "truncation": null, "padding": null, "normalizer": null,
        "added_tokens": [special(0, "<s>"), special(1, "</s>")],
        "pre_tokenizer": { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true },
        "post_processor": if bos { template } else { Value::Null },
        "decoder": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true },
        "model": { "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
            "fuse_unk": false, "byte_fallback": false, "vocab": vocab, "merges": [] } })
    .to_string()
}

/// The letters that encode the bytes 0 to 255 in byte-level tokenizers (GPT-2's table).
fn byte_alphabet() -> Vec<char> {
    let plain = |byte: u32| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let mut others = 256..;
    (0..256)
        .filter_map(|byte| {
            if plain(byte) { char::from_u32(byte) } else { others.next().and_then(char::from_u32) }
        })
        .collect()
}

fn folder(config: &str) -> (tempfile::TempDir, Tokenizer) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tokenizer.json"), byte_level(true)).unwrap();
    fs::write(folder.path().join("config.json"), config).unwrap();
    let tokenizer = Tokenizer::from_folder(folder.path()).unwrap();
    (folder, tokenizer)
}

#[test]
fn any_text_is_restored_from_its_tokens() {
    let (_folder, tokenizer) = folder("{}");
    for text in ["fn main() {}", " leading space", "é→🦀\n\ttab", ""] {
        assert_eq!(tokenizer.decode(&tokenizer.encode(text).unwrap()).unwrap(), text);
    }
    assert_eq!(tokenizer.vocab(), 258);
    assert_eq!(tokenizer.token(0), "<s>");
}

#[test]
fn the_start_tokens_are_those_of_the_template() {
    assert_eq!(folder("{}").1.bos(), Some(0));
    let without = tokenizers::Tokenizer::from_bytes(byte_level(false)).unwrap();
    assert_eq!(Tokenizer::new(without, Vec::new()).bos(), None);
}

#[test]
fn the_end_is_one_token_or_several_or_named_by_its_text() {
    assert_eq!(folder(r#"{"eos_token_id": 1}"#).1.ends(), [1]);
    assert_eq!(folder(r#"{"eos_token_id": [1, 5]}"#).1.ends(), [1, 5]);
    let (folder, tokenizer) = folder(r#"{"eos_token_id": null}"#);
    assert_eq!(tokenizer.eos(), None);
    fs::write(folder.path().join("tokenizer_config.json"), r#"{"eos_token": {"content": "</s>"}}"#)
        .unwrap();
    assert_eq!(Tokenizer::from_folder(folder.path()).unwrap().eos(), Some(1));
}

#[test]
fn a_missing_and_an_invalid_tokenizer_have_different_errors() {
    let folder = tempfile::tempdir().unwrap();
    let code = || graft_spec::Hint::code(&Tokenizer::from_folder(folder.path()).err().unwrap());
    assert_eq!(code(), "models::missing_file");
    fs::write(folder.path().join("tokenizer.json"), "{\"model\": 1}").unwrap();
    assert_eq!(code(), "models::malformed");
}

#[test]
fn the_eos_token_comes_first_and_generation_stops_at_all_end_tokens() {
    let (folder, _) = folder(r#"{"eos_token_id": [5, 1]}"#);
    fs::write(
        folder.path().join("tokenizer_config.json"),
        r#"{"eos_token": "</s>", "model_max_length": 512}"#,
    )
    .unwrap();
    let tokenizer = Tokenizer::from_folder(folder.path()).unwrap();
    assert_eq!((tokenizer.ends(), tokenizer.max_length()), (&[1, 5][..], Some(512)));
    fs::write(
        folder.path().join("tokenizer_config.json"),
        r#"{"model_max_length": 1000000000000000019884624838656}"#,
    )
    .unwrap();
    assert_eq!(Tokenizer::from_folder(folder.path()).unwrap().max_length(), None);
}

/// RoBERTa's post-processor trims offsets and adds special tokens on both sides of a text.
#[test]
fn special_tokens_of_both_sides_are_known_and_a_token_covers_the_space_in_it() {
    let mut json: Value = serde_json::from_str(&byte_level(true)).unwrap();
    json["post_processor"] = serde_json::json!({"type": "RobertaProcessing", "sep": ["</s>", 1], "cls": ["<s>", 0], "trim_offsets": true, "add_prefix_space": false});
    let vocab = json["model"]["vocab"].as_object().unwrap().len();
    json["model"]["vocab"]["\u{120}a"] = vocab.into();
    json["model"]["merges"] = serde_json::json!([["\u{120}", "a"]]);
    let tokenizer =
        Tokenizer::new(tokenizers::Tokenizer::from_bytes(json.to_string()).unwrap(), Vec::new());
    assert_eq!(
        (tokenizer.prefix(), tokenizer.suffix(), tokenizer.eos()),
        (vec![0], vec![1], Some(1))
    );
    let tokens = tokenizer.encode_with_offsets("b a ").unwrap();
    assert_eq!(
        tokens.iter().map(|(_, covered)| covered.clone()).collect::<Vec<_>>(),
        [0..1, 1..3, 3..4]
    );
    assert!(tokens.iter().map(|(id, _)| *id).eq(tokenizer.encode("b a ").unwrap()));
    // The serialized tokenizer is complete again.
    let again = Tokenizer::new(
        tokenizers::Tokenizer::from_bytes(tokenizer.to_json().unwrap()).unwrap(),
        Vec::new(),
    );
    assert_eq!((again.prefix(), again.suffix()), (vec![0], vec![1]));
}

#[test]
fn add_bos_token_in_the_config_overrides_the_post_processor() {
    let added = |config: &str| {
        let (folder, _) = folder("{}");
        fs::write(folder.path().join("tokenizer_config.json"), config).unwrap();
        let tokenizer = Tokenizer::from_folder(folder.path()).unwrap();
        (tokenizer.prefix(), tokenizer.suffix())
    };
    assert_eq!(added(r#"{"bos_token": "<s>", "eos_token": "</s>"}"#), (vec![0], vec![]));
    assert_eq!(added(r#"{"add_bos_token": false, "bos_token": "<s>"}"#), (vec![], vec![]));
    assert_eq!(
        added(
            r#"{"add_bos_token": true, "add_eos_token": true, "bos_token": {"content": "<s>"}, "eos_token": "</s>"}"#
        ),
        (vec![0], vec![1])
    );
    assert_eq!(
        added(r#"{"add_eos_token": true, "bos_token": "<s>", "eos_token": "</s>"}"#),
        (vec![], vec![1])
    );
}
