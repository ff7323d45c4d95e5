//! LoRA in an embedding: `y = W[id] + s B A[:, id]`.
//!
//! A is initialized with zeros and B from N(0, 1). Dropout does not apply.
//!
//! # Shapes
//! `id: (..)`, `W: (V, C)` frozen, `A: (r, V)`, `B: (C, r)`, `y: (.., C)`
//! # Source
//! HF PEFT's `lora.Embedding`. Golden `lora-embedding`. If the head shares the embedding's weight,
//! HF PEFT's merge changes the head too and therefore the output; here such a merge is refused.

use std::sync::Arc;

use graft_nn::{DType, Embedding, EmbeddingAdapter, Result, Rng, Tensor, Var, ops};

use crate::{
    AttachContext, PeftError,
    adapter_state::AdapterState,
    init_source::InitSource,
    method::{AdapterPart, Attachment},
};

struct LoraEmbedding {
    a: Var,
    b: Var,
    scaling: f64,
    state: Arc<AdapterState>,
}

impl EmbeddingAdapter for LoraEmbedding {
    fn forward(&self, base: &Embedding, ids: &Tensor) -> Result<Tensor> {
        let low = ops::embedding(ids, &self.a.as_tensor().t()?.contiguous()?)?; // (.., r)
        let change = ops::linear(&low, self.b.as_tensor())?; // (.., C)
        Ok((base.base_forward(ids)? + (change * (self.scaling * self.state.scale()))?)?)
    }

    fn delta(&self, _base: &Embedding) -> Result<Tensor> {
        let product = self.b.as_detached_tensor().matmul(&self.a.as_detached_tensor())?; // (C, V)
        Ok((product.t()?.contiguous()? * (self.scaling * self.state.scale()))?) // (V, C)
    }

    fn is_merged(&self) -> bool {
        self.state.is_merged()
    }
}

/// The part in one embedding.
///
/// # Errors
/// [`PeftError::RankTooLarge`] in a fresh adapter.
pub(super) fn part(
    cx: &AttachContext<'_>,
    table: &Embedding,
    (r, scaling): (usize, f64),
    init: InitSource,
    state: &Arc<AdapterState>,
) -> std::result::Result<AdapterPart, PeftError> {
    let weight = table.weight().base_value();
    let (vocab, width) = weight.dims2()?;
    if init == InitSource::Fresh && r > width.min(vocab) {
        return Err(PeftError::RankTooLarge {
            r,
            path: table.path().to_owned(),
            d_in: vocab,
            d_out: width,
        });
    }
    cx.reserve("lora_embedding_A", table.path(), &[r, vocab])?;
    cx.reserve("lora_embedding_B", table.path(), &[width, r])?;
    let normal =
        Rng::new(cx.seed).stream("lora_embedding_B", table.path()).normal(0.0, 1.0, width * r);
    let a = Var::zeros((r, vocab), DType::F32, weight.device())?;
    let b = Var::from_tensor(&Tensor::from_vec(normal, (width, r), weight.device())?)?;
    let key = |name: &str| format!("base_model.model.{}.{name}", table.path());
    let weights = vec![(key("lora_embedding_A"), a.clone()), (key("lora_embedding_B"), b.clone())];
    let adapter = Arc::new(LoraEmbedding { a, b, scaling, state: state.clone() });
    // HF PEFT includes an embedding of this name in the file, because it may have been resized.
    let copies = if table.path().ends_with("embed_tokens") {
        vec![(key("base_layer.weight"), weight.detach())]
    } else {
        Vec::new()
    };
    Ok(AdapterPart {
        copies,
        ..AdapterPart::new(table.path(), Attachment::Embedding(adapter), weights)
    })
}
