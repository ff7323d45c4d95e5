//! NEFTune: noise on the token vectors during training.

use crate::{Context, Result, Tensor};

/// Token vectors with uniform noise, if the context asks for it.
///
/// ```text
/// y = x + U(-1, 1) alpha / sqrt(L C)
/// ```
/// L is the number of tokens of the sequence; in a padded batch, the length of its rows, as in
/// transformers. The noise has no gradient.
///
/// # Shapes
/// `x: (B, T, C)` -> `(B, T, C)`
/// # Errors
/// Returns an error if the underlying candle operation fails.
/// # Source
/// Jain et al. 2023, arXiv:2310.05914
pub(super) fn added(x: Tensor, path: &str, cx: &Context) -> Result<Tensor> {
    if cx.embedding_noise == 0.0 {
        return Ok(x);
    }
    let (batch, tokens, width) = x.dims3()?;
    let mut noise = cx.dropout.noise(path, batch * tokens * width);
    let size = |length: usize| (cx.embedding_noise / ((length * width) as f64).sqrt()) as f32;
    let scale = |values: &mut [f32], size: f32| values.iter_mut().for_each(|value| *value *= size);
    match &cx.sequences {
        Some(sequences) => {
            for range in sequences.ranges() {
                let length = range.len();
                scale(&mut noise[range.start * width..range.end * width], size(length));
            }
        }
        None => scale(&mut noise, size(tokens)),
    }
    let noise = Tensor::from_vec(noise, (batch, tokens, width), x.device())?; // (B, T, C)
    Ok((&x + noise.to_dtype(x.dtype())?)?) // (B, T, C)
}

#[cfg(test)]
mod tests {
    use crate::{Context, Device, Embedding, Sequences, Tensor};

    const WIDTH: usize = 8;

    fn noise(tokens: usize, cx: &Context) -> Vec<f32> {
        let table = Tensor::zeros((4, WIDTH), crate::DType::F32, &Device::Cpu).expect("a table");
        let ids = Tensor::zeros((1, tokens), crate::DType::U32, &Device::Cpu).expect("ids");
        let embedding = Embedding::new("embed", table);
        let vectors = embedding.forward_with_prompt(&ids, cx).expect("vectors").0;
        vectors.flatten_all().and_then(|flat| flat.to_vec1()).expect("values")
    }

    fn largest(values: &[f32]) -> f32 {
        values.iter().fold(0f32, |largest, value| largest.max(value.abs()))
    }

    #[test]
    fn the_noise_is_uniform_up_to_alpha_over_the_root_of_the_size() {
        let bound = 5.0 / (200.0 * WIDTH as f32).sqrt();
        let values = noise(200, &Context::train(1, 2, 3).with_embedding_noise(5.0));
        let found = largest(&values);
        assert!(found <= bound && found > 0.98 * bound, "{found} of {bound}");
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let variance = values.iter().map(|value| value * value).sum::<f32>() / values.len() as f32;
        assert!(mean.abs() < 0.05 * bound, "{mean}");
        assert!((variance / (bound * bound / 3.0) - 1.0).abs() < 0.1, "{variance}");
    }

    #[test]
    fn packed_sequences_have_the_noise_of_their_own_length() {
        let cx = Context::train(1, 2, 3)
            .with_embedding_noise(5.0)
            .with_sequences(Sequences::new(&[4, 100]));
        let values = noise(104, &cx);
        let (short, long) = values.split_at(4 * WIDTH);
        assert!(largest(short) > 0.8 * 5.0 / (4.0 * WIDTH as f32).sqrt());
        assert!(largest(long) <= 5.0 / (100.0 * WIDTH as f32).sqrt());
    }

    #[test]
    fn the_counters_determine_the_noise_and_without_alpha_there_is_none() {
        let of = |step| noise(5, &Context::train(1, step, 0).with_embedding_noise(5.0));
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        assert_eq!(largest(&noise(5, &Context::train(1, 1, 0))), 0.0);
    }
}
