//! What the length limit did to the training examples.

use crate::encode::{Encoder, Pieces};

/// Counts of examples that were cut, split or left out, and warnings about the data.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// Longest example in tokens.
    limit: usize,
    /// Longest example that the model can read.
    most: usize,
    /// All examples.
    examples: usize,
    /// Examples that were cut.
    cut: usize,
    /// The tokens that they lost.
    lost: usize,
    /// Whether the examples are pairs of answers, which are not split.
    has_pairs: bool,
    /// Examples that were split.
    split: usize,
    /// Their pieces without loss.
    left_out: usize,
    /// Examples in which the limit left no token with loss.
    without_loss: usize,
    /// All validation examples, and those that were cut.
    validation: (usize, usize),
    /// Warnings about labels and the chat template.
    warnings: Vec<String>,
}

impl Report {
    pub(super) fn new(encoder: &Encoder<'_>, unmatched: Option<String>) -> Self {
        let warnings = unmatched.into_iter().chain(encoder.warnings()).collect();
        Self { limit: encoder.limit(), most: encoder.most(), warnings, ..Self::default() }
    }

    /// Adds a warning.
    pub(super) fn warn(&mut self, text: &str) {
        self.warnings.push(text.to_owned());
    }

    /// Counts an example.
    pub(super) fn add(&mut self, pieces: &Pieces) {
        self.examples += 1;
        self.cut += usize::from(pieces.lost > 0);
        self.lost += pieces.lost;
        self.split += usize::from(pieces.all.len() + pieces.left_out > 1);
        self.left_out += pieces.left_out;
        self.without_loss += usize::from(!pieces.all.iter().any(super::Encoded::has_loss));
    }

    /// Counts a pair of answers.
    pub(super) fn add_pair(&mut self, pieces: &Pieces) {
        self.has_pairs = true;
        self.examples += 1;
        self.cut += usize::from(pieces.lost > 0);
        self.lost += pieces.lost;
        self.without_loss += usize::from(!pieces.all.iter().all(super::Encoded::has_loss));
    }

    /// Counts a validation example.
    pub(super) fn add_validation(&mut self, pieces: &Pieces) {
        self.validation.0 += 1;
        self.validation.1 += usize::from(pieces.lost > 0);
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        let Self { limit, most, examples, cut, lost, without_loss, .. } = self;
        let tokens = if *lost == 1 { "token is" } else { "tokens are" };
        let longer = if limit < most {
            format!("`max_length=` sets another limit, up to {most}")
        } else {
            "the model can read no more at once".to_owned()
        };
        let split = if self.has_pairs { "" } else { "`stride=0` splits long examples instead, " };
        let too_long = (*cut > 0).then(|| {
            format!(
                "{cut} of {examples} training examples were longer than {limit} tokens and were \
                 cut: {lost} {tokens} not read; {split}{longer}"
            )
        });
        let unlearned = (*without_loss > 0).then(|| {
            format!(
                "{without_loss} of {examples} training examples have no token with loss within \
                 {limit} tokens and are left out"
            )
        });
        let (validated, cut) = self.validation;
        let unscored = (cut > 0).then(|| {
            format!(
                "{cut} of {validated} validation examples were longer than {limit} tokens and were \
                 cut"
            )
        });
        let all = [too_long, unlearned, unscored].into_iter().flatten();
        self.warnings.iter().cloned().chain(all).collect()
    }

    /// Notes about `trained` examples and pieces in packed rows, given as their number and all
    /// tokens.
    pub(super) fn notes(&self, trained: usize, packed: Option<(usize, usize)>) -> Vec<String> {
        let Self { limit, examples, split, left_out, .. } = self;
        let without = match left_out {
            0 => String::new(),
            1 => "; 1 piece without loss is left out".to_owned(),
            count => format!("; {count} pieces without loss are left out"),
        };
        let pieces = (*split > 0).then(|| {
            format!(
                "{split} of {examples} training examples were longer than {limit} tokens and were \
                 split: {trained} examples and pieces{without}"
            )
        });
        let rows = packed.map(|(rows, tokens)| {
            let full = 100.0 * tokens as f64 / (rows * limit).max(1) as f64;
            format!(
                "packed {trained} examples into {rows} rows of at most {limit} tokens ({full:.1} % \
                 full); each attends only to itself, and `batch` counts rows"
            )
        });
        pieces.into_iter().chain(rows).collect()
    }
}
