//! Texts to vectors: the mean of an encoder's hidden states.

use graft_nn::{Context, DType, Model, Tensor, TokenEncoder};

use crate::{ModelError, Tokenizer};

/// One vector a text: the mean of its hidden states over its tokens, as sentence-transformers pools them. Texts that are longer than the model's
/// context lose their end. Active adapters act; a soft prompt's own positions are left out of the mean.
///
/// # Shapes
/// n texts -> (n, C)
/// # Errors
/// [`ModelError::Prompt`] without a text, [`ModelError::Layer`].
/// # Source
/// Reimers and Gurevych 2019, arXiv:1908.10084 section 3
pub fn embed(
    model: &dyn Model,
    tokenizer: &Tokenizer,
    texts: &[&str],
) -> Result<Tensor, ModelError> {
    if texts.is_empty() {
        let (problem, hint) = ("no text to embed".to_owned(), "pass at least one text".to_owned());
        return Err(ModelError::Prompt { code: "models::empty_prompt", problem, hint });
    }
    let vectors = texts
        .iter()
        .map(|text| one(model, &ids(model, tokenizer, text)?))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Tensor::cat(&vectors, 0).map_err(graft_nn::NnError::from)?) // (n, C)
}

/// The text with the special tokens that its tokenizer adds, `[CLS] text [SEP]`.
fn ids(model: &dyn Model, tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>, ModelError> {
    let (prefix, suffix) = (tokenizer.prefix(), tokenizer.suffix());
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
