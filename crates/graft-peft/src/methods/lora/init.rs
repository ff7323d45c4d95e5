//! Initialization of LoRA's A and B: `init_lora_weights`.
//!
//! PiSSA and OLoRA initialize A and B from a leading part of the weight itself. With `W = U Σ Vᵀ`,
//! PiSSA sets `A₀ = √(Σ_r/s) V_rᵀ` and `B₀ = U_r √(Σ_r/s)`, so that `s B₀ A₀` is the part of W with
//! the r largest singular values. With `W = Q R`, OLoRA sets `A₀ = R_r` (the first r rows) and
//! `B₀ = Q_r` (the first r columns), without a division by s. HF PEFT subtracts `s B₀ A₀` from the
//! base weight. Here the layer subtracts it while the adapter is active, so that the base weight
//! does not change: `y = W x + s (B A - B₀ A₀) x`.
//!
//! `gaussian` draws A from N(0, 1/r²): HF PEFT's standard deviation is `1/r`. `orthogonal` draws
//! two random matrices and multiplies them with the even and the odd rows of one orthogonal matrix,
//! so that `B A = 0`.
//!
//! # Source
//! PiSSA: Meng et al. 2024, arXiv:2404.02948; OLoRA: Büyükakyüz 2024, arXiv:2406.01775 (HF PEFT
//! decomposes GPT-2's weights transposed; here it is `W` as used in the forward pass); orthogonal:
//! `orthogonal_init` in HF PEFT. Goldens `lora-pissa`, `lora-olora`.

use candle_core::D;
use graft_nn::{DType, Device, Linear, Tensor, Var};

use crate::{
    AttachContext, PeftError, config_file::ConfigFile, decomposition, init_source::InitSource,
    initializer::Initializer,
};

/// `init_lora_weights`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::methods) enum Init {
    /// A uniform in ±1/sqrt(d_in), B zero.
    Uniform,
    /// A from N(0, 1/r²), B zero, as in HF PEFT; the paper gives no variance.
    Gaussian,
    /// Both random with `B A = 0`; r must be even.
    Orthogonal,
    /// The part of W with the largest singular values.
    Pissa,
    /// The part of W that is spanned by its first columns.
    Olora,
    /// A from the inputs of the layer, B zero; see [`super::eva`].
    Eva,
    /// The part of the quantization error with the largest singular values; see [`super::loftq`].
    Loftq,
}

/// The initial A and B of one layer, and the part of W that they represent.
pub(in crate::methods) struct LowRankInit {
    pub(in crate::methods) a: Var,
    pub(in crate::methods) b: Var,
    /// `A₀ (r, d_in)` and `B₀ (d_out, r)`.
    pub(in crate::methods) base_offset: Option<(Tensor, Tensor)>,
}

impl Init {
    /// Reads the field.
    ///
    /// # Errors
    /// [`PeftError::Unsupported`] for an initialization that changes the base weight in a way that
    /// the file does not record.
    pub(in crate::methods) fn read(config: &ConfigFile) -> Result<Self, PeftError> {
        match config.text("init_lora_weights").unwrap_or_default() {
            "gaussian" => Ok(Self::Gaussian),
            "orthogonal" => Ok(Self::Orthogonal),
            "pissa" => Ok(Self::Pissa),
            "olora" => Ok(Self::Olora),
            "eva" => Ok(Self::Eva),
            "loftq" => Ok(Self::Loftq),
            name if ["pissa_niter", "corda", "lora_ga", "mica"]
                .iter()
                .any(|other| name.starts_with(other)) =>
            {
                Err(config.unsupported(format!("`init_lora_weights` = {name}")))
            }
            _ => Ok(Self::Uniform),
        }
    }

    /// Initializes A and B of one layer; `s` is the scaling of `B A`.
    ///
    /// # Errors
    /// [`PeftError::OddRank`], [`PeftError::NoScale`], [`PeftError::RankTooLarge`] and
    /// [`PeftError::TooLarge`].
    pub(in crate::methods) fn initialize(
        self,
        linear: &Linear,
        (r, s): (usize, f64),
        cx: &AttachContext<'_>,
        init: InitSource,
    ) -> Result<LowRankInit, PeftError> {
        let initializer = Initializer::of(linear, cx);
        let plain = |a: Var| {
            Ok(LowRankInit {
                a,
                b: initializer.full(0.0, &[linear.d_out(), r])?,
                base_offset: None,
            })
        };
        match self {
            Self::Gaussian => {
                plain(initializer.normal("lora_A", (r, linear.d_in()), 1.0 / r as f32)?)
            }
            Self::Orthogonal if init == InitSource::Fresh => orthogonal(linear, r, &initializer),
            Self::Uniform | Self::Orthogonal | Self::Eva | Self::Loftq => {
                plain(initializer.kaiming("lora_A", (r, linear.d_in()))?)
            }
            Self::Pissa | Self::Olora => self.decompose(linear, r, s),
        }
    }

    /// Initializes A and B from a decomposition of the weight, which they replace in part.
    fn decompose(self, linear: &Linear, r: usize, s: f64) -> Result<LowRankInit, PeftError> {
        if r > linear.d_in().min(linear.d_out()) {
            return Err(PeftError::RankTooLarge {
                r,
                path: linear.path().to_owned(),
                d_in: linear.d_in(),
                d_out: linear.d_out(),
            });
        }
        let w = linear.weight().base_value();
        let (a, b) =
            if self == Self::Pissa { leading_part(&w, r, s, "pissa")? } else { olora(&w, r)? };
        let like = |tensor: &Tensor| tensor.to_dtype(DType::F32)?.to_device(w.device());
        let (a, b) = (like(&a)?, like(&b)?);
        Ok(LowRankInit {
            a: Var::from_tensor(&a)?,
            b: Var::from_tensor(&b)?,
            base_offset: Some((a, b)),
        })
    }
}

/// `A = √(Σ/s) Vᵀ` and `B = U √(Σ/s)` of the largest singular values; `name` is for errors.
///
/// # Shapes
/// `w: (d_out, d_in)`; returns `A: (r, d_in)` and `B: (d_out, r)`
/// # Errors
/// [`PeftError::NoScale`] if `s` is not positive.
pub(super) fn leading_part(
    w: &Tensor,
    r: usize,
    s: f64,
    name: &str,
) -> Result<(Tensor, Tensor), PeftError> {
    if s <= 0.0 {
        return Err(PeftError::NoScale { init: name.to_owned() });
    }
    let (u, sigma, vt) = decomposition::singular(w, r)?;
    let roots: Vec<f64> = sigma.iter().map(|sigma| (sigma / s).sqrt()).collect();
    let roots = Tensor::from_vec(roots, r, &Device::Cpu)?;
    Ok((vt.broadcast_mul(&roots.unsqueeze(D::Minus1)?)?, u.broadcast_mul(&roots)?)) // (r, d_in), (d_out, r)
}

/// `A = R`, `B = Q` of the first columns.
fn olora(w: &Tensor, r: usize) -> Result<(Tensor, Tensor), PeftError> {
    let (q, rows) = decomposition::leading_columns(w, r)?;
    Ok((rows, q)) // (r, d_in), (d_out, r)
}

/// A from the even rows of an orthogonal matrix, B from the odd ones, so that `B A = 0`.
fn orthogonal(
    linear: &Linear,
    r: usize,
    initializer: &Initializer<'_>,
) -> Result<LowRankInit, PeftError> {
    if !r.is_multiple_of(2) {
        return Err(PeftError::OddRank { r });
    }
    let normal = |name: &str, rows: usize, columns: usize| -> Result<Tensor, PeftError> {
        Ok(initializer
            .normal(name, (rows, columns), 1.0)?
            .as_detached_tensor()
            .to_device(&Device::Cpu)?
            .to_dtype(DType::F64)?)
    };
    let rows = decomposition::orthonormal(&normal("lora_Q", r, r)?)?; // (r, r)
    let every_second =
        |first: u32| rows.index_select(&Tensor::arange_step(first, r as u32, 2, &Device::Cpu)?, 0); // (r/2, r)
    let (even, odd) = (every_second(0)?, every_second(1)?);
    let a = (normal("lora_A", linear.d_in(), r / 2)?.matmul(&even)? / 10.0)?.t()?.contiguous()?; // (r, d_in)
    let b = (normal("lora_B", linear.d_out(), r / 2)?.matmul(&odd)? / 10.0)?; // (d_out, r)
    let device = linear.weight().base_value().device().clone();
    let var = |tensor: Tensor| {
        Ok::<_, PeftError>(Var::from_tensor(&tensor.to_dtype(DType::F32)?.to_device(&device)?)?)
    };
    Ok(LowRankInit { a: var(a)?, b: var(b)?, base_offset: None })
}
