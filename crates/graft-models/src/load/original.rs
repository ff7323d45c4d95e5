//! The original weights of a model that was quantized on loading.

use std::path::Path;

use graft_nn::{DType, Device, Linear, Tensor};

use super::{config_of, model::check_sizes, open_weights::open_weights, weights::WeightFiles};
use crate::{ModelError, families};

/// The weight files of a model, from which single weights are read again, for example by LoftQ.
pub struct OriginalWeights {
    weights: Box<dyn WeightFiles>,
}

impl OriginalWeights {
    /// Opens the files of a folder, or a GGUF file, and reads their headers.
    ///
    /// # Errors
    /// The errors of [`crate::load()`] for an invalid folder or file.
    pub fn open(place: &Path) -> Result<Self, ModelError> {
        let (config, path) = config_of(place)?;
        let mut weights = open_weights(place)?;
        check_sizes(&config, &*weights, &path)?;
        let plan = families::plan(&config, &path)?;
        weights.expect(plan.prefix(), &plan.weights())?;
        Ok(Self { weights })
    }

    /// The weight (d_out, d_in) of a layer as f32 on the CPU.
    ///
    /// # Errors
    /// [`ModelError::MissingWeights`], [`ModelError::File`], [`ModelError::Malformed`] if the files
    /// themselves are quantized, and [`ModelError::WrongShape`] if the files have changed.
    pub fn of(&self, linear: &Linear) -> Result<Tensor, ModelError> {
        let name = format!("{}.weight", linear.path());
        if self.weights.is_packed(&name) {
            let problem =
                "its weights are already quantized, so the original values are lost; load the \
                 unquantized model with load_in_4bit=true"
                    .to_owned();
            return Err(ModelError::Malformed { path: self.weights.place().to_owned(), problem });
        }
        let stored = self.weights.read(&name, DType::F32, &Device::Cpu)?;
        let weight = if linear.fan_in_fan_out() {
            stored.t().and_then(|t| t.contiguous()).map_err(graft_nn::NnError::from)?
        } else {
            stored
        };
        let expected = vec![linear.d_out(), linear.d_in()];
        if weight.dims() != expected {
            return Err(ModelError::WrongShape {
                folder: self.weights.place().to_owned(),
                name,
                expected,
                found: weight.dims().to_vec(),
            });
        }
        Ok(weight)
    }
}
