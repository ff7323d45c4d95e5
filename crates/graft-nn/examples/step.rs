//! Times one LoRA training step: `cargo run -p graft-nn --example step [STEPS] [full]`.
//!
//! The model has the sizes of the project's benchmark: 4 layers, width 256, 4 heads, feed-forward
//! 688, a vocabulary of 2,048 tokens, 8 texts of 128 tokens, rank 8 on all seven linear layers (or,
//! with `full`, all weights). Compare the CPU time on a busy machine and the wall clock time on an
//! idle one.

#[path = "../tests/it/tiny.rs"]
mod tiny;

use std::time::Instant;

use graft_nn::{
    Context, Device, Model, ModelShape, Result, Tensor, Trainable, gradients, tune_process,
};

const BATCH: usize = 8;
const TOKENS: usize = 128;
const VOCAB: usize = 2048;

fn main() -> Result<()> {
    tune_process();
    Device::Cpu.with_context(measure)
}

fn measure() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let steps = arguments.iter().find_map(|a| a.parse().ok()).unwrap_or(20);
    let model = tiny::Tiny::new(shape())?;
    let trainables = match arguments.iter().any(|a| a == "full") {
        true => model
            .parameters()
            .iter()
            .map(|p| Ok(Trainable::new(p.path(), p.train()?)))
            .collect::<Result<Vec<_>>>()?,
        false => model.attach("lora", 8, 0.0)?,
    };
    let ids: Vec<u32> =
        (0..(BATCH * TOKENS) as u32).map(|i| i.wrapping_mul(2_654_435_761) >> 21).collect();
    let ids = Tensor::from_vec(ids, (BATCH, TOKENS), &Device::Cpu)?;
    step(&model, &trainables, &ids)?;
    let (mut best, wall, cpu) = (f64::MAX, Instant::now(), cpu_seconds());
    for _ in 0..steps {
        let start = Instant::now();
        step(&model, &trainables, &ids)?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    let mean = |seconds: f64| seconds * 1e3 / f64::from(steps);
    let (wall, cpu) = (mean(wall.elapsed().as_secs_f64()), mean(cpu_seconds() - cpu));
    println!(
        "step: best {:.1} ms, mean {wall:.1} ms, CPU {cpu:.1} ms; {} tensors trained",
        best * 1e3,
        trainables.len()
    );
    Ok(())
}

fn shape() -> ModelShape {
    ModelShape {
        hidden: 256,
        layers: 4,
        heads: 4,
        kv_heads: 4,
        head_dim: 64,
        intermediate: 688,
        vocab: VOCAB,
        max_positions: TOKENS,
        ..tiny::small_shape()
    }
}

/// Forward, backward, and plain gradient descent.
fn step(model: &tiny::Tiny, trainables: &[Trainable], ids: &Tensor) -> Result<()> {
    let found = gradients(&model.loss(ids, &Context::train(0, 0, 0))?, trainables)?;
    for (parameter, gradient) in trainables.iter().zip(&found) {
        parameter.var.set(&(parameter.var.as_tensor() - (gradient * 1e-3)?)?.detach())?;
    }
    Ok(())
}

/// Seconds that all threads of this process have run, from `/proc/self/stat`.
fn cpu_seconds() -> f64 {
    const TICKS_PER_SECOND: f64 = 100.0;
    let line = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The fields follow the command's name in brackets; user and system time are the 12th and 13th
    // of them.
    let fields = line.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum::<f64>()
        / TICKS_PER_SECOND
}
