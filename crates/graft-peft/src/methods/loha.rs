//! LoHa: the element-wise product of two low-rank updates, `y = W x + s (w1_a w1_b ∘ w2_a w2_b) x`.
//!
//! `w2_b` is initialized with zeros, the others uniformly in `±1/sqrt(columns)`.
//!
//! # Shapes
//! `x: (.., d_in)`, `w1_a, w2_a: (d_out, r)`, `w1_b, w2_b: (r, d_in)`; `s = alpha / r`; the update
//! has a rank of up to `r²`
//! # Source
//! Hyeon-Woo et al. 2021, arXiv:2108.06098 (FedPara); Yeh et al. 2023, arXiv:2309.14859 (LyCORIS).
//! Golden `loha`.

use std::sync::Arc;

use graft_nn::{Context, Linear, LinearAdapter, Result, SavedActivations, Tensor, Var, ops};
use graft_spec::{
    Settings,
    methods::{MethodSpec, loha::SPEC},
};

use super::linear_layers::LinearLayers;
use crate::{
    AttachContext, PeftError,
    adapter_state::AdapterState,
    config_file::ConfigFile,
    fields,
    init_source::InitSource,
    initializer::Initializer,
    method::{AdapterPart, Built, Method},
    ranks::Ranks,
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

    /// The outputs of the base layer and of the update; both low-rank products, their element-wise
    /// product, the scaled product, and two gradients that live until the end of the backward pass.
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
        refuse_abba(config)?;
        let ranks = Ranks::read(config, "alpha")?;
        let dropout = UpdateDropout::read(config)?;
        let mut layers = LinearLayers::select(cx, config, init)?;
        for linear in layers.layers.clone() {
            layers.check_rank(ranks.at(linear.path()).0, linear)?;
        }
        let state = layers.state.clone();
        layers.low_rank((&SPEC, &["r", "alpha"]), &ranks, |linear, r, scaling| {
            let initializer = Initializer::of(linear, cx);
            let (d_in, d_out) = (linear.d_in(), linear.d_out());
            let w1_a = initializer.kaiming("hada_w1_a", (d_out, r))?;
            let w1_b = initializer.kaiming("hada_w1_b", (r, d_in))?;
            let w2_a = initializer.kaiming("hada_w2_a", (d_out, r))?;
            let w2_b = initializer.full(0.0, &[r, d_in])?;
            let weights = vec![
                ("hada_w1_a", w1_a.clone()),
                ("hada_w1_b", w1_b.clone()),
                ("hada_w2_a", w2_a.clone()),
                ("hada_w2_b", w2_b.clone()),
            ];
            let adapter = LoHaLayer {
                first: (w1_a, w1_b),
                second: (w2_a, w2_b),
                scaling,
                dropout,
                state: state.clone(),
            };
            Ok(AdapterPart::linear(linear, Arc::new(adapter), weights))
        })
    }
}

/// Refuses the variant ABBA, which is not implemented.
fn refuse_abba(config: &ConfigFile) -> std::result::Result<(), PeftError> {
    if config.text("init_weights").is_some_and(|init| init.eq_ignore_ascii_case("abba"))
        || config.is_set("use_khatri_rao")
    {
        return Err(config.unsupported("ABBA (`init_weights` or `use_khatri_rao`)".to_owned()));
    }
    Ok(())
}
