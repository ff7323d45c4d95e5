//! The choice of an optimizer and its constants.

use serde::{Deserialize, Serialize};

use super::adafactor::Adafactor;
use super::adamw::AdamW;
use super::adamw_8bit::{self, AdamW8bit};
use super::lion::Lion;
use super::rule::Rule;
use super::sgd::Sgd;

/// Bytes of a 32-bit float.
const FLOAT: u64 = 4;

/// An optimizer. `g` is the clipped gradient, `t` the number of updates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OptimizerKind {
    /// AdamW.
    ///
    /// ```text
    /// p = p (1 - lr wd);  m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g²
    /// p = p - lr / (1 - b1^t) m / (sqrt(v) / sqrt(1 - b2^t) + eps)
    /// ```
    /// # Source
    /// Loshchilov and Hutter 2019, arXiv:1711.05101; the order of operations is that of PyTorch's
    /// `AdamW`.
    #[default]
    #[serde(rename = "adamw")]
    AdamW,
    /// Adafactor with the given learning rate, as HF Trainer uses it: without first moment,
    /// relative step and scaling by the parameter.
    ///
    /// ```text
    /// b = 1 - t^-0.8;  R = b R + (1 - b) mean over columns of (g² + 1e-30);  C likewise over rows
    /// u = g / sqrt(R C / mean(R));  p = p (1 - lr wd) - lr u / max(1, rms(u))
    /// ```
    /// Vectors keep the moment of each element instead of R and C.
    ///
    /// # Source
    /// Shazeer and Stern 2018, arXiv:1804.04235; `Adafactor` of transformers
    #[serde(rename = "adafactor")]
    Adafactor,
    /// Lion.
    ///
    /// ```text
    /// p = p (1 - lr wd) - lr sign(b1 m + (1 - b1) g);  m = b2 m + (1 - b2) g
    /// ```
    /// # Source
    /// Chen et al. 2023, arXiv:2302.06675; the package `lion-pytorch`
    #[serde(rename = "lion")]
    Lion,
    /// Stochastic gradient descent.
    ///
    /// ```text
    /// g = g + wd p;  b = momentum b + g;  p = p - lr b
    /// ```
    /// # Source
    /// `SGD` of PyTorch
    #[serde(rename = "sgd")]
    Sgd,
    /// [`OptimizerKind::AdamW`] with the moments of each parameter of at least 4,096 elements in 8
    /// bits: blocks of 256 elements with a common scale, and codes with a dynamic exponent.
    ///
    /// # Source
    /// Dettmers et al. 2022, arXiv:2110.02861; `AdamW8bit` of bitsandbytes
    #[serde(rename = "adamw_8bit")]
    AdamW8bit,
}

/// An optimizer with its constants.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OptimizerConfig {
    /// The optimizer.
    pub kind: OptimizerKind,
    /// Decay rate of the first moment.
    pub beta1: f64,
    /// Decay rate of the second moment; for Lion, of the momentum.
    pub beta2: f64,
    /// Added to the square root of the second moment.
    pub epsilon: f64,
    /// Weight decay. It applies to parameters with [`graft_nn::Trainable::decay`].
    pub weight_decay: f64,
    /// Momentum of SGD.
    pub momentum: f64,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self::of(OptimizerKind::default())
    }
}

impl OptimizerConfig {
    /// An optimizer with its default constants.
    pub const fn of(kind: OptimizerKind) -> Self {
        let beta2 = if matches!(kind, OptimizerKind::Lion) { 0.99 } else { 0.999 };
        Self { kind, beta1: 0.9, beta2, epsilon: 1e-8, weight_decay: 0.0, momentum: 0.0 }
    }

    /// Bytes that the optimizer stores for a parameter of this shape.
    pub fn state_bytes(&self, shape: &[usize]) -> u64 {
        let count = shape.iter().product::<usize>() as u64;
        match self.kind {
            OptimizerKind::AdamW8bit if count >= adamw_8bit::MIN_ELEMENTS as u64 => {
                2 * (count + FLOAT * count.div_ceil(adamw_8bit::BLOCK as u64))
            }
            OptimizerKind::AdamW | OptimizerKind::AdamW8bit => 2 * FLOAT * count,
            OptimizerKind::Lion => FLOAT * count,
            OptimizerKind::Sgd if self.momentum == 0.0 => 0,
            OptimizerKind::Sgd => FLOAT * count,
            OptimizerKind::Adafactor => match shape {
                [stack @ .., rows, columns] => {
                    FLOAT * stack.iter().product::<usize>() as u64 * (rows + columns) as u64
                }
                _ => FLOAT * count,
            },
        }
    }
}

impl OptimizerKind {
    /// The optimizer of a value of the key `optim`.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::AdamW, Self::Adafactor, Self::Lion, Self::Sgd, Self::AdamW8bit]
            .into_iter()
            .find(|kind| kind.name() == name)
    }

    /// The value of the key `optim`.
    pub fn name(self) -> &'static str {
        match self {
            Self::AdamW => "adamw",
            Self::Adafactor => "adafactor",
            Self::Lion => "lion",
            Self::Sgd => "sgd",
            Self::AdamW8bit => "adamw_8bit",
        }
    }

    /// The state of a parameter of this shape before its first update.
    pub(super) fn rule(self, shape: &[usize]) -> Box<dyn Rule> {
        let count: usize = shape.iter().product();
        match self {
            Self::AdamW8bit if count >= adamw_8bit::MIN_ELEMENTS => Box::new(AdamW8bit::new(shape)),
            Self::AdamW | Self::AdamW8bit => Box::new(AdamW::new(shape)),
            Self::Adafactor => Box::new(Adafactor::new(shape)),
            Self::Lion => Box::new(Lion::new(shape)),
            Self::Sgd => Box::new(Sgd::new(shape)),
        }
    }
}

impl std::fmt::Display for OptimizerKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
