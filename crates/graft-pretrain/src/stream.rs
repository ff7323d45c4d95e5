//! Pages as one token stream, cut into windows of equal length without padding.

use graft_nn::{Context, Model, Rng, TokenEncoder};
use graft_train::batch::{Batch, Encoded};
use graft_train::loss::{label_count, loss};
use graft_train::{BatchSource, Control, Validation};

use crate::corpus::Page;
use crate::recipe::{LONG, Phase, SHORT, VALIDATION_WINDOWS};
use crate::vocabulary::{BOS_ID, EOS_ID};
use crate::{PretrainError, Result};

/// The tokens of pages, each between `<s>` and `</s>`.
///
/// # Errors
/// When a page cannot be encoded.
pub fn tokens(pages: &[&Page], tokenizer: &dyn TokenEncoder) -> Result<Vec<u32>> {
    let mut tokens = Vec::new();
    for page in pages {
        tokens.push(BOS_ID);
        tokens.extend(tokenizer.encode(&page.text()).map_err(PretrainError::from)?);
        tokens.push(EOS_ID);
    }
    Ok(tokens)
}

/// A window of the stream after `<s>`. Prompts start with that token, so windows from the middle of
/// a page do too.
pub fn window(tokens: &[u32]) -> Encoded {
    let ids: Vec<u32> = std::iter::once(BOS_ID).chain(tokens.iter().copied()).collect();
    let labels = ids.iter().map(|id| i64::from(*id)).collect();
    Encoded { ids, labels, class: None }
}

/// The batches of pretraining: windows in a new order in each epoch.
pub struct Stream {
    train: Vec<u32>,
    validation: Vec<Encoded>,
    /// Number of steps with short windows.
    short_steps: u64,
    rng: Rng,
}

impl Stream {
    /// The stream of a cycle over training tokens, validated on the first windows of other tokens.
    pub fn new(train: Vec<u32>, validation: &[u32], phase: &Phase) -> Self {
        let windows = validation.chunks_exact(LONG.0 - 1).take(VALIDATION_WINDOWS);
        Self {
            train,
            validation: windows.map(window).collect(),
            short_steps: phase.steps - phase.long_steps,
            rng: Rng::new(phase.seed),
        }
    }

    /// Tokens per epoch.
    pub fn len(&self) -> usize {
        self.train.len()
    }

    /// Whether there are no tokens.
    pub fn is_empty(&self) -> bool {
        self.train.is_empty()
    }

    /// The start of window `number`. Each epoch visits every window once, in its own order and with
    /// its own offset.
    fn start(&self, number: u64, text: usize) -> usize {
        let per_epoch = (self.train.len() / text - 1) as u64;
        let epoch = number / per_epoch;
        let index = number % per_epoch;
        let mut order: Vec<u32> = (0..per_epoch as u32).collect();
        let mut stream = self.rng.indexed("windows", "pretrain", epoch);
        let offset = stream.below(text as u64) as usize;
        stream.shuffle(&mut order);
        offset + order[index as usize] as usize * text
    }
}

impl BatchSource for Stream {
    fn micro_batch(&self, position: u64) -> graft_train::Result<Batch> {
        let ((length, rows), index) = if position < self.short_steps {
            (SHORT, position)
        } else {
            (LONG, position - self.short_steps)
        };
        let text = length - 1; // without `<s>`
        let windows: Vec<Encoded> = (0..rows as u64)
            .map(|row| {
                let start = self.start(index * rows as u64 + row, text);
                window(&self.train[start..start + text])
            })
            .collect();
        Ok(Batch::of(&windows.iter().collect::<Vec<_>>()))
    }

    fn validate(
        &self,
        model: &dyn Model,
        control: &Control,
    ) -> graft_train::Result<Option<Validation>> {
        let mut sum = 0.0;
        let mut count = 0;
        for windows in self.validation.chunks(LONG.1) {
            if control.is_stopped() {
                return Ok(None);
            }
            let batch = Batch::of(&windows.iter().collect::<Vec<_>>());
            sum += f64::from(
                loss(model, &batch, &Context::eval(), 1.0)?
                    .to_scalar::<f32>()
                    .map_err(graft_nn::NnError::from)?,
            );
            count += label_count(model, &batch);
        }
        Ok((count > 0).then(|| Validation { loss: sum / count as f64, accuracy: None }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::PHASES;

    #[test]
    fn an_epoch_visits_every_window_once() {
        let stream = Stream::new((0..2_560).collect(), &[], &PHASES[0]);
        let mut starts: Vec<_> = (0..9).map(|number| stream.start(number, 256)).collect();
        let offset = starts.iter().min().copied().expect("windows");
        starts.sort_unstable();
        assert_eq!(starts, (0..9).map(|number| offset + number * 256).collect::<Vec<_>>());
        assert_ne!(
            (0..9).map(|number| stream.start(number, 256)).collect::<Vec<_>>(),
            (9..18).map(|number| stream.start(number, 256)).collect::<Vec<_>>()
        );
    }

    #[test]
    fn every_token_of_a_window_is_predicted() {
        let window = window(&[5, 6]);
        assert_eq!(window.ids, [BOS_ID, 5, 6]);
        assert_eq!(Batch::of(&[&window]).targets(0, &[0]).1, [5, 6]);
    }
}
