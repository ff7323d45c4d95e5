use graft_protocol::{AdapterEntry, ModelEntry, ModuleEntry};

use super::*;

fn snapshot() -> Snapshot {
    let module = |path: &str| ModuleEntry {
        path: path.to_owned(),
        kind: "linear".to_owned(),
        shape: vec![4, 4],
    };
    let model = ModelEntry {
        modules: vec![
            module("model.layers.0.self_attn.q_proj"),
            module("model.layers.1.self_attn.q_proj"),
            module("model.layers.0.mlp.up_proj"),
        ],
        ..ModelEntry::default()
    };
    let adapter = AdapterEntry {
        name: "poet".to_owned(),
        method: "lora".to_owned(),
        active: true,
        merged: false,
        trainable: 1,
        settings: String::new(),
        scale: 1.0,
        run: None,
    };
    Snapshot {
        model: Some(model),
        adapters: vec![adapter],
        data: vec!["which-book".to_owned()],
        runs: vec!["run-1".to_owned()],
        ..Snapshot::default()
    }
}

/// Returns the choices at `|`, with the text they replace.
fn at(text: &str) -> Option<(String, Vec<String>)> {
    let cursor = text.chars().take_while(|next| *next != '|').count();
    let plain = text.replacen('|', "", 1);
    let found = complete(&plain, cursor, &snapshot(), &|typed| vec![format!("{typed}older/")])?;
    let replaced = plain.chars().skip(found.start).take(found.end - found.start).collect();
    Some((replaced, found.items.into_iter().map(|item| item.text).collect()))
}

fn choices(text: &str) -> Vec<String> {
    at(text).unwrap().1
}

#[test]
fn verbs_complete_with_their_sign() {
    assert_eq!(at("%mo|"), Some(("%mo".to_owned(), vec!["%model".to_owned()])));
    assert_eq!(choices("%ti|"), ["%time", "%%time"]);
    assert_eq!(choices("let x = 1;\n%ti|"), ["%time"]);
    assert_eq!(choices("%%da|"), ["%%data"]);
    assert!(choices("%|").len() > 20);
}

#[test]
fn subcommands_come_before_keys_and_given_keys_are_left_out() {
    assert_eq!(choices("%model l|"), ["load"]);
    assert_eq!(choices("%lora attach r=8 lora_|"), ["lora_alpha=", "lora_dropout="]);
    assert!(!choices("%lora attach r=8 |").contains(&"r=".to_owned()));
    assert_eq!(choices("%lora attach --lora_a|"), ["--lora_alpha"]);
    assert_eq!(choices("%lora attach alp|"), ["lora_alpha=", "alpha_pattern="]);
    assert_eq!(choices("%train --ru|"), ["--rust"]);
}

#[test]
fn values_complete_after_the_equals_sign() {
    assert_eq!(
        at("%train schedule=co|"),
        Some((
            "co".to_owned(),
            vec![
                "constant".to_owned(),
                "cosine".to_owned(),
                "cosine_with_min_lr".to_owned(),
                "constant_with_warmup".to_owned(),
            ]
        ))
    );
    assert_eq!(
        choices("%train schedule=co|"),
        ["constant", "cosine", "cosine_with_min_lr", "constant_with_warmup"]
    );
    assert_eq!(choices("%eval base=|"), ["true", "false"]);
    assert_eq!(choices("%train --schedule l|"), ["linear"]);
}

#[test]
fn module_names_come_from_the_model_once_each_and_after_a_comma() {
    assert_eq!(choices("%lora attach target_modules=|"), ["q_proj", "up_proj", "all-linear"]);
    assert_eq!(
        at("%lora attach target_modules=q_proj,u|"),
        Some(("u".to_owned(), vec!["up_proj".to_owned()]))
    );
}

#[test]
fn names_of_the_session_and_files_complete_by_position() {
    assert_eq!(choices("%lora use |"), ["poet"]);
    assert_eq!(choices("%resume ru|"), ["run-1"]);
    assert_eq!(choices("%train data=w|"), ["which-book"]);
    assert_eq!(choices("%lora save f|"), ["folder/"]);
    assert_eq!(choices("%model load t|"), ["tiny", "tolder/"]);
}

#[test]
fn rust_and_the_text_of_a_cell_magic_have_no_completions() {
    assert_eq!(at("let x = |"), None);
    assert_eq!(at("let s = \"\n%mo|\n\";"), None);
    assert_eq!(at("%%generate\nThe %mo|"), Some((String::new(), vec![])));
    assert_eq!(choices("%%time\n%mo|"), ["%model"]);
}

#[test]
fn the_replaced_range_counts_code_points() {
    assert_eq!(at("let é = \"𝄞\";\n%mo|"), Some(("%mo".to_owned(), vec!["%model".to_owned()])));
}

#[test]
fn a_check_completes_metrics_operators_values_splits_and_keys() {
    assert_eq!(choices("%check acc|"), ["accuracy"]);
    assert!(choices("%check |").contains(&"lora_alpha".to_owned()), "keys of the active adapter");
    assert_eq!(choices("%check r <|"), ["<", "<="]);
    assert_eq!(choices("%check accuracy >= |"), ["base", "majority"]);
    assert_eq!(choices("%check method == lo|"), ["lora", "loha", "lokr"]);
    assert_eq!(choices("%check data == |"), ["which-book"]);
    assert_eq!(choices("%check loss < 3 on t|"), ["train", "test"]);
    assert_eq!(choices("%check loss < 3 o|"), ["on"]);
    assert_eq!(choices("%check r == 8 po|"), ["points="]);
    assert_eq!(choices("%check r == 8 soft=|"), ["true", "false"]);
    assert_eq!(at("%check loss_fell so|").unwrap().0, "so");
    assert_eq!(choices("%%check ex|"), ["examples="]);
}
