//! The forward pass of an encoder-decoder.

use graft_nn::{Context, EncoderDecoder, Model, Tensor};

use crate::Result;
use crate::batch::Batch;
use crate::device::device_of;
use crate::packed_forward::ForwardPass;

/// Texts padded on the right.
struct Padded {
    /// (B, T)
    ids: Tensor,
    /// (B, T)
    mask: Tensor,
}

/// Computes the hidden states of a batch: of each row those of the encoder, which reads the tokens
/// in front of the start token, and after them those of the decoder. A position then predicts the
/// token after it, as in a language model.
///
/// # Shapes
/// `batch: (B, T)` -> `(1, N, C)` for the N tokens of all rows
/// # Errors
/// When the forward pass of the model fails.
pub(crate) fn seq2seq_pass(
    model: &dyn Model,
    encoder: &dyn EncoderDecoder,
    batch: &Batch,
    cx: &Context,
) -> Result<ForwardPass> {
    let device = device_of(model);
    let rows: Vec<(&[u32], &[u32])> =
        (0..batch.rows).map(|row| texts(batch, row, encoder.start_token())).collect();
    let sources: Vec<&[u32]> = rows.iter().map(|(source, _)| *source).collect();
    let outputs: Vec<&[u32]> = rows.iter().map(|(_, output)| *output).collect();
    let source = Padded::new(&sources, &device)?;
    let encoded = encoder.encode(&source.ids, Some(&source.mask), cx)?;
    let virtual_tokens = encoded.states.dim(1)? - source.ids.dim(1)?;
    let states = encoded.states.clone(); // (B, P+S, C)
    let decoder = cx.clone().with_encoded(encoded);
    let predicted = model.hidden(&Padded::new(&outputs, &device)?.ids, None, &decoder)?.states; // (B, T, C)
    let mut parts = Vec::with_capacity(2 * rows.len());
    let (mut starts, mut last, mut end) = (Vec::new(), Vec::new(), 0);
    for (row, (source, output)) in rows.iter().enumerate() {
        parts.push(states.get(row)?.narrow(0, virtual_tokens, source.len())?); // (S, C)
        parts.push(predicted.get(row)?.narrow(0, 0, output.len())?); // (T, C)
        starts.push(end);
        end += source.len() + output.len();
        last.push(end.saturating_sub(1));
    }
    let states = Tensor::cat(&parts, 0)?.unsqueeze(0)?; // (1, N, C)
    Ok(ForwardPass { states, virtual_tokens: 0, starts, last, cx: cx.clone() })
}

/// The text of the encoder and that of the decoder, which begins with the start token. Without one
/// the last token is the decoder's.
fn texts(batch: &Batch, row: usize, start: u32) -> (&[u32], &[u32]) {
    let ids = &batch.ids[row * batch.columns..][..batch.lengths[row]];
    let at = ids.iter().position(|id| *id == start).unwrap_or(ids.len().saturating_sub(1));
    ids.split_at(at)
}

impl Padded {
    fn new(texts: &[&[u32]], device: &graft_nn::Device) -> Result<Self> {
        let columns = texts.iter().map(|text| text.len()).max().unwrap_or(0);
        let shape = (texts.len(), columns);
        let mut ids = Vec::with_capacity(texts.len() * columns);
        let mut mask = Vec::with_capacity(texts.len() * columns);
        for text in texts {
            ids.extend_from_slice(text);
            ids.resize(ids.len() + columns - text.len(), 0);
            mask.extend((0..columns).map(|column| u8::from(column < text.len())));
        }
        Ok(Self {
            ids: Tensor::from_vec(ids, shape, device)?,   // (B, T)
            mask: Tensor::from_vec(mask, shape, device)?, // (B, T)
        })
    }
}
