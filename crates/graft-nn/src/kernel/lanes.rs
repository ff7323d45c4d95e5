//! Reductions with sixteen accumulators, which the compiler keeps in vector registers. The order of
//! additions is fixed, so the results do not depend on the instruction set.

const LANES: usize = 16;

/// Sum of products.
#[inline(always)]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0f32; LANES];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for i in 0..LANES {
            lanes[i] += a[i] * b[i];
        }
    }
    lanes.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}

/// Sum of `a (x - mean)`.
#[inline(always)]
pub(super) fn centered_dot(a: &[f32], x: &[f32], mean: f32) -> f32 {
    let mut lanes = [0f32; LANES];
    let ((a, a_rest), (x, x_rest)) = (a.as_chunks::<LANES>(), x.as_chunks::<LANES>());
    for (a, x) in a.iter().zip(x) {
        for i in 0..LANES {
            lanes[i] += a[i] * (x[i] - mean);
        }
    }
    lanes.iter().sum::<f32>() + a_rest.iter().zip(x_rest).map(|(a, x)| a * (x - mean)).sum::<f32>()
}

/// Sum of `(x - mean)²`.
#[inline(always)]
pub(super) fn spread(x: &[f32], mean: f32) -> f32 {
    let mut lanes = [0f32; LANES];
    let (x, rest) = x.as_chunks::<LANES>();
    for x in x {
        for i in 0..LANES {
            lanes[i] += (x[i] - mean) * (x[i] - mean);
        }
    }
    lanes.iter().sum::<f32>() + rest.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>()
}

/// Sum.
#[inline(always)]
pub(super) fn sum(x: &[f32]) -> f32 {
    let mut lanes = [0f32; LANES];
    let (x, rest) = x.as_chunks::<LANES>();
    for x in x {
        for i in 0..LANES {
            lanes[i] += x[i];
        }
    }
    lanes.iter().sum::<f32>() + rest.iter().sum::<f32>()
}

/// Largest element; minus infinity for an empty slice. NaN elements may be ignored.
#[inline(always)]
pub(super) fn max(x: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (x, rest) = x.as_chunks::<LANES>();
    for x in x {
        for i in 0..LANES {
            lanes[i] = if lanes[i] > x[i] { lanes[i] } else { x[i] };
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |best, x| if best > *x { best } else { *x })
}
