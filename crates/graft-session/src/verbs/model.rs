//! `%model load`, `%model`, `%model save`.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
    sync::Arc,
};

use graft_models::SavedModel;
use graft_nn::{DType, Weight};
use graft_protocol::{Block, Cell, Event, Level, Reply, Table};
use graft_spec::{Failure, Settings, training};

use super::words::{counted, kept_as, kept_bytes, parameters, quoted, thousands};
use crate::{CommandContext, SessionError, State, state::LoadedModel};

/// A model that has just been loaded.
pub struct ModelReport {
    /// The model.
    pub model: Arc<LoadedModel>,
    /// What it took the place of, in words.
    pub dropped: Option<String>,
}

/// The card of a model.
pub struct Card {
    /// Its facts.
    pub facts: Table,
    /// What its makers say, in Markdown.
    pub text: Option<String>,
}

/// Loads a model and makes it the current one. The one before stays until the new one is whole, then goes with its adapters.
///
/// # Errors
/// Those of [`graft_models::load`]; then nothing has changed.
pub fn load(
    desk: &CommandContext,
    source: &str,
    settings: &Settings,
) -> Result<ModelReport, Failure> {
    settings.check(training::MODEL)?;
    let model = open(desk, source, settings)?;
    Ok(put(desk, model))
}

/// Makes a model the current one.
pub(crate) fn put(desk: &CommandContext, model: Arc<LoadedModel>) -> ModelReport {
    let dropped = what_goes(&desk.state());
    desk.change(|state| {
        state.model = Some(model.clone());
        state.adapters.clear();
        state.in_use = None;
    });
    ModelReport { model, dropped }
}

/// Reads a model without making it the current one; the stop button ends it at the next weight or piece of a download.
pub(crate) fn open(
    desk: &CommandContext,
    source: &str,
    settings: &Settings,
) -> Result<Arc<LoadedModel>, Failure> {
    let mut progress = |label: &str, done: u64, total: u64| {
        if desk.is_stopping() {
            // The only way out of a load. It is no panic: nothing is printed, and what has been read is dropped.
            resume_unwind(Box::new(Stopped));
        }
        desk.emit(Event::Progress { label: label.to_owned(), done, total });
    };
    let device = desk.state().device.clone();
    match catch_unwind(AssertUnwindSafe(|| {
        graft_models::load(source, settings, &device, &mut progress)
    })) {
        Ok(loaded) => Ok(Arc::new(LoadedModel::new(loaded?, source.to_owned(), settings.clone()))),
        Err(payload) if payload.is::<Stopped>() => Err(SessionError::Interrupted {
            what: format!("stopped while loading `{source}`"),
            next: None,
        }
        .into()),
        Err(payload) => resume_unwind(payload),
    }
}

/// Ends a load that the user has stopped.
struct Stopped;

/// Writes the current model as a Hugging Face folder that transformers loads, with merged adapters inside; what was written, in words.
///
/// # Errors
/// [`SessionError::NoModel`]; [`SessionError::ActsBeside`] while an adapter acts that is not in the weights; those of [`graft_models::save_folder`].
pub fn save(
    desk: &CommandContext,
    directory: &str,
    settings: &Settings,
) -> Result<String, Failure> {
    settings.check(training::MODEL_SAVE)?;
    let state = desk.state();
    let model = state.model()?;
    let base = model.loaded.model.as_ref();
    let beside = state
        .adapters
        .iter()
        .find(|attached| attached.adapter.is_active(base) && !attached.adapter.is_merged());
    if let Some(attached) = beside {
        return Err(SessionError::ActsBeside {
            name: attached.adapter.name().to_owned(),
            method: attached.adapter.spec().verb,
        }
        .into());
    }
    let dtype = match settings.text(training::MODEL_SAVE, "dtype").as_deref() {
        Some("bf16") => DType::BF16,
        Some("f16") => DType::F16,
        _ => DType::F32,
    };
    let files = graft_models::save_loaded(
        Path::new(directory),
        &SavedModel { loaded: &model.loaded, dtype },
    )?;
    let others: Vec<_> = files
        .into_iter()
        .filter(|name| !["config.json", "model.safetensors"].contains(&name.as_str()))
        .collect();
    let merged: Vec<_> = state
        .adapters
        .iter()
        .map(|attached| &attached.adapter)
        .filter(|adapter| adapter.is_merged() && adapter.is_active(base))
        .collect();
    let names: Vec<_> = merged.iter().map(|adapter| adapter.name().to_owned()).collect();
    let inside = if names.is_empty() {
        "the base as it is".to_owned()
    } else {
        format!("with {} merged into the weights", quoted(&names))
    };
    let is_nf4 = |linear: &&graft_nn::Linear| matches!(linear.weight().weight(), Weight::Packed(packed) if packed.name() == "nf4" && !linear.fan_in_fan_out());
    let packed = if graft_nn::packable(base).iter().any(is_nf4) {
        "nf4 as bitsandbytes packs it, the rest "
    } else {
        ""
    };
    Ok(format!(
        "`{}` is saved in `{directory}`, {inside}: config.json, model.safetensors as {packed}{}, {}; transformers loads it",
        model.source,
        dtype.as_str(),
        others.join(", ")
    ))
}

/// The dropout of the base model that training leaves out, such as `hidden_dropout_prob=0.1`; none without any.
fn unapplied_dropout(model: &LoadedModel) -> Option<String> {
    let dropout = graft_models::unapplied_dropout(&model.loaded.config_json);
    let named: Vec<_> =
        dropout.iter().map(|(key, probability)| format!("{key}={probability}")).collect();
    (!named.is_empty()).then(|| named.join(", "))
}

/// The card of the current model.
///
/// # Errors
/// [`crate::SessionError::NoModel`].
pub fn card(desk: &CommandContext) -> Result<Card, Failure> {
    let model = desk.state().model()?;
    let text =
        model.loaded.card.as_deref().map(|card| without_front_matter(card).trim().to_owned());
    Ok(Card { facts: facts(&model), text })
}

fn what_goes(state: &State) -> Option<String> {
    let old = state.model.as_ref()?;
    let adapters: Vec<_> =
        state.adapters.iter().map(|attached| attached.adapter.name().to_owned()).collect();
    let trained = state.adapters.iter().filter(|attached| attached.trained_steps() > 0);
    let ways: Vec<_> = trained
        .map(|attached| {
            format!("; `{}`: {}", attached.adapter.name(), super::runs::way_back(attached))
        })
        .collect();
    let load = if ways.is_empty() {
        String::new()
    } else {
        format!(", after {}", super::runs::load_line(&old.source, &old.settings))
    };
    Some(match adapters.is_empty() {
        true => format!("it takes the place of `{}`", old.source),
        false => format!(
            "it takes the place of `{}`, which is dropped with {} {}{}{load}",
            old.source,
            if adapters.len() == 1 { "its adapter" } else { "its adapters" },
            quoted(&adapters),
            ways.concat()
        ),
    })
}

/// Where the files are; of the embedded model, whose place says nothing to a reader, that it is embedded.
fn read_from(source: &Path) -> String {
    let assets = graft_models::assets();
    let assets = std::path::absolute(&assets).unwrap_or(assets);
    if source.starts_with(assets) {
        "Graft itself".to_owned()
    } else {
        source.display().to_string()
    }
}

fn facts(model: &LoadedModel) -> Table {
    let loaded = &model.loaded;
    let shape = loaded.model.shape();
    let context = format!("{} tokens", thousands(shape.max_positions as u64));
    let heads = format!(
        "{} of width {}, {} for keys and values",
        shape.heads, shape.head_dim, shape.kv_heads
    );
    let rows = [
        ("family", shape.family.clone()),
        ("parameters", thousands(parameters(loaded.model.as_ref()))),
        ("layers", shape.layers.to_string()),
        ("hidden size", shape.hidden.to_string()),
        ("feed-forward size", shape.intermediate.to_string()),
        ("attention heads", heads),
        ("vocabulary", counted(shape.vocab, "token")),
        ("context", context),
        ("weights read", format!("{} of the {} in the files", loaded.keys.0, loaded.keys.1)),
        ("weights kept as", kept_as(loaded.model.as_ref())),
        ("read from", read_from(&loaded.source)),
    ];
    let dropout = unapplied_dropout(model)
        .map(|dropout| ("base dropout", format!("{dropout}; not applied in training")));
    let mut table = Table::new(format!("model {}", model.source), &["fact", "value"]);
    for (fact, value) in rows.into_iter().chain(dropout) {
        table.row(vec![Cell::Text(fact.to_owned()), Cell::Text(value)]);
    }
    table.row(vec![
        Cell::Text("memory of the weights".to_owned()),
        Cell::Bytes(kept_bytes(loaded.model.as_ref())),
    ]);
    table
}

/// A Hugging Face card begins with YAML between two lines of three dashes, which is for machines.
fn without_front_matter(card: &str) -> &str {
    let after = card.strip_prefix("---\n").and_then(|rest| rest.split_once("\n---\n"));
    after.map_or(card, |(_, text)| text)
}

impl ModelReport {
    /// `loaded tiny: llama, 5,243,904 parameters, ...`.
    pub fn line(&self) -> String {
        let model = self.model.loaded.model.as_ref();
        let shape = model.shape();
        format!(
            "loaded `{}`: {}, {} parameters, {}, hidden size {}, vocabulary {}, weights as {}; {} of {} keys of the files used",
            self.model.source,
            shape.family,
            thousands(parameters(model)),
            counted(shape.layers, "layer"),
            shape.hidden,
            thousands(shape.vocab as u64),
            kept_as(model),
            self.model.loaded.keys.0,
            self.model.loaded.keys.1
        )
    }

    /// The answer to `%model load`.
    pub fn reply(self) -> Reply {
        let mut blocks = vec![Block::Text(self.line())];
        blocks.extend(
            self.model
                .loaded
                .warnings
                .iter()
                .map(|warning| Block::Note(Level::Warning, warning.clone())),
        );
        blocks.extend(unapplied_dropout(&self.model).map(|dropout| {
            let note =
                format!("the dropout of the base model ({dropout}) is not applied in training, unlike in Hugging Face's Trainer; an adapter's own dropout is");
            Block::Note(Level::Info, note)
        }));
        blocks.extend(self.dropped.map(|dropped| Block::Note(Level::Info, dropped)));
        Reply { blocks }
    }
}

impl Card {
    /// The answer to `%model`.
    pub fn reply(self) -> Reply {
        let mut blocks = vec![Block::Table(self.facts)];
        blocks.extend(self.text.map(Block::Text));
        Reply { blocks }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_yaml_of_a_card_is_not_shown() {
        assert_eq!(without_front_matter("---\nlicense: mit\n---\n# tiny\n"), "# tiny\n");
        assert_eq!(without_front_matter("# tiny\n---\nrest"), "# tiny\n---\nrest");
    }
}
