//! Log-probabilities of completions and of every label, computed in as few rows as possible.

use std::collections::{BTreeSet, HashMap};

use graft_nn::{Context, Model, ops::IGNORED};

use crate::batch::{Batch, Encoded};
use crate::encode::Sequence;
use crate::packed_forward::{ForwardPass, forward_pass};
use crate::{Result, gather};

/// Sums over examples, and what is predicted for each.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Scored {
    /// Negative log-probabilities of the completions, in nats.
    pub(super) loss: f64,
    /// Number of completion tokens with a log-probability.
    pub(super) tokens: u64,
    /// Examples whose own label has the highest score.
    pub(super) right: u64,
    /// Examples that were cut.
    pub(super) cut: u64,
    /// The label with the highest score for each example; `None` for examples without labels, and
    /// for a class that is not a label of the data.
    pub(super) predicted: Vec<Option<usize>>,
}

impl Scored {
    pub(super) fn add(&mut self, other: &Self) {
        self.predicted.extend(&other.predicted);
        self.loss += other.loss;
        self.tokens += other.tokens;
        self.right += other.right;
        self.cut += other.cut;
    }
}

/// The rows of one forward pass, and the positions to read in them.
///
/// A row gives the log-probability of every sequence that it starts with. An example needs one row
/// for its own completion, and more rows only for labels of several tokens that differ from it: for
/// labels of one token the first row is enough.
#[derive(Debug, Default)]
pub(super) struct Rows {
    rows: Vec<Vec<u32>>,
    examples: Vec<ExampleRows>,
    /// Number of examples that were cut.
    cut: u64,
}

#[derive(Debug)]
struct ExampleRows {
    completion: Reading,
    labels: Vec<Reading>,
    /// Index of its own label.
    label: Option<usize>,
}

/// Tokens whose log-probabilities are read in a row, starting at index `first`.
#[derive(Debug)]
struct Reading {
    row: usize,
    first: usize,
    tokens: Vec<u32>,
    /// Whether each token counts; all of them if it is empty.
    counted: Vec<bool>,
}

impl Rows {
    /// Number of tokens of each row.
    pub(super) fn lengths(&self) -> Vec<usize> {
        self.rows.iter().map(Vec::len).collect()
    }

    /// Number of positions whose logits are read.
    pub(super) fn read(&self) -> usize {
        let positions: BTreeSet<(usize, u32)> = self
            .readings()
            .flat_map(|reading| {
                reading.positions(0, 0).flatten().map(|position| (reading.row, position))
            })
            .collect();
        positions.len()
    }

    /// All sequences that are read.
    fn readings(&self) -> impl Iterator<Item = &Reading> {
        self.examples
            .iter()
            .flat_map(|example| std::iter::once(&example.completion).chain(&example.labels))
    }

    /// Adds an example; with labels, the index of its own label and the sequence of each label.
    pub(super) fn push(&mut self, completion: &Sequence, labels: Option<(usize, &[Sequence])>) {
        let (label, all) = labels.map_or((None, &[][..]), |(label, all)| (Some(label), all));
        let mut prefixes = Prefixes::needed_by(all);
        let completion = self.reading(&mut prefixes, completion);
        // Longest first, so that a shorter label finds the row of a longer one with the same start.
        let mut order: Vec<usize> = (0..all.len()).collect();
        order.sort_by_key(|index| std::cmp::Reverse(all[*index].ids.len()));
        let mut labels: Vec<(usize, Reading)> = order
            .into_iter()
            .map(|index| (index, self.reading(&mut prefixes, &all[index])))
            .collect();
        labels.sort_by_key(|(index, _)| *index);
        self.examples.push(ExampleRows {
            completion,
            labels: labels.into_iter().map(|(_, reading)| reading).collect(),
            label,
        });
    }

    /// Adds tokens of which only those with a label count.
    pub(super) fn push_encoded(&mut self, encoded: Encoded) {
        let Encoded { ids, labels, .. } = encoded;
        let first = labels.iter().position(|label| *label != IGNORED).unwrap_or(ids.len());
        let sequence = Sequence { ids, first };
        let mut completion = self.reading(&mut Prefixes::needed_by(&[]), &sequence);
        let counted = labels.iter().skip(first).map(|label| *label != IGNORED);
        completion.counted = counted.collect();
        self.examples.push(ExampleRows { completion, labels: Vec::new(), label: None });
    }

    /// Counts an example that lost `tokens`.
    pub(super) fn add_cut(&mut self, tokens: usize) {
        self.cut += u64::from(tokens > 0);
    }

    /// Finds the first row of this example that starts with the needed tokens, or adds one.
    fn reading<'s>(&mut self, prefixes: &mut Prefixes<'s>, sequence: &'s Sequence) -> Reading {
        let needed = needed(sequence);
        let row = prefixes.rows.get(needed).copied().unwrap_or(self.rows.len());
        if row == self.rows.len() {
            prefixes.add(needed, row);
            self.rows.push(needed.to_vec());
        }
        Reading {
            row,
            first: sequence.first,
            tokens: sequence.ids.get(sequence.first..).unwrap_or_default().to_vec(),
            counted: Vec::new(),
        }
    }
}

/// The tokens that a row must start with so that the sequence can be read in it.
fn needed(sequence: &Sequence) -> &[u32] {
    let Sequence { ids, first } = sequence;
    // The last token predicts nothing that is read. A label of a single first token still needs a
    // row of its own.
    &ids[..ids.len().saturating_sub(1).max(*first).max(1).min(ids.len())]
}

/// The rows of one example by their prefixes. Comparing every label with every row would be too
/// slow for thousands of labels.
struct Prefixes<'s> {
    /// The prefix lengths that the labels need, each once, in ascending order.
    lengths: Vec<usize>,
    /// The first row with that prefix.
    rows: HashMap<&'s [u32], usize>,
}

impl<'s> Prefixes<'s> {
    fn needed_by(labels: &[Sequence]) -> Self {
        let lengths: BTreeSet<usize> = labels.iter().map(|label| needed(label).len()).collect();
        Self { lengths: lengths.into_iter().collect(), rows: HashMap::new() }
    }

    fn add(&mut self, tokens: &'s [u32], row: usize) {
        for length in self.lengths.iter().take_while(|length| **length <= tokens.len()) {
            self.rows.entry(&tokens[..*length]).or_insert(row);
        }
    }
}

/// Scores the rows with one forward pass.
pub(super) fn score(model: &dyn Model, rows: &Rows) -> Result<Scored> {
    let pass = ScoringPass::run(model, rows)?;
    let mut scored = Scored { cut: rows.cut, ..Scored::default() };
    for example in &rows.examples {
        scored.loss -= pass.log_probability(&example.completion);
        // Without a token before it, the first token of a text has no prediction and no loss.
        let unread = usize::from(pass.virtual_tokens + example.completion.first == 0)
            .min(example.completion.count());
        scored.tokens += (example.completion.count() - unread) as u64;
        let scores: Vec<f64> =
            example.labels.iter().map(|label| pass.log_probability(label)).collect();
        // With equal scores the first label wins, so that an untrained model is not right by
        // chance.
        let best = (0..scores.len()).rev().max_by(|a, b| scores[*a].total_cmp(&scores[*b]));
        scored.right += u64::from(best.is_some() && best == example.label);
        scored.predicted.push(best);
    }
    Ok(scored)
}

impl Reading {
    /// Whether a token counts.
    fn counts(&self, index: usize) -> bool {
        self.counted.get(index).copied().unwrap_or(true)
    }

    /// Number of tokens that count.
    fn count(&self) -> usize {
        (0..self.tokens.len()).filter(|index| self.counts(*index)).count()
    }

    /// The flattened positions that predict the tokens, in a row that starts at `start`; `None` for
    /// the first token of a text without virtual tokens, which has no prediction.
    fn positions(&self, start: usize, virtual_tokens: usize) -> impl Iterator<Item = Option<u32>> {
        let first = virtual_tokens + self.first;
        (first..first + self.tokens.len())
            .map(move |index| Some((start + index.checked_sub(1)?) as u32))
    }
}

/// The result of a forward pass: logits at the positions that are read.
struct ScoringPass {
    virtual_tokens: usize,
    /// The first position of each row.
    starts: Vec<usize>,
    /// The positions that are read, sorted.
    positions: Vec<u32>,
    /// (N, V): the logits at these positions.
    logits: Vec<Vec<f32>>,
    /// (N): the logarithm of the sum of their exponentials.
    log_sums: Vec<f64>,
}

impl ScoringPass {
    fn run(model: &dyn Model, rows: &Rows) -> Result<Self> {
        let encoded: Vec<Encoded> = rows
            .rows
            .iter()
            .map(|row| Encoded { ids: row.clone(), labels: vec![0; row.len()], class: None })
            .collect();
        let batch = Batch::of(&encoded.iter().collect::<Vec<_>>());
        let ForwardPass { states, virtual_tokens, starts, cx, .. } =
            forward_pass(model, &batch, &Context::eval().without_graph())?;
        // Every position is computed once, even if several sequences read it.
        let mut positions: Vec<u32> = rows
            .readings()
            .flat_map(|reading| reading.positions(starts[reading.row], virtual_tokens).flatten())
            .collect();
        positions.sort_unstable();
        positions.dedup();
        let states = gather::rows(&states.flatten(0, 1)?, &positions)?; // (N, C)
        let logits = model.head(&states, &cx)?.to_vec2::<f32>()?; // (N, V)
        let log_sums = logits.iter().map(|row| log_sum_exp(row)).collect();
        Ok(Self { virtual_tokens, starts, positions, logits, log_sums })
    }

    /// Sum of the log-probabilities of a reading's tokens, in nats.
    fn log_probability(&self, reading: &Reading) -> f64 {
        let positions = reading.positions(self.starts[reading.row], self.virtual_tokens);
        positions
            .zip(&reading.tokens)
            .enumerate()
            .filter(|(index, _)| reading.counts(*index))
            .filter_map(|(_, (position, token))| Some(self.log_probability_at(position?, *token)))
            .sum()
    }

    fn log_probability_at(&self, position: u32, token: u32) -> f64 {
        let index = self
            .positions
            .binary_search(&position)
            .expect("invariant: every position read was computed");
        f64::from(self.logits[index].get(token as usize).copied().unwrap_or(f32::NEG_INFINITY))
            - self.log_sums[index]
    }
}

fn log_sum_exp(values: &[f32]) -> f64 {
    let max = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    f64::from(max) + values.iter().map(|value| f64::from(value - max).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(ids: &[u32]) -> Sequence {
        Sequence { ids: ids.to_vec(), first: 2 }
    }

    #[test]
    fn labels_of_one_token_need_no_row_of_their_own() {
        let mut rows = Rows::default();
        rows.push(
            &sequence(&[0, 5, 7, 1]),
            Some((0, &[7, 8, 9].map(|label| sequence(&[0, 5, label])))),
        );
        assert_eq!(rows.rows, [[0, 5, 7]]);
    }

    #[test]
    fn labels_share_the_rows_of_those_that_begin_like_them() {
        let mut rows = Rows::default();
        let labels = [vec![0, 5, 7], vec![0, 5, 8, 2], vec![0, 5, 8, 2, 3], vec![0, 5, 9, 4]]
            .map(|ids| sequence(&ids));
        rows.push(&sequence(&[0, 5, 7, 1]), Some((0, &labels)));
        assert_eq!(rows.rows, [vec![0, 5, 7], vec![0, 5, 8, 2], vec![0, 5, 9]]);
    }

    #[test]
    fn a_label_is_read_in_the_first_row_of_its_own_example_that_begins_like_it() {
        let mut rows = Rows::default();
        let labels =
            [vec![0, 5, 8, 2, 3], vec![0, 5, 8, 4], vec![0, 5, 8]].map(|ids| sequence(&ids));
        for _ in 0..2 {
            rows.push(&sequence(&[0, 5, 7, 1]), Some((0, &labels)));
        }
        let read = |example: &ExampleRows| {
            [&example.completion]
                .into_iter()
                .chain(&example.labels)
                .map(|reading| reading.row)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            rows.examples.iter().map(read).collect::<Vec<_>>(),
            [[0, 1, 1, 0], [2, 3, 3, 2]]
        );
    }
}
