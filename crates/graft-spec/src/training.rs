//! The keys of training, evaluation and generation.

mod data;
mod generation;
mod metric;
pub mod preference;
mod tokens;
mod train;
mod vocabulary;

pub use data::DATA;
pub use generation::{GENERATE, GENERATE_DATA};
use metric::METRIC;
pub use tokens::DATA_SHOW;
use tokens::LOSS_ON;
pub use train::{
    OPTIMIZERS, SCHEDULES, TRAIN, check_dependent, check_exclusive, check_train, is_dependent,
    overlaid, without_auto,
};
pub use vocabulary::MODEL_RESIZE;
use vocabulary::{ADDED_TOKENS, RESIZE_TOKENS};

use crate::{KeyKind, KeySpec};

/// The key that names a data set of the session.
pub(crate) const DATA_NAME: KeySpec = KeySpec {
    name: "data",
    aliases: &[],
    kind: KeyKind::Text,
    default: "",
    help: "name of the data set; default: the current one",
};

/// Keys of `%eval`.
pub const EVAL: &[KeySpec] = &[
    DATA_NAME,
    KeySpec {
        name: "split",
        aliases: &[],
        kind: KeyKind::Choice(&["train", "validation", "test"]),
        default: "test",
        help: "split to score on",
    },
    KeySpec {
        name: "examples",
        aliases: &["n"],
        kind: KeyKind::Integer { min: 1, max: 100_000_000 },
        default: "200",
        help: "maximum number of examples, from the first one on",
    },
    KeySpec {
        name: "batch",
        aliases: &["batch_size"],
        kind: KeyKind::Integer { min: 1, max: 65_536 },
        default: "16",
        help: "examples per forward pass",
    },
    LOSS_ON,
    KeySpec {
        name: "base",
        aliases: &[],
        kind: KeyKind::Bool,
        default: "true",
        help: "also score the base model",
    },
    KeySpec {
        default: "",
        help: "loss on preference data; without it that of the run that trained the adapter, or dpo",
        ..preference::LOSS
    },
    KeySpec {
        default: "",
        help: "scale of the rewards on preference data; without it that of the run that trained the adapter, or 0.1",
        ..preference::BETA
    },
    KeySpec {
        default: "",
        help: "target margin of loss=simpo on preference data; without it that of the run that trained the adapter, or 0.5",
        ..preference::GAMMA
    },
    METRIC,
    metric::PATTERN,
    KeySpec { aliases: &["tokens"], ..metric::MAX_NEW_TOKENS },
    metric::STOP,
    KeySpec {
        name: "seed",
        aliases: &[],
        kind: KeyKind::Integer { min: 0, max: i64::MAX },
        default: "",
        help: "seed of the bootstrap intervals; without it the seed of the session",
    },
];

/// Keys of `%ablate` in addition to those of the methods and of `%train`.
pub const ABLATE: &[KeySpec] = &[
    KeySpec {
        name: "seeds",
        aliases: &[],
        kind: KeyKind::Integer { min: 1, max: 100 },
        default: "1",
        help: "training runs per configuration, with the seed of the session and the seeds after it",
    },
    KeySpec {
        name: "split",
        aliases: &[],
        kind: KeyKind::Choice(&["train", "validation", "test"]),
        default: "validation",
        help: "split the trials are scored on; keep the test split for the configuration that you choose",
    },
    KeySpec {
        name: "examples",
        aliases: &["n"],
        kind: KeyKind::Integer { min: 1, max: 100_000_000 },
        default: "200",
        help: "maximum number of examples each trial is scored on, from the first one on",
    },
    KeySpec {
        help: "metrics that the trials are compared by, those of %eval: the first one ranks the configurations, and the others are shown too; without it accuracy for data with labels, else the loss",
        ..METRIC
    },
    metric::PATTERN,
    metric::MAX_NEW_TOKENS,
    metric::STOP,
    KeySpec {
        name: "domain",
        aliases: &["on"],
        kind: KeyKind::Text,
        default: "",
        help: "also measure forgetting, on text like the training data of the base model: a loaded or built-in data set, or a file; %forgetting uses rust-docs for `tiny`",
    },
    KeySpec {
        name: "domain_examples",
        aliases: &[],
        kind: KeyKind::Integer { min: 1, max: 100_000_000 },
        default: "60",
        help: "maximum number of examples of the domain, from the first one on",
    },
    KeySpec {
        name: "early",
        aliases: &[],
        kind: KeyKind::Choice(&["none", "halving"]),
        default: "none",
        help: "early stopping. halving stops the half of the trials with the higher training loss after a quarter of the steps, and half of the rest after another quarter",
    },
    KeySpec {
        name: "fresh",
        aliases: &[],
        kind: KeyKind::Bool,
        default: "false",
        help: "repeat the trials that an earlier run of the same line has finished",
    },
    KeySpec {
        name: "confirm",
        aliases: &[],
        kind: KeyKind::Bool,
        default: "false",
        help: "confirm a grid of more than 60 training runs",
    },
    KeySpec {
        name: "bg",
        aliases: &["background"],
        kind: KeyKind::Bool,
        default: "false",
        help: "compare in the background: %watch shows the table, %trial stops or adds a trial, %stop ends the comparison; %generate, %eval and %compare work with your own adapter meanwhile",
    },
];

/// Keys of `%model load`.
pub const MODEL: &[KeySpec] = &[
    KeySpec {
        name: "dtype",
        aliases: &[],
        kind: KeyKind::Choice(&["f32", "bf16", "f16"]),
        default: "f32",
        help: "number type of the frozen weights; adapters are f32",
    },
    KeySpec {
        name: "load_in_4bit",
        aliases: &["nf4"],
        kind: KeyKind::Bool,
        default: "false",
        help: "quantize the linear layers except the head to 4-bit NormalFloat, as QLoRA does; they stay quantized while an adapter is trained",
    },
    KeySpec {
        name: "bnb_4bit_use_double_quant",
        aliases: &["double_quant"],
        kind: KeyKind::Bool,
        default: "true",
        help: "with load_in_4bit: quantize the scales of the blocks as well, 4.13 bits per weight instead of 4.5",
    },
    KeySpec {
        name: "load_in_8bit",
        aliases: &["int8"],
        kind: KeyKind::Bool,
        default: "false",
        help: "quantize the linear layers except the head to 8-bit integers with one scale per row",
    },
    KeySpec {
        name: "num_labels",
        aliases: &["labels"],
        kind: KeyKind::Integer { min: 1, max: 65_536 },
        default: "",
        help: "load the model with a classification head for this many classes; a head that is not in the files is initialized, trained with every adapter, and its classes are named after the labels of the data",
    },
    KeySpec {
        name: "revision",
        aliases: &[],
        kind: KeyKind::Text,
        default: "main",
        help: "branch, tag or commit on the Hub",
    },
    ADDED_TOKENS,
    RESIZE_TOKENS,
];

/// Keys of `%model save`.
pub const MODEL_SAVE: &[KeySpec] = &[KeySpec {
    name: "dtype",
    aliases: &[],
    kind: KeyKind::Choice(&["f32", "bf16", "f16"]),
    default: "f32",
    help: "number type of the saved matrices; vectors are saved in 32 bits, and quantized layers are dequantized",
}];

/// Keys of `%memory`.
pub const MEMORY: &[KeySpec] = &[
    KeySpec {
        name: "optim",
        aliases: &["optimizer"],
        kind: KeyKind::Choice(OPTIMIZERS),
        default: "adamw",
        help: "optimizer, as with %train: they differ in the states that they store",
    },
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
        help: "length of an example in tokens; without it the context length of the model, and 1,024 for a published model",
    },
    KeySpec {
        name: "gradient_checkpointing",
        aliases: &["checkpoint"],
        kind: KeyKind::Bool,
        default: "false",
        help: "as with %train gradient_checkpointing=true: activations are recomputed in the backward pass",
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
        help: "number type of the frozen weights of a published model",
    },
];

/// Keys of `%runs use`.
pub const RUN_WEIGHTS: &[KeySpec] = &[
    KeySpec {
        name: "step",
        aliases: &["at"],
        kind: KeyKind::Text,
        default: "",
        help: "weights to attach: best, last, start or the number of a step; without it the weights with the lowest validation loss, or the last ones if nothing was validated",
    },
    KeySpec {
        name: "adapter_name",
        aliases: &["name", "as"],
        kind: KeyKind::Text,
        default: "",
        help: "name of the adapter; without it the name of the adapter of the run",
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
            "reward_margin",
            "reward_accuracy",
        ]),
        default: "loss",
        help: "metric to plot against the steps",
    },
    KeySpec {
        name: "smooth",
        aliases: &["smoothing"],
        kind: KeyKind::Float { min: 0.0, max: 0.999 },
        default: "0.8",
        help: "smoothing factor of the running mean of loss, gradient norm and speed; 0 plots the raw values",
    },
    KeySpec {
        name: "log",
        aliases: &["log_y"],
        kind: KeyKind::Bool,
        default: "false",
        help: "logarithmic vertical axis",
    },
];

/// Keys of `%class join`.
pub const CLASS_JOIN: &[KeySpec] = &[
    KeySpec {
        name: "folder",
        aliases: &["dir"],
        kind: KeyKind::Path,
        default: "",
        help: "shared folder of the class; without it the folder that GRAFT_CLASS names",
    },
    KeySpec {
        name: "exercise",
        aliases: &["ex"],
        kind: KeyKind::Text,
        default: "",
        help: "exercise that the next results belong to; without it they belong to none",
    },
];

/// Keys of `%class` and `%class watch`.
pub const CLASS_VIEW: &[KeySpec] = &[
    KeySpec {
        name: "exercise",
        aliases: &["ex"],
        kind: KeyKind::Text,
        default: "",
        help: "exercise to show; without it the one that this session has joined, or the one with the newest result",
    },
    KeySpec {
        name: "names",
        aliases: &[],
        kind: KeyKind::Bool,
        default: "true",
        help: "names=false shows a pseudonym instead of each name, always the same one on this machine",
    },
    KeySpec {
        name: "folder",
        aliases: &["dir"],
        kind: KeyKind::Path,
        default: "",
        help: "shared folder of the class; without it the one that this session has joined, or the one that GRAFT_CLASS names",
    },
];
