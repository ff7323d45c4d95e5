//! The workload of all backends: a model of a given shape, the method, and the tokens.

use std::collections::BTreeMap;
use std::sync::Arc;

use clap::ValueEnum;
use graft_models::llama::{Llama, LlamaConfig, Variant};
use graft_models::{WeightSpec, random_model};
use graft_nn::ops::RopeScaling;
use graft_nn::{DType, Device, Model, Rng, Tensor};
use graft_spec::{Settings, Value};
use graft_train::batch::{Batch, Encoded};
use serde_json::json;

use crate::Result;

/// Usual rank of the adapters; `lora_alpha` is twice the rank.
pub const RANK: usize = 8;

/// Number of labels of the classifier.
const CLASSES: usize = 7;

/// Learning rate.
pub const LEARNING_RATE: f64 = 1e-3;

/// Sizes of model and batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// A Llama: C 256, F 688, 4 layers, 4 heads, V 2,048; B 8, T 128: the embedded model's size.
    Tiny,
    /// A Llama: C 768, F 2,048, 8 layers, 12 heads, V 8,192; B 4, T 256.
    D768,
    /// GPT-2 small: C 768, 12 layers, V 50,257, 124 million parameters; B 2, T 256.
    Gpt2,
    /// BERT base as a classifier of 7 labels: C 768, 12 layers, 109 million parameters; B 8, T 128.
    Bert,
    /// Llama 3.2 1B: C 2,048, F 8,192, 16 layers, 32 heads over 8, V 128,256, 1.24 billion
    /// parameters in bf16; B 1, T 1,024.
    #[value(name = "llama-1b")]
    Llama1b,
}

/// The device of the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Place {
    /// The CPU.
    #[default]
    Cpu,
    /// An NVIDIA GPU.
    Cuda,
}

impl Place {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
        }
    }
}

/// What is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Work {
    /// LoRA on all linear layers except the head, rank 8.
    Lora,
    /// The same with gradient checkpointing.
    Checkpointed,
    /// LoRA on the family's default layers (queries and values in a Llama), rank 8.
    LoraQv,
    /// DoRA on all linear layers except the head, rank 8.
    Dora,
    /// A soft prompt of 20 tokens.
    Prompt,
    /// All weights.
    Full,
}

impl Work {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lora => "lora",
            Self::Checkpointed => "checkpointed",
            Self::LoraQv => "lora-qv",
            Self::Dora => "dora",
            Self::Prompt => "prompt",
            Self::Full => "full",
        }
    }
}

impl Shape {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tiny => "tiny",
            Self::D768 => "d768",
            Self::Gpt2 => "gpt2",
            Self::Bert => "bert",
            Self::Llama1b => "llama-1b",
        }
    }

    /// The Llama configuration of this size; for other families, one of the same width.
    pub fn config(self) -> LlamaConfig {
        let [vocab_size, hidden_size, intermediate_size, num_hidden_layers, heads, kv_heads] =
            match self {
                Self::Tiny => [2048, 256, 688, 4, 4, 4],
                Self::D768 | Self::Gpt2 | Self::Bert => [8192, 768, 2048, 8, 12, 12],
                Self::Llama1b => [128_256, 2048, 8192, 16, 32, 8],
            };
        LlamaConfig {
            vocab_size,
            hidden_size,
            intermediate_size,
            num_hidden_layers,
            num_attention_heads: heads,
            num_key_value_heads: kv_heads,
            head_dim: hidden_size / heads,
            max_position_embeddings: self.tokens(),
            rms_norm_eps: 1e-5,
            rope_theta: 10_000.0,
            rope_scaling: RopeScaling::Default,
            tie_word_embeddings: self == Self::Llama1b,
            attention_bias: false,
            mlp_bias: false,
            initializer_range: 0.02,
            variant: Variant::default(),
        }
    }

    /// B.
    pub fn rows(self) -> usize {
        match self {
            Self::Tiny | Self::Bert => 8,
            Self::D768 => 4,
            Self::Gpt2 => 2,
            Self::Llama1b => 1,
        }
    }

    /// T.
    pub fn tokens(self) -> usize {
        match self {
            Self::Tiny | Self::Bert => 128,
            Self::D768 | Self::Gpt2 => 256,
            Self::Llama1b => 1024,
        }
    }

    fn vocab(self) -> usize {
        match self {
            Self::Gpt2 => 50257,
            Self::Bert => 30522,
            Self::Tiny | Self::D768 | Self::Llama1b => self.config().vocab_size,
        }
    }
}

/// One measurement: model, method, sizes and device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scene {
    /// The model.
    pub shape: Shape,
    /// The method.
    pub work: Work,
    /// B.
    pub rows: usize,
    /// T.
    pub tokens: usize,
    /// Rank of the adapters.
    pub rank: usize,
    /// The device.
    pub place: Place,
}

impl Scene {
    /// A scene of the usual size.
    pub fn new(shape: Shape, work: Work) -> Self {
        Self {
            shape,
            work,
            rows: shape.rows(),
            tokens: shape.tokens(),
            rank: RANK,
            place: Place::Cpu,
        }
    }

    /// The scene as command-line arguments.
    pub fn arguments(&self) -> Vec<String> {
        let Self { shape, work, rows, tokens, rank, place } = self;
        let words = [("shape", shape.name()), ("work", work.name()), ("device", place.name())]
            .map(|(name, value)| (name, value.to_owned()));
        let sizes = [("rows", rows), ("tokens", tokens), ("rank", rank)]
            .map(|(name, size)| (name, size.to_string()));
        words
            .into_iter()
            .chain(sizes)
            .flat_map(|(name, value)| [format!("--{name}"), value])
            .collect()
    }

    /// The model with random weights.
    ///
    /// # Errors
    /// When the device is not available or the model cannot be created.
    pub fn model(&self) -> Result<Arc<dyn Model>> {
        let device = graft_nn::device::choose(Some(self.place.name()))?;
        let other = match self.shape {
            Shape::Tiny | Shape::D768 => {
                let config =
                    LlamaConfig { max_position_embeddings: 2 * self.tokens, ..self.shape.config() };
                return Ok(Arc::new(Llama::random(&config, 1, &device)?));
            }
            Shape::Llama1b => return Ok(Arc::new(self.in_bf16(&device)?)),
            Shape::Gpt2 => {
                json!({"model_type": "gpt2", "vocab_size": 50257, "n_embd": 768, "n_layer": 12, "n_head": 12, "n_positions": 1024})
            }
            Shape::Bert => {
                json!({"model_type": "bert", "architectures": ["BertForSequenceClassification"], "num_labels": CLASSES,
                "vocab_size": 30522, "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
                "max_position_embeddings": 512})
            }
        };
        Ok(random_model(&other, 1, &device)?)
    }

    /// A Llama in bf16. Each weight is created in main memory, so that the device never holds it in
    /// 32 bits.
    fn in_bf16(&self, device: &Device) -> Result<Llama> {
        let config = self.shape.config();
        let rng = Rng::new(1);
        let weight = |spec: WeightSpec| {
            let count = spec.shape.iter().product();
            let values = match spec.shape.len() {
                1 => vec![1.0; count],
                _ => rng.stream("bench", &spec.name).normal(
                    0.0,
                    config.initializer_range as f32,
                    count,
                ),
            };
            let tensor = Tensor::from_vec(values, spec.shape.as_slice(), &Device::Cpu)?
                .to_dtype(DType::BF16)?
                .to_device(device)?;
            Ok((spec.name, tensor))
        };
        let weights =
            config.weights().into_iter().map(weight).collect::<Result<BTreeMap<_, _>>>()?;
        Ok(Llama::load(&weights, &config, device)?)
    }

    /// Verb and keys of the method.
    pub(crate) fn method(&self) -> (&'static str, Settings) {
        let all = Value::List(vec!["all-linear".to_owned()]);
        let ranked = Settings::default()
            .with("r", Value::Integer(self.rank as i64))
            .with("lora_alpha", Value::Float(2.0 * self.rank as f64));
        match self.work {
            Work::Lora | Work::Checkpointed => ("lora", ranked.with("target_modules", all)),
            Work::LoraQv => ("lora", ranked),
            Work::Dora => ("dora", ranked.with("target_modules", all)),
            Work::Prompt => {
                ("prompt_tune", Settings::default().with("num_virtual_tokens", Value::Integer(20)))
            }
            Work::Full => ("full", Settings::default()),
        }
    }

    /// The micro-batch of every step: rows of full length in which every token except the first is
    /// a label, or which have one class each.
    pub fn batch(&self) -> Batch {
        let length = self.tokens;
        let vocab = self.shape.vocab();
        // The Python backend computes the same ids.
        let id = |place: usize| ((place * 7919 + place * place * 31) % vocab) as u32;
        let rows: Vec<Encoded> = (0..self.rows)
            .map(|row| {
                let ids: Vec<u32> = (row * length..(row + 1) * length).map(id).collect();
                let labels = ids.iter().map(|id| i64::from(*id)).collect();
                Encoded {
                    ids,
                    labels,
                    class: (self.shape == Shape::Bert).then_some((row % CLASSES) as i64),
                }
            })
            .collect();
        Batch::of(&rows.iter().collect::<Vec<_>>())
    }
}
