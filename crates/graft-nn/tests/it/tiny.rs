//! A small Llama-like model with low-rank adapters, for the tests and the example.

use std::sync::Arc;

use graft_nn::ops::{self, AttentionSpec, LowRank, RopeScaling, RopeSpec, RopeTable};
use graft_nn::{
    Context, Device, Embedding, Hidden, Layer, Linear, LinearAdapter, Model, ModelShape, Norm,
    Result, Rng, Role, Site, Tensor, Trainable, Var,
};

/// One block.
struct Block {
    input_norm: Norm,
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    post_norm: Norm,
    gate: Linear,
    up: Linear,
    down: Linear,
}

/// The model; its head is tied if `shape.tied` is set.
pub(crate) struct Tiny {
    shape: ModelShape,
    embedding: Embedding,
    blocks: Vec<Block>,
    norm: Norm,
    head: Linear,
    table: RopeTable,
}

/// Small sizes with grouped heads and odd widths.
pub(crate) fn small_shape() -> ModelShape {
    ModelShape {
        family: "tiny".to_owned(),
        hidden: 24,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        head_dim: 6,
        intermediate: 37,
        vocab: 31,
        max_positions: 32,
        tied: false,
    }
}

fn random(path: &str, dims: &[usize], std: f32) -> Result<Tensor> {
    let values = Rng::new(11).stream("init", path).normal(0.0, std, dims.iter().product());
    Ok(Tensor::from_vec(values, dims, &Device::Cpu)?)
}

fn linear(path: String, role: Role, d_in: usize, d_out: usize) -> Result<Linear> {
    Linear::new(&path, role, random(&path, &[d_out, d_in], (d_in as f32).powf(-0.5))?, None)
}

fn norm(path: String, width: usize) -> Result<Norm> {
    let weight = (random(&path, &[width], 0.1)? + 1.0)?;
    Ok(Norm::rms(&path, weight, 1e-5))
}

impl Block {
    fn new(index: usize, shape: &ModelShape) -> Result<Self> {
        let (width, wide, kv) = (shape.hidden, shape.intermediate, shape.kv_heads * shape.head_dim);
        let at = |name: &str| format!("model.layers.{index}.{name}");
        Ok(Self {
            input_norm: norm(at("input_layernorm"), width)?,
            query: linear(at("self_attn.q_proj"), Role::Query, width, width)?,
            key: linear(at("self_attn.k_proj"), Role::Key, width, kv)?,
            value: linear(at("self_attn.v_proj"), Role::Value, width, kv)?,
            output: linear(at("self_attn.o_proj"), Role::Output, width, width)?,
            post_norm: norm(at("post_attention_layernorm"), width)?,
            gate: linear(at("mlp.gate_proj"), Role::Gate, width, wide)?,
            up: linear(at("mlp.up_proj"), Role::Up, width, wide)?,
            down: linear(at("mlp.down_proj"), Role::Down, wide, width)?,
        })
    }

    fn forward(&self, model: &Tiny, layer: usize, x: &Tensor, cx: &Context) -> Result<Tensor> {
        let (shape, offset) = (&model.shape, cx.offset());
        let h = self.input_norm.forward(x)?;
        let q = ops::rope(&self.query.forward(&h, cx)?, &model.table, offset, shape.heads)?;
        let k = ops::rope(&self.key.forward(&h, cx)?, &model.table, offset, shape.kv_heads)?;
        let v = self.value.forward(&h, cx)?;
        let (k, v) = match &cx.cache {
            Some(cache) => cache.append(layer, &k, &v)?,
            None => (k, v),
        };
        let scale = (shape.head_dim as f32).powf(-0.5);
        let spec = AttentionSpec {
            heads: shape.heads,
            kv_heads: shape.kv_heads,
            causal: true,
            mask: None,
            offset,
            scale,
            softcap: None,
            window: None,
            sequences: cx.sequences.clone(),
            attention_probs: cx.attention_probs.clone(),
        };
        let x = (x + self.output.forward(&ops::attention(&q, &k, &v, &spec)?, cx)?)?;
        let h = self.post_norm.forward(&x)?;
        let h = ops::swiglu(&self.gate.forward(&h, cx)?, &self.up.forward(&h, cx)?)?;
        Ok((&x + self.down.forward(&h, cx)?)?)
    }

    fn layers(&self) -> [Layer<'_>; 9] {
        [
            Layer::Norm(&self.input_norm),
            Layer::Linear(&self.query),
            Layer::Linear(&self.key),
            Layer::Linear(&self.value),
            Layer::Linear(&self.output),
            Layer::Norm(&self.post_norm),
            Layer::Linear(&self.gate),
            Layer::Linear(&self.up),
            Layer::Linear(&self.down),
        ]
    }
}

impl Tiny {
    /// Random weights, identical in every call.
    pub(crate) fn new(shape: ModelShape) -> Result<Self> {
        let blocks =
            (0..shape.layers).map(|index| Block::new(index, &shape)).collect::<Result<_>>()?;
        let embedding = Embedding::new(
            "model.embed_tokens",
            random("model.embed_tokens", &[shape.vocab, shape.hidden], 0.5)?,
        );
        let head = match shape.tied {
            true => Linear::sharing("lm_head", Role::Head, embedding.shared_weight())?,
            false => linear("lm_head".to_owned(), Role::Head, shape.hidden, shape.vocab)?,
        };
        let spec = RopeSpec {
            head_dim: shape.head_dim,
            theta: 10_000.0,
            scaling: RopeScaling::Default,
            positions: shape.max_positions,
        };
        let table = RopeTable::new(&spec, &Device::Cpu)?;
        Ok(Self {
            norm: norm("model.norm".to_owned(), shape.hidden)?,
            table,
            shape,
            embedding,
            blocks,
            head,
        })
    }

    /// All linear layers of the blocks.
    pub(crate) fn linears(&self) -> Vec<&Linear> {
        let layers = self.blocks.iter().flat_map(Block::layers);
        layers
            .filter_map(|layer| if let Layer::Linear(linear) = layer { Some(linear) } else { None })
            .collect()
    }

    /// Attaches and activates a low-rank adapter on all linear layers of the blocks.
    pub(crate) fn attach(&self, name: &str, rank: usize, dropout: f64) -> Result<Vec<Trainable>> {
        let mut trainables = Vec::new();
        for linear in self.linears() {
            let variable = |part: &str, dims: [usize; 2]| -> Result<Var> {
                Ok(Var::from_tensor(&random(
                    &format!("{name} {part} {}", linear.path()),
                    &dims,
                    0.1,
                )?)?)
            };
            let (a, b) =
                (variable("A", [rank, linear.d_in()])?, variable("B", [linear.d_out(), rank])?);
            trainables.push(Trainable::new(format!("{}.lora_A", linear.path()), a.clone()));
            trainables.push(Trainable::new(format!("{}.lora_B", linear.path()), b.clone()));
            linear.slot().insert(name, Arc::new(Low { a, b, dropout }));
            linear.slot().set_active(&[name]);
        }
        Ok(trainables)
    }

    /// Mean loss of predicting each next token of `ids` (B, T).
    pub(crate) fn loss(&self, ids: &Tensor, cx: &Context) -> Result<Tensor> {
        let (batch, tokens) = ids.dims2()?;
        let logits = self.logits(ids, None, cx)?; // (B, T, V)
        let mut labels: Vec<i64> =
            ids.flatten_all()?.to_vec1::<u32>()?.iter().map(|id| i64::from(*id)).collect();
        labels.rotate_left(1);
        labels.iter_mut().skip(tokens - 1).step_by(tokens).for_each(|last| *last = ops::IGNORED);
        ops::cross_entropy(&logits.flatten_to(1)?, &labels, (batch * (tokens - 1)) as f64) // (B*T, V)
    }
}

impl Model for Tiny {
    fn shape(&self) -> &ModelShape {
        &self.shape
    }

    fn sites(&self) -> Vec<Site<'_>> {
        let head = (!self.shape.tied).then_some(Layer::Linear(&self.head));
        let layers = std::iter::once(Layer::Embedding(&self.embedding))
            .chain(self.blocks.iter().flat_map(Block::layers));
        let site = |layer| match layer {
            Layer::Linear(linear) => Site { path: linear.path(), role: linear.role(), layer },
            Layer::Embedding(embedding) => {
                Site { path: embedding.path(), role: Role::Embedding, layer }
            }
            Layer::Norm(norm) => Site { path: norm.path(), role: Role::Norm, layer },
        };
        layers.chain([Layer::Norm(&self.norm)]).chain(head).map(site).collect()
    }

    fn embedding(&self) -> &Embedding {
        &self.embedding
    }

    fn hidden(&self, ids: &Tensor, _mask: Option<&Tensor>, cx: &Context) -> Result<Hidden> {
        let (mut x, virtual_tokens) = self.embedding.forward_with_prompt(ids, cx)?;
        for (layer, block) in self.blocks.iter().enumerate() {
            x = block.forward(self, layer, &x, cx)?;
        }
        Ok(Hidden { states: self.norm.forward(&x)?, virtual_tokens })
    }

    fn head(&self, states: &Tensor, cx: &Context) -> Result<Tensor> {
        self.head.forward(states, cx)
    }

    fn default_targets(&self) -> &'static [&'static str] {
        &["q_proj", "v_proj"]
    }
}

/// A low-rank adapter of scale 2.
struct Low {
    a: Var,
    b: Var,
    dropout: f64,
}

impl LinearAdapter for Low {
    fn forward(&self, base: &Linear, x: &Tensor, cx: &Context) -> Result<Tensor> {
        let (a, b) = (self.a.as_tensor().clone(), self.b.as_tensor().clone());
        let update = LowRank { a, b, scale: 2.0, dropout: cx.mask(base.path(), self.dropout) };
        ops::lora_linear(x, base.weight().weight(), &update)
    }

    fn delta(&self, _base: &Linear) -> Result<Option<Tensor>> {
        Ok(Some((self.b.as_tensor().matmul(self.a.as_tensor())? * 2.0)?)) // (d_out, d_in)
    }
}
