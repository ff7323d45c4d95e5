use graft_spec::{Settings, Value};

use super::*;
use crate::parse_inline;

fn rows(labels: &[&str]) -> String {
    let mut text = "text,label\n".to_owned();
    for (line, label) in labels.iter().enumerate() {
        text.push_str(&format!("text {line},{label}\n"));
    }
    text
}

fn made(labels: &[&str], settings: &Settings) -> Result<Dataset, DataError> {
    parse_inline("set", &rows(labels), settings)
}

fn labels_of(examples: &[Example]) -> Vec<usize> {
    let mut labels: Vec<usize> = examples.iter().filter_map(|example| example.label).collect();
    labels.sort_unstable();
    labels
}

#[test]
fn labels_become_completions_of_a_templated_prompt() {
    let settings = Settings::default().with("template", Value::Text("{text}\\nMood: ".into()));
    let set = made(&["good", "bad"], &settings).expect("a set");
    assert_eq!(set.kind, Kind::Labels(vec!["bad".into(), "good".into()]));
    let example = &set.train[0];
    assert_eq!(
        (&*example.prompt, &*example.completion, example.label),
        ("text 0\nMood:", " good", Some(1))
    );
}

#[test]
fn labels_that_are_integers_are_in_numeric_order() {
    let labels =
        |labels: &[&str]| made(labels, &Settings::default()).expect("a set").labels().join(" ");
    assert_eq!(labels(&["10", "2", "-1"]), "-1 2 10");
    assert_eq!(labels(&["LABEL_10", "LABEL_9"]), "LABEL_9 LABEL_10");
    assert_eq!(labels(&["10", "2", "other"]), "10 2 other");
}

#[test]
fn an_encoder_reads_the_text_alone_unless_a_template_is_given() {
    let set = made(&["good", "bad"], &Settings::default()).expect("a set");
    assert_eq!(
        (&*set.train[0].prompt, &*set.text_for_encoder(&set.train[0])),
        ("text 0\nLabel:", "text 0")
    );
    for (template, read) in
        [("{text}\\nMood:", "text 0\nMood:"), ("{text}\\nLabel:", "text 0\nLabel:")]
    {
        let settings = Settings::default().with("template", Value::Text(template.into()));
        let set = made(&["good", "bad"], &settings).expect("a set");
        assert_eq!(&*set.text_for_encoder(&set.train[0]), read);
    }
}

#[test]
fn fractions_are_drawn_by_the_seed_the_same_each_time() {
    let labels: Vec<&str> = (0..20).map(|line| ["a", "b"][line % 2]).collect();
    let seed = |seed| {
        made(&labels, &Settings::default().with("seed", Value::Integer(seed))).expect("a set")
    };
    let set = made(&labels, &Settings::default()).expect("a set");
    assert_eq!((set.train.len(), set.validation.len(), set.test.len()), (16, 2, 2));
    assert_eq!(set, seed(0));
    assert_ne!(set.validation, seed(1).validation);
}

#[test]
fn each_label_is_held_out_in_proportion_and_keeps_an_example_for_training() {
    let labels: Vec<&str> = (0..100)
        .map(|line| match line {
            0 => "rare",
            1..30 => "some",
            _ => "most",
        })
        .collect();
    let settings = Settings::default().with("validation", Value::Float(0.2));
    let set = made(&labels, &settings).expect("a set");
    assert_eq!(set.labels(), ["most", "rare", "some"]);
    let count = |examples: &[Example], label| {
        labels_of(examples).into_iter().filter(|other| *other == label).count()
    };
    assert_eq!([0, 1, 2].map(|label| count(&set.validation, label)), [14, 0, 6]);
    assert_eq!([0, 1, 2].map(|label| count(&set.test, label)), [7, 0, 3]);
    assert_eq!(count(&set.train, 1), 1);
}

#[test]
fn limit_keeps_the_first_examples_and_shuffle_random_ones() {
    let text: String = (0..100).map(|line| format!("line {line}\n")).collect();
    let read = |keys: &[(&str, Value)]| {
        let settings = keys
            .iter()
            .fold(Settings::default(), |settings, (key, value)| settings.with(key, value.clone()))
            .with("validation", Value::Float(0.0))
            .with("test", Value::Float(0.0));
        let set = parse_inline("set", &text, &settings).expect("a set");
        set.train.iter().map(|example| example.completion.to_string()).collect::<Vec<_>>()
    };
    let limit = ("limit", Value::Integer(3));
    assert_eq!(read(std::slice::from_ref(&limit)), ["line 0", "line 1", "line 2"]);
    let shuffled = read(&[limit, ("shuffle", Value::Bool(true))]);
    assert_eq!(shuffled.len(), 3);
    assert_ne!(shuffled, ["line 0", "line 1", "line 2"]);
    let mut all = read(&[("shuffle", Value::Bool(true))]);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 100);
}

#[test]
fn limit_counts_each_split_of_the_data() {
    let mut text = "text,split\n".to_owned();
    for line in 0..30 {
        text.push_str(&format!("line {line},{}\n", ["train", "dev", "test"][line % 3]));
    }
    let settings = Settings::default().with("limit", Value::Integer(4));
    let set = parse_inline("set", &text, &settings).expect("a set");
    assert_eq!((set.train.len(), set.validation.len(), set.test.len()), (4, 4, 4));
    assert_eq!(set.train[1].completion, "line 3");
}

#[test]
fn a_fraction_that_is_set_is_taken_from_the_training_examples() {
    let mut text = "text,split\n".to_owned();
    for line in 0..40 {
        text.push_str(&format!("line {line},{}\n", ["train", "test"][line % 2]));
    }
    let set = parse_inline("set", &text, &Settings::default()).expect("a set");
    assert_eq!((set.train.len(), set.validation.len(), set.test.len()), (20, 0, 20));
    assert!(set.report.notes[0].contains("validation=0.1"), "{:?}", set.report.notes);
    let settings = Settings::default().with("validation", Value::Float(0.1));
    let set = parse_inline("set", &text, &settings).expect("a set");
    assert_eq!((set.train.len(), set.validation.len(), set.test.len()), (18, 2, 20));
}

#[test]
fn sets_that_cannot_be_trained_on_are_refused_in_words() {
    let error = |text: &str, settings: &Settings| {
        parse_inline("set.csv", text, settings).expect_err("refused").to_string()
    };
    let plain = Settings::default();
    assert_eq!(error("text,label\n", &plain), "`set.csv` has no examples");
    assert_eq!(
        error(&rows(&["a", "a"]), &plain),
        "`set.csv` has only the label `a`; classification needs at least two labels"
    );
    assert_eq!(
        error("{\"text\":\"a\",\"label\":\"x\"}\n{\"text\":\"b\"}\n", &plain),
        "`set.csv` line 2 has text, but the first example (`set.csv` line 1) has text and label"
    );
    let template = Settings::default().with("template", Value::Text("Label:".into()));
    assert_eq!(error(&rows(&["a", "b"]), &template), "template `Label:` must contain {text}");
    let shares =
        Settings::default().with("validation", Value::Float(0.5)).with("test", Value::Float(0.5));
    assert_eq!(
        error(&rows(&["a", "b"]), &shares),
        "validation=0.5 and test=0.5 leave none of the 2 examples for training"
    );
}
