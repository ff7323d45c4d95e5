//! The sizes of a loaded model, for the prediction of its memory.

use graft_nn::{
    Layer, Linear, Model, Parameter, Quantization, ResidualAdd, Role, SavedActivations, Sublayer,
    Trainable, packable,
};

use super::{FLOAT, Memory, Sizes};
use crate::LargestPass;
use crate::device::device_of;
use crate::optimizer::OptimizerConfig;

/// Predicts the memory of a run whose batches have `rows` rows of at most `tokens` tokens.
pub fn predicted(
    model: &dyn Model,
    trainables: &[Trainable],
    (rows, tokens): (usize, usize),
    recompute: bool,
) -> Memory {
    Memory::predict(&Sizes { rows, ..of_training(model, trainables, tokens, recompute) })
}

/// As [`predicted`], with validations whose largest pass is given.
pub fn predicted_with(
    model: &dyn Model,
    trainables: &[Trainable],
    (rows, tokens): (usize, usize),
    recompute: bool,
    validation: LargestPass,
) -> Memory {
    Memory::predict(&Sizes {
        rows,
        validation,
        ..of_training(model, trainables, tokens, recompute)
    })
}

/// The sizes of a run whose longest example has `tokens` tokens, for one row.
pub(crate) fn of_training<'a>(
    model: &'a dyn Model,
    trainables: &[Trainable],
    tokens: usize,
    recompute: bool,
) -> Sizes<'a> {
    let trained = trainables.iter().map(|trainable| trainable.var.elem_count() as u64).sum();
    Sizes {
        added: trained,
        tokens: tokens + model.embedding().positions_taken(),
        recompute,
        ..of_model(model)
    }
}

/// Bytes that an optimizer stores for the trained parameters.
pub fn optimizer_bytes(config: &OptimizerConfig, trainables: &[Trainable]) -> u64 {
    trainables.iter().map(|trainable| config.state_bytes(trainable.var.dims())).sum()
}

/// The sizes of a loaded model without trained parameters, for one position.
pub fn of_model(model: &dyn Model) -> Sizes<'_> {
    let parameters = model.parameters().iter().map(|parameter| parameter.elements() as u64).sum();
    let stored_bytes =
        model.parameters().iter().map(|parameter| parameter.base_weight().bytes() as u64).sum();
    let widens = |parameter: &&&Parameter| {
        (parameter.base_weight().bytes() as u64) < FLOAT * parameter.elements() as u64
    };
    let widened = model
        .parameters()
        .iter()
        .filter(widens)
        .map(|parameter| FLOAT * parameter.elements() as u64)
        .max()
        .unwrap_or(0);
    let threads = if device_of(model).is_cpu() { graft_nn::threads() } else { 0 };
    Sizes {
        shape: model.shape(),
        parameters,
        stored_bytes,
        widened_bytes: widened,
        added: 0,
        unfrozen: 0,
        rows: 1,
        rows_per_example: 1,
        copies: 0,
        tokens: 1,
        adapters: saved_by_adapters(model),
        frozen_blocks: frozen_blocks(model),
        recompute: false,
        threads,
        validation: LargestPass::default(),
        inside_blocks: trains_inside_blocks(model),
        before_feed_forward: before_feed_forward(model),
        optimizer_bytes: None,
    }
}

/// Activations saved by biases and active adapters.
fn saved_by_adapters(model: &dyn Model) -> SavedActivations {
    let of_weights: SavedActivations =
        model.parameters().into_iter().map(Parameter::saved_activations).sum();
    let of_layers: SavedActivations = model
        .sites()
        .into_iter()
        .filter_map(|site| {
            if let Layer::Linear(linear) = site.layer {
                Some(linear.saved_activations())
            } else {
                None
            }
        })
        .sum();
    // A head that shares the weight of the embedding is not a site, but may have an adapter.
    let of_head: SavedActivations =
        model.tied_head().into_iter().map(Linear::saved_activations).sum();
    of_weights
        + of_layers
        + of_head
        + model.residual_adds().into_iter().map(ResidualAdd::saved_activations).sum()
}

/// Values per position that adapters at the output of attention save, over all blocks.
fn before_feed_forward(model: &dyn Model) -> usize {
    let of_attention = model
        .residual_adds()
        .into_iter()
        .filter(|residual_add| residual_add.sublayer() == Sublayer::Attention);
    of_attention.map(|residual_add| residual_add.saved_activations().per_position).sum()
}

/// Number of blocks before the first trained parameter.
fn frozen_blocks(model: &dyn Model) -> usize {
    let embedding = model.embedding();
    if model.encoder_decoder().is_some()
        || embedding.positions_taken() > 0
        || !embedding.slot().active_names().is_empty()
    {
        return 0;
    }
    let mut begun = 0;
    let mut first = model.shape().layers;
    for site in model.sites() {
        begun += usize::from(matches!(site.role, Role::Query | Role::QueryKeyValue));
        if is_trained(site.layer) {
            // If only the norm before the first linear layer of a block is trained, the block
            // before it is counted as well.
            first = usize::saturating_sub(begun, 1);
            break;
        }
    }
    // Nothing before an adapter at the output of a feed-forward part is trained in its block.
    let acting = model
        .residual_adds()
        .into_iter()
        .find(|residual_add| !residual_add.slot().active_names().is_empty());
    let joined = acting.map(|residual_add| {
        residual_add.block() + usize::from(residual_add.sublayer() == Sublayer::FeedForward)
    });
    joined.map_or(first, |joined| joined.min(first))
}

/// Whether a layer inside a block, or a prefix of its keys and values, is trained.
fn trains_inside_blocks(model: &dyn Model) -> bool {
    let inside = |layer: &Layer<'_>| !matches!(layer, Layer::Embedding(_)) && is_trained(*layer);
    !model.embedding().prefix().active_names().is_empty()
        || model.sites().iter().any(|site| inside(&site.layer))
}

fn is_trained(layer: Layer<'_>) -> bool {
    let is_open = |parameter: &Parameter| {
        parameter.is_trainable() || !parameter.overrides().active_names().is_empty()
    };
    let has_adapter = |linear: &Linear| {
        !linear.slot().active_names().is_empty() || !linear.overrides().active_names().is_empty()
    };
    layer.parameters().into_iter().any(is_open)
        || matches!(layer, Layer::Linear(linear) if has_adapter(linear))
}

/// The sizes with all linear layers except the head quantized, as by `load_in_4bit`.
pub fn packed<'a>(model: &dyn Model, sizes: &Sizes<'a>, quantization: Quantization) -> Sizes<'a> {
    let mut packed = *sizes;
    for linear in packable(model) {
        let bytes = quantization.bytes((linear.d_out(), linear.d_in())) as u64;
        packed.stored_bytes =
            packed.stored_bytes - linear.weight().base_weight().bytes() as u64 + bytes;
        packed.widened_bytes = packed.widened_bytes.max(FLOAT * linear.weight().elements() as u64);
    }
    packed
}
