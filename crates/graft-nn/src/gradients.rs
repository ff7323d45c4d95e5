//! Gradients of a loss with respect to trainable parameters.

use crate::{NnError, Recompute, Result, Tensor, Trainable};

/// The gradients of `loss` for the wanted parameters, in their order, detached from the graph.
///
/// candle's store holds the gradient of every intermediate value, and each stored gradient keeps
/// activations alive. The wanted gradients are therefore detached and the store is dropped.
///
/// # Errors
/// [`NnError::MissingGradient`] if a wanted parameter did not take part in the loss.
pub fn gradients(loss: &Tensor, wanted: &[Trainable]) -> Result<Vec<Tensor>> {
    gradients_through(loss, wanted, None)
}

/// [`gradients`] of a loss whose blocks were computed with `recompute` (gradient checkpointing),
/// which was created for the same parameters.
///
/// # Errors
/// The errors of [`gradients`].
pub fn gradients_through(
    loss: &Tensor,
    wanted: &[Trainable],
    recompute: Option<&Recompute>,
) -> Result<Vec<Tensor>> {
    let mut store = loss.backward()?;
    let inside = recompute.map_or_else(|| vec![None; wanted.len()], Recompute::take);
    let mut found = Vec::with_capacity(wanted.len());
    for (parameter, inside) in wanted.iter().zip(inside) {
        let outside = store.remove(parameter.var.as_tensor()).map(|gradient| gradient.detach());
        found.push(match (outside, inside) {
            (Some(outside), Some(inside)) => (outside + inside)?,
            (one, other) => one
                .or(other)
                .ok_or_else(|| NnError::MissingGradient { name: parameter.name.clone() })?,
        });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Device, Var};

    #[test]
    fn gradients_come_in_order_and_without_the_graph() {
        let (x, y) = (
            Var::new(&[2f32], &Device::Cpu).expect("x"),
            Var::new(&[3f32], &Device::Cpu).expect("y"),
        );
        let loss = (x.as_tensor() * y.as_tensor()).and_then(|p| p.sum_all()).expect("loss");
        let found =
            gradients(&loss, &[Trainable::new("y", y), Trainable::new("x", x)]).expect("gradients");
        let values: Vec<f32> =
            found.iter().map(|g| g.to_vec1::<f32>().expect("values")[0]).collect();
        assert_eq!(values, [2.0, 3.0]);
        assert!(found.iter().all(|g| !g.track_op()));
    }

    #[test]
    fn a_parameter_outside_the_loss_is_named() {
        let (x, y) = (
            Var::new(&[2f32], &Device::Cpu).expect("x"),
            Var::new(&[3f32], &Device::Cpu).expect("y"),
        );
        let loss = x.as_tensor().sum_all().expect("loss");
        let error = gradients(&loss, &[Trainable::new("layer.lora_B", y)]).expect_err("missing");
        assert_eq!(error.to_string(), "no gradient reached `layer.lora_B`");
    }
}
