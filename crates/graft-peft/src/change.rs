//! How far an adapter moves the weights it acts on.

use graft_nn::{DType, Model, Tensor};

use crate::{Adapter, PeftError, layers::linears, methods::Hook};

/// The change of one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Hugging Face path of the layer.
    pub path: String,
    /// `‖ΔW‖ / ‖W‖`, Frobenius norms.
    pub share: f64,
}

/// The change of every layer whose weight the adapter changes, in the model's order; none for soft prompts and networks between layers.
///
/// # Errors
/// What candle says.
pub fn changes(model: &dyn Model, adapter: &Adapter) -> Result<Vec<Change>, PeftError> {
    let (linears, weights) = (linears(model), model.parameters());
    let mut changes = Vec::new();
    for part in adapter.parts() {
        let pair = match &part.hook {
            Hook::Linear(hook) => match linears.get(&part.site) {
                Some(linear) => hook.delta(linear)?.map(|delta| (delta, linear.weight().own())),
                None => None,
            },
            Hook::Weight(path, stand_in) => match weights.iter().find(|weight| weight.path() == path) {
                Some(weight) => {
                    let own = weight.own().detach().to_dtype(DType::F32)?;
                    Some(((stand_in.tensor().detach().to_dtype(DType::F32)? - &own)?, own))
                }
                None => None,
            },
            _ => None,
        };
        if let Some((delta, own)) = pair {
            changes.push(Change { path: part.site.clone(), share: norm(&delta)? / norm(&own)?.max(f64::MIN_POSITIVE) });
        }
    }
    Ok(changes)
}

fn norm(tensor: &Tensor) -> Result<f64, PeftError> {
    let square: f32 = tensor.detach().to_dtype(DType::F32)?.sqr()?.sum_all()?.to_scalar()?;
    Ok(f64::from(square).sqrt())
}
