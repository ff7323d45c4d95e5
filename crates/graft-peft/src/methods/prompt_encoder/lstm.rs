//! A bidirectional LSTM, as PyTorch computes it.
//!
//! `i, f, o = σ(..)`, `g = tanh(..)` of `W x + b + U h + c`; `s' = f ∘ s + i ∘ g`,
//! `h' = o ∘ tanh(s')`; the gates are stored in the order i, f, g, o.
//!
//! # Source
//! Hochreiter and Schmidhuber 1997; the order of weights and gates is that of `torch.nn.LSTM`.

use graft_nn::{Context, DType, Result, Tensor, Var, ops};

use crate::{PeftError, initializer::Initializer};

/// The layers, each with two directions.
#[derive(Clone)]
pub(in crate::methods) struct Lstm {
    layers: Vec<[Direction; 2]>,
    /// H.
    hidden: usize,
    /// Dropout probability between two layers, in training only.
    dropout: f64,
}

/// One direction of one layer.
#[derive(Clone)]
struct Direction {
    /// `l0` or `l0_reverse`.
    ending: String,
    /// (4H, d_in).
    input: Var,
    /// (4H, H).
    state: Var,
    /// (4H).
    input_bias: Var,
    /// (4H).
    state_bias: Var,
}

impl Lstm {
    /// Initialized like PyTorch's `LSTM`: uniform in ±1/sqrt(H).
    pub(in crate::methods) fn new(
        initializer: &Initializer<'_>,
        (width, hidden): (usize, usize),
        layers: usize,
        dropout: f64,
    ) -> std::result::Result<Self, PeftError> {
        let bound = 1.0 / (hidden as f32).sqrt();
        let direction = |layer: usize, suffix: &str| -> std::result::Result<Direction, PeftError> {
            let (ending, d_in) =
                (format!("l{layer}{suffix}"), if layer == 0 { width } else { 2 * hidden });
            let weight = |name: &str, shape: &[usize]| {
                initializer.uniform(&format!("lstm_head.{name}_{ending}"), shape, bound)
            };
            Ok(Direction {
                input: weight("weight_ih", &[4 * hidden, d_in])?,
                state: weight("weight_hh", &[4 * hidden, hidden])?,
                input_bias: weight("bias_ih", &[4 * hidden])?,
                state_bias: weight("bias_hh", &[4 * hidden])?,
                ending,
            })
        };
        let both = |layer| Ok([direction(layer, "")?, direction(layer, "_reverse")?]);
        Ok(Self {
            layers: (0..layers).map(both).collect::<std::result::Result<_, PeftError>>()?,
            hidden,
            dropout,
        })
    }

    /// The states of a sequence.
    ///
    /// # Shapes
    /// `x: (P, d_in)`; returns `(P, 2H)`
    /// # Errors
    /// Returns an error if a candle operation fails.
    pub(super) fn forward(&self, x: &Tensor, cx: &Context) -> Result<Tensor> {
        let mut x = x.clone();
        for (number, [forth, back]) in self.layers.iter().enumerate() {
            if number > 0 {
                x = self.drop_out(x, number, cx)?;
            }
            let steps: Vec<usize> = (0..x.dim(0)?).collect();
            let reversed: Vec<usize> = steps.iter().rev().copied().collect();
            let mut behind = forth.run(&x, &steps, self.hidden)?;
            let mut ahead = back.run(&x, &reversed, self.hidden)?;
            ahead.reverse();
            behind = behind
                .iter()
                .zip(&ahead)
                .map(|(h, r)| Ok(Tensor::cat(&[h, r], 1)?))
                .collect::<Result<_>>()?; // (1, 2H) each
            x = Tensor::cat(&behind, 0)?; // (P, 2H)
        }
        Ok(x)
    }

    /// All weights, by their names in PyTorch.
    pub(super) fn weights(&self) -> Vec<(String, Var)> {
        let of = |direction: &Direction| {
            let Direction { ending, input, state, input_bias, state_bias } = direction;
            [
                ("weight_ih", input),
                ("weight_hh", state),
                ("bias_ih", input_bias),
                ("bias_hh", state_bias),
            ]
            .map(|(name, var)| (format!("{name}_{ending}"), var.clone()))
        };
        self.layers.iter().flatten().flat_map(of).collect()
    }

    fn drop_out(&self, x: Tensor, layer: usize, cx: &Context) -> Result<Tensor> {
        let Some(mask) = cx.mask(&format!("prompt_encoder.lstm_head.{layer}"), self.dropout) else {
            return Ok(x);
        };
        let factors = Tensor::from_vec(mask.factors(x.elem_count()), x.dims(), x.device())?;
        Ok((x * factors)?)
    }
}

impl Direction {
    /// The states (1, H) after each of the `steps`, in this order.
    fn run(&self, x: &Tensor, steps: &[usize], hidden: usize) -> Result<Vec<Tensor>> {
        let bias = (self.input_bias.as_tensor() + self.state_bias.as_tensor())?;
        let given = ops::bias_add(&ops::linear(x, self.input.as_tensor())?, &bias)?; // (P, 4H)
        let zeros = Tensor::zeros((1, hidden), DType::F32, x.device())?;
        let (mut h, mut s, mut states) = (zeros.clone(), zeros, Vec::with_capacity(steps.len()));
        for step in steps {
            let gates = (given.narrow(0, *step, 1)? + ops::linear(&h, self.state.as_tensor())?)?; // (1, 4H)
            let gate = |number: usize| gates.narrow(1, number * hidden, hidden);
            let (i, f, g, o) =
                (sigmoid(&gate(0)?)?, sigmoid(&gate(1)?)?, gate(2)?.tanh()?, sigmoid(&gate(3)?)?);
            s = ((f * s)? + (i * g)?)?; // (1, H)
            h = (o * s.tanh()?)?; // (1, H)
            states.push(h.clone());
        }
        Ok(states)
    }
}

/// The sigmoid, computed with tanh, whose gradient stays finite where the exponential overflows.
fn sigmoid(x: &Tensor) -> Result<Tensor> {
    Ok((((x * 0.5)?.tanh()? + 1.0)? * 0.5)?)
}

#[cfg(test)]
mod tests {
    use graft_nn::Device;

    use super::*;

    /// `torch.nn.LSTM(2, 1, num_layers=1, bidirectional=True)` with every weight 0.5 and every bias
    /// 0.1, on [[1, 0], [0, 2]].
    #[test]
    fn states_are_those_of_pytorch() {
        let lstm = Lstm::new(&Initializer::named("t", Device::Cpu, 1), (2, 1), 1, 0.0).unwrap();
        for (name, var) in lstm.weights() {
            let value = if name.starts_with("bias") { 0.1f32 } else { 0.5 };
            var.set(&Tensor::full(value, var.dims(), &Device::Cpu).unwrap()).unwrap();
        }
        let x = Tensor::new(&[[1f32, 0.0], [0.0, 2.0]], &Device::Cpu).unwrap();
        let states = lstm.forward(&x, &Context::eval()).unwrap().to_vec2::<f32>().unwrap();
        for (found, expected) in states.iter().flatten().zip(EXPECTED) {
            assert!((found - expected).abs() < 1e-5, "{states:?}");
        }
    }

    const EXPECTED: [f32; 4] = [0.256_064_45, 0.536_643_9, 0.604_037_2, 0.434_497_2];
}
