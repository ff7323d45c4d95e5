//! One layer's update taken apart, for those who want to see it.

use graft_nn::{Context, DType, Device, Model, Tensor};

use crate::{Adapter, PeftError, decomposition::singular_within, layers::linears, methods::Hook};

/// Singular values that are looked for at most.
const VALUES: usize = 32;
/// Rounds of the iteration: values are to be seen in a picture, not computed with.
const ROUNDS: usize = 12;

/// A matrix, row after row.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub columns: usize,
    /// `rows * columns` values.
    pub values: Vec<f32>,
}

/// What an adapter does to one linear layer.
#[derive(Clone, Debug)]
pub struct Anatomy {
    /// Hugging Face path of the layer.
    pub path: String,
    /// A of a low-rank method, (R, d_in).
    pub a: Option<Grid>,
    /// B of a low-rank method, (d_out, R).
    pub b: Option<Grid>,
    /// ΔW, (d_out, d_in).
    pub update: Grid,
    /// The largest singular values of ΔW, falling.
    pub update_values: Vec<f64>,
    /// As many of the frozen weight.
    pub weight_values: Vec<f64>,
}

/// Takes apart what the adapter does to the linear layer at `path`; none when it leaves that layer's weight alone.
///
/// # Errors
/// What candle says.
pub fn anatomy(model: &dyn Model, adapter: &Adapter, path: &str) -> Result<Option<Anatomy>, PeftError> {
    let Some(part) = adapter.parts().iter().find(|part| part.site == path) else { return Ok(None) };
    let (Hook::Linear(hook), Some(linear)) = (&part.hook, linears(model).get(path).copied()) else { return Ok(None) };
    let Some(update) = hook.delta(linear)? else { return Ok(None) };
    let update = plain(&update)?;
    let matrix =
        |name: &str| part.weights.iter().find(|(key, tensor)| key.contains(name) && tensor.dims().len() == 2).map(|(_, tensor)| grid(tensor)).transpose();
    let (a, b) = (matrix(".lora_A.")?, matrix(".lora_B.")?);
    let (d_out, d_in) = update.dims2()?;
    let count = VALUES.min(d_out).min(d_in);
    let values = |w: &Tensor| singular_within(w, count, ROUNDS).map(|(_, values, _)| values);
    let (update_values, weight_values) = (values(&update)?, values(&linear.weight().own())?);
    Ok(Some(Anatomy { path: path.to_owned(), a, b, update: grid(&update)?, update_values, weight_values }))
}

/// A word of the vocabulary and its cosine.
pub type Neighbour = (u32, f32);

/// The `count` tokens whose embeddings point most nearly as each vector of the active soft prompts does, with their cosines and the vector's length.
///
/// # Source
/// Lester et al. 2021, arXiv:2104.08691, section 7 (interpretability)
///
/// # Errors
/// What candle says.
pub fn neighbours(model: &dyn Model, count: usize) -> Result<Vec<(f32, Vec<Neighbour>)>, PeftError> {
    let table = plain(&model.embedding().weight().own())?; // (V, C)
    let words = lengths(&table)?;
    let mut found = Vec::new();
    for prompt in model.embedding().prompt().active() {
        let vectors = plain(&prompt.embeddings(&Context::eval())?)?; // (P, C)
        let dots = vectors.matmul(&table.t()?)?.to_vec2::<f32>()?; // (P, V)
        for (length, dots) in lengths(&vectors)?.into_iter().zip(dots) {
            let cosine = |(id, dot): (usize, f32)| (id as u32, dot / (length * words[id]).max(f32::MIN_POSITIVE));
            let mut all: Vec<Neighbour> = dots.into_iter().enumerate().map(cosine).collect();
            all.sort_by(|one, other| other.1.total_cmp(&one.1));
            all.truncate(count);
            found.push((length, all));
        }
    }
    Ok(found)
}

fn lengths(rows: &Tensor) -> Result<Vec<f32>, PeftError> {
    Ok(rows.sqr()?.sum(1)?.sqrt()?.to_vec1()?)
}

fn grid(matrix: &Tensor) -> Result<Grid, PeftError> {
    let (rows, columns) = matrix.dims2()?;
    Ok(Grid { rows, columns, values: plain(matrix)?.flatten_all()?.to_vec1()? })
}

/// Alone, on the processor, in 32 bits.
fn plain(tensor: &Tensor) -> Result<Tensor, PeftError> {
    Ok(tensor.detach().to_device(&Device::Cpu)?.to_dtype(DType::F32)?.contiguous()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_is_row_after_row() {
        let turned = Tensor::new(&[[1f32, 2.0, 3.0], [4.0, 5.0, 6.0]], &Device::Cpu).and_then(|matrix| matrix.t()).expect("a matrix");
        assert_eq!(grid(&turned).expect("a grid"), Grid { rows: 3, columns: 2, values: vec![1.0, 4.0, 2.0, 5.0, 3.0, 6.0] });
    }
}
