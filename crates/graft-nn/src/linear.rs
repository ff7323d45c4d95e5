//! A linear map with a slot for adapters.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::{
    Context, NnError, Parameter, Result, Role, SavedActivations, Slot, Tensor, Weight,
    WeightOverride, ops,
};

/// An adapter of one linear layer.
pub trait LinearAdapter: Send + Sync {
    /// The whole layer's output (.., d_out) for `x` (.., d_in), base included.
    ///
    /// # Errors
    /// When shapes do not fit.
    fn forward(&self, base: &Linear, x: &Tensor, cx: &Context) -> Result<Tensor>;

    /// What the adapter adds to the weight, (d_out, d_in); `None` when it is no change of the weight.
    ///
    /// # Errors
    /// What candle says.
    fn delta(&self, base: &Linear) -> Result<Option<Tensor>>;

    /// What the adapter adds to the bias, (d_out); `None` when nothing, or when there is no bias.
    ///
    /// # Errors
    /// What candle says.
    fn bias_delta(&self, _base: &Linear) -> Result<Option<Tensor>> {
        Ok(None)
    }

    /// Whether what it adds is in the base weight now.
    fn is_merged(&self) -> bool {
        false
    }

    /// What a training keeps of it, for the prediction of the memory.
    fn saved_activations(&self, _base: &Linear) -> SavedActivations {
        SavedActivations::default()
    }
}

/// `y = W x + b`, with adapters.
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

/// The weight that a head has for itself after it was separated from the embedding, whose weight it shares otherwise.
#[derive(Debug, Default)]
pub struct UntiedWeight(ArcSwapOption<Tensor>);

impl UntiedWeight {
    /// Separates the layer, or lets it share its weight again.
    pub fn set(&self, weight: Option<Tensor>) {
        self.0.store(weight.map(|weight| Arc::new(weight.detach())));
    }

    /// The weight, where the layer is separated.
    pub fn get(&self) -> Option<Tensor> {
        self.0.load().as_deref().cloned()
    }
}

impl Linear {
    /// A frozen layer at a Hugging Face path.
    ///
    /// # Errors
    /// [`NnError::Shape`] when the weight is no matrix or the bias does not fit.
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

    /// The layer with a note for those who write files: its weight lies there as (d_in, d_out), as that of GPT-2's `Conv1D`. In memory it is
    /// (d_out, d_in) all the same, so that no method needs to know.
    #[must_use]
    pub fn stored_fan_in_fan_out(self) -> Self {
        Self { fan_in_fan_out: true, ..self }
    }

    /// A layer whose weight belongs to another one too, such as a head tied to the embedding.
    ///
    /// # Errors
    /// [`NnError::Shape`] when the weight is no matrix.
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

    /// What it is for.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Width of its input.
    pub fn d_in(&self) -> usize {
        self.d_in
    }

    /// Width of its output.
    pub fn d_out(&self) -> usize {
        self.d_out
    }

    /// Whether its weight is stored as (d_in, d_out) in model files: HF PEFT's `fan_in_fan_out`. Here it is (d_out, d_in) all the same.
    pub fn fan_in_fan_out(&self) -> bool {
        self.fan_in_fan_out
    }

    /// W, (d_out, d_in).
    pub fn weight(&self) -> &Parameter {
        &self.weight
    }

    /// W as a shared handle, for who must find it again without the model.
    pub fn shared_weight(&self) -> Arc<Parameter> {
        self.weight.clone()
    }

    /// b, (d_out).
    pub fn bias(&self) -> Option<&Parameter> {
        self.bias.as_deref()
    }

    /// b as a shared handle, for who must find it again without the model.
    pub fn shared_bias(&self) -> Option<Arc<Parameter>> {
        self.bias.clone()
    }

    /// Its adapters.
    pub fn slot(&self) -> &Slot<dyn LinearAdapter> {
        &self.slot
    }

    /// What stands in for W in this layer alone: a head that shares its weight with the embedding can be trained apart from it.
    pub fn overrides(&self) -> &Slot<dyn WeightOverride> {
        &self.tied_override
    }

    /// What a training keeps of its bias and of the adapters that act, beside its input and its output.
    pub fn saved_activations(&self) -> SavedActivations {
        let bias = SavedActivations::per_position(if self.bias.is_some() { self.d_out } else { 0 });
        bias + self.slot.active().iter().map(|adapter| adapter.saved_activations(self)).sum()
    }

    /// The weight that it has for itself, if any, as a shared handle.
    pub fn untied_weight(&self) -> Arc<UntiedWeight> {
        self.untied.clone()
    }

    /// The weight that this layer alone multiplies by: what stands in for W, or the weight that it has for itself; none while it shares one.
    pub fn separate_weight(&self) -> Option<Tensor> {
        self.tied_override
            .last_active()
            .map(|weight_override| weight_override.tensor())
            .or_else(|| self.untied.get())
    }

    /// W as this layer multiplies by it: what stands in for it, the weight that it has for itself, or the one that it shares.
    pub fn effective_weight(&self) -> Weight {
        self.separate_weight().map_or_else(|| self.weight.weight(), Weight::from)
    }

    /// The layer with the adapters that act. With several, each adds its own change: `y = Σ y_i - (n - 1) y_base`.
    ///
    /// # Errors
    /// When shapes do not fit; the error names the layer.
    pub fn forward(&self, x: &Tensor, cx: &Context) -> Result<Tensor> {
        let located = |error| NnError::at_path(error, &self.path);
        match self.slot.active().as_slice() {
            [] => self.base_forward(x),
            [one] => one.forward(self, x, cx).map_err(located),
            several => self.sum(several, x, cx).map_err(located),
        }
    }

    /// The layer without adapters.
    ///
    /// # Errors
    /// When shapes do not fit; the error names the layer.
    pub fn base_forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = ops::linear(x, self.effective_weight()); // (.., d_out)
        self.add_bias(y).map_err(|error| NnError::at_path(error, &self.path))
    }

    /// The loss of the labels that this layer, as the head of a language model, predicts from `x`. A plain head never makes the whole logits:
    /// [`ops::linear_cross_entropy`]; one with a bias or an adapter does.
    ///
    /// # Shapes
    /// `x: (N, C)`, `labels`: N -> scalar
    /// # Errors
    /// Those of [`ops::linear_cross_entropy`]; the error names the layer.
    pub fn cross_entropy(
        &self,
        x: &Tensor,
        labels: &[i64],
        normalizer: f64,
        cx: &Context,
    ) -> Result<Tensor> {
        if self.bias.is_some() || !self.slot.active().is_empty() {
            return ops::cross_entropy(&self.forward(x, cx)?, labels, normalizer);
        }
        ops::linear_cross_entropy(x, &self.effective_weight().tensor(), labels, normalizer)
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
