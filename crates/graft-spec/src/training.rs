//! The keys of training, evaluation and generation.

use crate::{KeyKind, KeySpec};

/// Keys of `%train` (and of every method verb that trains in one line).
pub const TRAIN: &[KeySpec] = &[
    KeySpec {
        name: "steps",
        aliases: &["max_steps"],
        kind: KeyKind::Integer { min: 1, max: 100_000_000 },
        default: "200",
        help: "optimizer steps",
    },
    KeySpec {
        name: "lr",
        aliases: &["learning_rate"],
        kind: KeyKind::Float { min: 0.0, max: 1e3 },
        default: "",
        help: "peak learning rate; without it the method's own default, which is smaller in wider models",
    },
    KeySpec {
        name: "batch",
        aliases: &["batch_size"],
        kind: KeyKind::IntegerOrAuto { min: 1, max: 65_536 },
        default: "8",
        help: "examples per micro-batch; auto takes as many as fit into memory, up to 64. Nothing is computed for padding",
    },
    KeySpec {
        name: "gradient_accumulation_steps",
        aliases: &["accumulate"],
        kind: KeyKind::Integer { min: 1, max: 65_536 },
        default: "1",
        help: "micro-batches per step; the loss is averaged over all their tokens",
    },
    KeySpec {
        name: "max_length",
        aliases: &["seq"],
        kind: KeyKind::Integer { min: 2, max: 1_000_000 },
        default: "",
        help: "longest example in tokens; without it the model's context; longer examples are cut and counted",
    },
    KeySpec {
        name: "schedule",
        aliases: &["lr_scheduler_type"],
        kind: KeyKind::Choice(&["constant", "linear", "cosine"]),
        default: "cosine",
        help: "course of the learning rate after the warm-up",
    },
    KeySpec {
        name: "warmup",
        aliases: &["warmup_steps"],
        kind: KeyKind::Integer { min: 0, max: 100_000_000 },
        default: "10",
        help: "steps in which the learning rate rises from 0",
    },
    KeySpec {
        name: "weight_decay",
        aliases: &["decay"],
        kind: KeyKind::Float { min: 0.0, max: 10.0 },
        default: "0",
        help: "decoupled weight decay of AdamW",
    },
    KeySpec {
        name: "max_grad_norm",
        aliases: &["clip"],
        kind: KeyKind::Float { min: 0.0, max: 1e9 },
        default: "1",
        help: "gradients are scaled down to this global norm; 0 switches it off",
    },
    KeySpec {
        name: "gradient_checkpointing",
        aliases: &["checkpoint"],
        kind: KeyKind::Bool,
        default: "false",
        help: "compute each block again for the backward pass instead of keeping what is inside it: less memory, about half as much time again",
    },
    KeySpec {
        name: "data",
        aliases: &[],
        kind: KeyKind::Text,
        default: "",
        help: "name of the data set; without it the current one",
    },
    KeySpec {
        name: "eval_every",
        aliases: &["eval_steps"],
        kind: KeyKind::Integer { min: 0, max: 100_000_000 },
        default: "",
        help: "steps between validations; without it a tenth of the run; 0 switches it off",
    },
    KeySpec {
        name: "eval_examples",
        aliases: &[],
        kind: KeyKind::Integer { min: 1, max: 100_000_000 },
        default: "64",
        help: "validation examples used during training",
    },
    KeySpec {
        name: "bg",
        aliases: &["background"],
        kind: KeyKind::Bool,
        default: "false",
        help: "train in the background: the cell ends at once, %watch shows the curve, %jobs lists, %stop ends it, %generate, %eval and %compare answer meanwhile",
    },
    KeySpec {
        name: "save_every",
        aliases: &[],
        kind: KeyKind::Integer { min: 0, max: 100_000 },
        default: "60",
        help: "seconds between checkpoints; 0 keeps only the last",
    },
    KeySpec {
        name: "seed",
        aliases: &[],
        kind: KeyKind::Integer { min: 0, max: i64::MAX },
        default: "",
        help: "seed of data order and dropout; without it the session's (see %seed)",
    },
];

/// Keys of `%eval`.
pub const EVAL: &[KeySpec] = &[
    KeySpec {
        name: "data",
        aliases: &[],
        kind: KeyKind::Text,
        default: "",
        help: "name of the data set; without it the current one",
    },
    KeySpec {
        name: "split",
        aliases: &[],
        kind: KeyKind::Choice(&["train", "validation", "test"]),
        default: "test",
        help: "which part of the data",
    },
    KeySpec {
        name: "examples",
        aliases: &["n"],
        kind: KeyKind::Integer { min: 1, max: 100_000_000 },
        default: "200",
        help: "most examples used, from the first",
    },
    KeySpec {
        name: "batch",
        aliases: &["batch_size"],
        kind: KeyKind::Integer { min: 1, max: 65_536 },
        default: "16",
        help: "examples per forward pass",
    },
    KeySpec {
        name: "base",
        aliases: &[],
        kind: KeyKind::Bool,
        default: "true",
        help: "also score the untuned base",
    },
];

/// Keys of `%ablate` beside those of the methods and of `%train`.
pub const ABLATE: &[KeySpec] = &[
    KeySpec {
        name: "seeds",
        aliases: &[],
        kind: KeyKind::Integer { min: 1, max: 100 },
        default: "1",
        help: "trainings per configuration: the session's seed and those after it",
    },
    KeySpec {
        name: "split",
        aliases: &[],
        kind: KeyKind::Choice(&["train", "validation", "test"]),
        default: "validation",
        help: "which part of the data the trials are scored on; keep the test for the one that you choose",
    },
    KeySpec {
        name: "examples",
        aliases: &["n"],
        kind: KeyKind::Integer { min: 1, max: 100_000_000 },
        default: "200",
        help: "most examples each trial is scored on, from the first",
    },
    KeySpec {
        name: "domain",
        aliases: &["on"],
        kind: KeyKind::Text,
        default: "",
        help: "also measure what is forgotten, on text like that the model was trained on: a loaded or built-in set, or a file; %forgetting takes rust-docs for `tiny`",
    },
    KeySpec {
        name: "domain_examples",
        aliases: &[],
        kind: KeyKind::Integer { min: 1, max: 100_000_000 },
        default: "60",
        help: "most examples of the domain, from the first",
    },
    KeySpec {
        name: "early",
        aliases: &[],
        kind: KeyKind::Choice(&["none", "halving"]),
        default: "none",
        help: "halving gives up the half with the higher training loss after a quarter of the steps, and half of the rest after another quarter",
    },
    KeySpec {
        name: "fresh",
        aliases: &[],
        kind: KeyKind::Bool,
        default: "false",
        help: "train again what an earlier run of the same line has finished",
    },
    KeySpec {
        name: "confirm",
        aliases: &[],
        kind: KeyKind::Bool,
        default: "false",
        help: "train more than 60 times",
    },
    KeySpec {
        name: "bg",
        aliases: &["background"],
        kind: KeyKind::Bool,
        default: "false",
        help: "compare in the background: %watch shows how it stands, %trial gives one up or adds one, %stop ends it, %generate, %eval and %compare answer with your own adapter meanwhile",
    },
];

/// Keys of `%generate` and `%compare`.
pub const GENERATE: &[KeySpec] = &[
    KeySpec {
        name: "max_new_tokens",
        aliases: &["tokens"],
        kind: KeyKind::Integer { min: 1, max: 100_000 },
        default: "60",
        help: "most tokens written",
    },
    KeySpec {
        name: "temperature",
        aliases: &["temp"],
        kind: KeyKind::Float { min: 0.0, max: 100.0 },
        default: "0",
        help: "0 is greedy; 1 samples from the model's own distribution",
    },
    KeySpec {
        name: "top_k",
        aliases: &[],
        kind: KeyKind::Integer { min: 0, max: 10_000_000 },
        default: "0",
        help: "sample among the k likeliest; 0 means all",
    },
    KeySpec {
        name: "top_p",
        aliases: &[],
        kind: KeyKind::Float { min: 0.0, max: 1.0 },
        default: "1",
        help: "sample among the likeliest tokens whose probabilities sum to p",
    },
    KeySpec {
        name: "seed",
        aliases: &[],
        kind: KeyKind::Integer { min: 0, max: i64::MAX },
        default: "",
        help: "seed of the sampling; without it the session's",
    },
    KeySpec {
        name: "stop",
        aliases: &[],
        kind: KeyKind::Text,
        default: "",
        help: "stop before this text",
    },
];

/// Keys of `%model load`.
pub const MODEL: &[KeySpec] = &[
    KeySpec {
        name: "dtype",
        aliases: &[],
        kind: KeyKind::Choice(&["f32", "bf16", "f16"]),
        default: "f32",
        help: "how the frozen weights are kept; adapters are f32",
    },
    KeySpec {
        name: "load_in_4bit",
        aliases: &["nf4"],
        kind: KeyKind::Bool,
        default: "false",
        help: "pack the linear layers but the head into 4-bit NormalFloat, as QLoRA does; they stay packed while an adapter trains",
    },
    KeySpec {
        name: "bnb_4bit_use_double_quant",
        aliases: &["double_quant"],
        kind: KeyKind::Bool,
        default: "true",
        help: "with load_in_4bit: pack the blocks' scales as well, 4.13 bits a weight instead of 4.5",
    },
    KeySpec {
        name: "load_in_8bit",
        aliases: &["int8"],
        kind: KeyKind::Bool,
        default: "false",
        help: "pack the linear layers but the head into 8-bit integers with a scale a row",
    },
    KeySpec {
        name: "num_labels",
        aliases: &["labels"],
        kind: KeyKind::Integer { min: 1, max: 65_536 },
        default: "",
        help: "load an encoder (BERT) with a head for that many classes; one that the files lack is initialized, trained with every adapter, and its classes are named after the data's labels",
    },
    KeySpec {
        name: "revision",
        aliases: &[],
        kind: KeyKind::Text,
        default: "main",
        help: "branch, tag or commit on the Hub",
    },
];

/// Keys of `%model save`.
pub const MODEL_SAVE: &[KeySpec] = &[KeySpec {
    name: "dtype",
    aliases: &[],
    kind: KeyKind::Choice(&["f32", "bf16", "f16"]),
    default: "f32",
    help: "how matrices are written; vectors stay in 32 bits, and packed layers are unpacked",
}];

/// Keys of `%memory`.
pub const MEMORY: &[KeySpec] = &[
    KeySpec {
        name: "batch",
        aliases: &["batch_size"],
        kind: KeyKind::Integer { min: 1, max: 65_536 },
        default: "8",
        help: "examples per micro-batch",
    },
    KeySpec {
        name: "max_length",
        aliases: &["seq"],
        kind: KeyKind::Integer { min: 2, max: 1_000_000 },
        default: "",
        help: "tokens of an example; without it the model's context, and 1,024 for a published model",
    },
    KeySpec {
        name: "gradient_checkpointing",
        aliases: &["checkpoint"],
        kind: KeyKind::Bool,
        default: "false",
        help: "as with %train gradient_checkpointing=true: blocks are computed again for the backward pass",
    },
    KeySpec {
        name: "r",
        aliases: &["rank"],
        kind: KeyKind::Integer { min: 1, max: 65_536 },
        default: "16",
        help: "rank of the LoRA on a published model",
    },
    KeySpec {
        name: "dtype",
        aliases: &[],
        kind: KeyKind::Choice(&["f32", "bf16", "f16", "nf4", "int8"]),
        default: "bf16",
        help: "how a published model's frozen weights are kept",
    },
];

/// Keys of `%data load` and `%%data`.
pub const DATA: &[KeySpec] = &[
    KeySpec {
        name: "name",
        aliases: &[],
        kind: KeyKind::Text,
        default: "",
        help: "name of the data set; without it the file's stem",
    },
    KeySpec {
        name: "format",
        aliases: &[],
        kind: KeyKind::Choice(&["auto", "jsonl", "csv", "tsv", "txt"]),
        default: "auto",
        help: "auto goes by the file's content, ending and first line",
    },
    KeySpec {
        name: "validation",
        aliases: &[],
        kind: KeyKind::Float { min: 0.0, max: 0.9 },
        default: "0.1",
        help: "share of the examples kept for validation where the data has no split of its own",
    },
    KeySpec {
        name: "test",
        aliases: &[],
        kind: KeyKind::Float { min: 0.0, max: 0.9 },
        default: "0.1",
        help: "share kept for the test",
    },
    KeySpec {
        name: "template",
        aliases: &[],
        kind: KeyKind::Text,
        default: "",
        help: "prompt around the text of text/label data, with {text}, such as \"{text}\\nThis is from:\"; without one a language model reads \"{text}\\nLabel:\" and an encoder the text alone",
    },
];

/// Keys of `%runs use`.
pub const RUN_WEIGHTS: &[KeySpec] = &[
    KeySpec {
        name: "step",
        aliases: &["at"],
        kind: KeyKind::Text,
        default: "",
        help: "best, last, start or the number of a step; without it those with the lowest validation loss or, where nothing was validated, the last",
    },
    KeySpec {
        name: "adapter_name",
        aliases: &["name", "as"],
        kind: KeyKind::Text,
        default: "",
        help: "name of the adapter; without it that of the run's adapter",
    },
];

/// Keys of `%plot`.
pub const PLOT: &[KeySpec] = &[
    KeySpec {
        name: "y",
        aliases: &["metric"],
        kind: KeyKind::Choice(&[
            "loss",
            "validation",
            "accuracy",
            "lr",
            "grad_norm",
            "tokens_per_second",
        ]),
        default: "loss",
        help: "what is drawn against the steps",
    },
    KeySpec {
        name: "smooth",
        aliases: &["smoothing"],
        kind: KeyKind::Float { min: 0.0, max: 0.999 },
        default: "0.8",
        help: "share of what was before in a running mean of loss, gradient norm and speed; 0 draws each step as it was",
    },
    KeySpec {
        name: "log",
        aliases: &["log_y"],
        kind: KeyKind::Bool,
        default: "false",
        help: "logarithmic vertical axis",
    },
];
