//! Linear layers with a slot for adapters.

use std::fmt;
use std::sync::Arc;

use crate::{
    Context, NnError, Parameter, Result, Role, SavedActivations, Slot, Tensor, UntiedWeight,
    Weight, WeightOverride, ops,
};

/// An adapter of one linear layer.
pub trait LinearAdapter: Send + Sync {
    /// The output (.., d_out) of the whole layer, base included, for `x` (.., d_in).
    ///
    /// # Errors
    /// Returns an error if the shapes do not match.
    fn forward(&self, base: &Linear, x: &Tensor, cx: &Context) -> Result<Tensor>;

    /// The change ΔW (d_out, d_in) of the weight that is equivalent to the adapter; `None` if there
    /// is none.
    ///
    /// # Errors
    /// Returns an error if the underlying candle operation fails.
    fn delta(&self, base: &Linear) -> Result<Option<Tensor>>;

    /// The change (d_out) of the bias that is equivalent to the adapter; `None` if there is none.
    ///
    /// # Errors
    /// Returns an error if the underlying candle operation fails.
    fn bias_delta(&self, _base: &Linear) -> Result<Option<Tensor>> {
        Ok(None)
    }

    /// Whether the base weight contains its change at the moment.
    fn is_merged(&self) -> bool {
        false
    }

    /// The activations that it saves for the backward pass; used to estimate memory.
    fn saved_activations(&self, _base: &Linear) -> SavedActivations {
        SavedActivations::default()
    }
}

/// A linear layer `y = W x + b` with adapters.
///
/// The weight and the bias are frozen until [`Parameter::train`] is called. Adapters are inserted
/// into [`Linear::slot`]; the example in the [crate documentation](crate) defines one.
///
/// # Shapes
/// `x: (.., d_in)` -> `(.., d_out)`; `W: (d_out, d_in)`, `b: (d_out)`
pub struct Linear {
    path: String,
    role: Role,
    weight: Arc<Parameter>,
    bias: Option<Arc<Parameter>>,
    slot: Slot<dyn LinearAdapter>,
    tied_override: Slot<dyn WeightOverride>,
    untied: Arc<UntiedWeight>,
    d_in: usize,
    d_out: usize,
    fan_in_fan_out: bool,
}

impl Linear {
    /// A frozen layer with the Hugging Face path `path`.
    ///
    /// # Errors
    /// [`NnError::Shape`] if the weight is not a matrix or the bias is not (d_out).
    pub fn new(path: &str, role: Role, weight: Tensor, bias: Option<Tensor>) -> Result<Self> {
        let weight = Arc::new(Parameter::new(&format!("{path}.weight"), weight));
        let mut layer = Self::sharing(path, role, weight)?;
        if let Some(bias) = bias {
            if bias.dims() != [layer.d_out] {
                let error = NnError::Shape {
                    what: "bias",
                    expected: format!("[{}]", layer.d_out),
                    found: bias.dims().to_vec(),
                };
                return Err(NnError::at_path(error, path));
            }
            layer.bias = Some(Arc::new(Parameter::new(&format!("{path}.bias"), bias)));
        }
        Ok(layer)
    }

    /// Marks the layer as stored transposed, (d_in, d_out), in model files, as GPT-2's `Conv1D`. In
    /// memory the weight is (d_out, d_in), so methods need no special case.
    #[must_use]
    pub fn stored_fan_in_fan_out(self) -> Self {
        Self { fan_in_fan_out: true, ..self }
    }

    /// A layer that shares its weight with another one, such as a head tied to the embedding.
    ///
    /// # Errors
    /// [`NnError::Shape`] if the weight is not a matrix.
    pub fn sharing(path: &str, role: Role, weight: Arc<Parameter>) -> Result<Self> {
        let [d_out, d_in] = weight.dims()[..] else {
            return Err(NnError::at_path(
                NnError::Shape {
                    what: "weight",
                    expected: "(d_out, d_in)".to_owned(),
                    found: weight.dims(),
                },
                path,
            ));
        };
        Ok(Self {
            path: path.to_owned(),
            role,
            weight,
            bias: None,
            slot: Slot::new(),
            tied_override: Slot::new(),
            untied: Arc::default(),
            d_in,
            d_out,
            fan_in_fan_out: false,
        })
    }

    /// Hugging Face path, such as `model.layers.0.self_attn.q_proj`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The function of the layer in its model.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Width of the input.
    pub fn d_in(&self) -> usize {
        self.d_in
    }

    /// Width of the output.
    pub fn d_out(&self) -> usize {
        self.d_out
    }

    /// Whether model files store the weight as (d_in, d_out): HF PEFT's `fan_in_fan_out`. In memory
    /// it is (d_out, d_in).
    pub fn fan_in_fan_out(&self) -> bool {
        self.fan_in_fan_out
    }

    /// The weight W, (d_out, d_in).
    pub fn weight(&self) -> &Parameter {
        &self.weight
    }

    /// A shared handle to W, for callers that outlive the borrow of the model.
    pub fn shared_weight(&self) -> Arc<Parameter> {
        self.weight.clone()
    }

    /// The bias b, (d_out).
    pub fn bias(&self) -> Option<&Parameter> {
        self.bias.as_deref()
    }

    /// A shared handle to b, for callers that outlive the borrow of the model.
    pub fn shared_bias(&self) -> Option<Arc<Parameter>> {
        self.bias.clone()
    }

    /// The adapters of the layer.
    pub fn slot(&self) -> &Slot<dyn LinearAdapter> {
        &self.slot
    }

    /// Overrides of W in this layer only: they train a tied head without changing the embedding.
    pub fn overrides(&self) -> &Slot<dyn WeightOverride> {
        &self.tied_override
    }

    /// The activations that the bias and the active adapters save for the backward pass, in
    /// addition to the input and the output of the layer.
    pub fn saved_activations(&self) -> SavedActivations {
        let bias = SavedActivations::per_position(if self.bias.is_some() { self.d_out } else { 0 });
        bias + self.slot.active().iter().map(|adapter| adapter.saved_activations(self)).sum()
    }

    /// A shared handle to the weight of an untied head.
    pub fn untied_weight(&self) -> Arc<UntiedWeight> {
        self.untied.clone()
    }

    /// The weight that only this layer uses: the active override or the untied weight. `None` if it
    /// uses W.
    pub fn separate_weight(&self) -> Option<Tensor> {
        self.tied_override
            .last_active()
            .map(|weight_override| weight_override.tensor())
            .or_else(|| self.untied.get())
    }

    /// The weight that this layer multiplies by: the active override, the untied weight, or else W.
    pub fn effective_weight(&self) -> Weight {
        self.separate_weight().map_or_else(|| self.weight.weight(), Weight::from)
    }

    /// The output of the layer with its active adapters. The changes of several adapters are added:
    /// `y = Σ y_i - (n - 1) y_base`.
    ///
    /// # Shapes
    /// `x: (.., d_in)` -> `(.., d_out)`
    /// # Errors
    /// Returns an error with the path of the layer if the shapes do not match.
    pub fn forward(&self, x: &Tensor, cx: &Context) -> Result<Tensor> {
        let located = |error| NnError::at_path(error, &self.path);
        match self.slot.active().as_slice() {
            [] => self.base_forward(x),
            [one] => one.forward(self, x, cx).map_err(located),
            several => self.sum(several, x, cx).map_err(located),
        }
    }

    /// The output `W x + b` of the layer without adapters.
    ///
    /// # Shapes
    /// `x: (.., d_in)` -> `(.., d_out)`
    /// # Errors
    /// Returns an error with the path of the layer if the shapes do not match.
    pub fn base_forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = ops::linear(x, self.effective_weight()); // (.., d_out)
        self.add_bias(y).map_err(|error| NnError::at_path(error, &self.path))
    }

    /// The cross entropy of `labels` under the logits that this layer, as the head of a language
    /// model, computes from `x`. Without a bias and adapters, [`ops::linear_cross_entropy`] avoids
    /// storing the logits as a whole.
    ///
    /// # Shapes
    /// `x: (N, C)`, `labels`: N -> scalar
    /// # Errors
    /// The errors of [`ops::linear_cross_entropy`], with the path of the layer.
    pub fn cross_entropy(
        &self,
        x: &Tensor,
        labels: &[i64],
        normalizer: f64,
        cx: &Context,
    ) -> Result<Tensor> {
        self.softcapped_cross_entropy(x, labels, (normalizer, None), cx)
    }

    /// [`Linear::cross_entropy`] of logits that are bounded with [`ops::softcap`], if there is a
    /// bound.
    ///
    /// # Shapes
    /// `x: (N, C)`, `labels`: N -> scalar
    /// # Errors
    /// The errors of [`Linear::cross_entropy`].
    pub fn softcapped_cross_entropy(
        &self,
        x: &Tensor,
        labels: &[i64],
        (normalizer, softcap): (f64, Option<f32>),
        cx: &Context,
    ) -> Result<Tensor> {
        let smoothing = cx.label_smoothing;
        if self.bias.is_some() || !self.slot.active().is_empty() {
            let logits = self.forward(x, cx)?; // (N, V)
            let logits = match softcap {
                Some(cap) => ops::softcap(&logits, cap)?,
                None => logits,
            };
            return ops::smoothed_cross_entropy(&logits, labels, normalizer, smoothing);
        }
        let weight = self.effective_weight().tensor(); // (V, C)
        let spec = ops::HeadLossSpec { normalizer, smoothing, softcap };
        ops::head_cross_entropy(x, &weight, labels, spec)
            .map_err(|error| NnError::at_path(error, &self.path))
    }

    fn add_bias(&self, y: Result<Tensor>) -> Result<Tensor> {
        match &self.bias {
            Some(bias) => ops::bias_add(&y?, &bias.tensor()),
            None => y,
        }
    }

    fn sum(&self, adapters: &[Arc<dyn LinearAdapter>], x: &Tensor, cx: &Context) -> Result<Tensor> {
        let base = self.base_forward(x)?;
        let mut y = base.clone();
        for adapter in adapters {
            y = ((y + adapter.forward(self, x, cx)?)? - &base)?;
        }
        Ok(y)
    }
}

impl fmt::Debug for Linear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Linear({}, {} -> {}, adapters {:?})",
            self.path,
            self.d_in,
            self.d_out,
            self.slot.names()
        )
    }
}
