//! Compares text, tokens and labels with those of transformers and TRL: the cases of a folder of
//! make_text_goldens.py. Those of `kind: completion` are prompts with completions, those of `kind:
//! chat` conversations with a chat template.

use std::{collections::BTreeMap, path::Path};

use graft_models::Tokenizer;
use graft_nn::{TokenEncoder, ops::IGNORED};
use graft_train::encode_example;
use serde_json::Value;

use crate::text_golden_chat;

/// The results of the cases of one tokenizer.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) met: usize,
    /// A line for each failed case.
    pub(crate) unmet: Vec<String>,
}

/// Checks every case of a folder, by kind and tokenizer.
///
/// # Errors
/// A message, when the folder cannot be read.
pub(crate) fn check(folder: &Path) -> Result<BTreeMap<String, Tally>, String> {
    let path = folder.join("text.json");
    let text = std::fs::read_to_string(&path)
        .map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
    let cases: Vec<Value> = serde_json::from_str(&text)
        .map_err(|error| format!("`{}` is not a list of cases: {error}", path.display()))?;
    let mut tokenizers = BTreeMap::new();
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    let templates = templates(folder)?;
    for (case, tools) in cases.iter().zip(tools(&text)?) {
        let name = word(case, "tokenizer");
        if !tokenizers.contains_key(name) {
            let folder = folder.join("tokenizers").join(name);
            tokenizers.insert(
                name,
                Tokenizer::from_folder(&folder)
                    .map_err(|error| format!("`{}`: {error}", folder.display()))?,
            );
        }
        let kind = word(case, "kind");
        let tally = tallies.entry(format!("{kind} {name}")).or_default();
        let (problem, title) = match kind {
            "completion" => (
                completion_problem(&tokenizers[name], case),
                format!("{:?} + {:?}", word(case, "prompt"), word(case, "completion")),
            ),
            "chat" => (
                text_golden_chat::problem(&tokenizers[name], &templates, case, &tools),
                format!("{} {}", word(case, "template"), word(case, "name")),
            ),
            other => (Some(format!("unknown kind `{other}`")), String::new()),
        };
        match problem {
            None => tally.met += 1,
            Some(problem) => tally.unmet.push(format!("{title}: {problem}")),
        }
    }
    Ok(tallies)
}

/// The tools of each case as JSON. The engine's maps keep the order of keys, which is part of the
/// text; those of serde_json do not.
fn tools(cases: &str) -> Result<Vec<String>, String> {
    let cases: Vec<minijinja::Value> =
        serde_json::from_str(cases).map_err(|error| error.to_string())?;
    let tools = |case: &minijinja::Value| {
        let tools = case.get_attr("tools").map_err(|error| error.to_string())?;
        serde_json::to_string(&tools).map_err(|error| error.to_string())
    };
    cases.iter().map(tools).collect()
}

/// The chat templates of a folder by name; none if it has no chat cases.
fn templates(folder: &Path) -> Result<Value, String> {
    let path = folder.join("templates.json");
    if !path.is_file() {
        return Ok(Value::Null);
    }
    let text = std::fs::read_to_string(&path)
        .map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("`{}`: {error}", path.display()))
}

/// The problem of one case of `kind: completion`.
fn completion_problem(tokenizer: &Tokenizer, case: &Value) -> Option<String> {
    let (prompt, completion) = (word(case, "prompt"), word(case, "completion"));
    let encoded = match encode_example(tokenizer, prompt, completion) {
        Ok(encoded) => encoded,
        Err(error) => return Some(error.to_string()),
    };
    let (ids, labels) = (numbers(case, "input_ids"), numbers(case, "labels"));
    let found: Vec<i64> = encoded.ids.iter().map(|id| i64::from(*id)).collect();
    if found != ids {
        return Some(format!("input_ids {found:?}, expected {ids:?}"));
    }
    if case["note"] == "border" {
        return uncovered(tokenizer, prompt, completion, &encoded.labels, &found);
    }
    (encoded.labels != labels).then(|| format!("labels {:?}, expected {labels:?}", encoded.labels))
}

/// The first character of the completion that no label covers, or a label that is not its own
/// token.
fn uncovered(
    tokenizer: &Tokenizer,
    prompt: &str,
    completion: &str,
    labels: &[i64],
    ids: &[i64],
) -> Option<String> {
    if let Some(at) = (0..labels.len()).find(|at| labels[*at] != IGNORED && labels[*at] != ids[*at])
    {
        return Some(format!("the label of token {at} is {}, expected {}", labels[at], ids[at]));
    }
    let offsets = tokenizer.encode_with_offsets(&format!("{prompt}{completion}")).ok()?;
    let before = tokenizer.prefix().len();
    let is_labeled = |byte: usize| {
        offsets
            .iter()
            .enumerate()
            .any(|(at, (_, covered))| covered.contains(&byte) && labels[before + at] != IGNORED)
    };
    let missing = completion.char_indices().find(|(at, _)| !is_labeled(prompt.len() + at));
    missing.map(|(at, letter)| format!("no label covers {letter:?} at byte {at} of the completion"))
}

pub(crate) fn word<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().unwrap_or_default()
}

pub(crate) fn numbers(case: &Value, key: &str) -> Vec<i64> {
    case[key].as_array().into_iter().flatten().filter_map(Value::as_i64).collect()
}
