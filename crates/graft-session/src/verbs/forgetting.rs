//! `%forgetting`: measures catastrophic forgetting.
//!
//! Forgetting is the increase of the loss on held-out text of the base model's own domain, in nats
//! per token (McCloskey and Cohen 1989, doi:10.1016/S0079-7421(08)60536-8; for LoRA compared with
//! full fine-tuning, Biderman et al. 2024, arXiv:2405.09673).

use std::sync::Arc;

use graft_protocol::{Cell, Table};
use graft_spec::{Failure, Settings, ablation::Ablation};

use super::{
    ablate::{self, Report},
    adapters_disabled::AdaptersDisabled,
    domain::Domain,
};
use crate::{
    CommandContext,
    state::{AttachedAdapter, LoadedModel},
};

/// Trains the methods and compares how much each forgets. Without methods, measures the attached
/// adapters.
///
/// # Errors
/// [`crate::SessionError::NoModel`]; [`crate::SessionError::NoDomain`] when the domain of the base
/// is unknown; those of [`ablate::ablate`].
pub fn forgetting(
    cx: &CommandContext,
    methods: &[String],
    keys: &[(String, String)],
) -> Result<Report, Failure> {
    if methods.is_empty() && keys.iter().all(|(key, _)| key != "methods") {
        return Ok(Report::of(measure_attached(cx, Ablation::measurement(keys)?)?));
    }
    ablate::forgetting(cx, methods, keys)
}

/// Measures the base, and every attached adapter on its own.
fn measure_attached(cx: &CommandContext, settings: Settings) -> Result<Table, Failure> {
    let state = cx.state();
    let model = state.model()?;
    let settings = Domain::with_default(&state, settings)?;
    let Some(domain) = Domain::named(cx, &state, &settings)? else {
        unreachable!("invariant: `with_default` has set a domain")
    };
    let name = &domain.data.dataset.name;
    let mut table = Table::new(
        format!("forgetting of {name}"),
        &["model", "#loss", "#perplexity", "#forgotten"],
    );
    let _disabled = AdaptersDisabled::new(&state)?;
    let before = domain.loss(cx, "the base")?;
    let mut add = |who: Cell, loss: f64, lost: Cell| {
        table.row(vec![who, Cell::Float(loss, 3), Cell::Float(loss.exp(), 1), lost])
    };
    add(Cell::Text("base".to_owned()), before, Cell::Empty);
    for attached in &state.adapters {
        let _active = OnlyAdapterActive::new(&model, attached)?;
        let after = domain.loss(cx, attached.adapter.name())?;
        add(
            Cell::Strong(format!("{} ({})", attached.adapter.name(), attached.adapter.spec().verb)),
            after,
            Cell::Float(after - before, 3),
        );
    }
    table.footer.push(format!(
        "nats per token on {} validation examples of {name}; each adapter on its own, at its scale",
        domain.examples.min(domain.data.dataset.validation.len())
    ));
    if state.adapters.is_empty() {
        table.footer.push(
            "no adapter is attached; %forgetting lora,full steps=100 trains methods on the current \
             data and compares their forgetting"
                .to_owned(),
        );
    }
    Ok(table)
}

/// Enables one adapter while all others are disabled. Dropping the guard disables it, also after an
/// error.
struct OnlyAdapterActive<'a> {
    model: &'a Arc<LoadedModel>,
    attached: &'a Arc<AttachedAdapter>,
    /// The label names of the base.
    label_names: Option<Arc<Vec<String>>>,
}

impl<'a> OnlyAdapterActive<'a> {
    fn new(
        model: &'a Arc<LoadedModel>,
        attached: &'a Arc<AttachedAdapter>,
    ) -> Result<Self, Failure> {
        let base = model.loaded.model.as_ref();
        match attached.adapter.is_merged() {
            true => attached.adapter.reapply_merge(base)?,
            false => attached.adapter.activate(base)?,
        }
        let guard = Self { model, attached, label_names: model.renamed() };
        if let Some(names) = attached.label_names() {
            model.set_label_names(Some(names));
        }
        Ok(guard)
    }
}

impl Drop for OnlyAdapterActive<'_> {
    fn drop(&mut self) {
        self.model.set_label_names(self.label_names.clone());
        // It was enabled above, so disabling cannot fail.
        drop(match self.attached.adapter.is_merged() {
            true => self.attached.adapter.lift_merge().map(drop),
            false => self.attached.adapter.deactivate(self.model.loaded.model.as_ref()),
        });
    }
}
