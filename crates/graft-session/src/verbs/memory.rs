//! `%memory`: predicts the memory of training.

mod published;

use graft_nn::{Quantization, SavedActivations};
use graft_protocol::{Cell, Table};
use graft_spec::{Failure, Settings, training::MEMORY};
use graft_train::{
    EncodeOptions, Evaluator, LargestPass, Request, TrainConfig, VALIDATION_BATCH,
    data::{Kind, SplitName},
    device_of,
    memory::{Memory, Sizes, of_model, optimizer_bytes, packed},
    optimizer::{OptimizerConfig, OptimizerKind},
    preference::{Objective, PreferenceEvaluator},
};

use super::{
    attach::require_adapter, format::thousands, preference::reference_copies, runs::newest_memory,
};
use crate::{CommandContext, SessionState, state::LoadedModel};

/// The quantization of QLoRA.
const FOUR_BITS: Quantization = Quantization::Nf4 { double: true };

/// Memory of training the adapter in use on the current model, compared with full fine-tuning; or
/// of training the published model `of`.
///
/// # Errors
/// [`crate::SessionError::NoModel`], [`crate::SessionError::NoAdapter`],
/// [`crate::SessionError::UnknownShape`].
pub fn table(cx: &CommandContext, of: Option<&str>, settings: &Settings) -> Result<Table, Failure> {
    settings.check(MEMORY)?;
    match of {
        Some(name) => published::table(name, settings),
        None => of_session(cx, settings),
    }
}

fn of_session(cx: &CommandContext, settings: &Settings) -> Result<Table, Failure> {
    let state = cx.state();
    let model = state.model()?;
    let attached = require_adapter(&state)?;
    let base = model.loaded.model.as_ref();
    let positions = base.shape().max_positions;
    let tokens =
        whole(settings, "max_length").map_or(positions, |length| (length as usize).min(positions));
    let recompute = settings.bool(MEMORY, "gradient_checkpointing");
    let optimizer = optimizer(settings);
    let (validation, validated) = validation(&state, &model, tokens, rows(settings));
    let is_of_pairs = is_of_pairs(&state);
    let objective = is_of_pairs.then(Objective::default);
    let sizes = Sizes {
        rows: rows(settings),
        rows_per_example: if is_of_pairs { 2 } else { 1 },
        copies: reference_copies(objective, &Settings::default(), &attached),
        tokens,
        added: attached.adapter.trainable_parameters(),
        recompute,
        validation,
        optimizer_bytes: Some(optimizer_bytes(&optimizer, &attached.adapter.trainables())),
        ..of_model(base)
    };
    let parameters = base.parameters();
    let full = parameters.iter().map(|parameter| optimizer.state_bytes(&parameter.dims())).sum();
    let label = format!("{} ({})", attached.adapter.name(), attached.adapter.spec().verb);
    let mut table = compared(
        &format!("memory of training {}", model.source),
        &label,
        &sizes,
        &packed(base, &sizes, FOUR_BITS),
        full,
    );
    if sizes.copies > 0 {
        table.footer.push(format!(
            "pairs of answers: {} copies of the trained parameters for the reference of loss=dpo",
            sizes.copies
        ));
    }
    table.footer.extend(notes(&model, &sizes, validated));
    Ok(table)
}

/// Notes on validation, free memory, and measurements.
fn notes(model: &LoadedModel, sizes: &Sizes<'_>, validated: Option<String>) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(data) = validated {
        let bytes = thousands(Memory::of_validation(sizes).div_ceil(1_000_000));
        notes.push(format!(
            "validation on {data}: {bytes} MB of activations and logits; the part that exceeds one \
             training step counts as temporary"
        ));
    }
    let device = device_of(model.loaded.model.as_ref());
    if let Some(available) = graft_nn::memory::left(&device) {
        let needed = Memory::predict(sizes).on_top();
        let verdict = if needed <= available { "it fits" } else { "it does not fit" };
        notes.push(format!(
            "{} on top of the loaded model; {} has {} free: {verdict}",
            gibibytes(needed),
            if device.is_cpu() { "this machine" } else { "the GPU" },
            gibibytes(available)
        ));
    }
    if let Some((run, memory)) = newest_memory(&model.loaded.content_hash) {
        notes.push(format!("measured in the newest run of this model, {run}: {memory}"));
    }
    notes
}

/// Whether the current data is trained on in pairs of answers.
fn is_of_pairs(state: &SessionState) -> bool {
    state.data(None).is_ok_and(|data| data.dataset.kind == Kind::Preference)
}

/// The largest forward pass of a validation on the current data, and the name of the data; `None`
/// without validation examples.
fn validation(
    state: &SessionState,
    model: &LoadedModel,
    tokens: usize,
    rows: usize,
) -> (LargestPass, Option<String>) {
    let Ok(data) = state.data(None) else { return (LargestPass::default(), None) };
    let examples = TrainConfig::from_settings(&Settings::default(), 0.0, 0).eval_examples;
    let request = Request {
        split: SplitName::Validation,
        examples,
        batch: rows.max(VALIDATION_BATCH),
        encoding: EncodeOptions { max_length: Some(tokens), ..EncodeOptions::default() },
    };
    let (network, tokenizer) = (model.loaded.model.as_ref(), model.loaded.tokenizer.as_ref());
    let largest = if data.dataset.kind == Kind::Preference {
        let data = (&data.dataset, request);
        PreferenceEvaluator::new((network, tokenizer), data, Objective::default(), None)
            .map(|evaluator| evaluator.largest_pass(network))
    } else {
        Evaluator::new(network, tokenizer, &data.dataset, request)
            .and_then(|evaluator| evaluator.largest_pass())
    };
    // If this model cannot be validated on the data, training reports the error.
    match largest {
        Ok(largest) => (largest, Some(data.dataset.name.clone())),
        Err(_) => (LargestPass::default(), None),
    }
}

/// The parts of the memory, compared with those on a 4-bit base and of full fine-tuning.
fn compared(
    title: &str,
    label: &str,
    sizes: &Sizes<'_>,
    four_bits: &Sizes<'_>,
    full_optimizer_bytes: u64,
) -> Table {
    let memory = Memory::predict(sizes);
    let packed = Memory::predict(four_bits);
    let full = full_fine_tuning(sizes, full_optimizer_bytes);
    let mut table = Table::new(
        title,
        &["part", &format!("#{label}"), "#share", "", "#on a 4-bit base", "#full fine-tuning"],
    );
    for (((name, bytes), (_, packed)), (_, opened)) in
        memory.parts().into_iter().zip(packed.parts()).zip(full.parts())
    {
        let share = bytes as f64 / memory.total() as f64;
        let bar = "█".repeat((20.0 * share).round() as usize);
        let cells = [
            Cell::Bytes(bytes),
            Cell::Percent(share, 0),
            Cell::Text(bar),
            Cell::Bytes(packed),
            Cell::Bytes(opened),
        ];
        table.row([Cell::Text(name.to_owned())].into_iter().chain(cells).collect());
    }
    let totals = [
        Cell::Bytes(memory.total()),
        Cell::Empty,
        Cell::Empty,
        Cell::Bytes(packed.total()),
        Cell::Bytes(full.total()),
    ];
    table.row([Cell::Strong("total".to_owned())].into_iter().chain(totals).collect());
    table.footer.push(assumptions(sizes));
    table
}

/// The memory of training all weights.
fn full_fine_tuning(sizes: &Sizes<'_>, optimizer_bytes: u64) -> Memory {
    Memory::predict(&Sizes {
        added: 0,
        unfrozen: sizes.parameters,
        adapters: SavedActivations::default(),
        frozen_blocks: 0,
        inside_blocks: true,
        optimizer_bytes: Some(optimizer_bytes),
        ..*sizes
    })
}

/// The sizes from which the memory is predicted.
fn assumptions(sizes: &Sizes<'_>) -> String {
    format!(
        "{} parameters of {:.2} bytes, {} trainable; {} x {} tokens, activations as on the CPU",
        thousands(sizes.parameters),
        sizes.stored_bytes as f64 / sizes.parameters as f64,
        thousands(sizes.added),
        sizes.rows,
        sizes.tokens
    )
}

/// The optimizer of the key `optim`, with its default constants.
fn optimizer(settings: &Settings) -> OptimizerConfig {
    let kind = settings.text(MEMORY, "optim").and_then(|name| OptimizerKind::parse(&name));
    OptimizerConfig::of(kind.unwrap_or_default())
}

fn whole(settings: &Settings, name: &str) -> Option<u64> {
    settings.integer(MEMORY, name).map(i64::unsigned_abs)
}

fn rows(settings: &Settings) -> usize {
    whole(settings, "batch").unwrap_or(8) as usize
}

fn gibibytes(bytes: u64) -> String {
    format!("{:.2} GiB", bytes as f64 / (1u64 << 30) as f64)
}
