//! `%data show tokens=true`: the tokens of examples, as a training run reads them.

use graft_models::Tokenizer;
use graft_nn::ops::IGNORED;
use graft_protocol::{Block, Reply, ShownToken, TokenList};
use graft_spec::{Failure, Settings, training::TRAIN};
use graft_train::{
    Preview, TrainConfig,
    data::{Dataset, Kind, SplitName},
    preview,
};

use super::super::format::{counted, thousands};
use crate::CommandContext;

/// Most tokens shown of one example.
const MOST: usize = 2000;

/// The tokens of the first `rows` examples of each split; without a name, of the current set. The
/// keys are those of `%train`.
///
/// # Errors
/// [`crate::SessionError::NoData`], [`crate::SessionError::UnknownData`],
/// [`crate::SessionError::NoModel`], and those of the tokenizer, the chat template and the classes.
pub fn tokens(
    cx: &CommandContext,
    name: Option<&str>,
    rows: usize,
    keys: &Settings,
) -> Result<Vec<TokenList>, Failure> {
    keys.check(TRAIN)?;
    let options = TrainConfig::from_settings(keys, 0.0, 0).encode_options();
    let state = cx.state();
    let data = state.data(name)?;
    let model = state.model()?;
    let set = &data.dataset;
    let tokenizer = &model.loaded.tokenizer;
    let mut lists = Vec::new();
    for split in SplitName::ALL {
        let (previews, limit) =
            preview(model.loaded.model.as_ref(), tokenizer.as_ref(), set, (split, rows), options)?;
        for preview in &previews {
            let piece = match preview.piece {
                None => String::new(),
                Some((1, _)) if set.kind == Kind::Preference => ", chosen".to_owned(),
                Some(_) if set.kind == Kind::Preference => ", rejected".to_owned(),
                Some((piece, count)) => format!(", piece {piece} of {count}"),
            };
            let title = format!("{}, {split}, example {}{piece}", set.name, preview.example + 1);
            let note = note(set, split, preview, limit);
            lists.push(TokenList { title, tokens: shown(tokenizer, preview), note });
        }
    }
    Ok(lists)
}

/// The reply to `%data show tokens=true`.
pub fn reply(lists: Vec<TokenList>) -> Reply {
    Reply { blocks: lists.into_iter().map(Block::Tokens).collect() }
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
fn note(set: &Dataset, split: SplitName, preview: &Preview, limit: usize) -> String {
    let encoded = &preview.encoded;
    let total = encoded.ids.len();
    let mut parts = vec![counted(total, "token")];
    match encoded.class {
        Some(class) => {
            let label = set.split(split)[preview.example].label;
            let name = label.and_then(|label| set.labels().get(label));
            let name = name.map_or_else(String::new, |name| format!("`{name}`, "));
            parts.push(format!("the loss is on the label ({name}class {class}), not on tokens"));
        }
        None => {
            let with_loss = encoded.labels.iter().filter(|label| **label != IGNORED).count();
            parts.push(format!("{} with loss", thousands(with_loss as u64)));
        }
    }
    if preview.lost > 0 {
        parts.push(format!(
            "cut to the limit of {} tokens: {} not read",
            thousands(limit as u64),
            counted(preview.lost, "token")
        ));
    }
    if total > MOST {
        parts.push(format!("{} more not shown", thousands((total - MOST) as u64)));
    }
    parts.join("; ")
}
