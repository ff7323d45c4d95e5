//! Conversion from errors of candle.

use graft_nn::NnError;

use super::PeftError;

impl From<candle_core::Error> for PeftError {
    fn from(error: candle_core::Error) -> Self {
        Self::Layer(NnError::from(error))
    }
}
