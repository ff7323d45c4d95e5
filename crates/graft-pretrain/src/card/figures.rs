//! Bits per byte of the model and of count-based models, on three kinds of held-out text.

use std::fmt;

use graft_models::Tokenizer;
use graft_nn::Model;

use crate::Result;
use crate::corpus::{HELD_OUT_BOOK, Page, Split};
use crate::held_out::Text;
use crate::ngram::NGram;
use crate::vocabulary::VOCABULARY;

/// Books that document a library item by item; the others are prose.
const LIBRARIES: &[&str] = &["std", "core", "alloc", "proc_macro", "test"];

/// Bits per byte on one kind of text.
pub(super) struct Figures {
    pub(super) text: &'static str,
    pub(super) bytes: usize,
    pub(super) tokens: usize,
    pub(super) unigram: f64,
    pub(super) five_gram: f64,
    pub(super) byte_five_gram: f64,
    pub(super) model: f64,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { text, unigram, five_gram, byte_five_gram, model, .. } = self;
        write!(
            f,
            "{text}: unigram {unigram:.3}, 5-gram {five_gram:.3} (of bytes {byte_five_gram:.3}), tiny {model:.3} bits per byte"
        )
    }
}

/// Measures on the test pages.
pub(super) fn measure(
    all: &[Page],
    train: &[u32],
    tokenizer: &Tokenizer,
    model: &dyn Model,
) -> Result<Vec<Figures>> {
    let unigram = NGram::train(train, 1, VOCABULARY);
    let five_gram = NGram::train(train, 5, VOCABULARY);
    let byte_five_gram = NGram::train(&train_bytes(all), 5, 256);
    let test = |wanted: fn(&str) -> bool| {
        all.iter()
            .filter(move |page| page.split == Split::Test && wanted(&page.book))
            .collect::<Vec<_>>()
    };
    let texts = [
        ("all test pages", test(|book| book != HELD_OUT_BOOK)),
        ("of them, the books", test(|book| book != HELD_OUT_BOOK && !LIBRARIES.contains(&book))),
        ("of them, the libraries", test(|book| LIBRARIES.contains(&book))),
        ("error codes, a domain unseen in training", test(|book| book == HELD_OUT_BOOK)),
    ];
    texts
        .into_iter()
        .map(|(name, pages)| {
            let text = Text::new(&pages, tokenizer)?;
            Ok(Figures {
                text: name,
                bytes: text.bytes(),
                tokens: text.tokens(),
                unigram: text.count_bits(&unigram),
                five_gram: text.count_bits(&five_gram),
                byte_five_gram: bytes_of(&pages)
                    .iter()
                    .map(|page| byte_five_gram.bits(page))
                    .sum::<f64>()
                    / text.bytes() as f64,
                model: text.model_bits(model)?,
            })
        })
        .collect()
}

fn train_bytes(all: &[Page]) -> Vec<u32> {
    bytes_of(&all.iter().filter(|page| crate::vocabulary::is_pretraining(page)).collect::<Vec<_>>())
        .concat()
}

fn bytes_of(pages: &[&Page]) -> Vec<Vec<u32>> {
    pages.iter().map(|page| page.text().bytes().map(u32::from).collect()).collect()
}
