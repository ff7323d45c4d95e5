//! Plain candle as a backend: a Llama written with candle's own differentiable operations, as users
//! of candle write one.
//!
//! candle's fused norms, softmax and rotary embedding have no backward pass, so their slow forms
//! are used. The weights are those of Graft's model.

use std::collections::BTreeMap;
use std::time::Instant;

use candle_core::{D, DType, Device, Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use graft_models::llama::LlamaConfig;
use graft_nn::{Model, Trainable};

use crate::Result;
use crate::steps::Steps;
use crate::workload::{LEARNING_RATE, RANK, Scene};

/// A linear layer with LoRA, `y = W x + s B A x`.
struct Linear {
    weight: Tensor,
    update: Option<(Var, Var)>,
}

impl Linear {
    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let y = x.broadcast_matmul(&self.weight.t()?)?; // (B, T, d_out)
        let Some((a, b)) = &self.update else { return Ok(y) };
        let h = x.broadcast_matmul(&a.as_tensor().t()?)?; // (B, T, R)
        let update = h.broadcast_matmul(&b.as_tensor().t()?)?; // (B, T, d_out)
        y + (update * (2.0 * RANK as f64 / RANK as f64))?
    }
}

/// The model.
pub(crate) struct PlainLlama {
    config: LlamaConfig,
    weights: BTreeMap<String, Tensor>,
    linears: BTreeMap<String, Linear>,
    cos: Tensor,
    sin: Tensor,
    /// (T, T): 1 where a query must not attend.
    causal_mask: Tensor,
}

impl PlainLlama {
    /// The same model with the same adapters.
    pub(crate) fn of(model: &dyn Model, trainables: &[Trainable], scene: &Scene) -> Result<Self> {
        let mut weights = BTreeMap::new();
        let mut linears = BTreeMap::new();
        for parameter in model.parameters() {
            let path = parameter.path().trim_end_matches(".weight").to_owned();
            let var = |name| part(trainables, &path, name).map(|trainable| trainable.var.clone());
            linears.insert(
                path.clone(),
                Linear { weight: parameter.tensor(), update: var("lora_A").zip(var("lora_B")) },
            );
            weights.insert(path, parameter.tensor());
        }
        let config = scene.shape.config();
        let length = scene.tokens;
        let half = config.head_dim / 2;
        let frequency = |index: usize| {
            config.rope_theta.powf(-(2.0 * index as f64) / config.head_dim as f64) as f32
        };
        let angles = (0..length)
            .flat_map(|place| (0..half).map(move |index| place as f32 * frequency(index)))
            .collect::<Vec<_>>();
        let angles = Tensor::from_vec(angles, (length, half), &Device::Cpu)?; // (T, D/2)
        let causal_mask = (0..length)
            .flat_map(|query| (0..length).map(move |key| u8::from(key > query)))
            .collect::<Vec<_>>();
        let causal_mask = Tensor::from_vec(causal_mask, (length, length), &Device::Cpu)?; // (T, T)
        Ok(Self { cos: angles.cos()?, sin: angles.sin()?, config, weights, linears, causal_mask })
    }

    /// Mean loss of the next tokens; `ids: (B, T)`.
    pub(crate) fn loss(&self, ids: &Tensor) -> candle_core::Result<Tensor> {
        let ((rows, length), width) = (ids.dims2()?, self.config.hidden_size);
        let table = &self.weights["model.embed_tokens"];
        let mut x = table.index_select(&ids.flatten_all()?, 0)?.reshape((rows, length, width))?; // (B, T, C)
        for layer in 0..self.config.num_hidden_layers {
            x = self.block(&x, &format!("model.layers.{layer}"))?;
        }
        let states = self.norm(&x, "model.norm")?.narrow(1, 0, length - 1)?; // (B, T-1, C)
        let logits = self.linears["lm_head"].forward(&states)?.flatten_to(1)?; // (B (T-1), V)
        candle_nn::loss::cross_entropy(&logits, &ids.narrow(1, 1, length - 1)?.flatten_all()?)
    }

    fn norm(&self, x: &Tensor, path: &str) -> candle_core::Result<Tensor> {
        candle_nn::ops::rms_norm_slow(x, &self.weights[path], self.config.rms_norm_eps as f32)
    }

    fn block(&self, x: &Tensor, path: &str) -> candle_core::Result<Tensor> {
        let linear = |name: &str, x: &Tensor| self.linears[&format!("{path}.{name}")].forward(x);
        let n = self.norm(x, &format!("{path}.input_layernorm"))?;
        let [q, k, v] =
            ["q_proj", "k_proj", "v_proj"].map(|name| linear(&format!("self_attn.{name}"), &n));
        let x = (x + linear("self_attn.o_proj", &self.attention(&q?, &k?, &v?)?)?)?;
        let n = self.norm(&x, &format!("{path}.post_attention_layernorm"))?;
        let mlp_hidden =
            (candle_nn::ops::silu(&linear("mlp.gate_proj", &n)?)? * linear("mlp.up_proj", &n)?)?;
        &x + linear("mlp.down_proj", &mlp_hidden)?
    }

    fn attention(&self, q: &Tensor, k: &Tensor, v: &Tensor) -> candle_core::Result<Tensor> {
        let (rows, length, width) = q.dims3()?;
        let heads = self.config.num_attention_heads;
        let split = |t: &Tensor| {
            t.reshape((rows, length, heads, width / heads))?.transpose(1, 2)?.contiguous()
        }; // (B, H, T, D)
        let rotate =
            |t: &Tensor| candle_nn::rotary_emb::rope_slow(&split(t)?, &self.cos, &self.sin); // (B, H, T, D)
        let scores =
            (rotate(q)?.matmul(&rotate(k)?.t()?)? * (1.0 / ((width / heads) as f64).sqrt()))?; // (B, H, T, T)
        let nothing = Tensor::new(f32::NEG_INFINITY, &Device::Cpu)?.broadcast_as(scores.shape())?;
        let scores =
            self.causal_mask.broadcast_as(scores.shape())?.where_cond(&nothing, &scores)?;
        let probs = candle_nn::ops::softmax(&scores, D::Minus1)?;
        probs.matmul(&split(v)?)?.transpose(1, 2)?.reshape((rows, length, width)) // (B, T, C)
    }
}

/// Trains with candle's AdamW.
pub(crate) fn train(
    model: &dyn Model,
    trainables: &[Trainable],
    scene: &Scene,
    steps: usize,
) -> Result<Steps> {
    let plain = PlainLlama::of(model, trainables, scene)?;
    let ids = scene.batch().ids_tensor(&Device::Cpu)?.to_dtype(DType::U32)?; // (B, T)
    let variables = trainables.iter().map(|trainable| trainable.var.clone()).collect();
    let mut optimizer = AdamW::new(
        variables,
        ParamsAdamW { lr: LEARNING_RATE, weight_decay: 0.0, ..ParamsAdamW::default() },
    )?;
    let mut each = Vec::new();
    let mut first = None;
    for _ in 0..steps {
        let began = Instant::now();
        let loss = plain.loss(&ids)?;
        optimizer.backward_step(&loss)?;
        let value = f64::from(loss.to_scalar::<f32>()?);
        drop(loss);
        each.push((began.elapsed().as_secs_f64() * 1e3, value));
        first.get_or_insert_with(Instant::now);
    }
    Ok(Steps { each, first: first.unwrap_or_else(Instant::now) })
}

/// The trained matrix `part` of a layer, `lora_A` or `lora_B`.
fn part<'a>(trainables: &'a [Trainable], path: &str, part: &str) -> Option<&'a Trainable> {
    let name = format!("{path}.{part}.");
    trainables.iter().find(|trainable| trainable.name.contains(&name))
}

#[cfg(test)]
mod tests;
