//! Encoded examples, padded to micro-batches.

use std::ops::Range;

use graft_nn::ops::IGNORED;
use graft_nn::{Device, Tensor};

use crate::Result;

/// One example as tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The token ids.
    pub ids: Vec<u32>,
    /// The label of each token: the token itself in the completion, [`IGNORED`] in the prompt. As
    /// long as `ids`.
    pub labels: Vec<i64>,
    /// The class of the text, for a classifier; `labels` are not used then.
    pub class: Option<i64>,
}

impl Encoded {
    /// Returns whether any token carries loss; for a classifier, the text does.
    pub fn has_loss(&self) -> bool {
        self.class.is_some() || self.labels.iter().any(|label| *label != IGNORED)
    }
}

/// A micro-batch: examples padded on the right to the length of the longest.
///
/// # Shapes
/// `ids`, `labels`: `(B, T)`, row after row; `lengths`, `classes`: `(B)`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// B: number of examples.
    pub rows: usize,
    /// T: tokens of the longest example.
    pub columns: usize,
    /// (B, T): token ids, padding included.
    pub ids: Vec<u32>,
    /// (B, T): labels, [`IGNORED`] in prompts and padding. The label of a position is its own
    /// token; the loss shifts them.
    pub labels: Vec<i64>,
    /// (B): tokens of each row, without padding.
    pub lengths: Vec<usize>,
    /// (B): classes of the texts, for a classifier; empty otherwise.
    pub classes: Vec<i64>,
    /// Rows of an example: 2 for a pair of a chosen and a rejected answer, which stay together.
    pub rows_per_example: usize,
    /// Whether the examples are computed one after another in one row, on every device.
    pub is_packed: bool,
}

/// A part of a row that consists of a prompt and an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerPart {
    /// The tokens without a label.
    Prompt,
    /// The tokens with a label.
    Answer,
}

/// Positions of a piece: enough for an efficient matrix multiplication.
const PIECE: usize = 256;

/// Most trained parameters with which a micro-batch is split into pieces: each piece in progress
/// needs a gradient of its own.
pub(crate) const MAX_SPLIT_PARAMETERS: usize = 1 << 23;

impl Batch {
    /// Most pieces of a batch.
    pub const MOST_PIECES: usize = 64;

    /// Pads examples to a batch. The padding is masked and has no labels, so its token ids do not
    /// matter.
    pub fn of(examples: &[&Encoded]) -> Self {
        let columns = examples.iter().map(|example| example.ids.len()).max().unwrap_or(0);
        let mut ids = Vec::with_capacity(examples.len() * columns);
        let mut labels = Vec::with_capacity(examples.len() * columns);
        for example in examples {
            let padding = columns - example.ids.len();
            ids.extend_from_slice(&example.ids);
            ids.extend(std::iter::repeat_n(0, padding));
            labels.extend_from_slice(&example.labels);
            labels.extend(std::iter::repeat_n(IGNORED, padding));
        }
        let classes = examples.iter().filter_map(|example| example.class).collect();
        Self {
            rows: examples.len(),
            columns,
            ids,
            labels,
            lengths: examples.iter().map(|example| example.ids.len()).collect(),
            classes,
            rows_per_example: 1,
            is_packed: false,
        }
    }

    /// Pads pairs to a batch: the chosen answer of each pair, followed by the rejected one.
    pub fn of_pairs(rows: &[&Encoded]) -> Self {
        Self { rows_per_example: 2, ..Self::of(rows) }
    }

    /// Number of examples.
    pub fn examples(&self) -> usize {
        self.rows / self.rows_per_example.max(1)
    }

    /// The same batch, computed without padding on every device.
    #[must_use]
    pub fn packed(self) -> Self {
        Self { is_packed: true, ..self }
    }

    /// Splits the batch into pieces of about 256 positions, each padded to its own longest row; at
    /// most [`Self::MOST_PIECES`]. The number of pieces depends only on the size of the batch, so
    /// it is the same on every machine.
    pub fn pieces(&self) -> Vec<Self> {
        let (examples, each) = (self.examples(), self.rows_per_example.max(1));
        let count = Self::piece_count(self.rows, self.columns).min(examples.max(1));
        let edge = |piece: usize| piece * examples / count * each;
        (0..count).map(|piece| self.rows_from(edge(piece)..edge(piece + 1))).collect()
    }

    /// Number of pieces of a batch of that size.
    pub fn piece_count(rows: usize, columns: usize) -> usize {
        (rows * columns / PIECE).clamp(1, rows.clamp(1, Self::MOST_PIECES))
    }

    fn rows_from(&self, rows: Range<usize>) -> Self {
        let lengths = self.lengths[rows.clone()].to_vec();
        // A text without tokens keeps one position, which the mask hides.
        let columns =
            lengths.iter().copied().max().unwrap_or(0).clamp(1.min(self.columns), self.columns);
        let of_row = |row: usize| row * self.columns..row * self.columns + columns;
        Self {
            rows: rows.len(),
            columns,
            ids: rows.clone().flat_map(|row| self.ids[of_row(row)].iter().copied()).collect(),
            labels: rows.clone().flat_map(|row| self.labels[of_row(row)].iter().copied()).collect(),
            lengths,
            classes: self.classes.get(rows).map(<[i64]>::to_vec).unwrap_or_default(),
            rows_per_example: self.rows_per_example,
            is_packed: self.is_packed,
        }
    }

    /// Number of tokens, without padding.
    pub fn tokens(&self) -> u64 {
        self.lengths.iter().sum::<usize>() as u64
    }

    /// The first position of each row in the flattened hidden states `(B * (P + T))`.
    pub fn starts(&self, virtual_tokens: usize) -> Vec<usize> {
        (0..self.rows).map(|row| row * (virtual_tokens + self.columns)).collect()
    }

    /// The tokens of all rows without padding, row after row.
    pub fn unpadded(&self) -> Vec<u32> {
        (0..self.rows)
            .flat_map(|row| self.ids[row * self.columns..][..self.lengths[row]].iter().copied())
            .collect()
    }

    /// Positions of the flattened hidden states that predict a label, and these labels. Row `b`
    /// starts at `starts[b]`.
    ///
    /// Position `P + t - 1` of a row predicts token `t`. The first token is predicted by the last
    /// of the P virtual tokens; without virtual tokens it has no prediction and no loss.
    pub fn targets(&self, virtual_tokens: usize, starts: &[usize]) -> (Vec<u32>, Vec<i64>) {
        let mut targets = (Vec::new(), Vec::new());
        for (row, start) in starts.iter().enumerate() {
            let of_row = &self.labels[row * self.columns..][..self.columns];
            for (column, label) in of_row.iter().enumerate() {
                let before = (virtual_tokens + column).checked_sub(1);
                if let Some(before) = before.filter(|_| *label != IGNORED) {
                    targets.0.push((start + before) as u32);
                    targets.1.push(*label);
                }
            }
        }
        targets
    }

    /// The targets of one row, which starts at `start`, as of [`Self::targets`]. The row has labels
    /// on its answer, and [`AnswerPart`] selects them or the tokens before the answer.
    pub(crate) fn row_targets(
        &self,
        (row, start): (usize, usize),
        virtual_tokens: usize,
        part: AnswerPart,
    ) -> (Vec<u32>, Vec<i64>) {
        let mut targets = (Vec::new(), Vec::new());
        for column in row * self.columns..row * self.columns + self.lengths[row] {
            let is_answer = self.labels[column] != IGNORED;
            let before = (virtual_tokens + column - row * self.columns).checked_sub(1);
            if let Some(before) = before.filter(|_| is_answer == (part == AnswerPart::Answer)) {
                targets.0.push((start + before) as u32);
                targets.1.push(i64::from(self.ids[column]));
            }
        }
        targets
    }

    /// The token ids as a tensor.
    ///
    /// # Shapes
    /// returns `(B, T)`
    /// # Errors
    /// When the device cannot allocate the tensor.
    pub fn ids_tensor(&self, device: &Device) -> Result<Tensor> {
        Ok(Tensor::from_slice(&self.ids, (self.rows, self.columns), device)?) // (B, T)
    }

    /// The attention mask: 1 for a token, 0 for padding. `None` when nothing is padded.
    ///
    /// # Shapes
    /// returns `(B, T)`
    /// # Errors
    /// When the device cannot allocate the tensor.
    pub fn mask_tensor(&self, device: &Device) -> Result<Option<Tensor>> {
        if self.lengths.iter().all(|length| *length == self.columns) {
            return Ok(None);
        }
        let mask: Vec<u8> = self
            .lengths
            .iter()
            .flat_map(|length| (0..self.columns).map(move |column| u8::from(column < *length)))
            .collect();
        Ok(Some(Tensor::from_vec(mask, (self.rows, self.columns), device)?)) // (B, T)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(ids: &[u32], prompt: usize) -> Encoded {
        let labels = ids
            .iter()
            .enumerate()
            .map(|(index, id)| if index < prompt { IGNORED } else { i64::from(*id) })
            .collect();
        Encoded { ids: ids.to_vec(), labels, class: None }
    }

    #[test]
    fn padding_and_prompts_have_no_label() {
        let batch = Batch::of(&[&example(&[5, 6, 7], 1), &example(&[8, 9], 1)]);
        assert_eq!((batch.rows, batch.columns, batch.tokens()), (2, 3, 5));
        assert_eq!(batch.labels, [IGNORED, 6, 7, IGNORED, 9, IGNORED]);
        let mask = batch.mask_tensor(&Device::Cpu).expect("mask").expect("there is padding");
        assert_eq!(mask.to_vec2::<u8>().expect("values"), [[1, 1, 1], [1, 1, 0]]);
        assert!(
            Batch::of(&[&example(&[5, 6], 0)]).mask_tensor(&Device::Cpu).expect("mask").is_none()
        );
    }

    #[test]
    fn pieces_are_the_batch_and_are_padded_to_their_own_longest_row() {
        let long =
            |count: u32, length: u32| example(&(count..count + length).collect::<Vec<_>>(), 1);
        let rows = [long(1, 300), long(2, 20), long(3, 400), long(4, 350), long(5, 7)];
        let batch = Batch::of(&rows.iter().collect::<Vec<_>>());
        let pieces = batch.pieces();
        assert_eq!(pieces.iter().map(|piece| piece.rows).collect::<Vec<_>>(), [1; 5]);
        assert_eq!(
            pieces.iter().map(|piece| piece.columns).collect::<Vec<_>>(),
            [300, 20, 400, 350, 7]
        );
        for (piece, row) in pieces.iter().zip(&rows) {
            assert_eq!((&piece.ids, &piece.labels), (&row.ids, &row.labels));
        }
        let short = Batch::of(&[&example(&[5, 6], 0), &example(&[8, 9, 1], 1)]);
        assert_eq!(short.pieces(), [short]);
        let classes = Batch { classes: vec![2, 0, 1, 1, 0], ..batch };
        assert_eq!(
            classes.pieces().iter().map(|piece| piece.classes[0]).collect::<Vec<_>>(),
            [2, 0, 1, 1, 0]
        );
    }

    #[test]
    fn pieces_keep_pairs_together_and_rows_have_targets_of_each_part() {
        let rows: Vec<Encoded> = (0..6).map(|row| example(&vec![row + 2; 200], 3)).collect();
        let batch = Batch::of_pairs(&rows.iter().collect::<Vec<_>>());
        let pieces = batch.pieces();
        assert_eq!(pieces.iter().map(|piece| piece.rows).collect::<Vec<_>>(), [2; 3]);
        assert_eq!((pieces[2].examples(), pieces[2].ids[0]), (1, 6));
        let batch = Batch::of_pairs(&[&example(&[5, 6, 7], 2), &example(&[5, 6, 8, 9], 2)]);
        assert_eq!(batch.row_targets((0, 10), 0, AnswerPart::Answer), (vec![11], vec![7]));
        assert_eq!(batch.row_targets((1, 20), 1, AnswerPart::Prompt), (vec![20, 21], vec![5, 6]));
    }

    #[test]
    fn a_label_is_predicted_by_the_position_before_it() {
        let batch = Batch::of(&[&example(&[5, 6, 7], 1), &example(&[8, 9], 1)]);
        assert_eq!(batch.targets(0, &batch.starts(0)), (vec![0, 1, 3], vec![6, 7, 9]));
    }

    #[test]
    fn virtual_tokens_shift_the_positions_and_predict_the_first_token() {
        let batch = Batch::of(&[&example(&[5, 6], 0), &example(&[8, 9], 1)]);
        assert_eq!(batch.targets(0, &batch.starts(0)), (vec![0, 2], vec![6, 9]));
        assert_eq!(batch.targets(2, &batch.starts(2)), (vec![1, 2, 6], vec![5, 6, 9]));
    }
}
