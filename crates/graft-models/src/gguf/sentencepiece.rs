//! SentencePiece tokenizers in GGUF files (`tokenizer.ggml.model` is `llama`), as in Llama 2 and
//! Gemma.
//!
//! The file contains pieces with scores. A BPE of SentencePiece merges the two neighboring pieces
//! whose union has the highest score, so the merges in the order of these scores are an equal BPE
//! of tokenizer.json.
//!
//! # Source
//! Kudo and Richardson 2018, arXiv:1808.06226; transformers, `tokenization_utils_sentencepiece.py`

use std::collections::HashMap;

use candle_core::quantized::gguf_file::Value as Entry;
use serde_json::{Value, json};

use super::Gguf;
use crate::ModelError;

/// The mark of a space in a piece.
const SPACE: &str = "\u{2581}";

/// The types of pieces in `tokenizer.ggml.token_type`.
const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;

/// The pieces of a file.
struct Pieces {
    texts: Vec<String>,
    scores: Vec<f32>,
    types: Vec<i64>,
}

/// Whether the file has such a tokenizer.
pub(super) fn is_contained(file: &Gguf) -> bool {
    file.text("tokenizer.ggml.model").as_deref() == Some("llama")
}

/// Reads the tokenizer.
///
/// # Errors
/// [`ModelError::Malformed`] if pieces, scores and types differ in number.
pub(super) fn read(file: &Gguf) -> Result<tokenizers::Tokenizer, ModelError> {
    let pieces = Pieces::read(file).ok_or_else(|| {
        file.malformed(
            "its tokenizer has no list of pieces with a score and a type each".to_owned(),
        )
    })?;
    let text = pieces.tokenizer_json(file).to_string();
    text.parse().map_err(|error| file.malformed(format!("cannot use its tokenizer ({error})")))
}

impl Pieces {
    fn read(file: &Gguf) -> Option<Self> {
        let list = |key: &str| file.entry(&format!("tokenizer.ggml.{key}"))?.to_vec().ok();
        let texts: Option<_> =
            list("tokens")?.iter().map(|text| text.to_string().ok().cloned()).collect();
        let scores: Option<_> = list("scores")?.iter().map(|score| score.to_f32().ok()).collect();
        let whole = |entry: &Entry| {
            let signed = entry.to_i32().ok().map(i64::from);
            signed.or_else(|| entry.to_u32().ok().map(i64::from))
        };
        let types: Option<_> = list("token_type")?.iter().map(whole).collect();
        let pieces = Self { texts: texts?, scores: scores?, types: types? };
        let count = pieces.texts.len();
        (pieces.scores.len() == count && pieces.types.len() == count).then_some(pieces)
    }

    /// The equivalent tokenizer.json.
    fn tokenizer_json(&self, file: &Gguf) -> Value {
        let flag = |key: &str, default| {
            let entry = file.entry(&format!("tokenizer.ggml.{key}"));
            entry.and_then(|entry| entry.to_bool().ok()).unwrap_or(default)
        };
        let spaces = json!({"type": "Replace", "pattern": {"String": " "}, "content": SPACE});
        let mut normalizers = vec![spaces];
        let mut decoders = vec![
            json!({"type": "Replace", "pattern": {"String": SPACE}, "content": " "}),
            json!({"type": "ByteFallback"}),
            json!({"type": "Fuse"}),
        ];
        if flag("add_space_prefix", true) {
            normalizers.insert(0, json!({"type": "Prepend", "prepend": SPACE}));
            decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
        }
        let vocab: serde_json::Map<_, _> =
            self.texts.iter().enumerate().map(|(id, text)| (text.clone(), id.into())).collect();
        let unknown = file.special_token("unknown").and_then(|id| self.texts.get(id as usize));
        json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": self.added(),
            "normalizer": {"type": "Sequence", "normalizers": normalizers}, "pre_tokenizer": null,
            "post_processor": self.template(file, flag("add_bos_token", true), flag("add_eos_token", false)),
            "decoder": {"type": "Sequence", "decoders": decoders},
            "model": {"type": "BPE", "dropout": null, "unk_token": unknown, "continuing_subword_prefix": null, "end_of_word_suffix": null,
                "fuse_unk": true, "byte_fallback": true, "ignore_merges": false, "vocab": vocab, "merges": self.merges()},
        })
    }

    /// Control tokens, and tokens that the user of SentencePiece defined, such as runs of spaces:
    /// they are found in the text before it is divided into pieces.
    fn added(&self) -> Vec<Value> {
        let added = self
            .types
            .iter()
            .enumerate()
            .filter(|(_, kind)| [CONTROL, USER_DEFINED].contains(kind));
        let token = |(id, kind): (usize, &i64)| {
            json!({"id": id, "content": self.texts[id], "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
                "special": *kind == CONTROL})
        };
        added.map(token).collect()
    }

    /// The tokens before and after a text.
    fn template(&self, file: &Gguf, begins: bool, ends: bool) -> Value {
        let token = |kind: &str, is_added: bool| {
            let id = file.special_token(kind).filter(|_| is_added)?;
            Some((self.texts.get(id as usize)?, id))
        };
        let (before, after) = (token("bos", begins), token("eos", ends));
        let special =
            |(text, _): &(&String, u32)| json!({"SpecialToken": {"id": text, "type_id": 0}});
        let sequence = |id: &str| json!({"Sequence": {"id": id, "type_id": 0}});
        let around = |ids: &[&str]| -> Vec<Value> {
            let texts = ids.iter().map(|id| sequence(id));
            before.iter().map(special).chain(texts).chain(after.iter().map(special)).collect()
        };
        let tokens: serde_json::Map<_, _> = [before, after]
            .into_iter()
            .flatten()
            .map(|(text, id)| (text.clone(), json!({"id": text, "ids": [id], "tokens": [text]})))
            .collect();
        json!({"type": "TemplateProcessing", "single": around(&["A"]), "pair": around(&["A", "B"]), "special_tokens": tokens})
    }

    /// The pairs of pieces whose union is a piece, the union with the highest score first.
    fn merges(&self) -> Vec<[&str; 2]> {
        let is_plain = |id: usize| ![CONTROL, USER_DEFINED].contains(&self.types[id]);
        let ids: HashMap<&str, usize> = (0..self.texts.len())
            .filter(|id| is_plain(*id))
            .map(|id| (self.texts[id].as_str(), id))
            .collect();
        let mut merges = Vec::new();
        for (id, text) in self.texts.iter().enumerate().filter(|(id, _)| is_plain(*id)) {
            let cuts = text.char_indices().skip(1).map(|(cut, _)| text.split_at(cut));
            for (left, right) in cuts {
                if let (Some(first), Some(second)) = (ids.get(left), ids.get(right)) {
                    merges.push((self.scores[id], id, *first, *second, [left, right]));
                }
            }
        }
        merges.sort_by(|a, b| {
            b.0.total_cmp(&a.0).then_with(|| (a.1, a.2, a.3).cmp(&(b.1, b.2, b.3)))
        });
        merges.into_iter().map(|(.., pair)| pair).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_union_with_the_highest_score_is_merged_first_and_control_tokens_never() {
        let texts = ["<s>", "a", "b", "ab", "abab", "ba", "aa"].map(str::to_owned).to_vec();
        let scores = vec![-1000.0, -3.0, -3.0, -1.0, -2.0, -0.5, -9.0];
        let pieces = Pieces { texts, scores, types: vec![CONTROL, 1, 1, 1, 1, 1, USER_DEFINED] };
        assert_eq!(pieces.merges(), [["b", "a"], ["a", "b"], ["ab", "ab"]]);
        let added = pieces.added();
        let special: Vec<_> = added.iter().map(|token| (&token["id"], &token["special"])).collect();
        assert_eq!(special, [(&json!(0), &json!(true)), (&json!(6), &json!(false))]);
    }
}
