//! The tokenizer of `tiny`: byte-level BPE trained on the training pages.

use tokenizers::models::bpe::{BPE, BpeTrainerBuilder};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, NormalizerWrapper, TokenizerBuilder};

use crate::corpus::{self, HELD_OUT_BOOK, Page, Split};
use crate::paths::Paths;
use crate::{PretrainError, Result};

/// Size of the vocabulary: small, so that the embedding does not dominate the model, and a multiple
/// of 64 for the kernels.
pub const VOCABULARY: usize = 2048;

/// Token before a page. The names are those of Llama, the ids their order in training.
pub const BOS: &str = "<s>";
/// Id of [`BOS`].
pub const BOS_ID: u32 = 0;
/// Token after a page.
pub const EOS: &str = "</s>";
/// Id of [`EOS`].
pub const EOS_ID: u32 = 1;
/// Padding token.
pub const PAD: &str = "<pad>";
/// Id of [`PAD`].
pub const PAD_ID: u32 = 2;

/// Trains the tokenizer and writes `tokenizer.json`. Returns the number of tokens.
///
/// # Errors
/// [`PretrainError::Tokenizer`], and errors of reading the corpus.
pub fn build(paths: &Paths) -> Result<usize> {
    let pages = corpus::read(paths)?;
    let texts: Vec<String> =
        pages.iter().filter(|page| is_pretraining(page)).map(Page::text).collect();
    let special = [BOS, EOS, PAD].map(|name| AddedToken::from(name, true)).to_vec();
    let mut trainer = BpeTrainerBuilder::new()
        .vocab_size(VOCABULARY)
        .min_frequency(2)
        .show_progress(false)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .special_tokens(special)
        .build();
    let byte_level = ByteLevel::new(false, true, true);
    // `<s>` before every text, as before every page in pretraining.
    let begin = TemplateProcessing::builder()
        .try_single(format!("{BOS} $A"))
        .map_err(wrap)?
        .special_tokens(vec![(BOS, BOS_ID)])
        .build()
        .map_err(wrap)?;
    let mut tokenizer =
        TokenizerBuilder::<BPE, NormalizerWrapper, ByteLevel, TemplateProcessing, ByteLevel>::new()
            .with_model(BPE::default())
            .with_normalizer(None)
            .with_pre_tokenizer(Some(byte_level))
            .with_post_processor(Some(begin))
            .with_decoder(Some(byte_level))
            .build()
            .map_err(wrap)?;
    tokenizer.train(&mut trainer, texts.iter().map(String::as_str)).map_err(wrap)?;
    let json = tokenizer.to_string(true).map_err(wrap)?;
    let path = paths.tokenizer();
    std::fs::write(&path, json).map_err(|source| PretrainError::io(&path, source))?;
    Ok(tokenizer.get_vocab_size(true))
}

/// Whether a page is used for pretraining: in the training split of a book that is not held out.
pub fn is_pretraining(page: &Page) -> bool {
    page.split == Split::Train && page.book != HELD_OUT_BOOK
}

fn wrap(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> PretrainError {
    PretrainError::Tokenizer { source: source.into() }
}
