//! Log-probabilities of completions and of every label, in as few rows as they need.

use graft_nn::{Context, Model, Tensor};

use crate::batch::{Batch, Encoded};
use crate::pass::{Passed, pass};
use crate::{Result, gather};

/// Sums over examples.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Scored {
    /// Negative log-probabilities of the completions, nats.
    pub(super) loss: f64,
    /// Their tokens that have one.
    pub(super) tokens: u64,
    /// Examples whose own label scored highest.
    pub(super) right: u64,
}

impl Scored {
    pub(super) fn add(&mut self, other: &Self) {
        self.loss += other.loss;
        self.tokens += other.tokens;
        self.right += other.right;
    }
}

/// Rows of one forward pass, and what to read from them.
///
/// A row `prompt + continuation` gives the log-probability of every text that begins like the continuation. So an example needs a row for its own
/// completion, and further rows only for labels of several tokens that do not begin the same way: for labels of one token the first row is enough.
#[derive(Debug, Default)]
pub(super) struct Rows {
    rows: Vec<Row>,
    examples: Vec<ExampleRows>,
}

#[derive(Debug)]
struct Row {
    prompt: usize,
    ids: Vec<u32>,
}

#[derive(Debug)]
struct ExampleRows {
    completion: Reading,
    labels: Vec<Reading>,
    /// Index of its own label.
    label: Option<usize>,
}

/// Tokens whose log-probabilities are read behind the prompt of a row.
#[derive(Debug)]
struct Reading {
    row: usize,
    tokens: Vec<u32>,
}

impl Rows {
    /// Adds an example; with labels, the index of its own and the tokens of each.
    pub(super) fn push(&mut self, prompt: &[u32], completion: &[u32], labels: Option<(usize, &[Vec<u32>])>) {
        let first = self.rows.len();
        let completion = self.reading(first, prompt, completion);
        let (label, all) = labels.map_or((None, &[][..]), |(label, all)| (Some(label), all));
        // Longest first: a shorter label then finds the row of a longer one that begins like it.
        let mut order: Vec<usize> = (0..all.len()).collect();
        order.sort_by_key(|index| std::cmp::Reverse(all[*index].len()));
        let mut labels: Vec<(usize, Reading)> = order.into_iter().map(|index| (index, self.reading(first, prompt, &all[index]))).collect();
        labels.sort_by_key(|(index, _)| *index);
        self.examples.push(ExampleRows { completion, labels: labels.into_iter().map(|(_, reading)| reading).collect(), label });
    }

    /// Finds a row of this example (from `first` on) that begins with what `tokens` needs, or adds one.
    fn reading(&mut self, first: usize, prompt: &[u32], tokens: &[u32]) -> Reading {
        let needed = &tokens[..tokens.len().saturating_sub(1)];
        let found = self.rows[first..].iter().position(|row| row.ids[row.prompt..].starts_with(needed));
        let row = found.map_or(self.rows.len(), |index| first + index);
        if row == self.rows.len() {
            self.rows.push(Row { prompt: prompt.len(), ids: [prompt, needed].concat() });
        }
        Reading { row, tokens: tokens.to_vec() }
    }
}

/// One forward pass over the rows.
pub(super) fn score(model: &dyn Model, rows: &Rows) -> Result<Scored> {
    let encoded: Vec<Encoded> = rows.rows.iter().map(|row| Encoded { ids: row.ids.clone(), labels: vec![0; row.ids.len()], class: None }).collect();
    let batch = Batch::of(&encoded.iter().collect::<Vec<_>>());
    let Passed { states, virtual_tokens, starts, cx } = pass(model, &batch, &Context::eval())?;
    let readings: Vec<&Reading> = rows.examples.iter().flat_map(|example| std::iter::once(&example.completion).chain(&example.labels)).collect();
    // Positions in the order the readings want them; a position that several want is computed once.
    let mut positions: Vec<u32> = Vec::new();
    for reading in &readings {
        positions.extend((0..reading.tokens.len()).filter_map(|index| position(&rows.rows[reading.row], starts[reading.row], index, virtual_tokens)));
    }
    positions.sort_unstable();
    positions.dedup();
    let states = gather::rows(&states.flatten(0, 1)?, &positions)?; // (N, C)
    let logits = Logits { positions, rows: model.head(&states, &cx)? }; // (N, V)
    let log_probabilities = logits.normalised()?;
    let read = |reading: &Reading| -> f64 {
        let row = &rows.rows[reading.row];
        let places = (0..reading.tokens.len()).map(|index| position(row, starts[reading.row], index, virtual_tokens));
        places.zip(&reading.tokens).filter_map(|(place, token)| Some(log_probabilities.get(&logits.positions, place?, *token))).sum()
    };
    let mut scored = Scored::default();
    for example in &rows.examples {
        scored.loss -= read(&example.completion);
        // Without a token before it, the first token of a text is predicted from nothing and has no loss.
        let first = &rows.rows[example.completion.row];
        let unread = usize::from(virtual_tokens + first.prompt == 0).min(example.completion.tokens.len());
        scored.tokens += (example.completion.tokens.len() - unread) as u64;
        let scores: Vec<f64> = example.labels.iter().map(read).collect();
        // Of equal scores the first counts, so that a model without any preference is not right by chance.
        let best = (0..scores.len()).rev().max_by(|a, b| scores[*a].total_cmp(&scores[*b]));
        scored.right += u64::from(best.is_some() && best == example.label);
    }
    Ok(scored)
}

/// The flattened position that predicts token `index` behind the prompt of a row that begins at `start`; none when nothing stands before it.
fn position(row: &Row, start: usize, index: usize, virtual_tokens: usize) -> Option<u32> {
    let before = (virtual_tokens + row.prompt + index).checked_sub(1)?;
    Some((start + before) as u32)
}

/// Logits at sorted positions.
struct Logits {
    positions: Vec<u32>,
    rows: Tensor,
}

/// Log-probabilities at the same positions.
struct LogProbabilities {
    rows: Vec<Vec<f32>>,
    log_sums: Vec<f64>,
}

impl Logits {
    fn normalised(&self) -> Result<LogProbabilities> {
        let rows = self.rows.to_vec2::<f32>()?;
        let log_sums = rows.iter().map(|row| log_sum_exp(row)).collect();
        Ok(LogProbabilities { rows, log_sums })
    }
}

impl LogProbabilities {
    fn get(&self, positions: &[u32], position: u32, token: u32) -> f64 {
        let index = positions.binary_search(&position).expect("invariant: every position read was computed");
        f64::from(self.rows[index].get(token as usize).copied().unwrap_or(f32::NEG_INFINITY)) - self.log_sums[index]
    }
}

fn log_sum_exp(values: &[f32]) -> f64 {
    let max = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    f64::from(max) + values.iter().map(|value| f64::from(value - max).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_one_token_need_no_row_of_their_own() {
        let mut rows = Rows::default();
        rows.push(&[0, 5], &[7, 1], Some((0, &[vec![7], vec![8], vec![9]])));
        assert_eq!(rows.rows.len(), 1);
    }

    #[test]
    fn labels_share_the_rows_of_those_that_begin_like_them() {
        let mut rows = Rows::default();
        rows.push(&[0, 5], &[7, 1], Some((0, &[vec![7], vec![8, 2], vec![8, 2, 3], vec![9, 4]])));
        let ids: Vec<_> = rows.rows.iter().map(|row| row.ids.clone()).collect();
        assert_eq!(ids, [vec![0, 5, 7], vec![0, 5, 8, 2], vec![0, 5, 9]]);
    }
}
