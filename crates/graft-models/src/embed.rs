//! Text embeddings: the mean of the hidden states.

use graft_nn::{Context, DType, Model, Tensor, TokenEncoder};

use crate::{ModelError, Tokenizer};

/// One vector per text: the mean of the hidden states over its tokens, as sentence-transformers'
/// mean pooling. Texts that exceed the model's context are truncated. Active adapters are applied;
/// the positions of soft prompts are excluded from the mean.
///
/// # Shapes
/// n texts -> (n, C)
/// # Errors
/// [`ModelError::Prompt`] for an empty list, [`ModelError::Layer`] if the forward pass fails.
/// # Source
/// Reimers and Gurevych 2019, arXiv:1908.10084 section 3
pub fn embed(
    model: &dyn Model,
    tokenizer: &Tokenizer,
    texts: &[&str],
) -> Result<Tensor, ModelError> {
    if texts.is_empty() {
        return Err(ModelError::Prompt {
            code: "models::empty_prompt",
            problem: "no text to embed".to_owned(),
            hint: "pass at least one text".to_owned(),
        });
    }
    let vectors = texts
        .iter()
        .map(|text| one(model, &ids(model, tokenizer, text)?))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Tensor::cat(&vectors, 0).map_err(graft_nn::NnError::from)?) // (n, C)
}

/// The tokens of a text with the special tokens of the tokenizer: `[CLS] text [SEP]`.
fn ids(model: &dyn Model, tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>, ModelError> {
    let prefix = tokenizer.prefix();
    let suffix = tokenizer.suffix();
    let virtual_tokens = model.embedding().positions_taken();
    let mut ids = tokenizer.encode(text)?;
    ids.truncate(
        model.shape().max_positions.saturating_sub(virtual_tokens + prefix.len() + suffix.len()),
    );
    Ok([prefix, ids, suffix].concat())
}

fn one(model: &dyn Model, ids: &[u32]) -> Result<Tensor, ModelError> {
    let device = model.embedding().weight().base_value().device().clone();
    let vector = || -> graft_nn::Result<Tensor> {
        let hidden = model.hidden(
            &Tensor::from_slice(ids, (1, ids.len()), &device)?,
            None,
            &Context::eval().without_graph(),
        )?; // (1, P+T, C)
        let tokens = hidden.states.narrow(1, hidden.virtual_tokens, ids.len())?; // (1, T, C)
        Ok(tokens.to_dtype(DType::F32)?.mean(1)?) // (1, C)
    };
    Ok(vector()?)
}
