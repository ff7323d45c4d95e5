//! Bits per byte on held-out pages, for the model and for count-based models.

use graft_models::Tokenizer;
use graft_nn::ops::IGNORED;
use graft_nn::{Context, Model, TokenEncoder};
use graft_train::batch::{Batch, Encoded};
use graft_train::loss::loss;

use crate::corpus::{HELD_OUT_BOOK, Page, Split};
use crate::ngram::NGram;
use crate::recipe::LONG;
use crate::stream::window;
use crate::vocabulary::BOS_ID;
use crate::{PretrainError, Result};

/// Windows per forward pass.
const BATCH: usize = 8;

/// Pages as tokens, and their lengths in bytes.
pub struct Text {
    pages: Vec<Vec<u32>>,
    bytes: usize,
}

/// The pages of a split, without the held-out domain.
pub fn pages(all: &[Page], split: Split) -> Vec<&Page> {
    all.iter().filter(|page| page.split == split && page.book != HELD_OUT_BOOK).collect()
}

impl Text {
    /// Encodes pages.
    ///
    /// # Errors
    /// When a page cannot be encoded.
    pub fn new(pages: &[&Page], tokenizer: &Tokenizer) -> Result<Self> {
        let texts: Vec<String> = pages.iter().map(|page| page.text()).collect();
        let pages = texts
            .iter()
            .map(|text| tokenizer.encode(text))
            .collect::<graft_nn::Result<_>>()
            .map_err(PretrainError::from)?;
        Ok(Self { pages, bytes: texts.iter().map(String::len).sum() })
    }

    /// Length in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Length in tokens.
    pub fn tokens(&self) -> usize {
        self.pages.iter().map(Vec::len).sum()
    }

    /// Bits per byte of the model. Windows overlap by half, so that every token after the first
    /// window of a page has at least half a context before it. Each token counts once.
    ///
    /// # Errors
    /// When the forward pass of the model fails.
    pub fn model_bits(&self, model: &dyn Model) -> Result<f64> {
        let mut windows: Vec<Encoded> =
            self.pages.iter().flat_map(|page| overlapping(page)).collect();
        // Sorted by length, so that there is little padding.
        windows.sort_by_key(|window| window.ids.len());
        let mut nats = 0.0;
        for windows in windows.chunks(BATCH) {
            let batch = Batch::of(&windows.iter().collect::<Vec<_>>());
            nats += f64::from(
                loss(model, &batch, &Context::eval(), 1.0)?
                    .to_scalar::<f32>()
                    .map_err(graft_nn::NnError::from)?,
            );
        }
        Ok(nats / std::f64::consts::LN_2 / self.bytes as f64)
    }

    /// Bits per byte of a count-based model, which sees `<s>` at the start of each page.
    pub fn count_bits(&self, model: &NGram) -> f64 {
        let bits = |page: &Vec<u32>| {
            let tokens: Vec<u32> = std::iter::once(BOS_ID).chain(page.iter().copied()).collect();
            model.bits(&tokens) - model.bits(&[BOS_ID])
        };
        self.pages.iter().map(bits).sum::<f64>() / self.bytes as f64
    }
}

/// The windows of a page. Only tokens that no earlier window has counted have labels.
fn overlapping(page: &[u32]) -> Vec<Encoded> {
    let length = LONG.0 - 1;
    let step = LONG.0 / 2;
    let mut windows = Vec::new();
    let mut start = 0;
    let mut counted = 0;
    while counted < page.len() {
        let end = (start + length).min(page.len());
        let mut next = window(&page[start..end]);
        // The window's first token is `<s>`.
        next.labels[..=counted - start].fill(IGNORED);
        windows.push(next);
        (start, counted) = (start + step, end);
    }
    windows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_counts_once_and_after_the_first_window_with_half_a_context_before_it() {
        let page: Vec<u32> = (3..1_503).collect();
        let windows = overlapping(&page);
        let counted: Vec<i64> = windows
            .iter()
            .flat_map(|window| window.labels.iter().copied().filter(|label| *label != IGNORED))
            .collect();
        assert_eq!(counted, (3..1_503).collect::<Vec<i64>>());
        for window in &windows[1..] {
            let first =
                window.labels.iter().position(|label| *label != IGNORED).expect("counts something");
            assert!(first >= LONG.0 / 2 - 1, "{first}");
        }
    }
}
