//! `%model`: the model card.

use std::path::Path;

use graft_protocol::{Block, Cell, Reply, Table};
use graft_spec::Failure;

use super::unapplied_dropout;
use crate::{
    CommandContext,
    state::LoadedModel,
    verbs::format::{counted, kept_as, kept_bytes, parameters, thousands},
};

/// The model card: facts and description.
pub struct ModelCard {
    /// Facts about the model.
    pub facts: Table,
    /// The text of its `README.md` in Markdown.
    pub text: Option<String>,
}

/// The model card of the current model.
///
/// # Errors
/// [`crate::SessionError::NoModel`].
pub fn card(cx: &CommandContext) -> Result<ModelCard, Failure> {
    let model = cx.state().model()?;
    let text =
        model.loaded.card.as_deref().map(|card| without_front_matter(card).trim().to_owned());
    Ok(ModelCard { facts: facts(&model), text })
}

impl ModelCard {
    /// The reply to `%model`.
    pub fn reply(self) -> Reply {
        let mut blocks = vec![Block::Table(self.facts)];
        blocks.extend(self.text.map(Block::Text));
        Reply { blocks }
    }
}

/// The folder of the files; `Graft itself` for the embedded model.
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
        "{} of size {}, {} for keys and values",
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
        ("tensors loaded", format!("{} of {} in the files", loaded.keys.0, loaded.keys.1)),
        ("number type", kept_as(loaded.model.as_ref())),
        ("read from", read_from(&loaded.source)),
    ];
    let dropout = unapplied_dropout(model)
        .map(|dropout| ("base dropout", format!("{dropout} (not applied in training)")));
    let mut table = Table::new(format!("model {}", model.source), &["fact", "value"]);
    for (fact, value) in rows.into_iter().chain(dropout) {
        table.row(vec![Cell::Text(fact.to_owned()), Cell::Text(value)]);
    }
    table
        .row(vec![Cell::Text("memory".to_owned()), Cell::Bytes(kept_bytes(loaded.model.as_ref()))]);
    table
}

/// The text of a Hugging Face model card without its YAML metadata.
fn without_front_matter(card: &str) -> &str {
    let after = card.strip_prefix("---\n").and_then(|rest| rest.split_once("\n---\n"));
    after.map_or(card, |(_, text)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_yaml_metadata_of_a_model_card_is_not_shown() {
        assert_eq!(without_front_matter("---\nlicense: mit\n---\n# tiny\n"), "# tiny\n");
        assert_eq!(without_front_matter("# tiny\n---\nrest"), "# tiny\n---\nrest");
    }
}
