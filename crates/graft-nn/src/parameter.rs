//! Parameters of the base model: frozen by default, trainable on request, with a slot for
//! overrides.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::{
    DType, NnError, Packed, Quantization, Result, SavedActivations, Slot, Tensor, Var, Weight,
};

/// A weight of an adapter that replaces one of the base model: a trained bias, norm or head.
pub trait WeightOverride: Send + Sync {
    /// The weight, of the same shape; part of the graph if it is trained.
    fn tensor(&self) -> Tensor;

    /// Whether it has been merged into the base weight.
    fn is_merged(&self) -> bool {
        false
    }

    /// The activations that it saves for the backward pass; used to estimate memory.
    fn saved_activations(&self) -> SavedActivations {
        SavedActivations::default()
    }
}

/// A named parameter. A new value is visible to all holders of the layer at once; a forward pass
/// that has already read the old value continues with it.
pub struct Parameter {
    path: String,
    state: ArcSwap<ParameterState>,
    overrides: Slot<dyn WeightOverride>,
}

#[derive(Debug)]
enum ParameterState {
    Frozen(Weight),
    Trainable(Var),
}

impl ParameterState {
    fn weight(&self) -> Weight {
        match self {
            Self::Frozen(weight) => weight.clone(),
            Self::Trainable(var) => Weight::Dense(var.as_tensor().clone()),
        }
    }

    fn dims(&self) -> Vec<usize> {
        match self {
            Self::Frozen(Weight::Dense(tensor)) => tensor.dims().to_vec(),
            Self::Frozen(Weight::Packed(packed)) => vec![packed.dims().0, packed.dims().1],
            Self::Trainable(var) => var.dims().to_vec(),
        }
    }
}

impl Parameter {
    /// A frozen parameter with its Hugging Face path, such as `model.norm.weight`.
    pub fn new(path: &str, tensor: Tensor) -> Self {
        Self {
            path: path.to_owned(),
            state: ArcSwap::from_pointee(ParameterState::Frozen(tensor.detach().into())),
            overrides: Slot::new(),
        }
    }

    /// Hugging Face path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The current value: the active override, or else the base value, which is a variable of the
    /// graph while it is trainable.
    pub fn tensor(&self) -> Tensor {
        self.overrides
            .last_active()
            .map_or_else(|| self.base_value(), |weight_override| weight_override.tensor())
    }

    /// The base value, without overrides. A quantized value is unpacked and occupies that memory as
    /// long as the tensor lives.
    pub fn base_value(&self) -> Tensor {
        self.base_weight().tensor()
    }

    /// The current value as a [`Weight`]: the active override, or else the base weight, which may
    /// be quantized.
    pub fn weight(&self) -> Weight {
        self.overrides
            .last_active()
            .map_or_else(|| self.base_weight(), |weight_override| weight_override.tensor().into())
    }

    /// The base value as it is stored, dense or quantized.
    pub fn base_weight(&self) -> Weight {
        self.state.load().weight()
    }

    /// Quantizes the base value, which must be a frozen matrix, on its device. A value that is
    /// already quantized does not change.
    ///
    /// # Errors
    /// The errors of [`Packed::new`], with the path.
    pub fn pack(&self, quantization: Quantization) -> Result<()> {
        match self.base_weight() {
            Weight::Dense(tensor) => {
                let packed = Packed::new(&tensor, quantization)
                    .and_then(|packed| packed.to_device(tensor.device()));
                let packed = packed.map_err(|error| NnError::at_path(error, &self.path))?;
                self.set(Weight::Packed(Arc::new(packed)))
            }
            Weight::Packed(_) => Ok(()),
        }
    }

    /// Overrides by adapters; the last active one takes effect.
    pub fn overrides(&self) -> &Slot<dyn WeightOverride> {
        &self.overrides
    }

    /// The activations that the active overrides save for the backward pass.
    pub fn saved_activations(&self) -> SavedActivations {
        self.overrides
            .active()
            .iter()
            .map(|weight_override| weight_override.saved_activations())
            .sum()
    }

    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.dims().iter().product()
    }

    /// Sizes of the dimensions.
    pub fn dims(&self) -> Vec<usize> {
        self.state.load().dims()
    }

    /// Whether it is trainable.
    pub fn is_trainable(&self) -> bool {
        matches!(&**self.state.load(), ParameterState::Trainable(_))
    }

    /// Replaces the base value; a trainable parameter keeps its variable.
    ///
    /// # Errors
    /// [`NnError::Shape`] if the shape differs.
    pub fn set(&self, value: impl Into<Weight>) -> Result<()> {
        let state = self.state.load_full();
        let new = match value.into() {
            Weight::Dense(tensor) => ParameterState::Frozen(tensor.detach().into()),
            packed @ Weight::Packed(_) => ParameterState::Frozen(packed),
        };
        if state.dims() != new.dims() {
            let error = NnError::Shape {
                what: "new value",
                expected: format!("{:?}", state.dims()),
                found: new.dims(),
            };
            return Err(NnError::at_path(error, &self.path));
        }
        match &*state {
            ParameterState::Frozen(_) => self.state.store(Arc::new(new)),
            ParameterState::Trainable(var) => {
                var.set(&new.weight().tensor().to_dtype(DType::F32)?)?
            }
        }
        Ok(())
    }

    /// Makes the parameter trainable and returns its variable, which is f32 whatever the stored
    /// type.
    ///
    /// # Errors
    /// Returns an error if candle cannot copy the value.
    pub fn train(&self) -> Result<Var> {
        let state = self.state.load_full();
        if let ParameterState::Trainable(var) = &*state {
            return Ok(var.clone());
        }
        let var = Var::from_tensor(&state.weight().tensor().to_dtype(DType::F32)?)?;
        self.state.store(Arc::new(ParameterState::Trainable(var.clone())));
        Ok(var)
    }

    /// Freezes the parameter with its current value.
    pub fn freeze(&self) {
        let state = self.state.load_full();
        if let ParameterState::Trainable(var) = &*state {
            self.state.store(Arc::new(ParameterState::Frozen(var.as_detached_tensor().into())));
        }
    }
}

impl fmt::Debug for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Parameter({}, {:?}, overrides {:?})",
            self.path,
            self.dims(),
            self.overrides.names()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Device;

    fn weight() -> Parameter {
        Parameter::new("w", Tensor::ones((2, 3), DType::BF16, &Device::Cpu).expect("ones"))
    }

    #[test]
    fn training_widens_to_32_bits_and_freezing_keeps_the_value() {
        let w = weight();
        assert!(!w.is_trainable() && !w.tensor().is_variable());
        let var = w.train().expect("trains");
        assert!(w.tensor().is_variable() && var.dtype() == DType::F32);
        var.set(&Tensor::full(3f32, (2, 3), &Device::Cpu).expect("full")).expect("sets");
        w.freeze();
        assert!(!w.tensor().is_variable());
        assert_eq!(w.tensor().to_vec2::<f32>().expect("values"), vec![vec![3.0; 3]; 2]);
    }

    #[test]
    fn setting_a_trainable_weight_keeps_the_variable() {
        let w = weight();
        let var = w.train().expect("trains");
        w.set(Tensor::zeros((2, 3), DType::F32, &Device::Cpu).expect("zeros")).expect("sets");
        assert_eq!(var.as_tensor().to_vec2::<f32>().expect("values"), vec![vec![0.0; 3]; 2]);
        assert_eq!(w.train().expect("trains").as_tensor().id(), var.as_tensor().id());
    }

    #[test]
    fn an_override_is_used_while_it_is_active_and_the_base_value_stays() {
        struct Other(Tensor);
        impl WeightOverride for Other {
            fn tensor(&self) -> Tensor {
                self.0.clone()
            }
        }
        let w = weight();
        let first = |w: &Parameter| {
            w.tensor().to_dtype(DType::F32).expect("wide").to_vec2::<f32>().expect("values")[0][0]
        };
        w.overrides().insert(
            "a",
            Arc::new(Other(Tensor::zeros((2, 3), DType::F32, &Device::Cpu).expect("zeros"))),
        );
        assert_eq!(first(&w), 1.0);
        w.overrides().set_active(&["a"]);
        assert_eq!(first(&w), 0.0);
        w.set(Tensor::full(3f32, (2, 3), &Device::Cpu).expect("full")).expect("sets");
        assert_eq!(first(&w), 0.0);
        w.overrides().remove("a");
        assert_eq!(first(&w), 3.0);
    }

    #[test]
    fn another_shape_is_refused_with_the_path() {
        let error = weight()
            .set(Tensor::zeros((3, 2), DType::F32, &Device::Cpu).expect("zeros"))
            .expect_err("refused");
        assert_eq!(error.to_string(), "in w");
        assert_eq!(
            std::error::Error::source(&error).expect("cause").to_string(),
            "new value: expected [2, 3], found [3, 2]"
        );
    }
}
