//! `%status`.

use graft_protocol::{Cell, Table};

use super::words::{counted, parameters, thousands};
use crate::{CommandContext, State, state::Attached};

/// Model, adapters, data, runs, seed, device, memory: one row each.
pub fn table(desk: &CommandContext) -> Table {
    let state = desk.state();
    let mut table = Table::new("session", &["what", "now"]);
    let rows = [
        ("model", model(&state)),
        ("adapters", adapters(&state)),
        ("data", data(&state)),
        ("runs", runs(&state)),
        ("job", desk.running_job().unwrap_or_else(|| "none".to_owned())),
        ("seed", state.seed.to_string()),
        ("device", graft_nn::device::describe(&state.device)),
    ];
    for (what, now) in rows {
        table.row(vec![Cell::Text(what.to_owned()), Cell::Text(now)]);
    }
    for (what, key) in [("memory", "VmRSS:"), ("memory at most", "VmHWM:")] {
        if let Some(bytes) = memory(key) {
            table.row(vec![Cell::Text(what.to_owned()), Cell::Bytes(bytes)]);
        }
    }
    table
}

fn model(state: &State) -> String {
    match &state.model {
        None => "none: `%model load tiny`".to_owned(),
        Some(model) => {
            let base = model.loaded.model.as_ref();
            format!(
                "{} ({}, {} parameters)",
                model.source,
                base.shape().family,
                thousands(parameters(base))
            )
        }
    }
}

fn adapters(state: &State) -> String {
    if state.adapters.is_empty() {
        return "none".to_owned();
    }
    let one = |attached: &Attached| {
        let (name, verb) = (attached.adapter.name(), attached.adapter.spec().verb);
        if state.is_acting(attached) {
            format!("{name} ({verb}, in use)")
        } else {
            format!("{name} ({verb})")
        }
    };
    state.adapters.iter().map(|attached| one(attached)).collect::<Vec<_>>().join(", ")
}

fn data(state: &State) -> String {
    let mut names = state.data.iter().map(|data| data.dataset.name.as_str());
    let Some(current) = names.next() else { return "none: `%data load which-book`".to_owned() };
    let others: Vec<_> = names.collect();
    if others.is_empty() {
        current.to_owned()
    } else {
        format!("{current} (current), {}", others.join(", "))
    }
}

fn runs(state: &State) -> String {
    match state.runs.first() {
        None => "none".to_owned(),
        Some(last) => format!("{}, the last is {last}", counted(state.runs.len(), "run")),
    }
}

/// A line of `/proc/self/status`, in bytes; none where there is no such file.
fn memory(key: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
