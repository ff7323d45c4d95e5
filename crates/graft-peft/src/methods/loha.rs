//! LoHa: the product, number by number, of two low-rank updates, `y = W x + s (w1_a w1_b ∘ w2_a w2_b) x`.
//!
//! # Shapes
//! `w1_a, w2_a: (d_out, r)`, `w1_b, w2_b: (r, d_in)`; `s = alpha / r`; the update has rank up to `r²`
//! # Source
//! Hyeon-Woo et al. 2021, arXiv:2108.06098 (FedPara); Yeh et al. 2023, arXiv:2309.14859 (LyCORIS). Golden `loha`.

use std::sync::Arc;

use graft_nn::{Context, Linear, LinearAdapter, Result, SavedActivations, Tensor, Var, ops};
use graft_spec::{
    Settings,
    methods::{MethodSpec, loha::SPEC},
};

use crate::{
    AttachContext, PeftError,
    adapter_state::AdapterState,
    config_file::ConfigFile,
    fields,
    init_source::InitSource,
    initializer::Initializer,
    layers::chosen,
    method::{AdapterPart, Built, Method},
    ranks::{Ranks, check_rank},
    targets::Selection,
    update_dropout::UpdateDropout,
};

/// Every field of PEFT 0.21's `LoHaConfig` with its default.
const DEFAULTS: &str = r#"{"alpha": 8, "alpha_pattern": {}, "auto_mapping": null, "base_model_name_or_path": null, "exclude_modules": null,
    "inference_mode": true, "init_weights": true, "layers_pattern": null, "layers_to_transform": null, "module_dropout": 0.0,
    "modules_to_save": null, "peft_type": "LOHA", "r": 8, "rank_dropout": 0.0, "rank_pattern": {}, "revision": null, "target_modules": null,
    "task_type": "CAUSAL_LM", "use_effective_conv2d": false}"#;

/// The method.
pub(super) struct LoHa;

struct LoHaLayer {
    /// `w1_a, w1_b`
    first: (Var, Var),
    /// `w2_a, w2_b`
    second: (Var, Var),
    /// `s`
    scaling: f64,
    dropout: UpdateDropout,
    state: Arc<AdapterState>,
}

impl LoHaLayer {
    /// `s (w1_a w1_b ∘ w2_a w2_b)`, in the graph.
    fn update(&self) -> Result<Tensor> {
        let product = |(a, b): &(Var, Var)| a.as_tensor().matmul(b.as_tensor()); // (d_out, d_in)
        Ok(((product(&self.first)? * product(&self.second)?)?
            * (self.scaling * self.state.scale()))?)
    }
}

impl LinearAdapter for LoHaLayer {
    fn forward(&self, base: &Linear, x: &Tensor, cx: &Context) -> Result<Tensor> {
        self.dropout.add(base, x, cx, || ops::linear(x, &self.update()?)) // (.., d_out)
    }

    fn delta(&self, _base: &Linear) -> Result<Option<Tensor>> {
        Ok(Some(self.update()?.detach()))
    }

    fn is_merged(&self) -> bool {
        self.state.is_merged()
    }

    /// The base's output and the change; both products, theirs, and that with its factor, and two gradients that wait until all layers are through.
    fn saved_activations(&self, base: &Linear) -> SavedActivations {
        SavedActivations::per_position(2 * base.d_out())
            .and_per_pass(6 * base.d_in() * base.d_out())
    }
}

impl Method for LoHa {
    fn spec(&self) -> &'static MethodSpec {
        &SPEC
    }

    fn defaults(&self) -> &'static str {
        DEFAULTS
    }

    fn config(
        &self,
        cx: &AttachContext<'_>,
        settings: &Settings,
    ) -> std::result::Result<ConfigFile, PeftError> {
        fields::on_default_targets(&SPEC, DEFAULTS, cx, settings)
    }

    fn build(
        &self,
        cx: &AttachContext<'_>,
        config: &ConfigFile,
        init: InitSource,
    ) -> std::result::Result<Built, PeftError> {
        if config.text("init_weights").is_some_and(|init| init.eq_ignore_ascii_case("abba"))
            || config.is_set("use_khatri_rao")
        {
            return Err(config.unsupported("ABBA (`init_weights` or `use_khatri_rao`)".to_owned()));
        }
        let (ranks, dropout, selection) =
            (Ranks::read(config, "alpha")?, UpdateDropout::read(config)?, Selection::read(config)?);
        let layers = chosen(cx, &selection, init)?;
        let state = Arc::new(AdapterState::new());
        let (mut parts, mut warnings) = (Vec::new(), Vec::new());
        for linear in &layers {
            let (r, alpha) = ranks.at(linear.path());
            check_rank(r, linear, init, &mut warnings)?;
            let (initializer, d_in, d_out) =
                (Initializer::of(linear, cx), linear.d_in(), linear.d_out());
            let first = (
                initializer.kaiming("hada_w1_a", (d_out, r))?,
                initializer.kaiming("hada_w1_b", (r, d_in))?,
            );
            let second =
                (initializer.kaiming("hada_w2_a", (d_out, r))?, initializer.full(0.0, &[r, d_in])?);
            let pairs = [
                ("hada_w1_a", &first.0),
                ("hada_w1_b", &first.1),
                ("hada_w2_a", &second.0),
                ("hada_w2_b", &second.1),
            ];
            let weights = pairs.map(|(name, var)| (name, var.clone())).to_vec();
            let adapter = Arc::new(LoHaLayer {
                first,
                second,
                scaling: alpha / r as f64,
                dropout,
                state: state.clone(),
            });
            parts.push(AdapterPart::linear(linear, adapter, weights));
        }
        warnings.extend(ranks.unmatched(layers.iter().map(|linear| linear.path()), init)?);
        let settings =
            fields::to_settings(&SPEC, config, &["r", "alpha"], &selection, cx.model, &layers);
        Ok(Built { warnings, ..Built::new(settings, parts, state) })
    }
}
