//! Compares every fine-tuning method with plain LoRA and the frozen base model: forward pass,
//! training step, trained parameters, file size and memory.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use graft_models::llama::{Llama, LlamaConfig};
use graft_nn::{Context, Device, Model, Tensor};
use graft_peft::{Adapter, AttachContext, attach};
use graft_protocol::MemoryUse;
use graft_spec::methods::{self, METHODS};
use graft_spec::{Settings, Value};
use serde::{Deserialize, Serialize};

use crate::table::median;
use crate::workload::{RANK, Scene, Shape, Work};
use crate::{BenchError, Result, graft_backend};

/// The row without an adapter.
pub const BASE: &str = "frozen";
/// The method that the others are compared with.
const YARDSTICK: &str = "lora";
/// Virtual tokens of soft prompts.
const VIRTUAL_TOKENS: i64 = 20;

/// The costs of one method, measured in its own process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Costs {
    /// Milliseconds of each forward pass without gradients.
    pub forward_milliseconds: Vec<f64>,
    /// Milliseconds of each training step; empty for the frozen base model.
    pub step_milliseconds: Vec<f64>,
    /// Number of trained parameters.
    pub trainable: u64,
    /// Size of the adapter's weights file.
    pub file_bytes: u64,
    /// Memory of the training on top of the model.
    pub memory: Option<MemoryUse>,
}

/// A comparison of all methods on one shape.
#[derive(Clone, Copy, Debug)]
pub struct MethodComparison {
    /// Sizes of model and batch.
    pub shape: Shape,
    /// Number of starts of each method.
    pub rounds: usize,
    /// Steps and forward passes of each start, warm-up included.
    pub steps: usize,
    /// First ones of each start that are not counted.
    pub warm_up: usize,
}

/// Measures one method, by its verb, or [`BASE`], in this process.
///
/// # Errors
/// Errors of the model, the adapter and the training.
pub fn measure(verb: &str, shape: Shape, steps: usize) -> Result<Costs> {
    // Twice the length leaves room for a soft prompt; biases exist only for the method that trains
    // them.
    let config = LlamaConfig {
        max_position_embeddings: 2 * shape.tokens(),
        attention_bias: verb == "bitfit",
        ..shape.config()
    };
    let model = Llama::random(&config, 1, &Device::Cpu)?;
    let adapter = if verb == BASE { None } else { Some(adapter(&model, verb, shape)?) };
    let trained = adapter
        .as_ref()
        .map(|adapter| {
            graft_backend::train(
                &model,
                adapter.trainables(),
                &Scene::new(shape, Work::Lora),
                steps,
            )
        })
        .transpose()?;
    let (step_milliseconds, memory) =
        trained.map_or((Vec::new(), None), |(steps, memory)| (steps.columns().0, Some(memory)));
    Ok(Costs {
        forward_milliseconds: forward(&model, shape, steps)?,
        step_milliseconds,
        trainable: adapter.as_ref().map_or(0, Adapter::trainable_parameters),
        file_bytes: adapter
            .as_ref()
            .map(|adapter| file_bytes(adapter, shape))
            .transpose()?
            .unwrap_or(0),
        memory,
    })
}

/// Measures the memory of a method whose steps are small and followed by a validation, so that the
/// validation determines the peak.
///
/// # Errors
/// As [`measure`].
pub fn validated(verb: &str, shape: Shape, steps: usize) -> Result<Costs> {
    // Twice the length leaves room for texts, labels and a soft prompt.
    let config = LlamaConfig {
        max_position_embeddings: 2 * shape.tokens(),
        attention_bias: verb == "bitfit",
        ..shape.config()
    };
    let model = Llama::random(&config, 1, &Device::Cpu)?;
    let adapter = adapter(&model, verb, shape)?;
    let data = graft_backend::labeled()?;
    let scene = Scene { rows: 1, tokens: 8, ..Scene::new(shape, Work::Lora) };
    let (_, memory) =
        graft_backend::validated(&model, adapter.trainables(), &scene, steps, Some(&data))?;
    let forward_milliseconds = Vec::new();
    let step_milliseconds = Vec::new();
    Ok(Costs {
        forward_milliseconds,
        step_milliseconds,
        trainable: adapter.trainable_parameters(),
        file_bytes: 0,
        memory: Some(memory),
    })
}

/// The adapter with comparable settings: rank 8 on the family's default layers, 20 virtual tokens.
fn adapter(model: &Llama, verb: &str, shape: Shape) -> Result<Adapter> {
    let keys = methods::by_verb(verb).map_or(&[] as &[_], |spec| spec.keys);
    let sizes =
        [("init_r", RANK as i64), ("r", RANK as i64), ("num_virtual_tokens", VIRTUAL_TOKENS)];
    let size = sizes.iter().find(|(name, _)| keys.iter().any(|key| key.name == *name));
    let mut settings = size.map_or_else(Settings::default, |(name, size)| {
        Settings::default().with(name, Value::Integer(*size))
    });
    match verb {
        // OFT accepts only one of its two sizes.
        "oft" => settings = Settings::default(),
        "adalora" => settings = settings.with("target_r", Value::Integer(RANK as i64 / 2)),
        "trainable_tokens" => {
            settings =
                settings.with("token_indices", Value::List(vec!["1".to_owned(), "2".to_owned()]))
        }
        _ => {}
    }
    Ok(attach(&AttachContext::new(model, shape.name(), 1), verb, &settings)?)
}

fn forward(model: &Llama, shape: Shape, times: usize) -> Result<Vec<f64>> {
    let rows = shape.rows();
    let length = shape.tokens();
    let vocab = shape.config().vocab_size;
    let ids: Vec<u32> = (0..rows * length).map(|place| ((place * 7919) % vocab) as u32).collect();
    let ids = Tensor::from_vec(ids, (rows, length), &Device::Cpu)?; // (B, T)
    let pass = || {
        let began = Instant::now();
        model.logits(&ids, None, &Context::eval()).map(|_| began.elapsed().as_secs_f64() * 1e3)
    };
    (0..times).map(|_| pass().map_err(|error| BenchError::Model { source: error.into() })).collect()
}

fn file_bytes(adapter: &Adapter, shape: Shape) -> Result<u64> {
    let folder = tempfile::tempdir().map_err(BenchError::io("create a folder"))?;
    adapter.save(folder.path(), shape.name())?;
    let files =
        std::fs::read_dir(folder.path()).map_err(BenchError::io("read a folder"))?.flatten();
    let weights =
        files.filter(|file| file.path().extension().is_some_and(|end| end == "safetensors"));
    Ok(weights.filter_map(|file| file.metadata().ok()).map(|data| data.len()).sum())
}

/// Measures every method and the base model alternately, each time in a new process. `report`
/// receives a line at each start.
///
/// # Errors
/// [`BenchError::Backend`] when a process fails, and [`BenchError::Io`].
pub fn run(
    plan: MethodComparison,
    report: &mut dyn FnMut(&str),
) -> Result<Vec<(String, Vec<Costs>)>> {
    let own = std::env::current_exe().map_err(BenchError::io("find this program"))?;
    let names = [BASE].into_iter().chain(METHODS.iter().map(|spec| spec.verb));
    let mut all: Vec<(String, Vec<Costs>)> =
        names.map(|name| (name.to_owned(), Vec::new())).collect();
    for round in 1..=plan.rounds {
        for (name, costs) in &mut all {
            report(&format!("round {round} of {}: {name} on {}", plan.rounds, plan.shape.name()));
            costs.push(start(&own, name, plan)?);
        }
    }
    Ok(all)
}

fn start(own: &Path, name: &str, plan: MethodComparison) -> Result<Costs> {
    let mut command = Command::new(own);
    command.args([
        "method",
        name,
        "--shape",
        plan.shape.name(),
        "--steps",
        &plan.steps.to_string(),
    ]);
    let output = command.output().map_err(BenchError::io("start a method"))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let parsed = printed.lines().last().and_then(|line| serde_json::from_str(line).ok());
    let last_error_line = || {
        String::from_utf8_lossy(&output.stderr)
            .lines()
            .last()
            .unwrap_or("no error output")
            .to_owned()
    };
    parsed
        .ok_or_else(|| BenchError::Backend { backend: name.to_owned(), output: last_error_line() })
}

/// A Markdown table with one row per method; times are also given relative to plain LoRA.
pub fn markdown(plan: MethodComparison, all: &[(String, Vec<Costs>)]) -> String {
    let mut page = format!(
        "{}: medians of {} steps in each of {} rounds, compared with plain LoRA (r = {RANK})\n\n\
         | method | trained | file, KB | forward, ms | relative to LoRA | training step, ms | relative to LoRA | memory above the model, MB | predicted, MB | ratio |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
        plan.shape.name(),
        plan.steps.saturating_sub(plan.warm_up),
        plan.rounds
    );
    let middle = |costs: &[Costs], of: fn(&Costs) -> &Vec<f64>| {
        median(
            costs.iter().flat_map(|costs| of(costs).iter().skip(plan.warm_up).copied()).collect(),
        )
    };
    let yardstick =
        all.iter().find(|(name, _)| name == YARDSTICK).map_or(&[][..], |(_, costs)| costs);
    let times: [fn(&Costs) -> &Vec<f64>; 2] =
        [|costs| &costs.forward_milliseconds, |costs| &costs.step_milliseconds];
    for (name, costs) in all {
        let figures = times.map(|of| match middle(costs, of) {
            none if none.is_nan() => "— | —".to_owned(),
            time => format!("{time:.1} | {:.2}", time / middle(yardstick, of)),
        });
        let (trainable, bytes) =
            costs.first().map_or((0, 0), |costs| (costs.trainable, costs.file_bytes));
        page.push_str(&format!(
            "| {name} | {trainable} | {:.0} | {} | {} |\n",
            bytes as f64 / 1e3,
            figures.join(" | "),
            memory(costs)
        ));
    }
    page
}

/// Measured memory, predicted memory, and their ratio.
fn memory(costs: &[Costs]) -> String {
    let uses = || costs.iter().filter_map(|costs| costs.memory);
    let taken =
        median(uses().filter_map(|memory| memory.taken).map(|bytes| bytes as f64 / 1e6).collect());
    let predicted = median(
        uses().filter_map(|memory| memory.predicted).map(|bytes| bytes as f64 / 1e6).collect(),
    );
    if taken.is_nan() || predicted.is_nan() {
        "— | — | —".to_owned()
    } else {
        format!("{taken:.1} | {predicted:.1} | {:.2}", predicted / taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_measured_and_compared_with_lora() {
        let plan = MethodComparison { shape: Shape::Tiny, rounds: 1, steps: 2, warm_up: 1 };
        let costs = |forward: f64, step: &[f64]| Costs {
            forward_milliseconds: vec![900.0, forward],
            step_milliseconds: step.to_vec(),
            trainable: 7,
            file_bytes: 2_000,
            memory: (!step.is_empty())
                .then_some(MemoryUse { predicted: Some(4_500_000), taken: Some(3_000_000) }),
        };
        let all = [
            ("frozen".to_owned(), vec![costs(10.0, &[])]),
            ("lora".to_owned(), vec![costs(20.0, &[800.0, 40.0])]),
        ];
        let page = markdown(plan, &all);
        assert!(page.contains("| frozen | 7 | 2 | 10.0 | 0.50 | — | — | — | — | — |"), "{page}");
        assert!(
            page.contains("| lora | 7 | 2 | 20.0 | 1.00 | 40.0 | 1.00 | 3.0 | 4.5 | 1.50 |"),
            "{page}"
        );
    }
}
