//! `batch=auto`: the largest micro-batch that fits.

use graft_nn::{Model, Tensor, TokenEncoder, Trainable};

use crate::batch::Batch;
use crate::config::TrainConfig;
use crate::data::Dataset;
use crate::device::device_of;
use crate::examples::Examples;
use crate::fit::forward_backward;
use crate::memory::{self, Fitting};
use crate::{Result, TrainError};

/// More rows than this make a step longer and teach no more per token.
const MOST_ROWS: usize = 64;

/// Tensors that the optimizer keeps for each that is trained: two moments, and the parameters of the step before.
const KEPT_BY_OPTIMIZER: usize = 3;

/// The most examples per micro-batch, up to 64 and to as many as there are, with which this training fits into the memory that is left.
///
/// In main memory the count decides, since asking for too much would be the process's death. A card refuses, and there a step is tried as well.
///
/// # Errors
/// [`TrainError::WouldNotFit`] when one example is too much, [`TrainError::UnknownMemory`] where nothing tells how much there is, and those of encoding the data.
pub fn largest_batch(
    model: &dyn Model,
    trainables: &[Trainable],
    tokenizer: &dyn TokenEncoder,
    data: &Dataset,
    config: &TrainConfig,
) -> Result<Fitting> {
    let device = device_of(model);
    let available = graft_nn::memory::left(&device).ok_or(TrainError::UnknownMemory)?;
    let examples = Examples::new(model, tokenizer, data, config)?;
    let validation = examples.largest_validation(model)?;
    let sizes = memory::Sizes {
        validation,
        ..memory::of_training(model, trainables, examples.longest(), config.recompute)
    };
    let counted = memory::largest(&sizes, data.train.len().min(MOST_ROWS), available)?;
    if device.is_cpu() {
        return Ok(counted);
    }
    let rows = largest_tried(counted.rows, |rows| {
        one_step(model, trainables, &examples.longest_batch(rows), config)
    })?;
    Ok(memory::fitting(&sizes, rows, available))
}

/// Takes all the memory that a step takes, and changes nothing.
fn one_step(
    model: &dyn Model,
    trainables: &[Trainable],
    batch: &Batch,
    config: &TrainConfig,
) -> Result<()> {
    let kept: Vec<Tensor> = trainables
        .iter()
        .flat_map(|trainable| (0..KEPT_BY_OPTIMIZER).map(|_| trainable.var.zeros_like()))
        .collect::<candle_core::Result<_>>()?;
    let gradients = forward_backward(model, trainables, batch, config)?;
    // The gradients are there while the optimizer's tensors are.
    drop((gradients, kept));
    Ok(())
}

/// The first of `most`, three quarters of it, three quarters of that and so on that can be done.
///
/// # Errors
/// That of one row, and each that is no full card.
fn largest_tried(most: usize, mut attempt: impl FnMut(usize) -> Result<()>) -> Result<usize> {
    let mut rows = most;
    loop {
        match attempt(rows) {
            Ok(()) => return Ok(rows),
            Err(error) if rows > 1 && error.is_full_card() => rows = rows * 3 / 4,
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TinyLlama, Words, config, labelled_data};

    /// What a card with room for `room` rows says.
    fn card(room: usize, asked: &mut Vec<usize>) -> impl FnMut(usize) -> Result<()> {
        move |rows| {
            asked.push(rows);
            let full = || {
                candle_core::Error::Cuda(
                    "DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")".into(),
                )
            };
            if rows <= room { Ok(()) } else { Err(full().into()) }
        }
    }

    #[test]
    fn a_full_card_is_asked_for_less_until_a_step_fits() {
        let mut asked = Vec::new();
        assert_eq!(largest_tried(64, card(30, &mut asked)).expect("fits"), 27);
        assert_eq!(asked, [64, 48, 36, 27]);
        assert_eq!(largest_tried(2, card(1, &mut Vec::new())).expect("fits"), 1);
    }

    #[test]
    fn one_row_that_does_not_fit_and_any_other_error_end_the_search() {
        let mut asked = Vec::new();
        assert!(largest_tried(3, card(0, &mut asked)).expect_err("no room").is_full_card());
        assert_eq!(asked, [3, 2, 1]);
        let lost = |_| {
            Err(candle_core::Error::Cuda("DriverError(CUDA_ERROR_LAUNCH_FAILED, \"\")".into())
                .into())
        };
        assert!(!largest_tried(8, lost).expect_err("lost").is_full_card());
    }

    #[test]
    fn the_step_that_is_tried_changes_nothing() {
        let (model, data) = (TinyLlama::new(16, 32), labelled_data());
        let (trainables, config) = (model.attach(0.1), config(1));
        let values = || -> Vec<Vec<f32>> {
            trainables
                .iter()
                .map(|it| it.var.flatten_all().and_then(|flat| flat.to_vec1()).expect("values"))
                .collect()
        };
        let before = values();
        let examples = Examples::new(&model, &Words, &data, &config).expect("encodes");
        let batch = examples.longest_batch(3);
        assert_eq!((batch.rows, batch.columns), (3, examples.longest()));
        one_step(&model, &trainables, &batch, &config).expect("a step");
        assert_eq!(values(), before);
    }
}
