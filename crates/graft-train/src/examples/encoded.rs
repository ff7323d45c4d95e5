//! The tokens of the training examples, and the rows that they fill.

use graft_nn::{Model, TokenEncoder};
use rayon::prelude::*;

use super::packing;
use super::report::Report;
use crate::batch::Encoded;
use crate::config::TrainConfig;
use crate::data::{Dataset, Example, SplitName};
use crate::encode::{Encoder, Pieces};
use crate::{LabelMap, Result, TrainError, classify, preference};

/// Examples that are encoded at the same time: enough for all threads, and few compared with a
/// large data set.
const PARALLEL: usize = 4096;

/// Encoded training examples. They depend on the length limit, the text with loss, `stride`,
/// `packing` and the kind of loss, but not on the number of steps, which `epochs` derives from
/// them.
pub struct EncodedExamples {
    /// The examples, or their pieces; of a pair the chosen answer, followed by the rejected one.
    pub(super) train: Vec<Encoded>,
    /// The rows of an epoch, as indices of examples.
    pub(super) rows: Vec<Vec<usize>>,
    /// Whether a row holds several examples.
    pub(super) packs: bool,
    pub(super) report: Report,
}

impl EncodedExamples {
    /// Encodes the training examples.
    ///
    /// # Errors
    /// [`TrainError::EmptySplit`] when the training split is empty, [`TrainError::Classes`] and
    /// [`TrainError::NoHead`] when the model cannot classify the labels,
    /// [`TrainError::Preferences`] and [`TrainError::NoPreferences`] when data and loss do not fit
    /// together, [`TrainError::NoRoom`], [`TrainError::Stride`], [`TrainError::ChatTemplate`] and
    /// [`TrainError::Conversation`], [`TrainError::NothingToLearn`] when the length limit leaves no
    /// token with loss, and errors of the tokenizer.
    pub fn new(
        model: &dyn Model,
        tokenizer: &dyn TokenEncoder,
        data: &Dataset,
        config: &TrainConfig,
    ) -> Result<Self> {
        if data.train.is_empty() {
            return Err(TrainError::EmptySplit {
                data: data.name.clone(),
                split: SplitName::Train.name(),
            });
        }
        preference::check(model, data, config.preference)?;
        let LabelMap { classes, warning: unmatched, .. } = classify::label_map(model, data)?;
        let options = config.encode_options();
        let encoder = Encoder::new(model, tokenizer, data, options)?.with_classes(classes);
        let mut report = Report::new(&encoder, unmatched);
        let train = encoded(&encoder, data, config, &mut report)?;
        let mut packs = config.packing;
        if packs && model.embedding().positions_taken() > 0 {
            // Every example is preceded by the soft prompt, so it needs a row of its own.
            packs = false;
            report.warn("`packing` has no effect with a soft prompt, which precedes every example");
        }
        let rows = if config.preference.is_some() {
            (0..train.len() / 2).map(|pair| vec![2 * pair, 2 * pair + 1]).collect()
        } else if packs {
            let lengths: Vec<usize> = train.iter().map(|example| example.ids.len()).collect();
            packing::rows(&lengths, encoder.limit())
        } else {
            (0..train.len()).map(|index| vec![index]).collect()
        };
        Ok(Self { train, rows, packs, report })
    }

    /// Rows of an epoch: the number of examples with loss, or of packed rows.
    pub fn rows_per_epoch(&self) -> usize {
        self.rows.len()
    }

    /// Tokens of an epoch.
    pub fn tokens(&self) -> usize {
        self.train.iter().map(|example| example.ids.len()).sum()
    }
}

/// Encodes examples on all threads. The results are in the order of the examples, so the first
/// error is that of the first bad example.
fn in_order(encoder: &Encoder<'_>, examples: &[Example]) -> Vec<Result<Pieces>> {
    examples.par_iter().map(|example| encoder.example(example)).collect()
}

/// The training examples or their pieces. Counts them, and the examples of the validation.
fn encoded(
    encoder: &Encoder<'_>,
    data: &Dataset,
    config: &TrainConfig,
    report: &mut Report,
) -> Result<Vec<Encoded>> {
    let mut train = Vec::with_capacity(data.train.len());
    for pieces in data.train.chunks(PARALLEL).flat_map(|chunk| in_order(encoder, chunk)) {
        let pieces = pieces?;
        if config.preference.is_some() {
            report.add_pair(&pieces);
            if pieces.all.iter().all(Encoded::has_loss) {
                train.extend(pieces.all);
            }
            continue;
        }
        report.add(&pieces);
        // A batch without a single label has no loss.
        train.extend(pieces.all.into_iter().filter(Encoded::has_loss));
    }
    if train.is_empty() {
        let limit = encoder.limit();
        return Err(TrainError::NothingToLearn { data: data.name.clone(), limit });
    }
    if config.eval_every > 0 {
        // A validation example that cannot be used is found before the first step.
        for example in data.scored(SplitName::Validation, config.eval_examples) {
            report.add_validation(&encoder.example(example)?);
        }
    }
    Ok(train)
}
