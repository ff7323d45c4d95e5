//! The matrix product of the selected instruction set. The `gemm` crate itself always uses the best
//! one of the CPU.

use gemm::Parallelism;

use crate::Instructions;

/// The signature of `gemm::gemm` for f32.
pub(super) type Product = unsafe fn(
    usize,
    usize,
    usize,
    *mut f32,
    isize,
    isize,
    bool,
    *const f32,
    isize,
    isize,
    *const f32,
    isize,
    isize,
    f32,
    f32,
    bool,
    bool,
    bool,
    Parallelism,
);

/// The product to use.
pub(super) fn product() -> Product {
    let chosen = Instructions::chosen();
    if chosen == Instructions::best() {
        return gemm::gemm::<f32>;
    }
    match chosen {
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx2 => lower::avx2,
        _ => lower::portable,
    }
}

/// Kernels of the `gemm` crate for lower instruction sets.
mod lower {
    use gemm::Parallelism;
    use gemm_common::{gemm::gemm_basic_generic, simd::MixedSimd};

    macro_rules! with_kernel {
        ($(#[$doc:meta])* $name:ident, $module:ident, $simd:ident, $lanes:literal) => {
            $(#[$doc])*
            ///
            /// # Safety
            /// As `gemm::gemm`.
            #[expect(clippy::too_many_arguments, reason = "the signature of `gemm::gemm`, which it replaces")]
            pub(super) unsafe fn $name(
                m: usize, n: usize, k: usize,
                to: *mut f32, to_columns: isize, to_rows: isize, add: bool,
                left: *const f32, left_columns: isize, left_rows: isize,
                right: *const f32, right_columns: isize, right_rows: isize,
                alpha: f32, beta: f32, conj_to: bool, conj_left: bool, conj_right: bool, threads: Parallelism,
            ) {
                use gemm_f32::microkernel::$module::f32::{H_M, H_N, H_UKR, MR_DIV_N, NR, UKR};
                let simd = <gemm_common::simd::$simd as MixedSimd<f32, f32, f32, f32>>::try_new().expect("invariant: the CPU supports the selected set");
                // SAFETY: the caller guarantees that the pointers are valid.
                unsafe {
                    gemm_basic_generic::<_, f32, $lanes, { MR_DIV_N * $lanes }, NR, MR_DIV_N, H_M, H_N>(
                        simd, m, n, k, to, to_columns, to_rows, add, left, left_columns, left_rows, right, right_columns, right_rows,
                        alpha, beta, conj_to, conj_left, conj_right, |a, b, c| a * b + c, &UKR, &H_UKR, false, threads,
                    );
                }
            }
        };
    }

    #[cfg(target_arch = "x86_64")]
    with_kernel!(
        /// AVX2 with FMA: vectors of eight.
        avx2, fma, V3, 8
    );
    with_kernel!(
        /// One value at a time.
        portable, scalar, Scalar, 1
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_set_gives_the_same_whole_numbers() {
        let (m, k, n) = (37, 19, 23);
        let a: Vec<f32> = (0..m * k).map(|i| ((i * 7919) % 13) as f32 - 6.0).collect();
        let b: Vec<f32> = (0..k * n).map(|i| ((i * 104_729) % 11) as f32 - 5.0).collect();
        let of = |product: Product| {
            let mut to = vec![1f32; m * n];
            let (rows, inner) = (n as isize, k as isize);
            // SAFETY: the slices have m*k, k*n and m*n elements.
            unsafe {
                product(
                    m,
                    n,
                    k,
                    to.as_mut_ptr(),
                    1,
                    rows,
                    true,
                    a.as_ptr(),
                    1,
                    inner,
                    b.as_ptr(),
                    1,
                    rows,
                    1.0,
                    2.0,
                    false,
                    false,
                    false,
                    Parallelism::None,
                );
            }
            to
        };
        let best = of(gemm::gemm::<f32>);
        assert_eq!(best, of(lower::portable));
        #[cfg(target_arch = "x86_64")]
        if Instructions::best() >= Instructions::Avx2 {
            assert_eq!(best, of(lower::avx2));
        }
    }
}
