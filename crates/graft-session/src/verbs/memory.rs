//! `%memory`: what a training would take, before it starts.

use graft_models::{Published, published, published_names};
use graft_protocol::{Cell, Failure, Settings, Table, training::MEMORY};
use graft_train::memory::{Memory, Sizes, available_bytes, of_model};

use super::{attach::adapter_wanted, words::thousands};
use crate::{Desk, SessionError};

/// Memory of consumer cards in GiB, each with one that has it.
const CARDS: &[(u64, &str)] = &[(8, "RTX 4060"), (12, "RTX 3060"), (16, "RTX 4060 Ti"), (24, "RTX 3090, 4090"), (32, "RTX 5090")];

/// Memory of training the adapter in use on the current model, beside full fine-tuning; `of` asks about a published model instead.
///
/// # Errors
/// [`SessionError::NoModel`], [`SessionError::NoAdapter`], [`SessionError::UnknownShape`].
pub fn table(desk: &Desk, of: Option<&str>, settings: &Settings) -> Result<Table, Failure> {
    settings.check(MEMORY)?;
    match of {
        Some(name) => of_published(name, settings),
        None => of_session(desk, settings),
    }
}

fn of_session(desk: &Desk, settings: &Settings) -> Result<Table, Failure> {
    let state = desk.state();
    let model = state.model()?;
    let attached = adapter_wanted(&state)?;
    let base = model.loaded.model.as_ref();
    let positions = base.shape().max_positions;
    let tokens = whole(settings, "max_length").map_or(positions, |length| (length as usize).min(positions));
    let sizes = Sizes { rows: rows(settings), tokens, added: attached.adapter.trainable_parameters(), ..of_model(base) };
    let verb = attached.adapter.spec().verb;
    let mut table = compared(&format!("memory of training {}", model.source), &format!("{verb} {}", attached.adapter.summary()), &sizes);
    if let Some(available) = available_bytes() {
        let needed = Memory::predict(&sizes).on_top();
        let verdict = if needed <= available { "it fits" } else { "it does not fit" };
        table.footer.push(format!("on top of the loaded model {}; this machine has {} left: {verdict}", gibibytes(needed), gibibytes(available)));
    }
    Ok(table)
}

fn of_published(name: &str, settings: &Settings) -> Result<Table, Failure> {
    let model: Published = published(name).ok_or_else(|| SessionError::UnknownShape { name: name.to_owned(), known: owned(&published_names()) })?;
    let (shape, rank) = (model.shape(), whole(settings, "r").unwrap_or(16));
    let bytes_each = if settings.text(MEMORY, "dtype").as_deref() == Some("f32") { 4 } else { 2 };
    let tokens = whole(settings, "max_length").unwrap_or(1024) as usize;
    let added = model.lora_parameters(rank);
    let sizes =
        Sizes { shape: &shape, parameters: model.parameters(), bytes_each, added, opened: 0, rows: rows(settings), tokens: tokens.min(shape.max_positions) };
    let mut table = compared(&format!("memory of training {}", model.name), &format!("lora r={rank} all-linear"), &sizes);
    let total = Memory::predict(&sizes).total();
    let cards: Vec<_> = CARDS.iter().filter(|(size, _)| total <= size << 30).map(|(size, card)| format!("{size} GB ({card})")).collect();
    table.footer.push(if cards.is_empty() {
        "larger than every consumer card".to_owned()
    } else {
        format!("by size it fits on cards of {}", cards.join(", "))
    });
    Ok(table)
}

/// The parts of a training beside those of full fine-tuning.
fn compared(title: &str, label: &str, sizes: &Sizes<'_>) -> Table {
    let memory = Memory::predict(sizes);
    let full = Memory::predict(&Sizes { added: 0, opened: sizes.parameters, ..*sizes });
    let mut table = Table::new(title, &["part", &format!("#{label}"), "#share", "", "#full fine-tuning"]);
    for ((name, bytes), (_, opened)) in memory.parts().into_iter().zip(full.parts()) {
        let share = bytes as f64 / memory.total() as f64;
        let bar = "█".repeat((20.0 * share).round() as usize);
        table.row(vec![Cell::Text(name.to_owned()), Cell::Bytes(bytes), Cell::Percent(share, 0), Cell::Text(bar), Cell::Bytes(opened)]);
    }
    table.row(vec![Cell::Strong("together".to_owned()), Cell::Bytes(memory.total()), Cell::Empty, Cell::Empty, Cell::Bytes(full.total())]);
    table.footer.push(format!(
        "{} parameters of {} bytes, {} trained; {} x {} tokens, activations as on the processor",
        thousands(sizes.parameters),
        sizes.bytes_each,
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
