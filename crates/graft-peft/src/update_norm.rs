//! How far an adapter moves the weights it acts on.

use graft_nn::{DType, Model, Tensor};

use crate::{Adapter, PeftError, layers::linears, method::Attachment};

/// The change of one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateNorm {
    /// Hugging Face path of the layer.
    pub path: String,
    /// `‖ΔW‖`, Frobenius norm.
    pub update: f64,
    /// `‖W‖`, the same of the base weight.
    pub weight: f64,
}

impl UpdateNorm {
    /// `‖ΔW‖ / ‖W‖`; none where the base weight is zero, as most biases are at first, or so small that the ratio says nothing.
    pub fn share(&self) -> Option<f64> {
        (self.weight > NOTHING).then(|| self.update / self.weight)
    }
}

/// The length from which on a weight is something to compare with.
const NOTHING: f64 = 1e-12;

/// The change of every layer whose weight the adapter changes, in the model's order; none for soft prompts and networks between layers.
///
/// # Errors
/// What candle says.
pub fn update_norms(model: &dyn Model, adapter: &Adapter) -> Result<Vec<UpdateNorm>, PeftError> {
    let (linears, weights) = (linears(model), model.parameters());
    let mut changes = Vec::new();
    for part in adapter.parts() {
        let pair = match &part.attachment {
            Attachment::Linear(attachment) => match linears.get(&part.site) {
                Some(linear) => {
                    attachment.delta(linear)?.map(|delta| (delta, linear.weight().own()))
                }
                None => None,
            },
            Attachment::Weight(path, weight_override) => {
                match weights.iter().find(|weight| weight.path() == path) {
                    Some(weight) => {
                        let own = weight.own().detach().to_dtype(DType::F32)?;
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
    // In 64 bits: the square of a weight that has diverged has no place in 32.
    let square: f64 = tensor.detach().to_dtype(DType::F64)?.sqr()?.sum_all()?.to_scalar()?;
    Ok(square.sqrt())
}
