//! Analysis of a layer's update and of soft prompts, for figures.

use std::sync::Arc;

use graft_nn::{AttentionProbs, Context, DType, Device, Model, Tensor};

use crate::{
    Adapter, PeftError, decomposition::singular_within, layers::linears, method::Attachment,
};

/// Maximum number of singular values.
const VALUES: usize = 32;
/// Number of iterations: enough for the accuracy of a figure.
const ROUNDS: usize = 12;

/// A matrix in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub columns: usize,
    /// `rows * columns` values.
    pub values: Vec<f32>,
}

/// The update of one linear layer.
#[derive(Clone, Debug)]
pub struct LayerAnalysis {
    /// Hugging Face path of the layer.
    pub path: String,
    /// A of a low-rank method, (R, d_in).
    pub a: Option<Grid>,
    /// B of a low-rank method, (d_out, R).
    pub b: Option<Grid>,
    /// ΔW, (d_out, d_in).
    pub update: Grid,
    /// The largest singular values of ΔW, in decreasing order.
    pub update_values: Vec<f64>,
    /// The same number of singular values of the frozen weight.
    pub weight_values: Vec<f64>,
}

/// Analyzes the update of the linear layer at `path`; `None` if the adapter does not change its
/// weight.
///
/// # Errors
/// Returns an error if a candle operation fails.
pub fn analyze_layer(
    model: &dyn Model,
    adapter: &Adapter,
    path: &str,
) -> Result<Option<LayerAnalysis>, PeftError> {
    let Some(part) = adapter.parts().iter().find(|part| part.site == path) else { return Ok(None) };
    let (Attachment::Linear(attachment), Some(linear)) =
        (&part.attachment, linears(model).get(path).copied())
    else {
        return Ok(None);
    };
    let Some(update) = attachment.delta(linear)? else { return Ok(None) };
    let update = plain(&update)?;
    let matrix = |name: &str| {
        part.weights
            .iter()
            .find(|(key, tensor)| key.contains(name) && tensor.dims().len() == 2)
            .map(|(_, tensor)| grid(tensor))
            .transpose()
    };
    let (a, b) = (matrix(".lora_A.")?, matrix(".lora_B.")?);
    let (d_out, d_in) = update.dims2()?;
    let count = VALUES.min(d_out).min(d_in);
    let values = |w: &Tensor| singular_within(w, count, ROUNDS).map(|(_, values, _)| values);
    let (update_values, weight_values) = (values(&update)?, values(&linear.weight().base_value())?);
    Ok(Some(LayerAnalysis {
        path: path.to_owned(),
        a,
        b,
        update: grid(&update)?,
        update_values,
        weight_values,
    }))
}

/// A token and the cosine of its embedding.
pub type NearestToken = (u32, f32);

/// For each vector of the active soft prompts, its norm and the `count` tokens whose embeddings
/// have the largest cosine with it.
///
/// # Errors
/// Returns an error if a candle operation fails.
/// # Source
/// Lester et al. 2021, arXiv:2104.08691, section 7 (interpretability)
pub fn nearest_tokens(
    model: &dyn Model,
    count: usize,
) -> Result<Vec<(f32, Vec<NearestToken>)>, PeftError> {
    let table = plain(&model.embedding().weight().base_value())?; // (V, C)
    let words = lengths(&table)?;
    let mut found = Vec::new();
    for prompt in model.embedding().prompt().active() {
        let vectors = plain(&prompt.embeddings(&Context::eval())?)?; // (P, C)
        let dots = vectors.matmul(&table.t()?)?.to_vec2::<f32>()?; // (P, V)
        for (length, dots) in lengths(&vectors)?.into_iter().zip(dots) {
            let cosine = |(id, dot): (usize, f32)| {
                (id as u32, dot / (length * words[id]).max(f32::MIN_POSITIVE))
            };
            let mut all: Vec<NearestToken> = dots.into_iter().enumerate().map(cosine).collect();
            all.sort_by(|one, other| other.1.total_cmp(&one.1));
            all.truncate(count);
            found.push((length, all));
        }
    }
    Ok(found)
}

/// The attention that each block gives to each active virtual token, averaged over heads, positions
/// and texts. `None` without active virtual tokens or texts.
///
/// # Shapes
/// returns (L, P) for L blocks and P virtual tokens
/// # Errors
/// Returns an error if the forward pass fails.
pub fn attention_to_prompt(
    model: &dyn Model,
    texts: &[Vec<u32>],
) -> Result<Option<Grid>, PeftError> {
    let count = model.embedding().positions_taken();
    // The vectors of an encoder-decoder are in front of the encoder's text only.
    if count == 0 || texts.is_empty() || model.encoder_decoder().is_some() {
        return Ok(None);
    }
    let device = model.embedding().weight().base_value().device().clone();
    let mut sums: Vec<f32> = Vec::new();
    for text in texts {
        let shares = Arc::new(AttentionProbs::default());
        model.hidden(
            &Tensor::from_slice(text, (1, text.len()), &device)?,
            None,
            &Context::eval().record_attention_probs(shares.clone()),
        )?;
        let given = shares
            .take()
            .iter()
            .map(|given| to_front(given, text.len(), count))
            .collect::<Result<Vec<_>, _>>()?
            .concat();
        sums.resize(given.len(), 0.0);
        sums.iter_mut().zip(given).for_each(|(sum, share)| *sum += share);
    }
    let values = sums.into_iter().map(|sum| sum / texts.len() as f32).collect::<Vec<_>>();
    Ok(Some(Grid { rows: values.len() / count, columns: count, values }))
}

/// The mean attention of the last `tokens` queries to each of the first `count` keys, from (1, H,
/// T, S).
fn to_front(given: &Tensor, tokens: usize, count: usize) -> Result<Vec<f32>, PeftError> {
    let of_text = given.narrow(2, given.dim(2)? - tokens, tokens)?.narrow(3, 0, count)?; // (1, H, tokens, P)
    Ok(plain(&of_text.mean((0, 1, 2))?)?.to_vec1()?)
}

fn lengths(rows: &Tensor) -> Result<Vec<f32>, PeftError> {
    Ok(rows.sqr()?.sum(1)?.sqrt()?.to_vec1()?)
}

fn grid(matrix: &Tensor) -> Result<Grid, PeftError> {
    let (rows, columns) = matrix.dims2()?;
    Ok(Grid { rows, columns, values: plain(matrix)?.flatten_all()?.to_vec1()? })
}

/// A detached copy on the CPU, in f32.
fn plain(tensor: &Tensor) -> Result<Tensor, PeftError> {
    Ok(tensor.detach().to_device(&Device::Cpu)?.to_dtype(DType::F32)?.contiguous()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_is_row_after_row() {
        let turned = Tensor::new(&[[1f32, 2.0, 3.0], [4.0, 5.0, 6.0]], &Device::Cpu)
            .and_then(|matrix| matrix.t())
            .expect("a matrix");
        assert_eq!(
            grid(&turned).expect("a grid"),
            Grid { rows: 3, columns: 2, values: vec![1.0, 4.0, 2.0, 5.0, 3.0, 6.0] }
        );
    }
}
