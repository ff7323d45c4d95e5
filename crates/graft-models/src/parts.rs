//! Building blocks of the model families: construction of layers, and shared parts of the forward
//! passes.

use graft_nn::{
    Context, DType, Embedding, Linear, NnError, Norm, Positions, Rng, Role, Sequences, Site, Tensor,
};

use crate::{ModelError, WeightSpec, weight_spec::WeightSource};

/// Builds layers by path, with the weights that the source returns for their Hugging Face names.
pub(crate) struct Parts<'a, 'b> {
    source: &'a mut WeightSource<'b>,
}

impl<'a, 'b> Parts<'a, 'b> {
    pub(crate) fn new(source: &'a mut WeightSource<'b>) -> Self {
        Self { source }
    }

    /// A linear layer whose weight is stored as (d_out, d_in).
    pub(crate) fn linear(
        &mut self,
        path: &str,
        role: Role,
        [d_out, d_in]: [usize; 2],
        biased: bool,
    ) -> Result<Linear, ModelError> {
        let weight = self.weight(path, "weight", &[d_out, d_in])?;
        let bias = if biased { Some(self.weight(path, "bias", &[d_out])?) } else { None };
        Ok(Linear::new(path, role, weight, bias)?)
    }

    /// GPT-2's `Conv1D`: a linear layer with a bias whose weight is stored as (d_in, d_out).
    pub(crate) fn conv1d(
        &mut self,
        path: &str,
        role: Role,
        [d_out, d_in]: [usize; 2],
    ) -> Result<Linear, ModelError> {
        let stored = self.weight(path, "weight", &[d_in, d_out])?;
        let weight = stored.t().and_then(|turned| turned.contiguous()).map_err(NnError::from)?; // (d_out, d_in)
        let bias = self.weight(path, "bias", &[d_out])?;
        Ok(Linear::new(path, role, weight, Some(bias))?.stored_fan_in_fan_out())
    }

    /// An RMSNorm.
    pub(crate) fn rms_norm(
        &mut self,
        path: &str,
        width: usize,
        eps: f64,
    ) -> Result<Norm, ModelError> {
        Ok(Norm::rms(path, self.weight(path, "weight", &[width])?, eps))
    }

    /// An RMSNorm whose weight is an offset from 1.
    pub(crate) fn rms_offset(
        &mut self,
        path: &str,
        width: usize,
        eps: f64,
    ) -> Result<Norm, ModelError> {
        Ok(Norm::rms_offset(path, self.weight(path, "weight", &[width])?, eps))
    }

    /// A LayerNorm.
    pub(crate) fn layer_norm(
        &mut self,
        path: &str,
        width: usize,
        eps: f64,
    ) -> Result<Norm, ModelError> {
        self.layer_norm_with(path, width, eps, true)
    }

    /// A LayerNorm with or without a bias.
    pub(crate) fn layer_norm_with(
        &mut self,
        path: &str,
        width: usize,
        eps: f64,
        biased: bool,
    ) -> Result<Norm, ModelError> {
        let weight = self.weight(path, "weight", &[width])?;
        let bias = if biased { Some(self.weight(path, "bias", &[width])?) } else { None };
        Ok(Norm::layer(path, weight, bias, eps))
    }

    /// An embedding.
    pub(crate) fn embedding(
        &mut self,
        path: &str,
        shape: [usize; 2],
    ) -> Result<Embedding, ModelError> {
        Ok(Embedding::new(path, self.weight(path, "weight", &shape)?))
    }

    fn weight(&mut self, path: &str, leaf: &str, shape: &[usize]) -> Result<Tensor, ModelError> {
        let name = format!("{path}.{leaf}");
        let tensor = (self.source)(&WeightSpec::new(name.clone(), shape))?;
        if tensor.dims() != shape {
            let error = NnError::Shape {
                what: "weight",
                expected: format!("{shape:?}"),
                found: tensor.dims().to_vec(),
            };
            return Err(NnError::at_path(error, &name).into());
        }
        Ok(tensor)
    }
}

/// Initial values as in transformers: matrices normal with standard deviation `range`, norms 1,
/// biases 0. Each weight uses the random stream of its name.
pub(crate) fn fresh(spec: &WeightSpec, range: f64, rng: &Rng) -> Vec<f32> {
    let count = spec.shape.iter().product();
    match spec.shape.len() {
        1 => vec![if spec.name.ends_with(".bias") { 0.0 } else { 1.0 }; count],
        _ => rng.stream("model.init", &spec.name).normal(0.0, range as f32, count),
    }
}

/// The sites of a decoder: embeddings, blocks, final norm, and the head unless it is tied.
pub(crate) fn decoder_sites<'a>(
    embeddings: Vec<Site<'a>>,
    blocks: impl Iterator<Item = Vec<Site<'a>>>,
    norm: &'a Norm,
    head: Option<&'a Linear>,
) -> Vec<Site<'a>> {
    let mut sites = embeddings;
    sites.extend(blocks.flatten());
    sites.push(Site::norm(norm));
    sites.extend(head.map(Site::linear));
    sites
}

/// Extends a padding mask with ones for `count` virtual tokens in front: (B, T) -> (B, P+T).
pub(crate) fn extend_mask(mask: &Tensor, count: usize) -> graft_nn::Result<Tensor> {
    if count == 0 {
        return Ok(mask.clone());
    }
    let ones = Tensor::ones((mask.dims2()?.0, count), DType::U8, mask.device())?; // (B, P)
    Ok(Tensor::cat(&[&ones, mask], 1)?) // (B, P+T)
}

/// Returns an error for an empty input, an input of `length` positions that exceeds the `limit` of
/// the model together with its prefix, and packed sequences with virtual tokens.
pub(crate) fn check_length(
    ids: &Tensor,
    prefix: usize,
    length: usize,
    limit: usize,
    cx: &Context,
) -> graft_nn::Result<()> {
    if ids.elem_count() == 0 {
        return Err(NnError::Shape {
            what: "ids",
            expected: "(B, T) with at least one token".to_owned(),
            found: ids.dims().to_vec(),
        });
    }
    let packed = cx.sequences.as_ref().map(Sequences::tokens);
    if let Some(packed) =
        packed.filter(|packed| prefix > 0 || length != *packed || ids.dims() != [1, *packed])
    {
        let expected = format!("(1, {packed}) for {packed} packed tokens, without virtual tokens");
        return Err(NnError::Shape { what: "packed ids", expected, found: ids.dims().to_vec() });
    }
    let end = cx.positions(prefix).end(length);
    if end > limit {
        Err(NnError::OutOfRange { what: "position", index: end as i64 - 1, limit })
    } else {
        Ok(())
    }
}

/// Splits the last dimension into parts of these widths: (B, T, sum) -> (B, T, width) each.
pub(crate) fn split<const N: usize>(
    x: &Tensor,
    widths: [usize; N],
) -> graft_nn::Result<[Tensor; N]> {
    let mut start = 0;
    let parts = widths.map(|width| {
        start += width;
        x.narrow(2, start - width, width).and_then(|part| part.contiguous())
    });
    let parts = parts.into_iter().collect::<Result<Vec<_>, _>>()?;
    parts.try_into().map_err(|parts: Vec<Tensor>| NnError::Shape {
        what: "fused projection",
        expected: format!("{N} parts"),
        found: vec![parts.len()],
    })
}

/// The position vectors of `length` tokens: (1, T, C).
pub(crate) fn positions(
    table: &Embedding,
    positions: &Positions,
    length: usize,
) -> graft_nn::Result<Tensor> {
    position_vectors(table, positions.list(length).into_iter().map(|id| id as u32).collect())
}

/// These rows of a table of positions or token types: (1, T, C).
pub(crate) fn position_vectors(table: &Embedding, rows: Vec<u32>) -> graft_nn::Result<Tensor> {
    let shape = (1, rows.len());
    table.forward(&Tensor::from_vec(rows, shape, table.weight().base_value().device())?)
}

/// The hidden state of the first position of each text, from which encoders classify: (B, T, C) or
/// the row (1, N, C) of packed texts -> (B, C).
pub(crate) fn first_tokens(states: &Tensor, cx: &Context) -> graft_nn::Result<Tensor> {
    let Some(sequences) = &cx.sequences else {
        return Ok(states.narrow(1, 0, 1)?.squeeze(1)?.contiguous()?); // (B, C)
    };
    let starts: Vec<u32> = sequences.ranges().map(|range| range.start as u32).collect();
    let starts = Tensor::new(starts, states.device())?; // (B)
    Ok(states.squeeze(0)?.index_select(&starts, 0)?) // (B, C)
}

/// The mean hidden state of each text, whose positions in the flattened states are given: (B, T, C)
/// or (1, N, C) -> (B, C).
pub(crate) fn mean_tokens(states: &Tensor, texts: &[Vec<usize>]) -> graft_nn::Result<Tensor> {
    let flat = states.flatten(0, 1)?; // (N, C)
    let count = flat.dim(0)?;
    let mut shares = vec![0f32; texts.len() * count];
    for (row, places) in shares.chunks_mut(count.max(1)).zip(texts) {
        let share = 1.0 / places.len().max(1) as f32;
        for place in places {
            if let Some(part) = row.get_mut(*place) {
                *part = share;
            }
        }
    }
    let shares = Tensor::from_vec(shares, (texts.len(), count), states.device())?; // (B, N)
    Ok(shares.to_dtype(flat.dtype())?.matmul(&flat)?) // (B, C)
}
