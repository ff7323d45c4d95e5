//! Matrices as heat maps.

use serde::{Deserialize, Serialize};

/// A matrix whose values are shown as colors: white is 0, one hue is positive, the other negative.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HeatMap {
    /// Title above the heat map, such as `A = lora_A`.
    pub title: String,
    /// Name and number of the rows: `rank 8`.
    pub row_label: String,
    /// Name and number of the columns: `d_in 256`.
    pub column_label: String,
    /// Number of rows that are drawn.
    pub rows: usize,
    /// Number of columns that are drawn.
    pub columns: usize,
    /// The values in row-major order; finite.
    pub values: Vec<f64>,
}

impl HeatMap {
    /// Creates the heat map of a matrix with `rows` x `columns` values, reduced to at most `most`
    /// rows and columns. A cell of a reduced matrix shows the value with the greatest magnitude in
    /// its area. Values that are not finite are drawn white.
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

    /// Returns the greatest magnitude.
    pub fn limit(&self) -> f64 {
        self.values.iter().fold(0.0, |most, value| value.abs().max(most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_matrix_is_unchanged_and_a_large_one_keeps_its_greatest_values() {
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
