//! What all methods for linear layers share: the selection of the layers, the loop over them, and
//! the summary of the settings.

use std::sync::Arc;

use graft_nn::Linear;
use graft_spec::methods::MethodSpec;

use crate::{
    AttachContext, PeftError,
    adapter_state::AdapterState,
    config_file::ConfigFile,
    fields,
    init_source::InitSource,
    layers::chosen,
    method::{AdapterPart, Built},
    ranks::{Ranks, check_rank},
    targets::Selection,
};

/// The linear layers that an adapter is built for.
pub(super) struct LinearLayers<'a> {
    cx: &'a AttachContext<'a>,
    config: &'a ConfigFile,
    init: InitSource,
    selection: Selection,
    /// The layers, in the model's order.
    pub(super) layers: Vec<&'a Linear>,
    /// Shared by the parts.
    pub(super) state: Arc<AdapterState>,
    warnings: Vec<String>,
}

impl<'a> LinearLayers<'a> {
    /// The layers that the targets of a configuration select.
    ///
    /// # Errors
    /// [`PeftError::Malformed`], [`PeftError::NoMatch`], [`PeftError::NotLinear`] and
    /// [`PeftError::AllExcluded`].
    pub(super) fn select(
        cx: &'a AttachContext<'a>,
        config: &'a ConfigFile,
        init: InitSource,
    ) -> Result<Self, PeftError> {
        let selection = Selection::read(config)?;
        let layers = chosen(cx, &selection, init)?;
        let state = Arc::new(AdapterState::new());
        Ok(Self { cx, config, init, selection, layers, state, warnings: Vec::new() })
    }

    /// Checks a rank against the size of a layer; see [`check_rank`].
    ///
    /// # Errors
    /// [`PeftError::RankTooLarge`] in a fresh adapter.
    pub(super) fn check_rank(&mut self, r: usize, linear: &Linear) -> Result<(), PeftError> {
        check_rank(r, linear, self.init, &mut self.warnings)
    }

    /// Builds a part for each layer.
    ///
    /// # Errors
    /// Those of `part`.
    pub(super) fn build(
        self,
        spec: &MethodSpec,
        always: &[&str],
        part: impl FnMut(&'a Linear) -> Result<AdapterPart, PeftError>,
    ) -> Result<Built, PeftError> {
        let parts = self.layers.iter().copied().map(part).collect::<Result<_, _>>()?;
        Ok(self.finish(spec, always, parts))
    }

    /// Builds a part for each layer from its rank and its scaling.
    ///
    /// # Errors
    /// Those of `part`, and [`PeftError::UnmatchedPattern`].
    pub(super) fn low_rank(
        mut self,
        (spec, always): (&MethodSpec, &[&str]),
        ranks: &Ranks,
        mut part: impl FnMut(&'a Linear, usize, f64) -> Result<AdapterPart, PeftError>,
    ) -> Result<Built, PeftError> {
        let mut parts = Vec::new();
        for linear in &self.layers {
            let (r, scaling) = ranks.rank_and_scaling(linear.path());
            parts.push(part(linear, r, scaling)?);
        }
        let paths = self.layers.iter().map(|linear| linear.path());
        self.warnings.extend(ranks.unmatched(paths, self.init)?);
        Ok(self.finish(spec, always, parts))
    }

    /// Adds the settings and the warnings to the parts. `always` names the keys that the summary
    /// shows even at their defaults.
    pub(super) fn finish(
        self,
        spec: &MethodSpec,
        always: &[&str],
        parts: Vec<AdapterPart>,
    ) -> Built {
        let model = self.cx.model;
        let settings =
            fields::to_settings(spec, self.config, always, &self.selection, model, &self.layers);
        Built { warnings: self.warnings, ..Built::new(settings, parts, self.state) }
    }
}
