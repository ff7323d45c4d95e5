//! Confusion matrices, for `%eval metric=accuracy`.

use serde::{Deserialize, Serialize};

/// How often examples of each class are predicted to be of each class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfusionMatrix {
    /// Title, such as `which-book, test split: default (lora)`.
    pub title: String,
    /// Names of the classes; a class without a name of its own stands for all others.
    pub names: Vec<String>,
    /// For each expected class the number of examples of each predicted class.
    pub counts: Vec<Vec<u64>>,
    /// Text below.
    pub note: String,
}

impl ConfusionMatrix {
    /// Creates a matrix of at most `most` classes. The classes with the fewest expected examples
    /// are counted together as `others`.
    pub fn new(title: String, names: &[String], counts: &[Vec<u64>], most: usize) -> Self {
        let expected = |class: usize| counts.get(class).map_or(0, |row| row.iter().sum::<u64>());
        let mut shown: Vec<usize> = (0..names.len()).collect();
        if names.len() > most {
            shown.sort_by_key(|class| (std::cmp::Reverse(expected(*class)), *class));
            shown.truncate(most.saturating_sub(1));
            shown.sort_unstable();
        }
        let others = names.len() - shown.len();
        let size = shown.len() + usize::from(others > 0);
        let place = |class: usize| shown.binary_search(&class).unwrap_or(shown.len());
        let mut merged = vec![vec![0; size]; size];
        for (expected, row) in counts.iter().enumerate().take(names.len()) {
            for (predicted, count) in row.iter().enumerate().take(names.len()) {
                merged[place(expected)][place(predicted)] += count;
            }
        }
        let mut kept: Vec<String> = shown.iter().map(|class| names[*class].clone()).collect();
        if others > 0 {
            kept.push(format!("{others} others"));
        }
        let note = "rows: expected class; columns: predicted class".to_owned();
        Self { title, names: kept, counts: merged, note }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rarest_classes_are_counted_together() {
        let names = ["a", "b", "c", "d"].map(str::to_owned);
        let counts = [vec![5, 1, 0, 0], vec![0, 1, 0, 0], vec![2, 0, 3, 1], vec![0, 0, 1, 1]];
        let all = ConfusionMatrix::new("t".to_owned(), &names, &counts, 4);
        assert_eq!((all.names.as_slice(), all.counts.as_slice()), (&names[..], &counts[..]));
        let few = ConfusionMatrix::new("t".to_owned(), &names, &counts, 3);
        assert_eq!(few.names, ["a", "c", "2 others"]);
        assert_eq!(few.counts, [vec![5, 0, 1], vec![2, 3, 1], vec![0, 1, 2]]);
    }
}
