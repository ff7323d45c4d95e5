//! The matrix multiplications of a step, and the time they would take at the best rate of this
//! machine.

use std::time::Instant;

use graft_models::llama::LlamaConfig;
use graft_nn::{Device, Tensor};

use crate::Result;
use crate::workload::{Scene, Shape, Work};

/// Rows, inner size and columns of the measured products. The best counts, because some widths use
/// the cache badly.
const SIZES: &[[usize; 3]] = &[[1024, 768, 768], [1024, 768, 2048], [1024, 1000, 1000]];
/// Repetitions of each. The best counts, because other processes can only slow it down.
const TIMES: usize = 8;

/// The best rate of 32-bit matrix multiplications on all threads, in floating-point operations per
/// second.
///
/// # Errors
/// When candle cannot multiply the matrices.
pub fn rate() -> Result<f64> {
    let device = Device::Cpu;
    let mut best = 0f64;
    for &[rows, inner, columns] in SIZES {
        let a = Tensor::rand(-1f32, 1f32, (rows, inner), &device)?;
        let b = Tensor::rand(-1f32, 1f32, (inner, columns), &device)?;
        for _ in 0..TIMES {
            let began = Instant::now();
            std::hint::black_box(a.matmul(&b)?);
            best = best.max(2.0 * (rows * inner * columns) as f64 / began.elapsed().as_secs_f64());
        }
    }
    Ok(best)
}

/// Floating-point operations in the matrix multiplications that a step cannot avoid; `None` for
/// work that is not counted here.
///
/// ```text
/// N = B T positions, P weights of the layers, V C weights of the head
/// LoRA    4 N (P + V C)         forward, and gradients of the inputs, except those of the first
///                               layer's attention
///         6 N r (d_in + d_out)  the factors of each adapted layer
/// full    6 N (P + V C)
/// both    7 B T² H D            attention: two products forward and five backward, one of them
///                               recomputed, each below the diagonal
/// ```
pub fn operations(scene: &Scene) -> Option<f64> {
    if !matches!(scene.shape, Shape::Tiny | Shape::D768) {
        return None;
    }
    let LlamaConfig {
        hidden_size,
        intermediate_size,
        num_hidden_layers,
        num_attention_heads,
        num_key_value_heads,
        head_dim,
        vocab_size,
        ..
    } = scene.shape.config();
    let [hidden, wide, layers, vocab] =
        [hidden_size, intermediate_size, num_hidden_layers, vocab_size].map(|size| size as f64);
    let [queries, keys] =
        [num_attention_heads, num_key_value_heads].map(|heads| (heads * head_dim) as f64);
    let maps = layer_maps(hidden, wide, queries, keys);
    let weights = |maps: &[(f64, f64)]| maps.iter().map(|(d_in, d_out)| d_in * d_out).sum::<f64>();
    let [rows, tokens, rank] = [scene.rows, scene.tokens, scene.rank].map(|size| size as f64);
    let positions = rows * tokens;
    let all = layers * weights(&maps) + vocab * hidden;
    let attention = 7.0 * layers * rows * tokens * tokens * queries;
    let factors = 6.0
        * positions
        * rank
        * layers
        * maps.iter().map(|(d_in, d_out)| d_in + d_out).sum::<f64>();
    match scene.work {
        Work::Lora => Some(
            4.0 * positions * all - 2.0 * positions * weights(&maps[..3]) + factors + attention,
        ),
        Work::Full => Some(6.0 * positions * all + attention),
        Work::Checkpointed | Work::LoraQv | Work::Dora | Work::Prompt => None,
    }
}

/// Input and output sizes of the linear layers of one block, attention first.
fn layer_maps(hidden: f64, wide: f64, queries: f64, keys: f64) -> [(f64, f64); 7] {
    [
        (hidden, queries),
        (hidden, keys),
        (hidden, keys),
        (queries, hidden),
        (hidden, wide),
        (hidden, wide),
        (wide, hidden),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operations_of_a_step_are_those_counted_by_hand() {
        // C = H D = K D = 256, F = 688, 4 layers, V = 2,048, N = 8 x 128 = 1,024, r = 8.
        let layer = 4.0 * 256.0 * 256.0 + 3.0 * 256.0 * 688.0;
        let head = 2048.0 * 256.0;
        let attention = 7.0 * 4.0 * 8.0 * 128.0 * 128.0 * 256.0;
        let factors = 6.0 * 1024.0 * 8.0 * 4.0 * (4.0 * 512.0 + 3.0 * 944.0);
        let first = 2.0 * 1024.0 * 3.0 * 256.0 * 256.0;
        assert_eq!(
            operations(&Scene::new(Shape::Tiny, Work::Lora)),
            Some(4096.0 * (4.0 * layer + head) - first + factors + attention)
        );
        assert_eq!(
            operations(&Scene::new(Shape::Tiny, Work::Full)),
            Some(6144.0 * (4.0 * layer + head) + attention)
        );
        assert_eq!(operations(&Scene::new(Shape::Bert, Work::Lora)), None);
    }

    #[test]
    fn the_rate_is_plausible_for_a_cpu() {
        assert!((1e8..1e14).contains(&rate().expect("products")));
    }
}
