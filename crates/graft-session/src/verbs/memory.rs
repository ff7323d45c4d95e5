//! `%memory`: what a training would take, before it starts.

use graft_models::{Published, published, published_names};
use graft_nn::{Quantization, SavedActivations};
use graft_protocol::{Cell, Table};
use graft_spec::{Failure, Settings, training::MEMORY};
use graft_train::{
    Evaluator, LargestPass, Request, TrainConfig, VALIDATION_BATCH,
    data::SplitName,
    device_of,
    memory::{Memory, Sizes, of_model, packed},
};

use super::{attach::adapter_wanted, runs::newest_memory, words::thousands};
use crate::{CommandContext, SessionError, State, state::LoadedModel};

/// Memory of consumer cards in GiB, each with one that has it.
const CARDS: &[(u64, &str)] = &[
    (8, "RTX 4060"),
    (12, "RTX 3060"),
    (16, "RTX 4060 Ti"),
    (24, "RTX 3090, 4090"),
    (32, "RTX 5090"),
];

/// What QLoRA packs a base into.
const FOUR_BITS: Quantization = Quantization::Nf4 { double: true };

/// Memory of training the adapter in use on the current model, beside full fine-tuning; `of` asks about a published model instead.
///
/// # Errors
/// [`SessionError::NoModel`], [`SessionError::NoAdapter`], [`SessionError::UnknownShape`].
pub fn table(
    desk: &CommandContext,
    of: Option<&str>,
    settings: &Settings,
) -> Result<Table, Failure> {
    settings.check(MEMORY)?;
    match of {
        Some(name) => of_published(name, settings),
        None => of_session(desk, settings),
    }
}

fn of_session(desk: &CommandContext, settings: &Settings) -> Result<Table, Failure> {
    let state = desk.state();
    let model = state.model()?;
    let attached = adapter_wanted(&state)?;
    let base = model.loaded.model.as_ref();
    let positions = base.shape().max_positions;
    let tokens =
        whole(settings, "max_length").map_or(positions, |length| (length as usize).min(positions));
    let recompute = settings.bool(MEMORY, "gradient_checkpointing");
    let (validation, validated) = validation(&state, &model, tokens, rows(settings));
    let sizes = Sizes {
        rows: rows(settings),
        tokens,
        added: attached.adapter.trainable_parameters(),
        recompute,
        validation,
        ..of_model(base)
    };
    let label = format!("{} ({})", attached.adapter.name(), attached.adapter.spec().verb);
    let mut table = compared(
        &format!("memory of training {}", model.source),
        &label,
        &sizes,
        &packed(base, &sizes, FOUR_BITS),
    );
    if let Some(data) = validated {
        let bytes = thousands(Memory::of_validation(&sizes).div_ceil(1_000_000));
        table.footer.push(format!("a validation on {data} takes {bytes} MB of activations and logits, and what is more than a step takes counts as temporary"));
    }
    let device = device_of(base);
    if let Some(available) = graft_nn::memory::left(&device) {
        let needed = Memory::predict(&sizes).on_top();
        let verdict = if needed <= available { "it fits" } else { "it does not fit" };
        table.footer.push(format!(
            "on top of the loaded model {}; {} has {} left: {verdict}",
            gibibytes(needed),
            if device.is_cpu() { "this machine" } else { "the card" },
            gibibytes(available)
        ));
    }
    if let Some((run, memory)) = newest_memory(&model.loaded.content_hash) {
        table.footer.push(format!("measured in the newest run of this model, {run}: {memory}"));
    }
    Ok(table)
}

/// The largest pass of a validation on the current data, and their name; none where there is nothing to validate on.
fn validation(
    state: &State,
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
        max_length: Some(tokens),
    };
    let evaluator = Evaluator::new(
        model.loaded.model.as_ref(),
        model.loaded.tokenizer.as_ref(),
        &data.dataset,
        request,
    );
    // Data that this model cannot be validated on say so when it is trained.
    match evaluator.and_then(|evaluator| evaluator.largest_pass()) {
        Ok(largest) => (largest, Some(data.dataset.name.clone())),
        Err(_) => (LargestPass::default(), None),
    }
}

fn of_published(name: &str, settings: &Settings) -> Result<Table, Failure> {
    let model: Published = published(name).ok_or_else(|| SessionError::UnknownShape {
        name: name.to_owned(),
        known: owned(&published_names()),
    })?;
    let (shape, rank) = (model.shape(), whole(settings, "r").unwrap_or(16));
    let (bytes_each, packed) = match settings.text(MEMORY, "dtype").as_deref() {
        Some("f32") => (4, None),
        Some("nf4") => (2, Some(FOUR_BITS)),
        Some("int8") => (2, Some(Quantization::Int8)),
        _ => (2, None),
    };
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
        tokens,
        adapters: SavedActivations::default(),
        frozen_blocks: 0,
        recompute: settings.bool(MEMORY, "gradient_checkpointing"),
        threads: 0,
        validation: LargestPass::default(),
        inside_blocks: true,
        before_feed_forward: 0,
    };
    let four_bits = Sizes {
        stored_bytes: model.bytes(bytes_each, Some(FOUR_BITS)),
        widened_bytes: 4 * model.largest(),
        ..sizes
    };
    let mut table = compared(
        &format!("memory of training {}", model.name),
        &format!("lora r={rank} all-linear"),
        &sizes,
        &four_bits,
    );
    let total = Memory::predict(&sizes).total();
    let cards: Vec<_> = CARDS
        .iter()
        .filter(|(size, _)| total <= size << 30)
        .map(|(size, card)| format!("{size} GB ({card})"))
        .collect();
    table.footer.push(if cards.is_empty() {
        "larger than every consumer card".to_owned()
    } else {
        format!("by size it fits on cards of {}", cards.join(", "))
    });
    Ok(table)
}

/// The parts of a training beside those on a 4-bit base and of full fine-tuning.
fn compared(title: &str, label: &str, sizes: &Sizes<'_>, four_bits: &Sizes<'_>) -> Table {
    let memory = Memory::predict(sizes);
    let packed = Memory::predict(four_bits);
    let full = Memory::predict(&Sizes {
        added: 0,
        unfrozen: sizes.parameters,
        adapters: SavedActivations::default(),
        frozen_blocks: 0,
        inside_blocks: true,
        ..*sizes
    });
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
    table.row([Cell::Strong("together".to_owned())].into_iter().chain(totals).collect());
    table.footer.push(format!(
        "{} parameters of {:.2} bytes, {} trained; {} x {} tokens, activations as on the processor",
        thousands(sizes.parameters),
        sizes.stored_bytes as f64 / sizes.parameters as f64,
        thousands(sizes.added),
        sizes.rows,
        sizes.tokens
    ));
    table
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

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
