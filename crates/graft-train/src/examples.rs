//! The training examples of a data set, in a new order in each epoch.

mod encoded;
mod packing;
mod report;

use std::sync::{Arc, OnceLock};

use graft_nn::{Model, Rng, TokenEncoder, Trainable};

use crate::batch::{Batch, Encoded};
use crate::batch_source::{BatchSource, Validation};
use crate::config::TrainConfig;
use crate::control::Control;
use crate::data::{Dataset, Kind, SplitName};
use crate::encode::{EncodeOptions, Encoder, Pieces};
use crate::evaluate::{Evaluator, LargestPass, Request};
use crate::preference::{PreferenceEvaluator, ReferenceModel};
use crate::{Result, TrainError, memory};

pub use encoded::EncodedExamples;

/// Smallest batch size of a validation; a larger training batch size is used for both.
pub const VALIDATION_BATCH: usize = 16;

/// The training examples of a data set, as tokens: the [`BatchSource`] of fine-tuning.
///
/// Each epoch reads every example once, in an order drawn from the seed and the epoch number. A row
/// of a batch is one example, or with `packing=true` several. Of a preference loss, a row is a pair
/// of two sequences.
pub struct Examples<'a> {
    data: &'a Dataset,
    validation: &'a Dataset,
    tokenizer: &'a dyn TokenEncoder,
    encoded: Arc<EncodedExamples>,
    /// The model that a preference loss compares with.
    reference: Option<&'a dyn ReferenceModel>,
    /// The validation examples of a preference loss.
    pairs: OnceLock<PreferenceEvaluator<'a>>,
    config: TrainConfig,
    /// Computed once, because it encodes the validation examples.
    largest_validation: OnceLock<LargestPass>,
}

impl<'a> Examples<'a> {
    /// Encodes the training examples.
    ///
    /// # Errors
    /// Those of [`EncodedExamples::new`].
    pub fn new(
        model: &dyn Model,
        tokenizer: &'a dyn TokenEncoder,
        data: &'a Dataset,
        config: &TrainConfig,
    ) -> Result<Self> {
        let encoded = EncodedExamples::new(model, tokenizer, data, config)?;
        Ok(Self::of(Arc::new(encoded), tokenizer, data, config))
    }

    /// Examples that were encoded with these settings, of which the number of steps may differ.
    pub fn of(
        encoded: Arc<EncodedExamples>,
        tokenizer: &'a dyn TokenEncoder,
        data: &'a Dataset,
        config: &TrainConfig,
    ) -> Self {
        Self {
            data,
            validation: data,
            tokenizer,
            config: TrainConfig { packing: encoded.packs, ..config.clone() },
            encoded,
            reference: None,
            pairs: OnceLock::new(),
            largest_validation: OnceLock::new(),
        }
    }

    /// Validates on the validation split of another data set.
    #[must_use]
    pub fn with_validation(self, validation: &'a Dataset) -> Self {
        Self { validation, ..self }
    }

    /// Compares with a reference model, for a preference loss that has one.
    #[must_use]
    pub fn with_reference(self, reference: Option<&'a dyn ReferenceModel>) -> Self {
        Self { reference, ..self }
    }

    /// Warnings for the user: labels that match no class, examples that were cut or left out, and a
    /// chat template that writes the date.
    pub fn warnings(&self) -> Vec<String> {
        self.encoded.report.warnings()
    }

    /// Notes for the user: examples that were split, and rows that were packed.
    pub fn notes(&self) -> Vec<String> {
        let EncodedExamples { train, rows, report, .. } = &*self.encoded;
        let tokens = train.iter().map(|example| example.ids.len()).sum();
        let packs = self.config.packing && self.config.preference.is_none();
        report.notes(train.len(), packs.then_some((rows.len(), tokens)))
    }

    /// Rows of an epoch: the number of examples, or of packed rows.
    pub fn rows_per_epoch(&self) -> usize {
        self.encoded.rows_per_epoch()
    }

    /// Tokens of the longest row.
    pub fn longest(&self) -> usize {
        self.rows().iter().map(|row| self.tokens(row)).max().unwrap_or(0)
    }

    fn rows(&self) -> &[Vec<usize>] {
        &self.encoded.rows
    }

    /// Tokens of a row; of a pair, of its longer sequence.
    fn tokens(&self, row: &[usize]) -> usize {
        let lengths = row.iter().map(|index| self.encoded.train[*index].ids.len());
        match self.config.preference {
            Some(_) => lengths.max().unwrap_or(0),
            None => lengths.sum(),
        }
    }

    /// A batch of the `count` longest rows.
    pub(crate) fn longest_batch(&self, count: usize) -> Batch {
        let mut longest: Vec<&Vec<usize>> = self.rows().iter().collect();
        longest.sort_by_key(|row| std::cmp::Reverse(self.tokens(row)));
        self.batch(longest.into_iter().take(count))
    }

    /// The examples of rows as a batch.
    fn batch<'r>(&self, rows: impl Iterator<Item = &'r Vec<usize>>) -> Batch {
        let examples: Vec<&Encoded> =
            rows.flatten().map(|index| &self.encoded.train[*index]).collect();
        if self.config.preference.is_some() {
            return Batch::of_pairs(&examples);
        }
        let batch = Batch::of(&examples);
        if self.config.packing { batch.packed() } else { batch }
    }

    /// The sizes that determine the memory of a run, with its largest micro-batch.
    pub(crate) fn sizes<'m>(
        &self,
        model: &'m dyn Model,
        trainables: &[Trainable],
        validation: LargestPass,
    ) -> memory::Sizes<'m> {
        memory::Sizes {
            rows: self.config.batch.min(self.rows().len()),
            rows_per_example: if self.config.preference.is_some() { 2 } else { 1 },
            copies: self.reference.map_or(0, ReferenceModel::copies),
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
        let found = if self.config.eval_every == 0 {
            None
        } else if let Some(pairs) = self.pairs(model)? {
            Some(pairs.largest_pass(model))
        } else {
            self.evaluator(model)?.map(|evaluator| evaluator.largest_pass()).transpose()?
        };
        let found = found.unwrap_or_default();
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
        if self.validation.validation.is_empty() {
            Ok(None)
        } else {
            Evaluator::new(model, self.tokenizer, self.validation, self.request()).map(Some)
        }
    }

    /// The evaluator of the validation on pairs; `None` for other validation data.
    fn pairs(&self, model: &dyn Model) -> Result<Option<&PreferenceEvaluator<'a>>> {
        let objective = self.config.preference.filter(|_| {
            self.validation.kind == Kind::Preference && !self.validation.validation.is_empty()
        });
        let Some(objective) = objective else { return Ok(None) };
        if let Some(known) = self.pairs.get() {
            return Ok(Some(known));
        }
        let data = (self.validation, self.request());
        let new =
            PreferenceEvaluator::new((model, self.tokenizer), data, objective, self.reference)?;
        Ok(Some(self.pairs.get_or_init(|| new)))
    }

    fn request(&self) -> Request {
        Request {
            split: SplitName::Validation,
            examples: self.config.eval_examples,
            batch: self.config.batch.max(VALIDATION_BATCH),
            encoding: self.config.encode_options(),
        }
    }

    /// The order of the rows in an epoch.
    fn order(&self, epoch: u64) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.rows().len()).collect();
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
    let encoder = Encoder::new(model, tokenizer, data, EncodeOptions::default())?;
    let split = if data.validation.is_empty() { &data.train } else { &data.validation };
    // Of a preference, the chosen answer.
    let ids = |pieces: Pieces| pieces.all.into_iter().take(1).flat_map(|piece| piece.ids).collect();
    split.iter().take(count).map(|example| Ok(ids(encoder.example(example)?))).collect()
}

impl BatchSource for Examples<'_> {
    /// A batch contains rows of one epoch, so the last batch of an epoch may be smaller.
    fn micro_batch(&self, position: u64) -> Result<Batch> {
        let per_epoch = self.rows().len().div_ceil(self.config.batch) as u64;
        let epoch = position / per_epoch;
        let index = (position % per_epoch) as usize;
        let order = self.order(epoch);
        let chosen = order.iter().skip(index * self.config.batch).take(self.config.batch);
        Ok(self.batch(chosen.map(|row| &self.rows()[*row])))
    }

    fn reference(&self) -> Option<&dyn ReferenceModel> {
        let has_reference = self.config.preference.is_some_and(|it| it.loss.has_reference());
        self.reference.filter(|_| has_reference)
    }

    fn has_validation(&self) -> bool {
        !self.validation.validation.is_empty()
    }

    fn has_accuracy(&self) -> bool {
        let has_pairs =
            self.config.preference.is_some() && self.validation.kind == Kind::Preference;
        has_pairs || matches!(self.validation.kind, Kind::Labels(_))
    }

    fn validate(&self, model: &dyn Model, control: &Control) -> Result<Option<Validation>> {
        let found = match self.pairs(model)? {
            Some(pairs) => pairs.run(model, control, &mut |_, _| {}),
            None => match self.evaluator(model)? {
                Some(evaluator) => evaluator.run(control, &mut |_, _| {}),
                None => return Ok(None),
            },
        };
        match found {
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
        let [warning, validation] =
            <[String; 2]>::try_from(examples.warnings()).expect("two warnings");
        assert!(validation.contains("validation examples were longer than 5 tokens"));
        let start = "11 of 15 training examples were longer than 5 tokens and were cut: ";
        assert!(warning.starts_with(start), "{warning}");
        assert!(warning.ends_with("`max_length=` sets another limit, up to 32"), "{warning}");
        let split = TrainConfig { stride: Some(0), ..config };
        let examples = Examples::new(&model, &Words, &data, &split).expect("encodes");
        assert_eq!(examples.warnings(), Vec::<String>::new());
        let [note] = <[String; 1]>::try_from(examples.notes()).expect("one note");
        assert!(
            note.starts_with("11 of 15 training examples were longer than 5 tokens and were split"),
            "{note}"
        );
    }

    #[test]
    fn packed_rows_have_the_same_tokens_and_labels_in_fewer_batches() {
        let model = TinyLlama::new(16, 32);
        let data = labeled_data();
        let each = TrainConfig { batch: 2, max_length: Some(28), ..config(1) };
        let packed = TrainConfig { packing: true, ..each.clone() };
        let [each, packed] = [each, packed]
            .map(|config| Examples::new(&model, &Words, &data, &config).expect("encodes"));
        assert!(packed.rows_per_epoch() * 2 <= each.rows_per_epoch());
        assert!(packed.longest() <= 28 && packed.longest() > each.longest());
        let read = |examples: &Examples<'_>| {
            let batches = examples.rows_per_epoch().div_ceil(2) as u64;
            let batches = (0..batches).map(|index| examples.micro_batch(index).expect("a batch"));
            let rows = batches.flat_map(|batch| {
                let row = |row: usize| {
                    let start = row * batch.columns;
                    let all = start..start + batch.lengths[row];
                    (batch.ids[all.clone()].to_vec(), batch.labels[all].to_vec())
                };
                (0..batch.rows).map(row).collect::<Vec<_>>()
            });
            let mut rows: Vec<_> = rows.collect();
            rows.sort();
            rows
        };
        assert_eq!(read(&each), read(&packed));
        assert!(packed.notes()[0].starts_with("packed 15 examples into "), "{:?}", packed.notes());
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
