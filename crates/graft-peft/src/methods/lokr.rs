//! LoKr: the Kronecker product of two small matrices, `y = W x + s (w1 ⊗ w2) x`.
//!
//! The product is never computed in training: with `x` as a matrix `X: (m, n)`, `(w1 ⊗ w2) x` is
//! `w1 X w2ᵀ`. `w1` is initialized with zeros, `w2` uniformly in `±1/sqrt(columns)`.
//!
//! # Shapes
//! `x: (.., d_in)`, `d_out = l k`, `d_in = m n`; `w1: (l, m)`, `w2: (k, n)`, each of them whole or
//! as a product of rank r; `s = alpha / r`
//! # Source
//! Edalati et al. 2022, arXiv:2212.10650; Yeh et al. 2023, arXiv:2309.14859 (LyCORIS). Golden
//! `lokr`.

use std::sync::Arc;

use graft_nn::{Context, Linear, LinearAdapter, Result, SavedActivations, Tensor, Var, ops};
use graft_spec::{
    Settings,
    methods::{MethodSpec, lokr::SPEC},
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

/// Every field of PEFT 0.21's `LoKrConfig` with its default.
const DEFAULTS: &str = r#"{"alpha": 8, "alpha_pattern": {}, "auto_mapping": null, "base_model_name_or_path": null, "decompose_both": false,
    "decompose_factor": -1, "exclude_modules": null, "inference_mode": true, "init_weights": true, "layers_pattern": null,
    "layers_to_transform": null, "module_dropout": 0.0, "modules_to_save": null, "peft_type": "LOKR", "r": 8, "rank_dropout": 0.0,
    "rank_dropout_scale": false, "rank_pattern": {}, "revision": null, "target_modules": null, "task_type": "CAUSAL_LM",
    "use_effective_conv2d": false}"#;

/// The method.
pub(super) struct LoKr;

struct LoKrLayer {
    first: Factor,
    second: Factor,
    /// `s`
    scaling: f64,
    dropout: UpdateDropout,
    state: Arc<AdapterState>,
}

/// One factor of the Kronecker product.
enum Factor {
    Whole(Var),
    /// `a b` with `a: (rows, r)`, `b: (r, columns)`.
    Product(Var, Var),
}

impl Factor {
    fn new(
        initializer: &Initializer<'_>,
        name: &str,
        shape: (usize, usize),
        rank: Option<usize>,
        zero: bool,
    ) -> std::result::Result<Self, PeftError> {
        let (rows, columns) = shape;
        let init = |part: &str, shape: (usize, usize)| {
            if zero {
                initializer.full(0.0, &[shape.0, shape.1])
            } else {
                initializer.kaiming(part, shape)
            }
        };
        Ok(match rank {
            None => Self::Whole(init(name, shape)?),
            Some(r) => Self::Product(
                init(&format!("{name}_a"), (rows, r))?,
                initializer.kaiming(&format!("{name}_b"), (r, columns))?,
            ),
        })
    }

    /// `x wᵀ` for `x: (.., columns)`.
    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Whole(w) => ops::linear(x, w.as_tensor()),
            Self::Product(a, b) => ops::linear(&ops::linear(x, b.as_tensor())?, a.as_tensor()),
        }
    }

    /// The matrix, (rows, columns), detached from the graph.
    fn matrix(&self) -> Result<Tensor> {
        match self {
            Self::Whole(w) => Ok(w.as_detached_tensor()),
            Self::Product(a, b) => Ok(a.as_detached_tensor().matmul(&b.as_detached_tensor())?),
        }
    }

    fn columns(&self) -> Result<usize> {
        let (Self::Whole(last) | Self::Product(_, last)) = self;
        Ok(last.dim(1)?)
    }

    fn rows(&self) -> Result<usize> {
        let (Self::Whole(first) | Self::Product(first, _)) = self;
        Ok(first.dim(0)?)
    }

    /// The rank of a product; 0 for a whole matrix.
    fn inner(&self) -> usize {
        if let Self::Product(a, _) = self { a.elem_count() / a.dims()[0].max(1) } else { 0 }
    }

    fn weights(&self, [whole, a_name, b_name]: [&'static str; 3]) -> Vec<(&'static str, Var)> {
        match self {
            Self::Whole(w) => vec![(whole, w.clone())],
            Self::Product(a, b) => vec![(a_name, a.clone()), (b_name, b.clone())],
        }
    }
}

impl LoKrLayer {
    /// `s (w1 ⊗ w2) x`.
    fn change(&self, base: &Linear, x: &Tensor) -> Result<Tensor> {
        let (m, n) = (self.first.columns()?, self.second.columns()?);
        let mut dims = x.dims().to_vec();
        dims.pop();
        dims.push(base.d_out());
        let y = self.second.apply(&x.reshape(((), m, n))?)?; // (N, m, k)
        let y = self.first.apply(&y.transpose(1, 2)?.contiguous()?)?; // (N, k, l)
        let y = y.transpose(1, 2)?.contiguous()?.reshape(dims)?; // (.., d_out)
        Ok((y * (self.scaling * self.state.scale()))?)
    }
}

impl LinearAdapter for LoKrLayer {
    fn forward(&self, base: &Linear, x: &Tensor, cx: &Context) -> Result<Tensor> {
        self.dropout.add(base, x, cx, || self.change(base, x))
    }

    fn delta(&self, base: &Linear) -> Result<Option<Tensor>> {
        let (first, second) = (self.first.matrix()?, self.second.matrix()?);
        let first = first.unsqueeze(1)?.unsqueeze(3)?; // (l, 1, m, 1)
        let product = first.broadcast_mul(&second.unsqueeze(0)?.unsqueeze(2)?)?; // (l, k, m, n)
        Ok(Some(
            (product.reshape((base.d_out(), base.d_in()))? * (self.scaling * self.state.scale()))?,
        )) // (d_out, d_in)
    }

    fn is_merged(&self) -> bool {
        self.state.is_merged()
    }

    /// The output of the second factor and its transpose, the same for the first, the scaled
    /// update, and the output of the base layer.
    fn saved_activations(&self, base: &Linear) -> SavedActivations {
        let (Ok(m), Ok(k)) = (self.first.columns(), self.second.rows()) else {
            return SavedActivations::default();
        };
        SavedActivations::per_position(
            2 * m * k + 4 * base.d_out() + m * self.second.inner() + k * self.first.inner(),
        )
    }
}

impl Method for LoKr {
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
        let ranks = Ranks::read(config, "alpha")?;
        let dropout = UpdateDropout::read(config)?;
        let factor =
            config.get("decompose_factor").and_then(serde_json::Value::as_i64).unwrap_or(-1);
        let layers = LinearLayers::select(cx, config, init)?;
        let state = layers.state.clone();
        layers.low_rank((&SPEC, &["r", "alpha"]), &ranks, |linear, r, scaling| {
            let initializer = Initializer::of(linear, cx);
            let (l, k) = factors(linear.d_out(), factor);
            let (m, n) = factors(linear.d_in(), factor);
            let is_low = |rows: usize, columns: usize| 2 * r < rows.max(columns);
            let first_rank = (config.flag("decompose_both") && is_low(l, m)).then_some(r);
            let first = Factor::new(&initializer, "lokr_w1", (l, m), first_rank, true)?;
            let second_rank = is_low(k, n).then_some(r);
            let second = Factor::new(&initializer, "lokr_w2", (k, n), second_rank, false)?;
            let mut weights = first.weights(["lokr_w1", "lokr_w1_a", "lokr_w1_b"]);
            weights.extend(second.weights(["lokr_w2", "lokr_w2_a", "lokr_w2_b"]));
            let adapter = LoKrLayer { first, second, scaling, dropout, state: state.clone() };
            Ok(AdapterPart::linear(linear, Arc::new(adapter), weights))
        })
    }
}

/// Splits a width into two factors, as HF PEFT does: `factor` and `width / factor` if that divides
/// the width; otherwise the most even pair, the smaller first, whose smaller factor is at most
/// `factor`. -1 sets no limit.
fn factors(width: usize, factor: i64) -> (usize, usize) {
    let limit = usize::try_from(factor).ok().filter(|factor| *factor > 0);
    if let Some(factor) = limit.filter(|factor| width.is_multiple_of(*factor)) {
        return (factor, width / factor);
    }
    let fits =
        |small: &usize| width.is_multiple_of(*small) && limit.is_none_or(|limit| *small <= limit);
    let small = (1..=width.isqrt()).rev().find(fits).unwrap_or(1);
    (small, width / small)
}

#[cfg(test)]
mod tests {
    use super::factors;

    #[test]
    fn a_width_is_factorized_as_in_hf_peft() {
        // Values of HF PEFT's `factorization`: a factor that divides the width comes first, even if
        // it is the larger one.
        for (width, by_factor) in [
            (127, [(1, 127), (1, 127), (1, 127), (1, 127), (1, 127)]),
            (128, [(8, 16), (2, 64), (4, 32), (8, 16), (16, 8)]),
            (250, [(10, 25), (2, 125), (2, 125), (5, 50), (10, 25)]),
            (360, [(18, 20), (2, 180), (4, 90), (8, 45), (15, 24)]),
            (512, [(16, 32), (2, 256), (4, 128), (8, 64), (16, 32)]),
            (1024, [(32, 32), (2, 512), (4, 256), (8, 128), (16, 64)]),
        ] {
            assert_eq!(
                [-1, 2, 4, 8, 16].map(|factor| factors(width, factor)),
                by_factor,
                "{width}"
            );
        }
    }
}
