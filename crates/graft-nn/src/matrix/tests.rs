use super::{Matrix, MatrixMut};

fn numbers(n: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 7919) % 13) as f32 - 6.0).collect()
}

fn naive(a: &[f32], b: &[f32], (m, k, n): (usize, usize, usize)) -> Vec<f32> {
    (0..m * n).map(|at| (0..k).map(|i| a[at / n * k + i] * b[i * n + at % n]).sum()).collect()
}

#[test]
fn products_of_plain_and_transposed_matrices_are_exact_on_whole_numbers() {
    for (m, k, n) in [(1, 1, 1), (3, 5, 2), (17, 9, 33), (1, 40, 7)] {
        let (a, b) = (numbers(m * k), numbers(k * n));
        let expected = naive(&a, &b, (m, k, n));
        assert_eq!(Matrix::new(&a, m, k).times(Matrix::new(&b, k, n)).collect(), expected);
        // (B' A')' with both operands and the result transposed.
        let turned = Matrix::new(&b, k, n).t().times(Matrix::new(&a, m, k).t()).collect();
        assert!((0..m * n).all(|at| turned[at % n * m + at / n] == expected[at]));
    }
}

#[test]
fn add_to_accumulates_and_scales_only_the_product() {
    let (a, b) = (numbers(6), numbers(12));
    let mut sum = vec![1.0; 8];
    Matrix::new(&a, 2, 3)
        .times(Matrix::new(&b, 3, 4))
        .scale(2.0)
        .add_to(&mut MatrixMut::new(&mut sum, 2, 4));
    let expected: Vec<f32> = naive(&a, &b, (2, 3, 4)).iter().map(|v| 2.0 * v + 1.0).collect();
    assert_eq!(sum, expected);
}

#[test]
fn blocks_of_columns_and_rows_touch_only_their_own_elements() {
    let (mut out, one) = (vec![0.0; 3 * 4], [1.0; 4]);
    let mut blocks = MatrixMut::new(&mut out, 3, 4).column_blocks(2);
    Matrix::new(&one, 2, 2).times(Matrix::new(&one, 2, 2)).store(&mut blocks[1].row_block(1, 2));
    drop(blocks);
    assert_eq!(out, [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 2.0, 0.0, 0.0, 2.0, 2.0]);
}

#[test]
fn columns_and_rows_of_a_view_are_those_of_the_matrix() {
    let a = numbers(12);
    let part = Matrix::new(&a, 3, 4).rows(1, 2).columns(2, 2);
    let identity = [1.0, 0.0, 0.0, 1.0];
    assert_eq!(part.times(Matrix::new(&identity, 2, 2)).collect(), [a[6], a[7], a[10], a[11]]);
    let turned = Matrix::new(&a, 3, 4).t().rows(2, 2).columns(1, 2);
    assert_eq!(turned.times(Matrix::new(&identity, 2, 2)).collect(), [a[6], a[10], a[7], a[11]]);
}

#[test]
fn an_empty_inner_size_gives_zeros() {
    assert_eq!(Matrix::new(&[], 2, 0).times(Matrix::new(&[], 0, 3)).collect(), [0.0; 6]);
}

#[test]
#[should_panic(expected = "invariant: a matrix is within its slice")]
fn a_matrix_outside_its_slice_is_refused() {
    let _ = Matrix::new(&[0.0; 5], 2, 3);
}
