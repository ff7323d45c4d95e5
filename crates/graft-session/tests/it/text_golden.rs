//! Compares tokens and labels with those of transformers and TRL: the cases of `kind: completion`
//! in a folder of make_text_goldens.py.

use std::{collections::BTreeMap, path::Path};

use graft_models::Tokenizer;
use graft_nn::{TokenEncoder, ops::IGNORED};
use graft_train::encode_example;
use serde_json::Value;

/// The results of the cases of one tokenizer.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) met: usize,
    /// A line for each failed case.
    pub(crate) unmet: Vec<String>,
}

/// Checks every completion case of a folder, by tokenizer.
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
    for case in cases.iter().filter(|case| case["kind"] == "completion") {
        let name = word(case, "tokenizer");
        if !tokenizers.contains_key(name) {
            let folder = folder.join("tokenizers").join(name);
            tokenizers.insert(
                name,
                Tokenizer::from_folder(&folder)
                    .map_err(|error| format!("`{}`: {error}", folder.display()))?,
            );
        }
        let tally = tallies.entry(name.to_owned()).or_default();
        match problem(&tokenizers[name], case) {
            None => tally.met += 1,
            Some(problem) => tally.unmet.push(format!(
                "{:?} + {:?}: {problem}",
                word(case, "prompt"),
                word(case, "completion")
            )),
        }
    }
    Ok(tallies)
}

/// The problem of one case.
fn problem(tokenizer: &Tokenizer, case: &Value) -> Option<String> {
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

fn word<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().unwrap_or_default()
}

fn numbers(case: &Value, key: &str) -> Vec<i64> {
    case[key].as_array().into_iter().flatten().filter_map(Value::as_i64).collect()
}
