//! The first examples of a split as tokens, for the user to look at.

use graft_nn::{Model, TokenEncoder};

use crate::batch::Encoded;
use crate::data::{Dataset, Example, Kind, SplitName};
use crate::encode::Encoder;
use crate::{LabelMap, Result, classify};

/// One example as tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// Its tokens and labels.
    pub encoded: Encoded,
    /// Whether it was longer than the limit and lost tokens.
    pub was_cut: bool,
}

/// The first `rows` examples of a split, as a training run with `max_length` would read them, and
/// the length limit in tokens. A preference has two elements: the chosen answer and the rejected
/// one.
///
/// # Errors
/// As [`crate::Examples::new`], except for an empty split, which has no previews.
pub fn preview(
    model: &dyn Model,
    tokenizer: &dyn TokenEncoder,
    data: &Dataset,
    (split, rows): (SplitName, usize),
    max_length: Option<usize>,
) -> Result<(Vec<Preview>, usize)> {
    let LabelMap { classes, .. } = classify::label_map(model, data)?;
    let encoder = Encoder::new(model, tokenizer, data, max_length)?.with_classes(classes);
    let encode = |example: &Example| -> Result<Vec<Preview>> {
        if data.kind == Kind::Preference {
            let ((chosen, rejected), was_cut) = encoder.pair(example)?;
            return Ok(vec![
                Preview { encoded: chosen, was_cut },
                Preview { encoded: rejected, was_cut },
            ]);
        }
        let (encoded, was_cut) = encoder.example(example)?;
        Ok(vec![Preview { encoded, was_cut }])
    };
    let previews: Result<Vec<_>> = data.split(split).iter().take(rows).map(encode).collect();
    Ok((previews?.into_iter().flatten().collect(), encoder.limit()))
}
