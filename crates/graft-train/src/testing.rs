//! A model, a tokenizer and data for tests: one block with attention, and words that are numbers.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use graft_nn::ops::{self, AttentionSpec, LowRank};
use graft_nn::{
    Context, Device, Embedding, Hidden, LabelNames, Layer, Linear, LinearAdapter, Model,
    ModelShape, NnError, Result, Rng, Role, Site, SoftPrompt, Task, Tensor, TokenEncoder,
    Trainable, Var,
};
use graft_spec::{Settings, Value};

use crate::data::{Dataset, parse_inline};
use crate::job::TrainingJob;
use crate::optimizer::OptimizerConfig;
use crate::preference::ReferenceModel;
use crate::runs::{RunFolder, RunHeader};
use crate::schedule::Decay;
use crate::{CheckpointState, Examples, TrainConfig};

/// Width of the model.
const WIDTH: usize = 8;

/// `x + o(attention(q(x), k(x), v(x)))`, then the head. It has no position embeddings: only the
/// causal mask distinguishes positions.
pub(crate) struct TinyLlama {
    shape: ModelShape,
    embedding: Embedding,
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    head: Linear,
}

impl TinyLlama {
    pub(crate) fn new(vocab: usize, max_positions: usize) -> Self {
        let linear = |path: &str, role, d_out| {
            Linear::new(path, role, random(path, &[d_out, WIDTH], 0.5), None).expect("a layer")
        };
        Self {
            shape: ModelShape {
                family: "test".into(),
                hidden: WIDTH,
                layers: 1,
                heads: 2,
                kv_heads: 2,
                head_dim: WIDTH / 2,
                intermediate: 0,
                vocab,
                max_positions,
                tied: false,
            },
            embedding: Embedding::new("embed_tokens", random("embed_tokens", &[vocab, WIDTH], 1.0)),
            query: linear("q_proj", Role::Query, WIDTH),
            key: linear("k_proj", Role::Key, WIDTH),
            value: linear("v_proj", Role::Value, WIDTH),
            output: linear("o_proj", Role::Output, WIDTH),
            head: linear("lm_head", Role::Head, vocab),
        }
    }

    /// Low-rank adapters with dropout on every linear layer except the head.
    pub(crate) fn attach(&self, dropout: f64) -> Vec<Trainable> {
        let mut trainables = Vec::new();
        for linear in [&self.query, &self.key, &self.value, &self.output] {
            let variable = |part: &str, dims: &[usize]| {
                Var::from_tensor(&random(&format!("{part} {}", linear.path()), dims, 0.3))
                    .expect("a variable")
            };
            let a = variable("A", &[2, WIDTH]);
            let b = variable("B", &[WIDTH, 2]);
            trainables.push(Trainable::new(format!("{}.lora_A", linear.path()), a.clone()));
            trainables.push(Trainable::new(format!("{}.lora_B", linear.path()), b.clone()));
            linear.slot().insert("low", Arc::new(Low { a, b, dropout }));
            linear.slot().set_active(&["low"]);
        }
        trainables
    }

    /// Switches all low-rank adapters on or off.
    pub(crate) fn set_adapters(&self, active: &[&str]) {
        for linear in [&self.query, &self.key, &self.value, &self.output] {
            linear.slot().set_active(active);
        }
    }

    /// A soft prompt of `count` vectors.
    pub(crate) fn prompt(&self, count: usize) -> Vec<Trainable> {
        let var = Var::from_tensor(&random("prompt", &[count, WIDTH], 0.5)).expect("a variable");
        self.embedding.prompt().insert("soft", Arc::new(Soft(var.clone())));
        self.embedding.prompt().set_active(&["soft"]);
        vec![Trainable::new("prompt", var)]
    }
}

/// The same body with a classification head, which reads the first token of a text.
pub(crate) struct TinyClassifier {
    body: TinyLlama,
    classifier: Linear,
    names: LabelNames,
}

impl TinyClassifier {
    pub(crate) fn new(labels: usize, names: Option<&[&str]>, is_fresh: bool) -> Self {
        let names = LabelNames::new(
            names.map(|names| names.iter().map(|name| (*name).to_owned()).collect()),
        );
        if is_fresh {
            names.mark_fresh();
        }
        let classifier = Linear::new(
            "classifier",
            Role::Head,
            random("classifier", &[labels, WIDTH], 0.5),
            None,
        )
        .expect("a layer");
        Self { body: TinyLlama::new(16, 32), classifier, names }
    }
}

impl Model for TinyClassifier {
    fn shape(&self) -> &ModelShape {
        self.body.shape()
    }

    fn task(&self) -> Task {
        Task::SequenceClassification { labels: self.classifier.d_out() }
    }

    fn label_names(&self) -> Option<&LabelNames> {
        Some(&self.names)
    }

    fn sites(&self) -> Vec<Site<'_>> {
        self.body.sites()
    }

    fn embedding(&self) -> &Embedding {
        self.body.embedding()
    }

    fn hidden(&self, ids: &Tensor, mask: Option<&Tensor>, cx: &Context) -> Result<Hidden> {
        self.body.hidden(ids, mask, cx)
    }

    fn head(&self, states: &Tensor, cx: &Context) -> Result<Tensor> {
        let first = match &cx.sequences {
            None => states.narrow(1, 0, 1)?.squeeze(1)?.contiguous()?, // (B, C)
            Some(sequences) => {
                let starts: Vec<u32> = sequences.ranges().map(|range| range.start as u32).collect();
                let count = starts.len();
                states
                    .squeeze(0)?
                    .index_select(&Tensor::from_vec(starts, count, states.device())?, 0)? // (B, C)
            }
        };
        self.classifier.forward(&first, cx) // (B, labels)
    }

    fn default_targets(&self) -> &'static [&'static str] {
        self.body.default_targets()
    }
}

fn random(path: &str, dims: &[usize], std: f32) -> Tensor {
    let values = Rng::new(5).stream("init", path).normal(0.0, std, dims.iter().product());
    Tensor::from_vec(values, dims, &Device::Cpu).expect("a tensor")
}

impl Model for TinyLlama {
    fn shape(&self) -> &ModelShape {
        &self.shape
    }

    fn sites(&self) -> Vec<Site<'_>> {
        let linears = [&self.query, &self.key, &self.value, &self.output, &self.head];
        let embedding = Site {
            path: self.embedding.path(),
            role: Role::Embedding,
            layer: Layer::Embedding(&self.embedding),
        };
        let linears = linears.map(|linear| Site {
            path: linear.path(),
            role: linear.role(),
            layer: Layer::Linear(linear),
        });
        std::iter::once(embedding).chain(linears).collect()
    }

    fn embedding(&self) -> &Embedding {
        &self.embedding
    }

    fn hidden(&self, ids: &Tensor, mask: Option<&Tensor>, cx: &Context) -> Result<Hidden> {
        let (x, virtual_tokens) = self.embedding.forward_with_prompt(ids, cx)?; // (B, P+T, C)
        let mask = match mask {
            Some(mask) => {
                let ones =
                    Tensor::ones((mask.dims2()?.0, virtual_tokens), mask.dtype(), mask.device())?;
                Some(Tensor::cat(&[&ones, mask], 1)?) // (B, P+T)
            }
            None => None,
        };
        let spec = AttentionSpec {
            heads: 2,
            kv_heads: 2,
            causal: true,
            mask,
            offset: 0,
            scale: 0.5,
            softcap: None,
            window: None,
            sequences: cx.sequences.clone(),
            attention_probs: cx.attention_probs.clone(),
        };
        let q = self.query.forward(&x, cx)?;
        let k = self.key.forward(&x, cx)?;
        let v = self.value.forward(&x, cx)?;
        let attended = self.output.forward(&ops::attention(&q, &k, &v, &spec)?, cx)?;
        Ok(Hidden { states: (x + attended)?, virtual_tokens })
    }

    fn head(&self, states: &Tensor, cx: &Context) -> Result<Tensor> {
        self.head.forward(states, cx)
    }

    fn default_targets(&self) -> &'static [&'static str] {
        &["q_proj", "v_proj"]
    }
}

struct Low {
    a: Var,
    b: Var,
    dropout: f64,
}

impl LinearAdapter for Low {
    fn forward(&self, base: &Linear, x: &Tensor, cx: &Context) -> Result<Tensor> {
        let a = self.a.as_tensor().clone();
        let b = self.b.as_tensor().clone();
        ops::lora_linear(
            x,
            base.weight().weight(),
            &LowRank { a, b, scale: 2.0, dropout: cx.mask(base.path(), self.dropout) },
        )
    }

    fn delta(&self, _base: &Linear) -> Result<Option<Tensor>> {
        Ok(None)
    }
}

struct Soft(Var);

impl SoftPrompt for Soft {
    fn embeddings(&self, _cx: &Context) -> Result<Tensor> {
        Ok(self.0.as_tensor().clone())
    }

    fn len(&self) -> usize {
        self.0.dims()[0]
    }
}

/// A word is the number of its token; `<s>` is 0, `</s>` is 1.
pub(crate) struct Words;

impl TokenEncoder for Words {
    fn encode(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.encode_with_offsets(text)?.into_iter().map(|(id, _)| id).collect())
    }

    /// A word includes the white space before it.
    fn encode_with_offsets(&self, text: &str) -> Result<Vec<(u32, Range<usize>)>> {
        let mut start = 0;
        let mut words = Vec::new();
        for word in text.split_whitespace() {
            let id = word.parse().map_err(|_| {
                NnError::from(candle_core::Error::Msg(format!("`{word}` is not a token")))
            })?;
            let end = word.as_ptr() as usize - text.as_ptr() as usize + word.len();
            words.push((id, start..end));
            start = end;
        }
        Ok(words)
    }

    fn decode(&self, ids: &[u32]) -> Result<String> {
        Ok(ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" "))
    }

    fn bos(&self) -> Option<u32> {
        Some(0)
    }

    fn eos(&self) -> Option<u32> {
        Some(1)
    }

    fn vocab(&self) -> usize {
        16
    }

    fn token(&self, id: u32) -> String {
        id.to_string()
    }
}

/// Texts of different lengths whose label is their first token, in three splits.
pub(crate) fn labeled_data() -> Dataset {
    let mut text = "text,label,split\n".to_owned();
    for index in 0..24 {
        let label = 3 + index % 3;
        let part = ["train", "train", "train", "validation", "test"][index % 5];
        let rest: Vec<String> =
            (0..index % 4).map(|word| (6 + (index + word) % 8).to_string()).collect();
        text.push_str(&format!("{label} {},{},{part}\n", rest.join(" "), label + 9));
    }
    let settings = Settings::default().with("template", Value::Text("{text} 2".into()));
    parse_inline("firsts", &text, &settings).expect("a data set")
}

/// Prompts with two answers of different lengths, in two splits.
pub(crate) fn preferred_data() -> Dataset {
    let mut text = "prompt,chosen,rejected,split\n".to_owned();
    for index in 0..14 {
        let part = if index % 4 == 3 { "validation" } else { "train" };
        let words = |first: usize, count: usize| {
            (0..count).map(|word| format!(" {}", 3 + (first + word) % 9)).collect::<String>()
        };
        let (chosen, rejected) = (words(index, 1 + index % 3), words(index + 4, 1 + index % 4));
        text.push_str(&format!("{} 2,{chosen},{rejected},{part}\n", 3 + index % 5));
    }
    parse_inline("pairs", &text, &Settings::default()).expect("a data set")
}

/// A short run that uses everything a resumed run has to restore: dropout, two micro-batches per
/// step, and clipping.
pub(crate) fn config(steps: u64) -> TrainConfig {
    TrainConfig {
        steps,
        lr: 0.02,
        batch: 4,
        accumulate: 2,
        max_length: None,
        loss_on: None,
        packing: false,
        stride: None,
        decay: Decay::Cosine,
        warmup: 2,
        optimizer: OptimizerConfig { weight_decay: 0.01, ..OptimizerConfig::default() },
        max_grad_norm: 0.5,
        label_smoothing: 0.0,
        neftune_noise_alpha: 0.0,
        recompute: false,
        eval_every: 3,
        eval_examples: 4,
        best: "loss".to_owned(),
        pattern: None,
        max_new_tokens: 128,
        stop: String::new(),
        early_stopping: 0,
        load_best: false,
        save_every: 0,
        seed: 7,
        preference: None,
    }
}

/// A job on the test data. Its encoded examples live until the test process ends.
pub(crate) fn job<'a>(
    model: &'a TinyLlama,
    data: &'a Dataset,
    trainables: &'a Vec<Trainable>,
    config: TrainConfig,
    base: &Path,
) -> TrainingJob<'a> {
    let folder = RunFolder::create(base, "test").expect("a folder");
    job_in((model, data, trainables), config, folder, None)
}

/// A job in a run folder, with a reference model.
pub(crate) fn job_in<'a>(
    (model, data, trainables): (&'a TinyLlama, &'a Dataset, &'a Vec<Trainable>),
    config: TrainConfig,
    folder: RunFolder,
    reference: Option<&'a dyn ReferenceModel>,
) -> TrainingJob<'a> {
    let header = RunHeader { run: folder.name(), ..RunHeader::default() };
    let examples = Examples::new(model, &Words, data, &config).expect("encodes");
    let examples = examples.with_reference(reference);
    TrainingJob {
        model,
        trainables: trainables.clone(),
        batches: Box::leak(Box::new(examples)),
        config,
        folder,
        header,
        checkpoint: trainables as &dyn CheckpointState,
        keeps_best: true,
        callbacks: None,
        metrics: Vec::new(),
        predicted_memory: None,
    }
}

/// The values that `make_training_goldens.py` has computed.
pub(crate) fn training_goldens() -> serde_json::Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens/training.json");
    serde_json::from_slice(&std::fs::read(path).expect("the golden file")).expect("JSON")
}

/// The numbers that `make_training_goldens.py` draws.
pub(crate) fn drawn(seed: u64, shape: &[usize]) -> Tensor {
    let mut state = seed;
    let numbers: Vec<f32> = (0..shape.iter().product())
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            ((state >> 40) as f64 / f64::from(1 << 23) - 1.0) as f32
        })
        .collect();
    Tensor::from_vec(numbers, shape, &Device::Cpu).expect("a tensor")
}
