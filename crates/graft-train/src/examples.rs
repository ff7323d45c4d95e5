//! The training examples of a data set, in a new order in each epoch.

use std::sync::OnceLock;

use graft_nn::{Model, Rng, TokenEncoder, Trainable};

use crate::batch::{Batch, Encoded};
use crate::batch_source::{BatchSource, Validation};
use crate::config::TrainConfig;
use crate::control::Control;
use crate::data::{Dataset, Kind, SplitName};
use crate::encode::Encoder;
use crate::evaluate::{Evaluator, LargestPass, Request};
use crate::{LabelMap, Result, TrainError, classify, memory};

/// Smallest batch size of a validation; a larger training batch size is used for both.
pub const VALIDATION_BATCH: usize = 16;

/// The training examples of a data set, as tokens: the [`BatchSource`] of fine-tuning.
///
/// Each epoch reads every example once, in an order drawn from the seed and the epoch number.
pub struct Examples<'a> {
    data: &'a Dataset,
    validation: &'a Dataset,
    tokenizer: &'a dyn TokenEncoder,
    train: Vec<Encoded>,
    config: TrainConfig,
    /// Longest example in tokens.
    limit: usize,
    /// Number of examples that were longer.
    cut: usize,
    /// Warning about labels that do not match a class of a classifier.
    unmatched: Option<String>,
    /// Computed once, because it encodes the validation examples.
    largest_validation: OnceLock<LargestPass>,
}

impl<'a> Examples<'a> {
    /// Encodes the training examples.
    ///
    /// # Errors
    /// [`TrainError::EmptySplit`] when the training split is empty, [`TrainError::Classes`] and
    /// [`TrainError::NoHead`] when the model cannot classify the labels, [`TrainError::NoRoom`],
    /// and errors of the tokenizer.
    pub fn new(
        model: &dyn Model,
        tokenizer: &'a dyn TokenEncoder,
        data: &'a Dataset,
        config: &TrainConfig,
    ) -> Result<Self> {
        if data.train.is_empty() {
            return Err(TrainError::EmptySplit {
                data: data.name.clone(),
                split: SplitName::Train.name(),
            });
        }
        let LabelMap { classes, warning: unmatched, .. } = classify::label_map(model, data)?;
        let encoder =
            Encoder::new(model, tokenizer, data, config.max_length)?.with_classes(classes);
        let mut train = Vec::with_capacity(data.train.len());
        let mut cut = 0;
        for example in &data.train {
            let (encoded, was_cut) = encoder.example(example)?;
            cut += usize::from(was_cut);
            train.push(encoded);
        }
        Ok(Self {
            data,
            validation: data,
            tokenizer,
            train,
            config: config.clone(),
            limit: encoder.limit(),
            cut,
            unmatched,
            largest_validation: OnceLock::new(),
        })
    }

    /// Validates on the validation split of another data set.
    #[must_use]
    pub fn with_validation(self, validation: &'a Dataset) -> Self {
        Self { validation, ..self }
    }

    /// Warnings for the user: labels that match no class, and examples that were cut.
    pub fn warnings(&self) -> Vec<String> {
        let Self { limit, cut, .. } = self;
        let too_long = (*cut > 0).then(|| {
            format!(
                "{cut} of {} training examples were longer than {limit} tokens and were cut",
                self.train.len()
            )
        });
        self.unmatched.iter().cloned().chain(too_long).collect()
    }

    /// Tokens of the longest training example.
    pub fn longest(&self) -> usize {
        self.train.iter().map(|example| example.ids.len()).max().unwrap_or(0)
    }

    /// A batch of the `rows` longest training examples.
    pub(crate) fn longest_batch(&self, rows: usize) -> Batch {
        let mut longest: Vec<&Encoded> = self.train.iter().collect();
        longest.sort_by_key(|example| std::cmp::Reverse(example.ids.len()));
        longest.truncate(rows);
        Batch::of(&longest)
    }

    /// The sizes that determine the memory of a run, with its largest micro-batch.
    pub(crate) fn sizes<'m>(
        &self,
        model: &'m dyn Model,
        trainables: &[Trainable],
        validation: LargestPass,
    ) -> memory::Sizes<'m> {
        memory::Sizes {
            rows: self.config.batch.min(self.train.len()),
            validation,
            optimizer_bytes: Some(memory::optimizer_bytes(&self.config.optimizer, trainables)),
            ..memory::of_training(model, trainables, self.longest(), self.config.recompute)
        }
    }

    /// The size of the largest pass of a validation; all zero when nothing is validated.
    ///
    /// # Errors
    /// When the tokenizer cannot encode a text.
    pub(crate) fn largest_validation(&self, model: &dyn Model) -> Result<LargestPass> {
        if let Some(found) = self.largest_validation.get() {
            return Ok(*found);
        }
        let evaluator = if self.config.eval_every > 0 { self.evaluator(model)? } else { None };
        let found =
            evaluator.map_or(Ok(LargestPass::default()), |evaluator| evaluator.largest_pass())?;
        Ok(*self.largest_validation.get_or_init(|| found))
    }

    /// Predicted memory of the run on top of the model, in bytes.
    pub fn predicted_memory(&self, model: &dyn Model, trainables: &[Trainable]) -> u64 {
        // If a validation example cannot be encoded, the validation itself reports it.
        let validation = self.largest_validation(model).unwrap_or_default();
        memory::Memory::predict(&self.sizes(model, trainables, validation)).on_top()
    }

    /// Checks that the run fits into the available memory.
    ///
    /// # Errors
    /// [`TrainError::WouldNotFit`], [`TrainError::ValidationWouldNotFit`], and errors of encoding
    /// the validation examples.
    pub fn check_memory(&self, model: &dyn Model, trainables: &[Trainable]) -> Result<()> {
        let validation = self.largest_validation(model)?;
        memory::check(model, &self.sizes(model, trainables, validation))
    }

    /// The evaluator of the validation; `None` without validation examples.
    fn evaluator<'e>(&'e self, model: &'e dyn Model) -> Result<Option<Evaluator<'e>>> {
        let rows = self.config.batch.max(VALIDATION_BATCH);
        let request = Request {
            split: SplitName::Validation,
            examples: self.config.eval_examples,
            batch: rows,
            max_length: self.config.max_length,
        };
        if self.validation.validation.is_empty() {
            Ok(None)
        } else {
            Evaluator::new(model, self.tokenizer, self.validation, request).map(Some)
        }
    }

    /// The order of the examples in an epoch.
    fn order(&self, epoch: u64) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.train.len()).collect();
        Rng::new(self.config.seed).indexed("shuffle", &self.data.name, epoch).shuffle(&mut order);
        order
    }
}

/// Token ids of the first `count` validation examples, prompt and completion; of the training
/// examples if the validation split is empty.
///
/// # Errors
/// When the tokenizer cannot encode a text.
pub fn samples(
    model: &dyn Model,
    tokenizer: &dyn TokenEncoder,
    data: &Dataset,
    count: usize,
) -> Result<Vec<Vec<u32>>> {
    let encoder = Encoder::new(model, tokenizer, data, None)?;
    let split = if data.validation.is_empty() { &data.train } else { &data.validation };
    split.iter().take(count).map(|example| Ok(encoder.example(example)?.0.ids)).collect()
}

impl BatchSource for Examples<'_> {
    /// A batch contains examples of one epoch, so the last batch of an epoch may be smaller.
    fn micro_batch(&self, position: u64) -> Result<Batch> {
        let per_epoch = self.train.len().div_ceil(self.config.batch) as u64;
        let epoch = position / per_epoch;
        let index = (position % per_epoch) as usize;
        let order = self.order(epoch);
        let chosen = order.iter().skip(index * self.config.batch).take(self.config.batch);
        Ok(Batch::of(&chosen.map(|example| &self.train[*example]).collect::<Vec<_>>()))
    }

    fn has_validation(&self) -> bool {
        !self.validation.validation.is_empty()
    }

    fn has_accuracy(&self) -> bool {
        matches!(self.validation.kind, Kind::Labels(_))
    }

    fn validate(&self, model: &dyn Model, control: &Control) -> Result<Option<Validation>> {
        let Some(evaluator) = self.evaluator(model)? else { return Ok(None) };
        match evaluator.run(control, &mut |_, _| {}) {
            Ok(found) => Ok(Some(Validation { loss: found.loss, accuracy: found.accuracy })),
            Err(TrainError::Stopped) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TinyLlama, Words, config, labeled_data};

    #[test]
    fn data_without_training_examples_is_refused() {
        let model = TinyLlama::new(16, 32);
        let empty = Dataset { train: Vec::new(), ..labeled_data() };
        let error = Examples::new(&model, &Words, &empty, &config(1)).err().expect("no examples");
        assert_eq!(error.to_string(), "data set `firsts` has no train examples");
    }

    #[test]
    fn examples_that_are_too_long_are_cut_and_counted() {
        let model = TinyLlama::new(16, 32);
        let data = labeled_data();
        let config = TrainConfig { max_length: Some(5), ..config(1) };
        let examples = Examples::new(&model, &Words, &data, &config).expect("encodes");
        let warning = "11 of 15 training examples were longer than 5 tokens and were cut";
        assert_eq!(examples.warnings(), [warning]);
    }

    #[test]
    fn an_epoch_reads_every_example_once_and_the_next_in_another_order() {
        let model = TinyLlama::new(16, 32);
        let data = labeled_data();
        let config = TrainConfig { batch: 3, ..config(1) };
        let examples = Examples::new(&model, &Words, &data, &config).expect("encodes");
        let per_epoch = data.train.len().div_ceil(3) as u64;
        let read = |epoch: u64| -> Vec<Vec<u32>> {
            let batches = (0..per_epoch)
                .map(|index| examples.micro_batch(epoch * per_epoch + index).expect("a batch"));
            batches
                .flat_map(|batch| {
                    batch
                        .ids
                        .chunks(batch.columns)
                        .zip(&batch.lengths)
                        .map(|(row, length)| row[..*length].to_vec())
                        .collect::<Vec<_>>()
                })
                .collect()
        };
        let mut first = read(0);
        let mut second = read(1);
        assert_ne!(first, second);
        first.sort();
        second.sort();
        assert_eq!(first, second);
        assert_eq!(first.len(), data.train.len());
    }
}
