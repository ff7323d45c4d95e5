use super::*;
use crate::data::parse_inline;
use crate::testing::TinyClassifier;
use graft_spec::Settings;

fn data(labels: &[&str]) -> Dataset {
    let lines: Vec<String> = labels
        .iter()
        .map(|label| format!("{{\"text\": \"a\", \"label\": {}}}", serde_json::json!(label)))
        .collect();
    parse_inline("reviews", &lines.join("\n"), &Settings::default()).expect("a data set")
}

/// The class of each label, by the label.
fn classes(model: &TinyClassifier, labels: &[&str]) -> Vec<usize> {
    let data = data(labels);
    let map = label_map(model, &data).expect("a map");
    assert_eq!(map.warning, None);
    labels
        .iter()
        .map(|label| {
            map.classes[data.labels().iter().position(|known| known == label).expect("a label")]
        })
        .collect()
}

fn named(names: &[&str]) -> TinyClassifier {
    TinyClassifier::new(names.len(), Some(names), false)
}

#[test]
fn labels_are_matched_by_name_and_not_by_the_alphabet() {
    let model = named(&["positive", "negative", "neutral"]);
    assert_eq!(classes(&model, &["negative", "neutral", "positive"]), [1, 2, 0]);
    assert_eq!(classes(&model, &["Negative", "POSITIVE"]), [1, 0]);
    assert_eq!(classes(&named(&["us", "US", "them"]), &["US", "us"]), [1, 0]);
}

#[test]
fn labels_that_are_numbers_of_classes_are_those_classes() {
    let model = named(&["positive", "negative", "neutral"]);
    assert_eq!(classes(&model, &["0", "2"]), [0, 2]);
    assert_eq!(classes(&model, &["LABEL_2", "LABEL_1"]), [2, 1]);
    let twelve: Vec<String> = (0..12).map(|class| class.to_string()).collect();
    let twelve: Vec<&str> = twelve.iter().map(String::as_str).collect();
    assert_eq!(
        classes(&TinyClassifier::new(12, None, false), &twelve),
        (0..12).collect::<Vec<_>>()
    );
}

#[test]
fn a_name_is_worth_more_than_a_number() {
    assert_eq!(classes(&named(&["1", "0"]), &["0", "1"]), [1, 0]);
}

#[test]
fn integers_without_a_class_become_classes_in_numeric_order() {
    let fresh = TinyClassifier::new(3, None, true);
    assert_eq!(classes(&fresh, &["10", "2", "1"]), [2, 1, 0]);
}

#[test]
fn labels_without_a_match_are_assigned_in_order_with_a_warning_that_shows_both_lists() {
    let map = label_map(&named(&["negative", "positive"]), &data(&["good", "bad"])).expect("a map");
    assert_eq!(map.classes, [0, 1]);
    let warning = map.warning.expect("a warning");
    assert!(
        warning.contains(
            "classes of the model: `negative`, `positive`; labels of the data: `bad`, `good`"
        ),
        "{warning}"
    );
    let map =
        label_map(&TinyClassifier::new(2, None, false), &data(&["good", "bad"])).expect("a map");
    assert!(map.warning.expect("a warning").contains("`LABEL_0`, `LABEL_1`"));
    // What matches keeps its class.
    let map =
        label_map(&named(&["negative", "positive"]), &data(&["positive", "bad"])).expect("a map");
    assert_eq!((map.classes, map.warning.is_some()), (vec![0, 1], true));
}

#[test]
fn a_new_head_takes_its_names_from_the_data_and_requires_as_many_labels() {
    let map =
        label_map(&TinyClassifier::new(2, None, true), &data(&["good", "bad"])).expect("a map");
    assert_eq!(
        (map.warning, map.names.expect("names").as_slice()),
        (None, ["bad".to_owned(), "good".to_owned()].as_slice())
    );
    let error = label_map(&TinyClassifier::new(3, None, true), &data(&["good", "bad"]))
        .expect_err("another number");
    assert_eq!(
        error.to_string(),
        "the model has 3 classes, but data set `reviews` has 2 labels (`bad`, `good`)"
    );
}

#[test]
fn more_labels_than_classes_are_refused_with_both_lists() {
    let error = label_map(&named(&["negative", "positive"]), &data(&["good", "bad", "so so"]))
        .expect_err("too many");
    assert_eq!(
        error.to_string(),
        "the model has 2 classes (`negative`, `positive`), but data set `reviews` has 3 labels (`bad`, `good`, `so so`)"
    );
}
