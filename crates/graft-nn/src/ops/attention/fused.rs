//! Attention on the CPU: one head per thread and one block of queries at a time, without
//! transposes. The probabilities are computed again in the backward pass, so nothing of size T x S
//! is stored.

mod layout;

use candle_core::{CpuStorage, CustomOp3, Layout, Shape, Storage, Tensor, bail};

use crate::matrix::{Matrix, MatrixMut};
use crate::{Sequences, kernel, parallel};
pub(super) use layout::with_rows;
use layout::{AttentionSizes, Block, GroupGradients, Rows, Sequence, heads};

/// Queries per block: the probabilities of a block fit into the cache, and causal blocks skip later
/// keys.
const BLOCK: usize = 64;

/// The operation; see [`super::AttentionSpec`] for the fields.
pub(super) struct Attention {
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    pub(super) causal: bool,
    /// B*S
    pub(super) mask: Option<Vec<u8>>,
    pub(super) offset: usize,
    pub(super) scale: f32,
    pub(super) softcap: Option<f32>,
    pub(super) window: Option<usize>,
    pub(super) sequences: Option<Sequences>,
}

impl Attention {
    fn sequences(&self, sizes: AttentionSizes) -> Vec<Sequence> {
        let AttentionSizes { batch, tokens, keys, .. } = sizes;
        match &self.sequences {
            None => (0..batch).map(|batch| Sequence { batch, start: 0, tokens, keys }).collect(),
            Some(packed) => packed
                .ranges()
                .map(|range| Sequence {
                    batch: 0,
                    start: range.start,
                    tokens: range.len(),
                    keys: range.len(),
                })
                .collect(),
        }
    }

    fn blocks(
        &self,
        Sequence { tokens, keys, .. }: Sequence,
    ) -> impl Iterator<Item = Block> + use<> {
        let causal = self.causal;
        let offset = self.offset;
        (0..tokens).step_by(BLOCK).map(move |start| {
            let count = BLOCK.min(tokens - start);
            Block {
                start,
                count,
                seen: if causal { (start + count + offset).min(keys) } else { keys },
            }
        })
    }

    /// Probabilities of one block of queries, (count, seen), and the slopes of the bounded scores;
    /// none without a bound.
    fn probs(
        &self,
        q: Matrix<'_>,
        k: Matrix<'_>,
        block: Block,
        padding: Option<&[u8]>,
    ) -> (Vec<f32>, Vec<f32>) {
        let mut probs = q
            .rows(block.start, block.count)
            .times(k.rows(0, block.seen).t())
            .scale(self.scale)
            .alone()
            .collect(); // (count, seen)
        let mut slopes = Vec::new();
        if let Some(cap) = self.softcap {
            slopes = vec![0.0; probs.len()];
            kernel::softcap(&mut probs, cap, &mut slopes);
        }
        for (row, scores) in probs.chunks_mut(block.seen).enumerate() {
            let position = block.start + row + self.offset;
            let seen = super::span(position, block.seen, self.causal, self.window);
            let (scores, after) = scores.split_at_mut(seen.end);
            let (before, scores) = scores.split_at_mut(seen.start);
            before.fill(0.0);
            after.fill(0.0);
            if let Some(padding) = padding {
                kernel::hide(scores, &padding[seen.start..]);
            }
            kernel::softmax(scores);
        }
        (probs, slopes)
    }

    fn padding(&self, batch: usize, keys: usize) -> Option<&[u8]> {
        self.mask.as_ref().map(|mask| &mask[batch * keys..][..keys])
    }

    fn forward(&self, [q, k, v]: [Rows<'_>; 3], sizes: AttentionSizes) -> Vec<f32> {
        let AttentionSizes { batch, tokens, head_dim, .. } = sizes;
        let group = self.heads / self.kv_heads;
        let width = self.heads * head_dim;
        let sequences = self.sequences(sizes);
        let mut y = vec![0.0; batch * tokens * width];
        let lengths = sequences.iter().map(|sequence| sequence.tokens);
        parallel::each(
            heads(&mut y, lengths, width, head_dim).into_iter().enumerate(),
            |(place, mut y)| {
                let sequence = sequences[place / self.heads];
                let head = place % self.heads;
                let Sequence { batch, tokens, keys, .. } = sequence;
                let q = q.head(sequence, tokens, head, head_dim);
                let [k, v] = [k, v].map(|rows| rows.head(sequence, keys, head / group, head_dim));
                for block in self.blocks(sequence) {
                    let (probs, _) = self.probs(q, k, block, self.padding(batch, keys));
                    let probs = Matrix::new(&probs, block.count, block.seen);
                    probs
                        .times(v.rows(0, block.seen))
                        .alone()
                        .store(&mut y.row_block(block.start, block.count)); // (count, D)
                }
            },
        );
        y
    }

    /// GroupGradients of q, k and v.
    fn backward(&self, inputs: [Rows<'_>; 3], g: Rows<'_>, sizes: AttentionSizes) -> [Vec<f32>; 3] {
        let AttentionSizes { batch, tokens, keys, head_dim } = sizes;
        let width = self.heads * head_dim;
        let kv_width = self.kv_heads * head_dim;
        let mut dq = vec![0.0; batch * tokens * width];
        let mut dk = vec![0.0; batch * keys * kv_width];
        let mut dv = vec![0.0; batch * keys * kv_width];
        let sequences = self.sequences(sizes);
        let query_lengths = sequences.iter().map(|sequence| sequence.tokens);
        let key_lengths = || sequences.iter().map(|sequence| sequence.keys);
        let mut dq_heads = heads(&mut dq, query_lengths, width, head_dim).into_iter();
        let dk_heads = heads(&mut dk, key_lengths(), kv_width, head_dim);
        let dv_heads = heads(&mut dv, key_lengths(), kv_width, head_dim);
        // One piece of work per head of keys, with all query heads that share it, because their
        // gradients are summed.
        let group = self.heads / self.kv_heads;
        let pieces = dk_heads.into_iter().zip(dv_heads).map(|(dk, dv)| GroupGradients {
            dq: dq_heads.by_ref().take(group).collect(),
            dk,
            dv,
        });
        parallel::each(pieces.enumerate(), |(place, piece)| {
            let sequence = sequences[place / self.kv_heads];
            let kv_head = place % self.kv_heads;
            self.backward_group(inputs, g, (sequence, head_dim), (kv_head, piece));
        });
        [dq, dk, dv]
    }

    fn backward_group(
        &self,
        [q, k, v]: [Rows<'_>; 3],
        g: Rows<'_>,
        (sequence, head_dim): (Sequence, usize),
        (kv_head, mut to): (usize, GroupGradients<'_>),
    ) {
        let Sequence { batch, tokens, keys, .. } = sequence;
        let padding = self.padding(batch, keys);
        let [k, v] = [k, v].map(|rows| rows.head(sequence, keys, kv_head, head_dim));
        let first = kv_head * to.dq.len();
        for (index, dq) in to.dq.iter_mut().enumerate() {
            let [q, g] = [q, g].map(|rows| rows.head(sequence, tokens, first + index, head_dim));
            for block in self.blocks(sequence) {
                let probs = self.probs(q, k, block, padding);
                self.backward_block([q, k, v], g, (block, probs), (dq, &mut to.dk, &mut to.dv));
            }
        }
    }

    fn backward_block(
        &self,
        [q, k, v]: [Matrix<'_>; 3],
        g: Matrix<'_>,
        (block, (mut probs, slopes)): (Block, (Vec<f32>, Vec<f32>)),
        (dq, dk, dv): (&mut MatrixMut<'_>, &mut MatrixMut<'_>, &mut MatrixMut<'_>),
    ) {
        let Block { start, count, seen } = block;
        let q_block = q.rows(start, count);
        let g_block = g.rows(start, count);
        let p = Matrix::new(&probs, count, seen);
        p.t().times(g_block).alone().add_to(&mut dv.row_block(0, seen)); // dV = Pᵀ g
        let dp = g_block.times(v.rows(0, seen).t()).alone().collect(); // dP = g Vᵀ
        for (p, dp) in probs.chunks_mut(seen).zip(dp.chunks(seen)) {
            kernel::softmax_backward(p, dp);
        }
        probs.iter_mut().zip(&slopes).for_each(|(ds, slope)| *ds *= slope);
        let ds = Matrix::new(&probs, count, seen);
        let dq_block = ds.times(k.rows(0, seen)).scale(self.scale).alone();
        dq_block.store(&mut dq.row_block(start, count)); // dQ = s dS K
        let dk_block = ds.t().times(q_block).scale(self.scale).alone();
        dk_block.add_to(&mut dk.row_block(0, seen)); // dK = s dSᵀ Q
    }
}

impl CustomOp3 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        q_layout: &Layout,
        k: &CpuStorage,
        k_layout: &Layout,
        v: &CpuStorage,
        v_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (batch, tokens, width) = q_layout.shape().dims3()?;
        let sizes = AttentionSizes {
            batch,
            tokens,
            keys: k_layout.shape().dims3()?.1,
            head_dim: width / self.heads,
        };
        let y = self.forward(
            [Rows::new(q, q_layout)?, Rows::new(k, k_layout)?, Rows::new(v, v_layout)?],
            sizes,
        );
        Ok((CpuStorage::F32(y), q_layout.shape().clone()))
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        _y: &Tensor,
        g: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (batch, tokens, width) = q.dims3()?;
        let sizes = AttentionSizes { batch, tokens, keys: k.dim(1)?, head_dim: width / self.heads };
        let g = g.contiguous()?;
        let guards = [q, k, v, &g].map(|tensor| tensor.storage_and_layout());
        let mut rows = Vec::with_capacity(guards.len());
        for (storage, layout) in &guards {
            let Storage::Cpu(storage) = &**storage else {
                bail!("the arguments of attention are on different devices")
            };
            rows.push(Rows::new(storage, layout)?);
        }
        let [dq, dk, dv] = self.backward([rows[0], rows[1], rows[2]], rows[3], sizes);
        let tensor = |values, like: &Tensor| {
            like.track_op()
                .then(|| Tensor::from_vec(values, like.dims(), like.device()))
                .transpose()
        };
        Ok((tensor(dq, q)?, tensor(dk, k)?, tensor(dv, v)?))
    }
}
