//! Matrices as pictures.

use serde::{Deserialize, Serialize};

/// A matrix whose values are shown as colours: white is 0, one hue is positive, the other negative.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HeatMap {
    /// Shown above, such as `A = lora_A`.
    pub title: String,
    /// What the rows are, with their number: `rank 8`.
    pub row_label: String,
    /// What the columns are: `d_in 256`.
    pub column_label: String,
    /// Rows that are drawn.
    pub rows: usize,
    /// Columns that are drawn.
    pub columns: usize,
    /// Row after row, finite.
    pub values: Vec<f64>,
}

impl HeatMap {
    /// A matrix of `rows` x `columns` values drawn with at most `most` of each; a cell of what is larger is the value of the greatest magnitude in it. What is not finite stays white.
    pub fn of(
        title: &str,
        [row_label, column_label]: [String; 2],
        (rows, columns): (usize, usize),
        values: &[f32],
        most: usize,
    ) -> Self {
        let (shown_rows, shown_columns) = (rows.min(most), columns.min(most));
        let mut shown = vec![0f64; shown_rows * shown_columns];
        for (place, value) in values.iter().enumerate().take(rows * columns) {
            let (row, column) =
                (place / columns * shown_rows / rows, place % columns * shown_columns / columns);
            let cell = &mut shown[row * shown_columns + column];
            if value.is_finite() && f64::from(*value).abs() > cell.abs() {
                *cell = f64::from(*value);
            }
        }
        Self {
            title: title.to_owned(),
            row_label,
            column_label,
            rows: shown_rows,
            columns: shown_columns,
            values: shown,
        }
    }

    /// The greatest magnitude.
    pub fn limit(&self) -> f64 {
        self.values.iter().fold(0.0, |most, value| value.abs().max(most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_matrix_is_drawn_as_it_is_and_a_large_one_by_its_greatest_values() {
        let labels = || ["rows".to_owned(), "columns".to_owned()];
        let small = HeatMap::of("A", labels(), (2, 3), &[1.0, -2.0, 3.0, 4.0, 5.0, -6.0], 8);
        assert_eq!(
            (small.rows, small.columns, small.values.as_slice(), small.limit()),
            (2, 3, &[1.0, -2.0, 3.0, 4.0, 5.0, -6.0][..], 6.0)
        );
        let large =
            HeatMap::of("A", labels(), (2, 4), &[1.0, -2.0, 3.0, 4.0, 5.0, -6.0, 0.0, 0.0], 2);
        assert_eq!((large.rows, large.columns, large.values), (2, 2, vec![-2.0, 4.0, -6.0, 0.0]));
    }
}
