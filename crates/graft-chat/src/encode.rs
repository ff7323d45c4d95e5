//! Tokens and loss mask of a conversation.

use std::ops::Range;

use crate::{ChatError, ChatTemplate, Conversation, Ending, Loss, LossOn};

/// The id of a token, and the byte range of the text that it covers.
pub type Token = (u32, Range<usize>);

/// The tokens of a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// Token ids, with the special tokens that the template wrote.
    pub ids: Vec<u32>,
    /// Whether each token carries loss.
    pub loss_mask: Vec<bool>,
}

/// Encodes a conversation for training.
///
/// `tokenize` must recognize special tokens in the text and add none. A token that covers
/// characters inside and outside the learned text carries loss, as in transformers.
///
/// # Errors
/// Those of [`Loss::find`], and [`ChatError::Tokenizer`].
pub fn encode(
    template: &ChatTemplate,
    tokenize: &dyn Fn(&str) -> Result<Vec<Token>, String>,
    chat: &Conversation,
    loss_on: LossOn,
) -> Result<Encoded, ChatError> {
    let Loss { text, ranges } = Loss::find(template, chat, loss_on)?;
    let tokens = tokenize(&text).map_err(|problem| ChatError::Tokenizer { problem })?;
    Ok(Encoded { loss_mask: mask(&tokens, &ranges), ids: ids(&tokens) })
}

/// Encodes a conversation for generation, without a loss mask.
///
/// # Errors
/// Those of [`ChatTemplate::render`], and [`ChatError::Tokenizer`].
pub fn encode_prompt(
    template: &ChatTemplate,
    tokenize: &dyn Fn(&str) -> Result<Vec<Token>, String>,
    chat: &Conversation,
    ending: Ending,
) -> Result<Vec<u32>, ChatError> {
    let text = template.render(chat, ending)?.text;
    let tokens = tokenize(&text).map_err(|problem| ChatError::Tokenizer { problem })?;
    Ok(ids(&tokens))
}

fn ids(tokens: &[Token]) -> Vec<u32> {
    tokens.iter().map(|(id, _)| *id).collect()
}

/// Marks the tokens from the first to the last that cover a character of each range. Tokens between
/// them that cover no character, such as an added space, are marked too.
fn mask(tokens: &[Token], ranges: &[Range<usize>]) -> Vec<bool> {
    let mut mask = vec![false; tokens.len()];
    for range in ranges {
        let is_inside = |(_, covered): &Token| {
            covered.start < range.end && covered.end > range.start && !covered.is_empty()
        };
        let first = tokens.iter().position(is_inside);
        let last = tokens.iter().rposition(is_inside);
        if let (Some(first), Some(last)) = (first, last) {
            mask[first..=last].fill(true);
        }
    }
    mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_across_the_border_and_one_without_characters_carry_loss() {
        let tokens = [(1, 0..3), (2, 3..6), (3, 6..6), (4, 6..8), (5, 8..9)];
        assert_eq!(mask(&tokens, std::slice::from_ref(&(4..8))), [false, true, true, true, false]);
        assert_eq!(mask(&tokens, &[6..6, 8..9]), [false, false, false, false, true]);
    }
}
