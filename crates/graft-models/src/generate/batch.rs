//! Several texts at the same time.
//!
//! All rows of a batch are at the same position. A row with a longer prompt reads it token by token
//! while shorter rows already generate, so there is no padding: positions and attention of each row
//! are those of the row alone, for every model family. Rows that have ended leave the batch.

use graft_nn::Model;

use super::{
    GenerateOptions, Generated, StopReason,
    growing_text::{GrowingText, Next},
    opening::Opening,
};
use crate::{ModelError, Tokenizer};

/// One text of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchPrompt {
    /// The prompt, which becomes part of the result.
    pub text: String,
    /// Its tokens.
    pub ids: Vec<u32>,
    /// Number of the text among those of one seed, such as the number of its example. The random
    /// numbers of a text depend on it, and not on the other texts of the batch.
    pub index: u64,
}

/// A row of the batch.
struct Row<'a> {
    /// Its place in the list of prompts.
    place: usize,
    ids: Vec<u32>,
    text: GrowingText<'a>,
    next: u32,
}

/// Continues several prompts at the same time. `is_stopped` is asked before every pass; when it
/// holds, the texts that have not ended get [`StopReason::Caller`].
///
/// Prompts of similar length are faster. The texts are those of [`super::generate_from`] up to the
/// rounding of the matrix products, which depends on the number of rows.
///
/// # Errors
/// As [`super::generate`], for the first prompt that has an error.
pub fn generate_batch(
    model: &dyn Model,
    tokenizer: &Tokenizer,
    prompts: &[BatchPrompt],
    options: &GenerateOptions,
    is_stopped: &mut dyn FnMut() -> bool,
) -> Result<Vec<Generated>, ModelError> {
    let mut batch = Batch::new(model, tokenizer, prompts, options)?;
    while !batch.rows.is_empty() && !is_stopped() {
        batch.step()?;
    }
    for row in std::mem::take(&mut batch.rows) {
        batch.end(row, StopReason::Caller);
    }
    Ok(batch.done.into_iter().flatten().collect())
}

struct Batch<'a> {
    opening: Opening<'a>,
    prompts: &'a [BatchPrompt],
    rows: Vec<Row<'a>>,
    /// Number of tokens that every row has passed to the model.
    position: usize,
    /// Number of tokens of the first pass: the length of the shortest prompt.
    first: usize,
    done: Vec<Option<Generated>>,
}

impl<'a> Batch<'a> {
    fn new(
        model: &'a dyn Model,
        tokenizer: &'a Tokenizer,
        prompts: &'a [BatchPrompt],
        options: &'a GenerateOptions,
    ) -> Result<Self, ModelError> {
        let ids: Vec<&[u32]> = prompts.iter().map(|prompt| prompt.ids.as_slice()).collect();
        let opening = Opening::new(model, tokenizer, &ids)?;
        let row = |(place, prompt): (usize, &'a BatchPrompt)| {
            let ids = prompt.ids.as_slice();
            let (limits, before) = (opening.limits(ids)?, opening.before(ids));
            let text = GrowingText::new(tokenizer, options, limits, before, prompt.index)?;
            Ok(Row { place, ids: opening.first(ids).to_vec(), text, next: 0 })
        };
        let rows: Vec<_> =
            prompts.iter().enumerate().map(row).collect::<Result<_, ModelError>>()?;
        Ok(Self {
            opening,
            prompts,
            first: rows.iter().map(|row| row.ids.len()).min().unwrap_or(0),
            rows,
            position: 0,
            done: vec![None; prompts.len()],
        })
    }

    /// One pass: the start of all prompts, or one token of each row.
    fn step(&mut self) -> Result<(), ModelError> {
        let position = self.position;
        let end = if position == 0 { self.first } else { position + 1 };
        let tokens: Vec<&[u32]> = self
            .rows
            .iter()
            .map(|row| row.ids.get(position..end).unwrap_or(std::slice::from_ref(&row.next)))
            .collect();
        let logits = self.opening.model.logits(&tokens)?;
        self.position = end;
        let rows = std::mem::take(&mut self.rows);
        let before = rows.len();
        let mut kept = Vec::new();
        for ((mut row, logits), index) in rows.into_iter().zip(logits).zip(0u32..) {
            if end >= row.ids.len() {
                match row.text.advance(&logits, &mut |_| true)? {
                    Next::Token(id) => row.next = id,
                    Next::End(stop) => {
                        self.end(row, stop);
                        continue;
                    }
                }
            }
            kept.push(index);
            self.rows.push(row);
        }
        if kept.len() < before && !kept.is_empty() {
            self.opening.model.keep_rows(&kept)?;
        }
        Ok(())
    }

    fn end(&mut self, row: Row<'a>, stop: StopReason) {
        let prompt = &self.prompts[row.place].text;
        self.done[row.place] = Some(row.text.into_generated(prompt, stop));
    }
}
