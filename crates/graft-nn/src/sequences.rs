//! Packed sequences: several sequences concatenated in one row without padding.

use std::{ops::Range, sync::Arc};

/// The lengths of the sequences that are packed into one row of N positions.
///
/// Positions restart at 0 in each sequence, and a sequence attends only to itself, so the result
/// equals that of separate rows. The equivalent of FlashAttention's `cu_seqlens`.
///
/// # Source
/// Dao 2023, arXiv:2307.08691 (variable sequence lengths)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequences(Arc<[usize]>);

impl Sequences {
    /// Sequences of these lengths.
    pub fn new(lengths: &[usize]) -> Self {
        Self(lengths.into())
    }

    /// N: total number of positions.
    pub fn tokens(&self) -> usize {
        self.0.iter().sum()
    }

    /// Length of the longest sequence.
    pub fn longest(&self) -> usize {
        self.0.iter().copied().max().unwrap_or(0)
    }

    /// The range of each sequence in the row.
    pub fn ranges(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.0.iter().scan(0, |end, length| {
            *end += length;
            Some(*end - length..*end)
        })
    }
}

/// The positions of the tokens in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Positions {
    /// Consecutive positions, starting at this one.
    From(usize),
    /// Positions that restart at 0 in each packed sequence.
    Restarting(Sequences),
}

impl Positions {
    /// The positions of the first `tokens` tokens.
    pub fn list(&self, tokens: usize) -> Vec<usize> {
        match self {
            Self::From(offset) => (*offset..offset + tokens).collect(),
            Self::Restarting(sequences) => {
                sequences.0.iter().flat_map(|length| 0..*length).take(tokens).collect()
            }
        }
    }

    /// One past the highest position of the first `tokens` tokens.
    pub fn end(&self, tokens: usize) -> usize {
        match self {
            Self::From(offset) => offset + tokens,
            Self::Restarting(sequences) => sequences.longest(),
        }
    }
}

impl From<usize> for Positions {
    fn from(offset: usize) -> Self {
        Self::From(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_sequences_are_consecutive_and_positions_restart() {
        let sequences = Sequences::new(&[2, 0, 3]);
        assert_eq!((sequences.tokens(), sequences.longest()), (5, 3));
        assert_eq!(sequences.ranges().collect::<Vec<_>>(), [0..2, 2..2, 2..5]);
        let positions = Positions::Restarting(sequences);
        assert_eq!((positions.list(5), positions.end(5)), (vec![0, 1, 0, 1, 2], 3));
        assert_eq!((Positions::From(4).list(2), Positions::From(4).end(2)), (vec![4, 5], 6));
    }
}
