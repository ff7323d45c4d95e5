//! `batch=auto`: the largest micro-batch that fits into memory.

use graft_nn::{Model, Tensor, TokenEncoder, Trainable};

use crate::batch::Batch;
use crate::config::TrainConfig;
use crate::data::Dataset;
use crate::device::device_of;
use crate::examples::Examples;
use crate::fit::forward_backward;
use crate::memory::{self, Fitting};
use crate::{Result, TrainError};

/// Larger batches make a step slower without learning more per token.
const MOST_ROWS: usize = 64;

/// Tensors that the optimizer stores for each trained parameter: two moments, and the parameter
/// before the last step.
const KEPT_BY_OPTIMIZER: u64 = 3;

/// The largest number of examples per micro-batch, up to 64 and to the number of training examples,
/// with which the run fits into the available memory. `copies` is the number of copies of the
/// trained parameters that a reference model keeps.
///
/// On the CPU the predicted memory decides, because the system would kill a process that asks for
/// too much. A GPU reports that it is out of memory, so there a step is also tried.
///
/// # Errors
/// [`TrainError::WouldNotFit`] when a single example does not fit, [`TrainError::UnknownMemory`]
/// when the device does not report its free memory, and errors of encoding the data.
pub fn largest_batch(
    model: &dyn Model,
    trainables: &[Trainable],
    tokenizer: &dyn TokenEncoder,
    (data, config): (&Dataset, &TrainConfig),
    copies: u64,
) -> Result<Fitting> {
    let device = device_of(model);
    let available = graft_nn::memory::left(&device).ok_or(TrainError::UnknownMemory)?;
    let examples = Examples::new(model, tokenizer, data, config)?;
    let validation = examples.largest_validation(model)?;
    let sizes = memory::Sizes { rows: 1, copies, ..examples.sizes(model, trainables, validation) };
    let predicted = memory::largest(&sizes, examples.rows_per_epoch().min(MOST_ROWS), available)?;
    if device.is_cpu() {
        return Ok(predicted);
    }
    let rows = largest_tried(predicted.rows, |rows| {
        one_step(model, trainables, (&examples.longest_batch(rows), config), copies)
    })?;
    Ok(memory::fitting(&sizes, rows, available))
}

/// Allocates the memory of one training step, without changing a parameter.
fn one_step(
    model: &dyn Model,
    trainables: &[Trainable],
    (batch, config): (&Batch, &TrainConfig),
    copies: u64,
) -> Result<()> {
    let kept: Vec<Tensor> = trainables
        .iter()
        .flat_map(|trainable| (0..KEPT_BY_OPTIMIZER + copies).map(|_| trainable.var.zeros_like()))
        .collect::<candle_core::Result<_>>()?;
    let gradients = forward_backward(model, trainables, batch, config)?;
    // All of them exist at the same time in a real step.
    drop((gradients, kept));
    Ok(())
}

/// The first of `most`, three quarters of it, three quarters of that and so on for which `attempt`
/// succeeds.
///
/// # Errors
/// The error of a single row, and every error other than a GPU out of memory.
fn largest_tried(most: usize, mut attempt: impl FnMut(usize) -> Result<()>) -> Result<usize> {
    let mut rows = most;
    loop {
        match attempt(rows) {
            Ok(()) => return Ok(rows),
            Err(error) if rows > 1 && error.is_gpu_out_of_memory() => rows = rows * 3 / 4,
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TinyLlama, Words, config, labeled_data};

    /// A GPU with memory for `room` rows.
    fn gpu(room: usize, asked: &mut Vec<usize>) -> impl FnMut(usize) -> Result<()> {
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
    fn the_batch_shrinks_until_a_step_fits_on_the_gpu() {
        let mut asked = Vec::new();
        assert_eq!(largest_tried(64, gpu(30, &mut asked)).expect("fits"), 27);
        assert_eq!(asked, [64, 48, 36, 27]);
        assert_eq!(largest_tried(2, gpu(1, &mut Vec::new())).expect("fits"), 1);
    }

    #[test]
    fn one_row_that_does_not_fit_and_any_other_error_end_the_search() {
        let mut asked = Vec::new();
        assert!(largest_tried(3, gpu(0, &mut asked)).expect_err("no room").is_gpu_out_of_memory());
        assert_eq!(asked, [3, 2, 1]);
        let lost = |_| {
            Err(candle_core::Error::Cuda("DriverError(CUDA_ERROR_LAUNCH_FAILED, \"\")".into())
                .into())
        };
        assert!(!largest_tried(8, lost).expect_err("lost").is_gpu_out_of_memory());
    }

    #[test]
    fn the_step_that_is_tried_changes_nothing() {
        let model = TinyLlama::new(16, 32);
        let data = labeled_data();
        let trainables = model.attach(0.1);
        let config = config(1);
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
        one_step(&model, &trainables, (&batch, &config), 2).expect("a step");
        assert_eq!(values(), before);
    }
}
