//! What reaches each layer of the base: its inputs, watched while batches of the data pass through.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use candle_core::TensorId;
use graft_nn::{Context, DType, Linear, LinearAdapter, Model, NnError, Result, Role, Task, Tensor};

use super::components::Components;
use crate::{InputBatch, PeftError, slots};

/// Under this name the watchers stand in the slots; no adapter can have it.
const NAME: &str = ".eva";

/// The inputs of the watched layers. Layers that read the same input share one set of components.
pub(super) struct InputStatistics<'a> {
    model: &'a dyn Model,
    layers: &'a [&'a Linear],
    seen: Arc<Mutex<Recorded>>,
}

/// What the watchers have seen.
pub(super) struct Recorded {
    /// Components that are looked for in each layer.
    most: Vec<usize>,
    /// By layer: its group, once it has had an input.
    pub(super) groups: Vec<Option<usize>>,
    /// By group.
    pub(super) components: Vec<Components>,
    /// By group: whether it has all it needs.
    pub(super) done: Vec<bool>,
    /// The inputs of this pass.
    inputs: BTreeMap<usize, TensorId>,
    /// Rows of the flattened input that are tokens, and the number of rows; none when all are.
    tokens: Option<(Tensor, usize)>,
}

struct Recorder {
    layer: usize,
    seen: Arc<Mutex<Recorded>>,
}

impl<'a> InputStatistics<'a> {
    /// Of these layers, with so many components each.
    pub(super) fn new(model: &'a dyn Model, layers: &'a [&'a Linear], most: Vec<usize>) -> Self {
        let groups = vec![None; layers.len()];
        let seen = Recorded {
            most,
            groups,
            components: Vec::new(),
            done: Vec::new(),
            inputs: BTreeMap::new(),
            tokens: None,
        };
        Self { model, layers, seen: Arc::new(Mutex::new(seen)) }
    }

    /// Lets a batch pass through the base: no adapter acts meanwhile, and those that did act again afterwards.
    pub(super) fn pass(&self, batch: &InputBatch) -> std::result::Result<(), PeftError> {
        {
            let mut seen = self.seen();
            seen.inputs.clear();
            seen.tokens = batch.mask.as_ref().map(token_rows).transpose()?;
        }
        let _acting = slots::save_active(self.model);
        let _watching = RecorderGuard::insert(self);
        slots::activate_alone(self.model, NAME);
        let hidden = self.model.hidden(&batch.ids, batch.mask.as_ref(), &Context::eval())?;
        // The head of a classifier reads one vector a text, too few to have directions.
        let reads_tokens = self.model.task() == Task::CausalLm;
        if reads_tokens && self.layers.iter().any(|layer| layer.role() == Role::Head) {
            self.model.head(&hidden.states, &Context::eval())?;
        }
        Ok(())
    }

    /// What has been seen so far.
    pub(super) fn seen(&self) -> MutexGuard<'_, Recorded> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the watchers out again, however the pass ends.
struct RecorderGuard<'a>(&'a [&'a Linear]);

impl<'a> RecorderGuard<'a> {
    fn insert(statistics: &InputStatistics<'a>) -> Self {
        for (layer, linear) in statistics.layers.iter().enumerate() {
            linear.slot().insert(NAME, Arc::new(Recorder { layer, seen: statistics.seen.clone() }));
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
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).look(self.layer, x)?;
        base.base_forward(x)
    }

    fn delta(&self, _base: &Linear) -> Result<Option<Tensor>> {
        Ok(None)
    }
}

impl Recorded {
    fn look(&mut self, layer: usize, x: &Tensor) -> Result<()> {
        let group = match self.groups[layer] {
            Some(group) => group,
            None => self.group_of(layer, x),
        };
        // One layer of a group has looked for all of them; so has one whose input passes twice.
        if self.inputs.insert(group, x.id()) == Some(x.id()) || self.done[group] {
            return Ok(());
        }
        let rows = x.flatten_to(x.rank().saturating_sub(2))?; // (N, d_in)
        let rows = match &self.tokens {
            // A layer behind the pooling reads one row a text.
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
            self.components.push(Components::new(self.most[layer]));
            self.done.push(false);
            self.components.len() - 1
        });
        self.groups[layer] = Some(group);
        group
    }
}

/// The places of the tokens in a mask (B, T), flattened, and the number of all places.
fn token_rows(mask: &Tensor) -> std::result::Result<(Tensor, usize), PeftError> {
    let flags: Vec<u8> = mask.to_dtype(DType::U8)?.flatten_all()?.to_vec1()?;
    let places: Vec<u32> = flags
        .iter()
        .enumerate()
        .filter(|(_, flag)| **flag != 0)
        .map(|(place, _)| place as u32)
        .collect();
    let count = places.len();
    Ok((Tensor::from_vec(places, count, mask.device())?, flags.len()))
}
