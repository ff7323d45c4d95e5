//! Statistics of the inputs of each layer, recorded while the base model reads batches of data.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use candle_core::TensorId;
use graft_nn::{Context, DType, Linear, LinearAdapter, Model, NnError, Result, Role, Task, Tensor};

use super::components::Components;
use crate::{InputBatch, PeftError, slots};

/// The name of the recorders in the slots; no adapter can have it.
const NAME: &str = ".eva";

/// Statistics of the inputs of the recorded layers. Layers with the same input share one set of
/// components.
pub(super) struct InputStatistics<'a> {
    model: &'a dyn Model,
    layers: &'a [&'a Linear],
    recorded: Arc<Mutex<Recorded>>,
}

/// What the recorders have computed.
pub(super) struct Recorded {
    /// Number of components for each layer.
    max_components: Vec<usize>,
    /// The group of each layer, once it has had an input.
    pub(super) groups: Vec<Option<usize>>,
    /// By group.
    pub(super) components: Vec<Components>,
    /// For each group, whether it has converged.
    pub(super) done: Vec<bool>,
    /// The inputs of the current pass, by group.
    inputs: BTreeMap<usize, TensorId>,
    /// Indices of the rows of the flattened input that are tokens, and the number of rows; `None`
    /// if all are tokens.
    tokens: Option<(Tensor, usize)>,
}

struct Recorder {
    layer: usize,
    recorded: Arc<Mutex<Recorded>>,
}

impl<'a> InputStatistics<'a> {
    /// Statistics of these layers with this many components each.
    pub(super) fn new(
        model: &'a dyn Model,
        layers: &'a [&'a Linear],
        max_components: Vec<usize>,
    ) -> Self {
        let groups = vec![None; layers.len()];
        let recorded = Recorded {
            max_components,
            groups,
            components: Vec::new(),
            done: Vec::new(),
            inputs: BTreeMap::new(),
            tokens: None,
        };
        Self { model, layers, recorded: Arc::new(Mutex::new(recorded)) }
    }

    /// Passes a batch through the base model. All adapters are inactive during the pass.
    ///
    /// # Errors
    /// Returns an error if the forward pass fails.
    pub(super) fn pass(&self, batch: &InputBatch) -> std::result::Result<(), PeftError> {
        {
            let mut recorded = self.recorded();
            recorded.inputs.clear();
            recorded.tokens = batch.mask.as_ref().map(token_rows).transpose()?;
        }
        let _active = slots::save_active(self.model);
        let _recorders = RecorderGuard::insert(self);
        slots::activate_alone(self.model, NAME);
        let hidden = self.model.hidden(&batch.ids, batch.mask.as_ref(), &Context::eval())?;
        // The head of a classifier reads one vector per text, which is too few for an analysis.
        let reads_tokens = matches!(self.model.task(), Task::CausalLm | Task::Seq2SeqLm);
        if reads_tokens && self.layers.iter().any(|layer| layer.role() == Role::Head) {
            self.model.head(&hidden.states, &Context::eval())?;
        }
        Ok(())
    }

    /// The current state.
    pub(super) fn recorded(&self) -> MutexGuard<'_, Recorded> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes the recorders when it is dropped, also after an error.
struct RecorderGuard<'a>(&'a [&'a Linear]);

impl<'a> RecorderGuard<'a> {
    fn insert(statistics: &InputStatistics<'a>) -> Self {
        for (layer, linear) in statistics.layers.iter().enumerate() {
            linear
                .slot()
                .insert(NAME, Arc::new(Recorder { layer, recorded: statistics.recorded.clone() }));
        }
        Self(statistics.layers)
    }
}

impl Drop for RecorderGuard<'_> {
    fn drop(&mut self) {
        self.0.iter().for_each(|linear| drop(linear.slot().remove(NAME)));
    }
}

impl LinearAdapter for Recorder {
    fn forward(&self, base: &Linear, x: &Tensor, _cx: &Context) -> Result<Tensor> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner).record(self.layer, x)?;
        base.base_forward(x)
    }

    fn delta(&self, _base: &Linear) -> Result<Option<Tensor>> {
        Ok(None)
    }
}

impl Recorded {
    fn record(&mut self, layer: usize, x: &Tensor) -> Result<()> {
        let group = match self.groups[layer] {
            Some(group) => group,
            None => self.group_of(layer, x),
        };
        // One layer of a group records for all of them, and an input that passes twice is recorded
        // once.
        if self.inputs.insert(group, x.id()) == Some(x.id()) || self.done[group] {
            return Ok(());
        }
        let rows = x.flatten_to(x.rank().saturating_sub(2))?; // (N, d_in)
        let rows = match &self.tokens {
            // A layer after the pooling reads one row per text.
            Some((tokens, positions)) if rows.dim(0)? == *positions => {
                rows.index_select(tokens, 0)?
            }
            _ => rows,
        };
        self.components[group].add(&rows).map_err(|error| match error {
            PeftError::Layer(error) => error,
            other => NnError::from(candle_core::Error::Msg(other.to_string())),
        })
    }

    fn group_of(&mut self, layer: usize, x: &Tensor) -> usize {
        let same = self.inputs.iter().find(|(_, id)| **id == x.id()).map(|(group, _)| *group);
        let group = same.unwrap_or_else(|| {
            self.components.push(Components::new(self.max_components[layer]));
            self.done.push(false);
            self.components.len() - 1
        });
        self.groups[layer] = Some(group);
        group
    }
}

/// The indices of the tokens in a flattened mask (B, T), and the number of all positions.
fn token_rows(mask: &Tensor) -> std::result::Result<(Tensor, usize), PeftError> {
    let flags: Vec<u8> = mask.to_dtype(DType::U8)?.flatten_all()?.to_vec1()?;
    let rows: Vec<u32> = flags
        .iter()
        .enumerate()
        .filter(|(_, flag)| **flag != 0)
        .map(|(place, _)| place as u32)
        .collect();
    let count = rows.len();
    Ok((Tensor::from_vec(rows, count, mask.device())?, flags.len()))
}
