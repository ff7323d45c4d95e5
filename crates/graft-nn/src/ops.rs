//! Differentiable operations, one file each.
//!
//! For f32 activations on the CPU, each operation is a candle CustomOp with a fused forward and
//! backward pass. Otherwise `portable` computes the same function with candle's own operations,
//! which are also the reference in the tests. Weights may be stored in bf16 or f16 and are
//! converted where they are used.

mod attention;
mod bias_add;
#[cfg(test)]
mod check;
mod cross_entropy;
mod device_linear;
mod embedding;
mod gelu;
mod layer_norm;
mod linear;
mod linear_cross_entropy;
mod lora_linear;
mod portable;
mod rms_norm;
mod rope;
mod row_norm;
mod softcap;
mod swiglu;
mod width;

pub use attention::{AttentionSpec, attention, biased_attention};
pub use bias_add::bias_add;
pub use cross_entropy::{IGNORED, cross_entropy, smoothed_cross_entropy};
pub use embedding::embedding;
pub use gelu::{Gelu, gelu};
pub use layer_norm::layer_norm;
pub use linear::linear;
pub use linear_cross_entropy::{HeadLossSpec, head_cross_entropy, linear_cross_entropy};
pub use lora_linear::{LowRank, lora_linear};
pub use rms_norm::rms_norm;
pub use rope::{LongRope, RopeScaling, RopeSpec, RopeTable, Yarn, rope};
pub use softcap::softcap;
pub use swiglu::swiglu;
