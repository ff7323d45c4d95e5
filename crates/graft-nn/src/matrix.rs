//! Matrix views of slices and their product, the only use of the `gemm` crate.
#![allow(unsafe_code)]

mod gemm_for;

use std::marker::PhantomData;

use gemm::Parallelism;

/// A view of a slice as a matrix with arbitrary strides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// A matrix with contiguous rows.
    pub(crate) fn new(data: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::strided(data, rows, columns, columns)
    }

    /// A matrix whose rows start every `row_stride` elements.
    pub(crate) fn strided(data: &'a [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        let matrix = Self { data, rows, columns, row_stride, column_stride: 1 };
        assert!(data.len() >= matrix.span(), "invariant: a matrix is within its slice");
        matrix
    }

    /// The transpose.
    pub(crate) fn t(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// Columns `start..start + count`.
    pub(crate) fn columns(self, start: usize, count: usize) -> Self {
        assert!(start + count <= self.columns, "invariant: columns exist");
        Self { data: &self.data[start * self.column_stride..], columns: count, ..self }
    }

    /// Rows `start..start + count`.
    pub(crate) fn rows(self, start: usize, count: usize) -> Self {
        assert!(start + count <= self.rows, "invariant: rows exist");
        Self { data: &self.data[start * self.row_stride..], rows: count, ..self }
    }

    /// The product with `right`, computed lazily.
    pub(crate) fn times(self, right: Matrix<'a>) -> Product<'a> {
        assert_eq!(self.columns, right.rows, "invariant: inner sizes agree");
        Product { left: self, right, scale: 1.0, alone: false }
    }

    /// Number of elements from the first to the last one.
    fn span(&self) -> usize {
        if self.rows == 0 || self.columns == 0 {
            0
        } else {
            (self.rows - 1) * self.row_stride + (self.columns - 1) * self.column_stride + 1
        }
    }
}

/// A mutable matrix view; each row is contiguous, and rows may have gaps between them.
#[derive(Debug)]
pub(crate) struct MatrixMut<'a> {
    start: *mut f32,
    rows: usize,
    columns: usize,
    row_stride: usize,
    data: PhantomData<&'a mut [f32]>,
}

// SAFETY: it is a unique borrow of its elements, as `&mut [f32]` is; two views never share an
// element.
unsafe impl Send for MatrixMut<'_> {}

impl<'a> MatrixMut<'a> {
    /// A matrix with contiguous rows.
    pub(crate) fn new(data: &'a mut [f32], rows: usize, columns: usize) -> Self {
        assert!(data.len() >= rows * columns, "invariant: a matrix is within its slice");
        Self { start: data.as_mut_ptr(), rows, columns, row_stride: columns, data: PhantomData }
    }

    /// Splits the matrix into adjacent blocks of `width` columns.
    pub(crate) fn column_blocks(self, width: usize) -> Vec<Self> {
        assert!(
            width > 0 && self.columns.is_multiple_of(width),
            "invariant: blocks cover the columns"
        );
        // SAFETY (of the offset): column `first` exists in row 0. The blocks share no element, and
        // `self` is gone.
        (0..self.columns)
            .step_by(width)
            .map(|first| Self { start: unsafe { self.start.add(first) }, columns: width, ..self })
            .collect()
    }

    /// Rows `start..start + count`.
    pub(crate) fn row_block(&mut self, start: usize, count: usize) -> MatrixMut<'_> {
        assert!(start + count <= self.rows, "invariant: rows exist");
        // SAFETY: the block starts inside the matrix, or one past its end when it is empty and the
        // product writes nothing.
        MatrixMut {
            start: unsafe { self.start.add(start * self.row_stride) },
            rows: count,
            columns: self.columns,
            row_stride: self.row_stride,
            data: PhantomData,
        }
    }
}

/// A lazy product of two matrices, to be stored, added or collected.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Product<'a> {
    left: Matrix<'a>,
    right: Matrix<'a>,
    scale: f32,
    alone: bool,
}

impl Product<'_> {
    /// Multiplies the product by a number.
    pub(crate) fn scale(self, scale: f32) -> Self {
        Self { scale, ..self }
    }

    /// Computes the product on the calling thread only, because the caller is already one of many.
    pub(crate) fn alone(self) -> Self {
        Self { alone: true, ..self }
    }

    /// `to = product`
    pub(crate) fn store(self, to: &mut MatrixMut<'_>) {
        self.check(to);
        // SAFETY: `check` has compared the sizes, and a `MatrixMut` may be written.
        unsafe { self.run(to.start, to.row_stride, false) }
    }

    /// `to += product`
    pub(crate) fn add_to(self, to: &mut MatrixMut<'_>) {
        self.check(to);
        // SAFETY: as in `store`; its elements are initialized, since it comes from a slice.
        unsafe { self.run(to.start, to.row_stride, true) }
    }

    /// The product in a new vector, row by row.
    pub(crate) fn collect(self) -> Vec<f32> {
        let rows = self.left.rows;
        let columns = self.right.columns;
        let mut values = Vec::with_capacity(rows * columns);
        // SAFETY: the vector has room for every element, and `run` writes each of them without
        // reading it.
        unsafe {
            self.run(values.as_mut_ptr(), columns, false);
            values.set_len(rows * columns);
        }
        values
    }

    fn check(&self, to: &MatrixMut<'_>) {
        assert_eq!(
            (self.left.rows, self.right.columns),
            (to.rows, to.columns),
            "invariant: the product fits its place"
        );
    }

    /// # Safety
    /// `to` must be valid for writes of `rows * columns` elements with that row stride, and for
    /// reads when `add`.
    unsafe fn run(self, to: *mut f32, row_stride: usize, add: bool) {
        let left = self.left;
        let right = self.right;
        let threads = if self.alone || crate::parallel::is_alone() {
            Parallelism::None
        } else {
            Parallelism::Rayon(0)
        };
        let stride = |stride: usize| stride as isize;
        let product = gemm_for::product();
        // SAFETY: `Matrix` is within its slice by construction; the caller guarantees that `to` is
        // valid.
        unsafe {
            product(
                left.rows,
                right.columns,
                left.columns,
                to,
                1,
                stride(row_stride),
                add,
                left.data.as_ptr(),
                stride(left.column_stride),
                stride(left.row_stride),
                right.data.as_ptr(),
                stride(right.column_stride),
                stride(right.row_stride),
                1.0,
                self.scale,
                false,
                false,
                false,
                threads,
            );
        }
    }
}

#[cfg(test)]
mod tests;
