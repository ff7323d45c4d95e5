//! Trainable tokens: trains some rows of the embedding, `E'[i] = D[n]` for the n-th chosen token i,
//! and `E'[i] = E[i]` for all others.
//!
//! D is initialized with the rows of E.
//!
//! # Shapes
//! `E: (V, C)` frozen, `D: (N, C)` trained
//! # Source
//! HF PEFT's `TrainableTokensModel` (its "delta" contains the rows themselves). Golden
//! `trainable-tokens`.

use std::{collections::BTreeSet, sync::Arc};

use graft_nn::{DType, Embedding, Layer, Role, SavedActivations, Tensor, Var, WeightOverride};
use graft_spec::{
    Settings,
    methods::{MethodSpec, trainable_tokens::SPEC},
};
use serde_json::Value;

use crate::{
    AttachContext, PeftError,
    adapter_state::AdapterState,
    config_file::ConfigFile,
    fields,
    init_source::InitSource,
    layers::leaf,
    method::{AdapterPart, Attachment, Built, Method},
    selected,
    targets::Selection,
};

/// Every field of PEFT 0.21's `TrainableTokensConfig` with its default.
const DEFAULTS: &str = r#"{"auto_mapping": null, "base_model_name_or_path": null, "inference_mode": true, "init_weights": true,
    "peft_type": "TRAINABLE_TOKENS", "revision": null, "target_modules": null, "task_type": "CAUSAL_LM", "token_indices": []}"#;

/// The method.
pub(super) struct TrainableTokens;

/// A weight with a row for each token, of which some are trained.
pub(super) struct Rows {
    /// The weight with zeros in these rows, (V, C).
    rest: Tensor,
    /// The tokens of the rows, (N).
    indices: Tensor,
    /// (N, C).
    rows: Var,
    state: Arc<AdapterState>,
}

impl Rows {
    pub(super) fn new(
        weight: &Tensor,
        indices: &[u32],
        state: &Arc<AdapterState>,
    ) -> Result<Self, PeftError> {
        let table = weight.detach().to_dtype(DType::F32)?; // (V, C)
        let indices = Tensor::from_slice(indices, indices.len(), table.device())?; // (N)
        let rows = table.index_select(&indices, 0)?; // (N, C)
        let rest = table.index_add(&indices, &rows.neg()?, 0)?;
        let rest = Self { rest, indices, rows: Var::from_tensor(&rows)?, state: state.clone() };
        rest.whole()?;
        Ok(rest)
    }

    /// The trained rows, (N, C).
    pub(super) fn var(&self) -> Var {
        self.rows.clone()
    }

    fn whole(&self) -> Result<Tensor, PeftError> {
        Ok(self.rest.index_add(&self.indices, self.rows.as_tensor(), 0)?) // (V, C)
    }
}

impl WeightOverride for Rows {
    fn tensor(&self) -> Tensor {
        // The same sum was computed when the part was built, so it cannot fail.
        self.whole().unwrap_or_else(|_| self.rest.clone())
    }

    fn is_merged(&self) -> bool {
        self.state.is_merged()
    }

    /// The embedding with its trained rows; at the end of the backward pass its gradient and that
    /// of the frozen rows, which candle computes in two steps.
    fn saved_activations(&self) -> SavedActivations {
        let table = self.rest.elem_count();
        SavedActivations { per_pass: table, at_the_end: 3 * table, ..SavedActivations::default() }
    }
}

impl Method for TrainableTokens {
    fn spec(&self) -> &'static MethodSpec {
        &SPEC
    }

    fn defaults(&self) -> &'static str {
        DEFAULTS
    }

    fn config(&self, cx: &AttachContext<'_>, settings: &Settings) -> Result<ConfigFile, PeftError> {
        fields::from_settings(
            &SPEC,
            DEFAULTS,
            settings,
            &[leaf(cx.model.embedding().path()).to_owned()],
        )
    }

    fn build(
        &self,
        cx: &AttachContext<'_>,
        config: &ConfigFile,
        init: InitSource,
    ) -> Result<Built, PeftError> {
        let selection = Selection::read(config)?;
        let is_choice = |role: Role| role == Role::Embedding;
        selected::check_names(cx, &selection.targets, init, |site| is_choice(site.role))?;
        let indices = indices(config, cx.model.shape().vocab)?;
        cx.reserve(
            "trainable_tokens_delta",
            cx.model.embedding().path(),
            &[indices.len(), cx.model.shape().hidden],
        )?;
        let (matcher, state) = (selection.matcher()?, Arc::new(AdapterState::new()));
        let mut parts = Vec::new();
        for site in cx
            .model
            .sites()
            .into_iter()
            .filter(|site| is_choice(site.role) && matcher.matches(site.path, false))
        {
            let Layer::Embedding(embedding) = site.layer else { continue };
            parts.push(rows_part(cx, site.path, embedding, &indices, &state)?);
        }
        if parts.is_empty() {
            return Err(selected::nothing_left(cx));
        }
        Ok(Built::new(fields::plain_settings(&SPEC, config, &["target_modules"]), parts, state))
    }
}

/// The trained rows of the embedding at `path`.
fn rows_part(
    cx: &AttachContext<'_>,
    path: &str,
    embedding: &Embedding,
    indices: &[u32],
    state: &Arc<AdapterState>,
) -> Result<AdapterPart, PeftError> {
    let rows = Rows::new(&embedding.weight().base_value(), indices, state)?;
    let (var, key) = (rows.rows.clone(), |module: &str| {
        format!("base_model.model.{module}.trainable_tokens_delta")
    });
    // HF PEFT writes the rows again for each module that shares the embedding, such as a tied head.
    let tied = cx.model.tied_modules().into_iter();
    let constants = tied.map(|module| (key(module), var.clone())).collect();
    let attachment = Attachment::Weight(embedding.weight().path().to_owned(), Arc::new(rows));
    Ok(AdapterPart { constants, ..AdapterPart::new(path, attachment, vec![(key(path), var)]) })
}

/// The tokens, without duplicates.
fn indices(config: &ConfigFile, vocab: usize) -> Result<Vec<u32>, PeftError> {
    let none = Value::Array(Vec::new());
    numbers(config, "token_indices", config.get("token_indices").unwrap_or(&none), vocab)
}

/// A list of tokens in a field, without duplicates.
///
/// # Errors
/// [`PeftError::NoSuchToken`] for a token outside the vocabulary, [`PeftError::NoTokens`] for an
/// empty list, [`PeftError::Malformed`] for anything else.
pub(super) fn numbers(
    config: &ConfigFile,
    field: &'static str,
    list: &Value,
    vocab: usize,
) -> Result<Vec<u32>, PeftError> {
    let (mut indices, mut known): (Vec<u32>, BTreeSet<u32>) = (Vec::new(), BTreeSet::new());
    let expected = "a list of token numbers";
    for value in list.as_array().ok_or_else(|| config.invalid(field, expected))? {
        let index = value.as_u64().ok_or_else(|| config.invalid(field, expected))?;
        if index >= vocab as u64 {
            return Err(PeftError::NoSuchToken { token: index, vocab });
        }
        if known.insert(index as u32) {
            indices.push(index as u32);
        }
    }
    if indices.is_empty() {
        return Err(PeftError::NoTokens);
    }
    Ok(indices)
}
