//! The first examples of a split as tokens, for the user to look at.

use graft_nn::{Model, TokenEncoder};

use crate::batch::Encoded;
use crate::data::{Dataset, SplitName};
use crate::encode::{EncodeOptions, Encoder, Pieces};
use crate::{LabelMap, Result, classify};

/// One example as tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// Its tokens and labels. An example that is split is shown piece by piece.
    pub encoded: Encoded,
    /// Number of tokens that it lost because it was longer than the limit.
    pub lost: usize,
    /// Index of the example in its split.
    pub example: usize,
    /// Number of the piece, from 1, and of all pieces of the example; `None` if it is whole. The
    /// answers of a preference are two pieces: the chosen one and the rejected one.
    pub piece: Option<(usize, usize)>,
}

/// The first `rows` examples of a split, as a training run with these options would read them, and
/// the length limit in tokens.
///
/// # Errors
/// As [`crate::Examples::new`], except for an empty split, which has no previews.
pub fn preview(
    model: &dyn Model,
    tokenizer: &dyn TokenEncoder,
    data: &Dataset,
    (split, rows): (SplitName, usize),
    options: EncodeOptions,
) -> Result<(Vec<Preview>, usize)> {
    let LabelMap { classes, .. } = classify::label_map(model, data)?;
    let encoder = Encoder::new(model, tokenizer, data, options)?.with_classes(classes);
    let mut previews = Vec::new();
    for (example, content) in data.split(split).iter().take(rows).enumerate() {
        let Pieces { all, lost, .. } = encoder.example(content)?;
        let count = all.len();
        let piece = |index: usize| (count > 1).then_some((index + 1, count));
        let shown = all.into_iter().enumerate();
        previews.extend(shown.map(|(index, encoded)| Preview {
            encoded,
            lost,
            example,
            piece: piece(index),
        }));
    }
    Ok((previews, encoder.limit()))
}
