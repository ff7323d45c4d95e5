//! The size of an adapter's update relative to the base weights.

use graft_nn::{DType, Model, Tensor};

use crate::{Adapter, PeftError, layers::linears, method::Attachment};

/// The norm of the update of one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateNorm {
    /// Hugging Face path of the layer.
    pub path: String,
    /// `‖ΔW‖`, the Frobenius norm of the update.
    pub update: f64,
    /// `‖W‖`, the Frobenius norm of the base weight.
    pub weight: f64,
}

impl UpdateNorm {
    /// `‖ΔW‖ / ‖W‖`; `None` if the base weight is zero, as most biases are initially, or too small
    /// for a meaningful ratio.
    pub fn ratio(&self) -> Option<f64> {
        (self.weight > MIN_WEIGHT_NORM).then(|| self.update / self.weight)
    }
}

/// The smallest norm of a base weight that an update is compared with.
const MIN_WEIGHT_NORM: f64 = 1e-12;

/// The norms of the updates of all layers whose weights the adapter changes, in the model's order;
/// empty for soft prompts and networks between layers.
///
/// # Errors
/// Returns an error if a candle operation fails.
pub fn update_norms(model: &dyn Model, adapter: &Adapter) -> Result<Vec<UpdateNorm>, PeftError> {
    let (linears, weights) = (linears(model), model.parameters());
    let mut changes = Vec::new();
    for part in adapter.parts() {
        let pair = match &part.attachment {
            Attachment::Linear(attachment) => match linears.get(&part.site) {
                Some(linear) => {
                    attachment.delta(linear)?.map(|delta| (delta, linear.weight().base_value()))
                }
                None => None,
            },
            Attachment::Weight(path, weight_override) => {
                match weights.iter().find(|weight| weight.path() == path) {
                    Some(weight) => {
                        let own = weight.base_value().detach().to_dtype(DType::F32)?;
                        Some((
                            (weight_override.tensor().detach().to_dtype(DType::F32)? - &own)?,
                            own,
                        ))
                    }
                    None => None,
                }
            }
            _ => None,
        };
        if let Some((delta, own)) = pair {
            changes.push(UpdateNorm {
                path: part.site.clone(),
                update: norm(&delta)?,
                weight: norm(&own)?,
            });
        }
    }
    Ok(changes)
}

fn norm(tensor: &Tensor) -> Result<f64, PeftError> {
    // In f64, because the square of a diverged weight overflows f32.
    let square: f64 = tensor.detach().to_dtype(DType::F64)?.sqr()?.sum_all()?.to_scalar()?;
    Ok(square.sqrt())
}
