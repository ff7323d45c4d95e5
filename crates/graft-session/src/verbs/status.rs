//! `%status`.

use graft_protocol::{Cell, Table};

use super::format::{counted, parameters, thousands};
use crate::{CommandContext, SessionState, state::AttachedAdapter};

/// The table of the session: model, adapters, data, runs, job, seed, device and memory.
pub fn table(cx: &CommandContext) -> Table {
    let state = cx.state();
    let mut table = Table::new("session", &["what", "now"]);
    let rows = [
        ("model", model(&state)),
        ("adapters", adapters(&state)),
        ("data", data(&state)),
        ("runs", runs(&state)),
        ("job", cx.running_job().unwrap_or_else(|| "none".to_owned())),
        ("seed", state.seed.to_string()),
        ("device", graft_nn::device::describe(&state.device)),
    ];
    for (what, now) in rows {
        table.row(vec![Cell::Text(what.to_owned()), Cell::Text(now)]);
    }
    for (what, key) in [("memory", "VmRSS:"), ("peak memory", "VmHWM:")] {
        if let Some(bytes) = memory(key) {
            table.row(vec![Cell::Text(what.to_owned()), Cell::Bytes(bytes)]);
        }
    }
    table
}

fn model(state: &SessionState) -> String {
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

fn adapters(state: &SessionState) -> String {
    if state.adapters.is_empty() {
        return "none".to_owned();
    }
    let one = |attached: &AttachedAdapter| {
        let (name, verb) = (attached.adapter.name(), attached.adapter.spec().verb);
        if state.is_acting(attached) {
            format!("{name} ({verb}, in use)")
        } else {
            format!("{name} ({verb})")
        }
    };
    state.adapters.iter().map(|attached| one(attached)).collect::<Vec<_>>().join(", ")
}

fn data(state: &SessionState) -> String {
    let mut names = state.data.iter().map(|data| data.dataset.name.as_str());
    let Some(current) = names.next() else { return "none: `%data load which-book`".to_owned() };
    let others: Vec<_> = names.collect();
    if others.is_empty() {
        current.to_owned()
    } else {
        format!("{current} (current), {}", others.join(", "))
    }
}

fn runs(state: &SessionState) -> String {
    match state.runs.first() {
        None => "none".to_owned(),
        Some(last) => format!("{}, newest: {last}", counted(state.runs.len(), "run")),
    }
}

/// A value of `/proc/self/status` in bytes; `None` on systems without this file.
fn memory(key: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
