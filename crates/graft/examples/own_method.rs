//! Your own fine-tuning method: one trained factor per output of the value projections,
//! `y = (1 + g) ∘ (W x + b)`, similar to (IA)³.
//!
//! A method consists of an adapter for one layer and of code that puts adapters into layers. The
//! layers, the loss and the optimizer are those of Graft and candle.
//!
//! `cargo run -p graft --example own_method`

use std::sync::Arc;

use graft::{
    candle_nn::{AdamW, Optimizer, ParamsAdamW, loss::cross_entropy},
    nn::{self, Context, Layer, Linear, LinearAdapter, Role},
    prelude::*,
};

/// The name of the method in the slots.
const NAME: &str = "gain";

/// The adapter of one layer.
struct Gain {
    /// g: (d_out)
    g: Var,
}

impl LinearAdapter for Gain {
    /// # Shapes
    /// `x: (.., d_in)` -> `(.., d_out)`
    fn forward(&self, base: &Linear, x: &Tensor, _: &Context) -> nn::Result<Tensor> {
        let y = base.base_forward(x)?; // (.., d_out)
        Ok((&y + y.broadcast_mul(&self.g)?)?) // (.., d_out)
    }

    /// The method changes the weight by `diag(g) W`, so it could be merged.
    fn delta(&self, base: &Linear) -> nn::Result<Option<Tensor>> {
        let w = base.effective_weight().tensor(); // (d_out, d_in)
        Ok(Some(w.broadcast_mul(&self.g.unsqueeze(1)?)?)) // (d_out, d_in)
    }
}

/// Inserts an adapter into every value projection, and returns the variables to train.
fn attach(model: &Model) -> graft::Result<Vec<Var>> {
    let mut variables = Vec::new();
    for site in model.network().sites() {
        let (Role::Value, Layer::Linear(linear)) = (site.role, site.layer) else { continue };
        // Zeros, so that attaching does not change the output of the model.
        let g = Var::zeros(linear.d_out(), DType::F32, &lab().device())?; // (d_out)
        linear.slot().insert(NAME, Arc::new(Gain { g: g.clone() }));
        linear.slot().set_active(&[NAME]);
        variables.push(g);
    }
    Ok(variables)
}

/// Mean cross-entropy of the next tokens of a text.
fn loss(model: &Model, text: &str) -> graft::Result<Tensor> {
    let ids = model.tokenizer()?.tensor(text)?; // (T)
    let logits = model.logits(&ids)?; // (T, V)
    let last = ids.dim(0)? - 1;
    Ok(cross_entropy(&logits.narrow(0, 0, last)?, &ids.narrow(0, 1, last)?)?)
}

fn main() -> graft::Result<()> {
    let (before, after) = own_method(30)?;
    println!("loss before {before:.3}, after {after:.3}");
    Ok(())
}

/// Trains for `steps` steps on one sentence. Returns its loss before and after.
pub fn own_method(steps: usize) -> graft::Result<(f32, f32)> {
    const TEXT: &str = "The borrow checker is a friend who reads every line.";
    let model = lab().load_model("tiny")?;
    let variables = attach(&model)?;
    println!("{} trained vectors in the value projections", variables.len());

    let before = loss(&model, TEXT)?.to_scalar::<f32>()?;
    let options = ParamsAdamW { lr: 0.05, weight_decay: 0.0, ..Default::default() };
    let mut optimizer = AdamW::new(variables, options)?;
    for step in 1..=steps {
        let loss = loss(&model, TEXT)?;
        optimizer.backward_step(&loss)?;
        if step % 10 == 0 {
            println!("step {step}: loss {:.3}", loss.to_scalar::<f32>()?);
        }
    }
    Ok((before, loss(&model, TEXT)?.to_scalar::<f32>()?))
}
