use serde_json::json;

use super::*;

fn selection(targets: Value) -> Selection {
    Selection {
        targets: Targets::from_json(&targets).unwrap(),
        excluded: None,
        layers: Vec::new(),
        layers_pattern: Vec::new(),
        saved: Vec::new(),
    }
}

fn matches(selection: &Selection, path: &str) -> bool {
    selection.matcher().unwrap().matches(path, true)
}

/// The table of PEFT's own tests (`test_tuners_utils.py`, REGEX_TEST_CASES): name, targets,
/// layers_to_transform, layers_pattern, matches.
#[test]
fn names_match_as_in_hf_pefts_own_table() {
    type Row = (&'static str, Value, &'static [usize], &'static [&'static str], bool);
    let rows: &[Row] = &[
        ("", json!([]), &[], &[], false),
        ("", json!(["foo"]), &[], &[], false),
        ("foo", json!([]), &[], &[], false),
        ("foo", json!(["foo"]), &[], &[], true),
        ("foo", json!(["bar"]), &[], &[], false),
        ("foo", json!(["foo", "bar"]), &[], &[], true),
        ("bar.foo", json!(["foo"]), &[], &[], true),
        ("foo.bar", json!(["foo"]), &[], &[], false),
        ("foo.barfoo", json!(["foo"]), &[], &[], false),
        ("foo", json!("foo"), &[], &[], true),
        ("bar.foo", json!("foo"), &[], &[], false),
        ("foo", json!(".*foo"), &[], &[], true),
        ("foo.bar", json!(".*foo"), &[], &[], false),
        ("foo.bar", json!(".*bar"), &[], &[], true),
        ("foo.bar.baz", json!(".*bar"), &[], &[], false),
        ("foo.bar.1.baz", json!(["baz"]), &[1], &["bar"], true),
        ("foo.bar.1.baz", json!(["baz"]), &[1, 0], &["bar"], true),
        ("foo.bar.1.baz", json!(["baz"]), &[0], &["bar"], false),
        ("foo.bar.1.baz", json!(["baz"]), &[1], &["baz"], false),
        ("blocks.1.weight", json!(["weight"]), &[1], &["blocks"], false),
        ("mlp.blocks.1.weight", json!(["weight"]), &[1], &["blocks"], true),
        ("mlp.blocks.1.bar.weight", json!(["weight"]), &[1], &[], true),
        ("mlp.blocks.1.weight", json!(["weight"]), &[0], &[], false),
        ("mlp.blocks.1.weight", json!(["mlp.blocks.1.weight"]), &[0], &[], true),
        ("transformer.h.1.attn.attention.q_proj.foo", json!(["q_proj"]), &[1], &["h"], false),
        ("transformer.h.1.attn.attention.q_proj", json!(["q_proj"]), &[1], &["h"], true),
        ("transformer.h.1.attn.attention.q_proj", json!(["q_proj", "v_proj"]), &[0], &["h"], false),
        ("transformer.h.11.attn.q_proj", json!(["q_proj"]), &[1], &["h"], false),
    ];
    for (path, targets, layers, pattern, expected) in rows {
        let mut selection = selection(targets.clone());
        selection.layers = layers.to_vec();
        selection.layers_pattern = pattern.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(matches(&selection, path), *expected, "{path} {targets} {layers:?} {pattern:?}");
    }
}

#[test]
fn exclusions_win() {
    let mut selection = selection(json!(["q_proj", "v_proj"]));
    selection.excluded = Targets::from_json(&json!(["layers.0.q_proj"]));
    assert!(!matches(&selection, "model.layers.0.q_proj"));
    assert!(matches(&selection, "model.layers.0.v_proj"));
    selection.excluded = Targets::from_json(&json!(r".*\.1\..*"));
    assert!(!matches(&selection, "model.layers.1.v_proj"));
}

#[test]
fn a_word_with_a_special_character_is_a_pattern_and_all_linear_ignores_case() {
    let words = |words: &[&str]| {
        Targets::from_words(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    };
    assert_eq!(words(&["All-Linear"]), Targets::AllLinear);
    assert_eq!(words(&["q_proj"]), Targets::List(vec!["q_proj".to_owned()]));
    assert_eq!(words(&[r"layers\.0"]), Targets::Pattern(r"layers\.0".to_owned()));
    assert_eq!(Targets::from_json(&json!("ALL-LINEAR")), Some(Targets::AllLinear));
    assert_eq!(Targets::from_json(&json!(3)), None);
}
