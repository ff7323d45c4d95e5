//! The weights of a packed model as its files have them.

use std::path::Path;

use graft_nn::{DType, Device, Linear, Tensor};

use super::{
    config_of,
    weights::{self, WeightFiles},
};
use crate::{ModelError, families};

/// The files of a folder, from which single weights are read again.
pub struct OriginalWeights {
    weights: Box<dyn WeightFiles>,
}

impl OriginalWeights {
    /// Opens the files of a folder, or a GGUF file, and reads their headers.
    ///
    /// # Errors
    /// Those of finding out what the folder holds.
    pub fn open(place: &Path) -> Result<Self, ModelError> {
        let (config, path) = config_of(place)?;
        let mut weights = weights::open(place)?;
        super::check_sizes(&config, &*weights, &path)?;
        let plan = families::plan(&config, &path)?;
        weights.expect(plan.prefix(), &plan.weights())?;
        Ok(Self { weights })
    }

    /// The weight (d_out, d_in) of a layer in 32-bit numbers, on the processor.
    ///
    /// # Errors
    /// [`ModelError::MissingWeights`], [`ModelError::File`], [`ModelError::Malformed`] for files that are packed themselves, and [`ModelError::WrongShape`] when the files are no longer those of the model.
    pub fn of(&self, linear: &Linear) -> Result<Tensor, ModelError> {
        let name = format!("{}.weight", linear.path());
        if self.weights.is_packed(&name) {
            let problem = "its weights are already quantized, so the original values are lost; load the unquantized model with load_in_4bit=true".to_owned();
            return Err(ModelError::Malformed { path: self.weights.place().to_owned(), problem });
        }
        let stored = self.weights.read(&name, DType::F32, &Device::Cpu)?;
        let turned = if linear.fan_in_fan_out() {
            stored.t().and_then(|t| t.contiguous()).map_err(graft_nn::NnError::from)?
        } else {
            stored
        };
        let expected = vec![linear.d_out(), linear.d_in()];
        if turned.dims() != expected {
            return Err(ModelError::WrongShape {
                folder: self.weights.place().to_owned(),
                name,
                expected,
                found: turned.dims().to_vec(),
            });
        }
        Ok(turned)
    }
}
