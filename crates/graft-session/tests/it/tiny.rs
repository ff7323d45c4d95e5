//! A model of a few kilobytes with suitable data. The tests of the facade use them too.

use std::path::Path;

use graft_models::{FolderParts, Llama, LlamaConfig, Tokenizer, save_folder};
use graft_nn::{DType, Device};

/// Forty sentences with one of two labels.
pub(crate) fn colors() -> String {
    let lines = (0..40).map(|n| {
        let (thing, color) = if n % 2 == 0 { ("sky", "blue") } else { ("grass", "green") };
        format!("{{\"text\": \"the {thing} number {n} is\", \"label\": \"{color}\"}}")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A Llama of a few kilobytes with random weights and a tokenizer of bytes.
pub(crate) fn write_model(folder: &Path, seed: u64) {
    let config = serde_json::json!({"model_type": "llama", "vocab_size": 258, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
        "num_attention_heads": 2, "max_position_embeddings": 64, "initializer_range": 0.3, "architectures": ["LlamaForCausalLM"]});
    let model =
        Llama::random(&LlamaConfig::from_json(&config).unwrap(), seed, &Device::Cpu).unwrap();
    let words = folder.with_extension("tokenizer");
    std::fs::create_dir_all(&words).unwrap();
    std::fs::write(words.join("tokenizer.json"), byte_level()).unwrap();
    let tokenizer = Tokenizer::from_folder(&words).unwrap();
    save_folder(
        folder,
        &FolderParts {
            model: &model,
            dtype: DType::F32,
            config: &config,
            tokenizer: Some(&tokenizer),
            others: &[],
        },
    )
    .unwrap();
}

/// tokenizer.json of the 256 bytes and two special tokens.
pub(crate) fn byte_level() -> String {
    let plain = |byte: u32| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let mut others = 256..;
    let letters = (0..256).filter_map(|byte| {
        if plain(byte) { char::from_u32(byte) } else { others.next().and_then(char::from_u32) }
    });
    let mut vocab =
        serde_json::Map::from_iter([("<s>".to_owned(), 0.into()), ("</s>".to_owned(), 1.into())]);
    vocab.extend(
        letters.enumerate().map(|(place, letter)| (letter.to_string(), (place + 2).into())),
    );
    let special = |id: u32, content: &str| serde_json::json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true});
    let byte_level = serde_json::json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    serde_json::json!({"version": "1.0", "truncation": null, "padding": null, "normalizer": null, "post_processor": null,
        "added_tokens": [special(0, "<s>"), special(1, "</s>")], "pre_tokenizer": byte_level, "decoder": byte_level,
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
            "fuse_unk": false, "byte_fallback": false, "vocab": vocab, "merges": []}})
    .to_string()
}
