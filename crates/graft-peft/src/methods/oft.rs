//! OFT: an orthogonal block-diagonal matrix rotates the input of each layer, `y = W Rᵀ x`.
//!
//! Each block is the Cayley transform `R = (I - Q)(I + Q)⁻¹` of a trained skew-symmetric `Q`, which
//! is initialized with zeros. With `use_cayley_neumann` it is a truncated series of
//! `(I + Q)(I - Q)⁻¹`, which rotates in the opposite direction and is orthogonal only for small
//! `Q`, as in HF PEFT.
//!
//! # Shapes
//! `x: (.., d_in)`; `n` blocks of size `b`, `n b = d_in`; trained: `(n, b (b - 1) / 2)`, the
//! elements of `Q` above the diagonal, row by row
//! # Source
//! Qiu et al. 2023, arXiv:2306.07280; Qiu et al. 2025, arXiv:2506.19847 (OFTv2). Golden `oft`.

mod cayley;

use std::sync::Arc;

use graft_nn::{Context, DType, Linear, LinearAdapter, Result, SavedActivations, Tensor, Var};
use graft_spec::{
    Settings,
    methods::{MethodSpec, oft::SPEC},
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
};
use cayley::Cayley;

/// Every field of PEFT 0.21's `OFTConfig` with its default.
const DEFAULTS: &str = r#"{"auto_mapping": null, "base_model_name_or_path": null, "bias": "none", "block_share": false, "coft": false,
    "eps": 6e-05, "exclude_modules": null, "fan_in_fan_out": false, "inference_mode": true, "init_weights": true, "layers_pattern": null,
    "layers_to_transform": null, "module_dropout": 0.0, "modules_to_save": null, "num_cayley_neumann_terms": 5, "oft_block_size": 32,
    "peft_type": "OFT", "r": 0, "revision": null, "target_modules": null, "task_type": "CAUSAL_LM", "use_cayley_neumann": true}"#;

/// The method.
pub(super) struct Oft;

struct OftLayer {
    /// The elements of `Q` above the diagonal: (n, b (b - 1) / 2), or one row for all blocks.
    upper: Var,
    block_size: usize,
    cayley: Cayley,
    state: Arc<AdapterState>,
}

impl OftLayer {
    /// `x R` in blocks, interpolated with `x` by the adapter's scale: (.., d_in).
    fn rotate(&self, x: &Tensor, upper: &Tensor) -> Result<Tensor> {
        let side = self.block_size;
        let blocks = self.cayley.rotations(upper, side)?.to_dtype(x.dtype())?; // (n, b, b)
        let rows = x.elem_count() / x.dim(candle_core::D::Minus1)?;
        let count = x.elem_count() / (rows * side);
        let blocks = blocks.broadcast_as((count, side, side))?.contiguous()?; // (n, b, b)
        let split = x.reshape((rows, count, side))?.transpose(0, 1)?.contiguous()?; // (n, N, b)
        let turned = split.matmul(&blocks)?.transpose(0, 1)?.contiguous()?.reshape(x.dims())?; // (.., d_in)
        let factor = self.state.scale();
        if factor == 1.0 { Ok(turned) } else { Ok((x + ((turned - x)? * factor)?)?) }
    }
}

impl LinearAdapter for OftLayer {
    fn forward(&self, base: &Linear, x: &Tensor, _cx: &Context) -> Result<Tensor> {
        base.base_forward(&self.rotate(x, self.upper.as_tensor())?) // (.., d_out)
    }

    fn delta(&self, base: &Linear) -> Result<Option<Tensor>> {
        let w = base.effective_weight().tensor().detach().to_dtype(DType::F32)?; // (d_out, d_in)
        let upper = self.upper.as_detached_tensor();
        // `x R Wᵀ` is `x (W Rᵀ)ᵀ`, and the rows of `W Rᵀ` are those of W, rotated back.
        let back = Self {
            upper: self.upper.clone(),
            block_size: self.block_size,
            cayley: self.cayley.transposed(),
            state: self.state.clone(),
        };
        Ok(Some((back.rotate(&w, &upper)? - w)?)) // (d_out, d_in)
    }

    fn is_merged(&self) -> bool {
        self.state.is_merged()
    }

    /// The input in blocks, the rotated blocks, and their concatenation; about twelve matrices of
    /// the series for each block.
    fn saved_activations(&self, base: &Linear) -> SavedActivations {
        let blended = if self.state.scale() == 1.0 { 0 } else { 3 };
        SavedActivations::per_position((3 + blended) * base.d_in())
            .and_per_pass(12 * base.d_in() * self.block_size)
    }
}

impl Method for Oft {
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
        let mut config = fields::on_default_targets(&SPEC, DEFAULTS, cx, settings)?;
        let given = |name: &str| settings.values.contains_key(name);
        // Exactly one of the two fields is not zero, so giving one key sets the other to zero.
        if given("r") && !given("oft_block_size") && config.count("r").is_ok() {
            config.set("oft_block_size", 0.into());
        }
        Ok(config)
    }

    fn build(
        &self,
        cx: &AttachContext<'_>,
        config: &ConfigFile,
        init: InitSource,
    ) -> std::result::Result<Built, PeftError> {
        config.refuse(&["coft"])?;
        if config.number("module_dropout")? != 0.0 {
            return Err(config.unsupported("`module_dropout`".to_owned()));
        }
        let layers = LinearLayers::select(cx, config, init)?;
        let cayley = Cayley::new(
            config.flag("use_cayley_neumann").then_some(config.count("num_cayley_neumann_terms")?),
        );
        let state = layers.state.clone();
        layers.build(&SPEC, &["oft_block_size"], |linear| {
            let block_size = block_size(config, linear)?;
            let count = if config.flag("block_share") { 1 } else { linear.d_in() / block_size };
            let upper = Initializer::of(linear, cx)
                .full(0.0, &[count, block_size * (block_size - 1) / 2])?;
            let weights = vec![("oft_R.weight", upper.clone())];
            let cayley = cayley.clone();
            let adapter = OftLayer { upper, block_size, cayley, state: state.clone() };
            Ok(AdapterPart::linear(linear, Arc::new(adapter), weights))
        })
    }
}

/// Size of a block: `oft_block_size`, or `d_in / r`. HF PEFT silently changes a size that does not
/// divide the width; here it is an error.
///
/// # Errors
/// [`PeftError::OftBlocks`], [`PeftError::OftBlockSize`].
fn block_size(config: &ConfigFile, linear: &Linear) -> std::result::Result<usize, PeftError> {
    let width = linear.d_in();
    let (name, number) = match (config.count("r"), config.count("oft_block_size")) {
        (Err(_), Ok(size)) => ("oft_block_size", size),
        (Ok(r), Err(_)) => ("r", r),
        _ => {
            return Err(PeftError::OftBlocks);
        }
    };
    if !width.is_multiple_of(number)
        || number == width && name == "r"
        || number == 1 && name == "oft_block_size"
    {
        return Err(PeftError::OftBlockSize {
            key: name,
            number,
            path: linear.path().to_owned(),
            width,
        });
    }
    Ok(if name == "r" { width / number } else { number })
}
