//! The forward pass of a batch, packed without padding where possible.

use graft_nn::{Context, Model, Sequences, Tensor};

use crate::Result;
use crate::batch::Batch;
use crate::device::device_of;
use crate::seq2seq_pass::seq2seq_pass;

/// The hidden states of a batch, and the position of each row in them.
pub(crate) struct ForwardPass {
    /// (B, P+T, C), or (1, N, C) when the rows are packed.
    pub(crate) states: Tensor,
    /// P: number of virtual tokens.
    pub(crate) virtual_tokens: usize,
    /// (B): the first position of each row in the flattened states.
    pub(crate) starts: Vec<usize>,
    /// (B): the position of the last token of each row in the flattened states.
    pub(crate) last: Vec<usize>,
    /// The context for the head.
    pub(crate) cx: Context,
}

/// Computes the hidden states of a batch.
///
/// On the CPU, rows of different lengths are packed one after another into a single row of N
/// tokens, so that nothing is computed for padding. Attention then treats each row as a sequence of
/// its own. On a GPU this is done for a batch that `packing=true` has packed. A model with an
/// active soft prompt or prefix, which precedes every row, computes the padded batch. An
/// encoder-decoder has a pass of its own.
///
/// # Shapes
/// `batch: (B, T)` -> `(B, P+T, C)` or `(1, N, C)`
/// # Errors
/// When the forward pass of the model fails.
/// # Source
/// Sequence packing without cross-contamination: Krell et al. 2021, arXiv:2107.02027
pub(crate) fn forward_pass(model: &dyn Model, batch: &Batch, cx: &Context) -> Result<ForwardPass> {
    let device = &device_of(model);
    if let Some(encoder) = model.encoder_decoder() {
        return seq2seq_pass(model, encoder, batch, cx);
    }
    if !packs(model, batch) {
        let hidden =
            model.hidden(&batch.ids_tensor(device)?, batch.mask_tensor(device)?.as_ref(), cx)?; // (B, P+T, C)
        return Ok(ForwardPass {
            states: hidden.states,
            virtual_tokens: hidden.virtual_tokens,
            last: last(&batch.starts(hidden.virtual_tokens), hidden.virtual_tokens, batch),
            starts: batch.starts(hidden.virtual_tokens),
            cx: cx.clone(),
        });
    }
    let sequences = Sequences::new(&batch.lengths);
    let ids = Tensor::from_vec(batch.unpadded(), (1, sequences.tokens()), device)?; // (1, N)
    let starts: Vec<_> = sequences.ranges().map(|range| range.start).collect();
    let cx = cx.clone().with_sequences(sequences);
    let hidden = model.hidden(&ids, None, &cx)?; // (1, N, C)
    let last = last(&starts, 0, batch);
    Ok(ForwardPass { states: hidden.states, virtual_tokens: 0, starts, last, cx })
}

/// The last token of each row, whose virtual tokens are at `starts`.
fn last(starts: &[usize], virtual_tokens: usize, batch: &Batch) -> Vec<usize> {
    let rows = starts.iter().zip(&batch.lengths);
    rows.map(|(start, length)| start + (virtual_tokens + length).saturating_sub(1)).collect()
}

/// Whether the batch has padding that can be left out. A row without tokens keeps one masked
/// position, so such a batch is not packed.
fn packs(model: &dyn Model, batch: &Batch) -> bool {
    let embedding = model.embedding();
    let has_padding = batch.lengths.iter().any(|length| *length != batch.columns);
    has_padding
        && !batch.lengths.contains(&0)
        && (batch.is_packed || device_of(model).is_cpu())
        && embedding.positions_taken() == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Encoded;
    use crate::testing::TinyLlama;

    #[test]
    fn a_batch_without_padding_matches_each_row_alone() {
        let model = TinyLlama::new(16, 32);
        let row =
            |ids: &[u32]| Encoded { ids: ids.to_vec(), labels: vec![0; ids.len()], class: None };
        let rows = [row(&[3, 1, 4, 1, 5]), row(&[9]), row(&[2, 6, 5])];
        let together =
            forward_pass(&model, &Batch::of(&rows.iter().collect::<Vec<_>>()), &Context::eval())
                .expect("passes");
        assert_eq!(
            (together.states.dims(), together.starts.as_slice()),
            (&[1, 9, 8][..], &[0, 5, 6][..])
        );
        for (row, start) in rows.iter().zip(&together.starts) {
            let alone =
                forward_pass(&model, &Batch::of(&[row]), &Context::eval()).expect("passes").states;
            let part = together.states.narrow(1, *start, row.ids.len()).expect("a part");
            let differences = (part - alone)
                .and_then(|d| d.abs()?.flatten_all()?.max(0)?.to_scalar::<f32>())
                .expect("differences");
            assert!(differences < 1e-6, "{differences}");
        }
    }

    #[test]
    fn rows_of_one_length_and_rows_without_tokens_pass_as_they_are() {
        let model = TinyLlama::new(16, 32);
        let row =
            |ids: &[u32]| Encoded { ids: ids.to_vec(), labels: vec![0; ids.len()], class: None };
        for rows in [[row(&[1, 2]), row(&[3, 4])], [row(&[1, 2]), row(&[])]] {
            let passed = forward_pass(
                &model,
                &Batch::of(&rows.iter().collect::<Vec<_>>()),
                &Context::eval(),
            )
            .expect("passes");
            assert_eq!(
                (passed.states.dims(), passed.starts.as_slice()),
                (&[2, 2, 8][..], &[0, 2][..])
            );
        }
    }
}
