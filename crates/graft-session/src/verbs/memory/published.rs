//! `%memory for MODEL`: the memory of training a published model.

use graft_models::{Published, published, published_names};
use graft_nn::{Quantization, SavedActivations};
use graft_protocol::Table;
use graft_spec::{Failure, Settings, training::MEMORY};
use graft_train::{
    LargestPass,
    memory::{Memory, Sizes},
    optimizer::{OptimizerConfig, OptimizerKind},
};

use super::{FOUR_BITS, compared, optimizer, rows, whole};
use crate::SessionError;

/// Memory sizes of consumer GPUs in GiB, with examples.
const GPUS: &[(u64, &str)] = &[
    (8, "RTX 4060"),
    (12, "RTX 3060"),
    (16, "RTX 4060 Ti"),
    (24, "RTX 3090, 4090"),
    (32, "RTX 5090"),
];

/// The memory of training a published model.
///
/// # Errors
/// [`SessionError::UnknownShape`].
pub(super) fn table(name: &str, settings: &Settings) -> Result<Table, Failure> {
    let model: Published = published(name).ok_or_else(|| SessionError::UnknownShape {
        name: name.to_owned(),
        known: published_names().iter().map(|name| (*name).to_owned()).collect(),
    })?;
    let (shape, rank) = (model.shape(), whole(settings, "r").unwrap_or(16));
    let (bytes_each, packed) = stored_type(settings);
    let tokens = (whole(settings, "max_length").unwrap_or(1024) as usize).min(shape.max_positions);
    let widened = if bytes_each < 4 { 4 * model.largest() } else { 0 };
    let (parameters, added) = (model.parameters(), model.lora_parameters(rank));
    let sizes = Sizes {
        shape: &shape,
        parameters,
        stored_bytes: model.bytes(bytes_each, packed),
        widened_bytes: widened,
        added,
        unfrozen: 0,
        rows: rows(settings),
        rows_per_example: 1,
        copies: 0,
        tokens,
        adapters: SavedActivations::default(),
        frozen_blocks: 0,
        recompute: settings.bool(MEMORY, "gradient_checkpointing"),
        threads: 0,
        validation: LargestPass::default(),
        inside_blocks: true,
        before_feed_forward: 0,
        optimizer_bytes: Some(optimizer_bytes(optimizer(settings), added, rank)),
    };
    let four_bits = with_four_bits(&model, bytes_each, &sizes);
    let mut table = compared(
        &format!("memory of training {}", model.name),
        &format!("lora r={rank} all-linear"),
        &sizes,
        &four_bits,
        optimizer_bytes(optimizer(settings), parameters, shape.hidden as u64),
    );
    table.footer.push(fitting_gpus(Memory::predict(&sizes).total()));
    Ok(table)
}

/// Bytes of the states for `count` parameters in matrices whose smaller side is `side`.
fn optimizer_bytes(optimizer: OptimizerConfig, count: u64, side: u64) -> u64 {
    match optimizer.kind {
        // Adafactor stores the sums of the rows and of the columns.
        OptimizerKind::Adafactor => 4 * count / side.max(1),
        _ => optimizer.state_bytes(&[usize::try_from(count).unwrap_or(usize::MAX)]),
    }
}

/// The bytes per weight that is not quantized, and the quantization of the others.
fn stored_type(settings: &Settings) -> (u64, Option<Quantization>) {
    match settings.text(MEMORY, "dtype").as_deref() {
        Some("f32") => (4, None),
        Some("nf4") => (2, Some(FOUR_BITS)),
        Some("int8") => (2, Some(Quantization::Int8)),
        _ => (2, None),
    }
}

/// The sizes on a 4-bit base.
fn with_four_bits<'a>(model: &Published, bytes_each: u64, sizes: &Sizes<'a>) -> Sizes<'a> {
    Sizes {
        stored_bytes: model.bytes(bytes_each, Some(FOUR_BITS)),
        widened_bytes: 4 * model.largest(),
        ..*sizes
    }
}

/// The GPUs on which so many bytes fit.
fn fitting_gpus(bytes: u64) -> String {
    let gpus: Vec<_> = GPUS
        .iter()
        .filter(|(size, _)| bytes <= size << 30)
        .map(|(size, gpu)| format!("{size} GB ({gpu})"))
        .collect();
    if gpus.is_empty() {
        "too large for any consumer GPU".to_owned()
    } else {
        format!("fits on GPUs with {}", gpus.join(", "))
    }
}
