//! `%data show tokens=true`: the tokens of examples, as a training run reads them.

use graft_models::Tokenizer;
use graft_nn::ops::IGNORED;
use graft_protocol::{Block, Reply, ShownToken, TokenList};
use graft_spec::Failure;
use graft_train::{
    Preview,
    data::{Dataset, Kind, SplitName},
    preview,
};

use super::super::format::{counted, thousands};
use crate::CommandContext;

/// Most tokens shown of one example.
const MOST: usize = 2000;

/// The tokens of the first `rows` examples of each split; without a name, of the current set.
///
/// # Errors
/// [`crate::SessionError::NoData`], [`crate::SessionError::UnknownData`],
/// [`crate::SessionError::NoModel`], and those of the tokenizer and of the classes.
pub fn tokens(
    cx: &CommandContext,
    name: Option<&str>,
    rows: usize,
) -> Result<Vec<TokenList>, Failure> {
    let state = cx.state();
    let data = state.data(name)?;
    let model = state.model()?;
    let set = &data.dataset;
    let tokenizer = &model.loaded.tokenizer;
    let mut lists = Vec::new();
    for split in SplitName::ALL {
        let (previews, limit) =
            preview(model.loaded.model.as_ref(), tokenizer.as_ref(), set, (split, rows), None)?;
        for (index, preview) in previews.iter().enumerate() {
            let title = format!("{}, {split}, {}", set.name, place(set, index));
            let note = note(set, (split, index), preview, limit);
            lists.push(TokenList { title, tokens: shown(tokenizer, preview), note });
        }
    }
    Ok(lists)
}

/// The reply to `%data show tokens=true`.
pub fn reply(lists: Vec<TokenList>) -> Reply {
    Reply { blocks: lists.into_iter().map(Block::Tokens).collect() }
}

/// The example that an element of the previews belongs to; a preference has two.
fn place(set: &Dataset, index: usize) -> String {
    match (set.kind == Kind::Preference, index % 2) {
        (false, _) => format!("example {}", index + 1),
        (true, 0) => format!("example {}, chosen", index / 2 + 1),
        (true, _) => format!("example {}, rejected", index / 2 + 1),
    }
}

fn shown(tokenizer: &Tokenizer, preview: &Preview) -> Vec<ShownToken> {
    let encoded = &preview.encoded;
    let token = |(id, label): (&u32, &i64)| ShownToken {
        id: *id,
        text: tokenizer.token_text(*id),
        has_loss: *label != IGNORED,
        is_special: tokenizer.is_special(*id),
    };
    encoded.ids.iter().zip(&encoded.labels).take(MOST).map(token).collect()
}

/// The numbers of tokens, the class of a classifier, and what is missing.
fn note(
    set: &Dataset,
    (split, index): (SplitName, usize),
    preview: &Preview,
    limit: usize,
) -> String {
    let encoded = &preview.encoded;
    let total = encoded.ids.len();
    let mut parts = vec![counted(total, "token")];
    match encoded.class {
        Some(class) => {
            let label = set.split(split)[index].label;
            let name = label.and_then(|label| set.labels().get(label));
            let name = name.map_or_else(String::new, |name| format!("`{name}`, "));
            parts.push(format!("the loss is on the label ({name}class {class}), not on tokens"));
        }
        None => {
            let with_loss = encoded.labels.iter().filter(|label| **label != IGNORED).count();
            parts.push(format!("{} with loss", thousands(with_loss as u64)));
        }
    }
    if preview.was_cut {
        parts.push(format!("cut to the limit of {} tokens", thousands(limit as u64)));
    }
    if total > MOST {
        parts.push(format!("{} more not shown", thousands((total - MOST) as u64)));
    }
    parts.join("; ")
}
