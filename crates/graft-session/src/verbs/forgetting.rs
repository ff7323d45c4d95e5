//! `%forgetting`: what the base knew before, and what is left of it.
//!
//! The measure is the loss on text of the base's own domain that it was not trained on, in nats a token. Catastrophic forgetting is its rise (McCloskey
//! and Cohen 1989, doi:10.1016/S0079-7421(08)60536-8; for LoRA beside full fine-tuning, Biderman et al. 2024, arXiv:2405.09673).

use std::sync::Arc;

use graft_protocol::{Cell, Table};
use graft_spec::{Failure, Settings, ablation::Ablation};

use super::{
    ablate::{self, Compared},
    bare::Bare,
    domain::Domain,
};
use crate::{
    CommandContext,
    state::{Attached, LoadedModel},
};

/// Trains the methods and compares what each forgets; without methods, measures what is attached.
///
/// # Errors
/// [`crate::SessionError::NoModel`], [`crate::SessionError::NoDomain`] where nobody says what the model knew before, and those of [`ablate::ablate`].
pub fn forgetting(
    desk: &CommandContext,
    methods: &[String],
    keys: &[(String, String)],
) -> Result<Compared, Failure> {
    if methods.is_empty() && keys.iter().all(|(key, _)| key != "methods") {
        return Ok(Compared::of(measured(desk, Ablation::measurement(keys)?)?));
    }
    ablate::forgetting(desk, methods, keys)
}

/// The base and everything attached, each alone.
fn measured(desk: &CommandContext, settings: Settings) -> Result<Table, Failure> {
    let state = desk.state();
    let model = state.model()?;
    let settings = Domain::wanted(&state, settings)?;
    let Some(domain) = Domain::named(desk, &state, &settings)? else {
        unreachable!("invariant: `wanted` has put one in")
    };
    let name = &domain.data.dataset.name;
    let mut table = Table::new(
        format!("what is remembered of {name}"),
        &["model", "#loss", "#perplexity", "#forgotten"],
    );
    let _bare = Bare::new(&state)?;
    let before = domain.loss(desk, "the base")?;
    let mut add = |who: Cell, loss: f64, lost: Cell| {
        table.row(vec![who, Cell::Float(loss, 3), Cell::Float(loss.exp(), 1), lost])
    };
    add(Cell::Text("base".to_owned()), before, Cell::Empty);
    for attached in &state.adapters {
        let _alone = Alone::new(&model, attached)?;
        let after = domain.loss(desk, attached.adapter.name())?;
        add(
            Cell::Strong(format!("{} ({})", attached.adapter.name(), attached.adapter.spec().verb)),
            after,
            Cell::Float(after - before, 3),
        );
    }
    table.footer.push(format!(
        "nats a token on {} validation examples of {name}, each adapter alone at its scale",
        domain.examples.min(domain.data.dataset.validation.len())
    ));
    if state.adapters.is_empty() {
        table.footer.push("nothing is attached; %forgetting lora,full steps=100 trains methods on the current data and compares what each forgets".to_owned());
    }
    Ok(table)
}

/// Lets an adapter act while the rest of the model is bare; dropping it switches the adapter off again, in an error too.
struct Alone<'a> {
    model: &'a Arc<LoadedModel>,
    attached: &'a Arc<Attached>,
    /// What the classes of the bare model are called.
    names: Option<Arc<Vec<String>>>,
}

impl<'a> Alone<'a> {
    fn new(model: &'a Arc<LoadedModel>, attached: &'a Arc<Attached>) -> Result<Self, Failure> {
        let base = model.loaded.model.as_ref();
        match attached.adapter.is_merged() {
            true => attached.adapter.reapply_merge(base)?,
            false => attached.adapter.set_active(base, true)?,
        }
        let alone = Self { model, attached, names: model.renamed() };
        if let Some(names) = attached.label_names() {
            model.set_label_names(Some(names));
        }
        Ok(alone)
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        self.model.set_label_names(self.names.clone());
        // It was switched on a moment ago, and what was acting before is switched on again by the guard around this one.
        drop(match self.attached.adapter.is_merged() {
            true => self.attached.adapter.lift_merge().map(drop),
            false => self.attached.adapter.set_active(self.model.loaded.model.as_ref(), false),
        });
    }
}
