//! Builds a data set from records: one kind, sorted labels, three splits.

use std::collections::HashMap;
use std::sync::Arc;

use graft_nn::Rng;
use graft_spec::{Settings, training::DATA};

use super::DataError;
use super::collect::Collected;
use super::dataset::{Dataset, Example, Kind, SplitName};
use super::record::{Content, Record};

/// Default prompt template of labeled examples.
pub(super) const TEMPLATE: &str = "{text}\nLabel:";

/// Builds a data set; `template` is the default template.
pub(super) fn dataset(
    name: &str,
    source_name: &str,
    collected: Collected,
    settings: &Settings,
    template: &str,
) -> Result<Dataset, DataError> {
    let Collected { records, report } = collected;
    check_same_kind(source_name, &records)?;
    let kind = kind(source_name, &records)?;
    let is_template_given =
        settings.text(DATA, "template").is_some_and(|template| !template.is_empty());
    let template = if matches!(kind, Kind::Labels(_)) {
        chosen_template(settings, template)?
    } else {
        String::new()
    };
    let splits = splits(name, &records, settings)?;
    let [train, validation, test] = SplitName::ALL
        .map(|split| Vec::with_capacity(splits.iter().filter(|other| **other == split).count()));
    let mut dataset = Dataset {
        name: name.to_owned(),
        kind,
        template,
        is_template_given,
        train,
        validation,
        test,
        report,
    };
    fill(&mut dataset, records, splits);
    Ok(dataset)
}

/// Checks that there are records, and that all of them are of the same kind.
fn check_same_kind(source_name: &str, records: &[Record]) -> Result<(), DataError> {
    let first =
        records.first().ok_or_else(|| DataError::Empty { source_name: source_name.to_owned() })?;
    let expected = first.content.kind();
    let other = records.iter().find(|record| record.content.kind() != expected);
    other.map_or(Ok(()), |other| {
        Err(DataError::Malformed {
            source_name: source_name.to_owned(),
            line: other.line,
            problem: format!(
                "it has {}, but the first example has {expected}",
                other.content.kind()
            ),
        })
    })
}

/// Adds each record to its split, as an example.
fn fill(dataset: &mut Dataset, records: Vec<Record>, splits: Vec<SplitName>) {
    let labels = dataset.labels().iter().cloned().enumerate();
    let numbers: HashMap<String, usize> = labels.map(|(number, label)| (label, number)).collect();
    for (record, split) in records.into_iter().zip(splits) {
        let example = example(record.content, dataset, &numbers);
        match split {
            SplitName::Train => dataset.train.push(example),
            SplitName::Validation => dataset.validation.push(example),
            SplitName::Test => dataset.test.push(example),
        }
    }
}

fn kind(source_name: &str, records: &[Record]) -> Result<Kind, DataError> {
    let mut labels: Vec<&Arc<str>> = records
        .iter()
        .filter_map(|record| {
            if let Content::Labeled { label, .. } = &record.content { Some(label) } else { None }
        })
        .collect();
    labels.sort();
    labels.dedup();
    in_numeric_order(&mut labels);
    match (&records[0].content, labels.as_slice()) {
        (Content::Text(_), _) => Ok(Kind::Text),
        (Content::Completion { .. }, _) => Ok(Kind::Completion),
        (Content::Labeled { .. }, [label]) => Err(DataError::OneLabel {
            source_name: source_name.to_owned(),
            label: label.to_string(),
        }),
        (Content::Labeled { .. }, labels) => {
            Ok(Kind::Labels(labels.iter().map(|label| label.to_string()).collect()))
        }
    }
}

/// Sorts labels that are all integers, or all `LABEL_` and an integer, by number: `2` before `10`.
fn in_numeric_order(labels: &mut [&Arc<str>]) {
    let number = |label: &str| label.strip_prefix("LABEL_").unwrap_or(label).parse::<i64>().ok();
    if labels.iter().all(|label| number(label).is_some()) {
        labels.sort_by_key(|label| number(label));
    }
}

/// The template of the settings, or the default. `\n` in it is a line end, because a magic is a
/// single line. White space at the end is removed, because the completion starts with a space.
fn chosen_template(settings: &Settings, default: &str) -> Result<String, DataError> {
    let template = settings
        .text(DATA, "template")
        .filter(|template| !template.is_empty())
        .unwrap_or_else(|| default.to_owned());
    if !template.contains("{text}") {
        return Err(DataError::Template { template });
    }
    Ok(template.replace("\\n", "\n").trim_end_matches(' ').to_owned())
}

fn example(content: Content, dataset: &Dataset, numbers: &HashMap<String, usize>) -> Example {
    match content {
        Content::Text(text) => Example { prompt: String::new(), completion: text, label: None },
        Content::Completion { prompt, completion } => Example { prompt, completion, label: None },
        Content::Labeled { text, label } => Example {
            prompt: dataset.template.replace("{text}", &text),
            label: numbers.get(&*label).copied(),
            completion: Dataset::label_completion(&label),
        },
    }
}

/// The split of each record: that of its `split` field if any record has one, otherwise drawn by
/// the fractions in the settings, with the same result for the same name and number of records.
fn splits(
    name: &str,
    records: &[Record],
    settings: &Settings,
) -> Result<Vec<SplitName>, DataError> {
    if records.iter().any(|record| record.split.is_some()) {
        return Ok(records.iter().map(|record| record.split.unwrap_or(SplitName::Train)).collect());
    }
    let share = |key| settings.float(DATA, key).unwrap_or(0.0);
    let validation = share("validation");
    let test = share("test");
    let count = |share: f64| (records.len() as f64 * share).round() as usize;
    if count(validation) + count(test) >= records.len() {
        return Err(DataError::NothingLeft { validation, test, examples: records.len() });
    }
    let mut order: Vec<usize> = (0..records.len()).collect();
    Rng::new(0).stream("split", name).shuffle(&mut order);
    let mut splits = vec![SplitName::Train; records.len()];
    for (rank, index) in order.into_iter().enumerate() {
        if rank < count(validation) {
            splits[index] = SplitName::Validation;
        } else if rank < count(validation) + count(test) {
            splits[index] = SplitName::Test;
        }
    }
    Ok(splits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ReadReport;
    use graft_spec::Value;

    fn labeled(line: usize, label: &str) -> Record {
        Record {
            line,
            content: Content::Labeled { text: format!("text {line}"), label: label.into() },
            split: None,
        }
    }

    fn made(records: Vec<Record>, settings: &Settings) -> Result<Dataset, DataError> {
        dataset(
            "set",
            "set.csv",
            Collected { records, report: ReadReport::default() },
            settings,
            TEMPLATE,
        )
    }

    #[test]
    fn labels_become_completions_of_a_templated_prompt() {
        let settings = Settings::default().with("template", Value::Text("{text}\\nMood: ".into()));
        let set = made(vec![labeled(1, "good"), labeled(2, "bad")], &settings).expect("a set");
        assert_eq!(set.kind, Kind::Labels(vec!["bad".into(), "good".into()]));
        assert_eq!(
            set.train[0],
            Example { prompt: "text 1\nMood:".into(), completion: " good".into(), label: Some(1) }
        );
    }

    #[test]
    fn labels_that_are_integers_are_in_numeric_order() {
        let labels = |labels: &[&str]| {
            made(labels.iter().map(|label| labeled(1, label)).collect(), &Settings::default())
                .expect("a set")
                .labels()
                .join(" ")
        };
        assert_eq!(labels(&["10", "2", "-1"]), "-1 2 10");
        assert_eq!(labels(&["LABEL_10", "LABEL_9"]), "LABEL_9 LABEL_10");
        assert_eq!(labels(&["10", "2", "other"]), "10 2 other");
    }

    #[test]
    fn an_encoder_reads_the_text_alone_unless_a_template_is_given() {
        let records = || vec![labeled(1, "good"), labeled(2, "bad")];
        let set = made(records(), &Settings::default()).expect("a set");
        assert_eq!(
            (set.train[0].prompt.as_str(), &*set.text_for_encoder(&set.train[0])),
            ("text 1\nLabel:", "text 1")
        );
        let set = made(
            records(),
            &Settings::default().with("template", Value::Text("{text}\\nMood:".into())),
        )
        .expect("a set");
        assert_eq!(&*set.text_for_encoder(&set.train[0]), "text 1\nMood:");
        // The default is a template like any other where it is asked for.
        let set =
            made(records(), &Settings::default().with("template", Value::Text(TEMPLATE.into())))
                .expect("a set");
        assert_eq!(&*set.text_for_encoder(&set.train[0]), "text 1\nLabel:");
    }

    #[test]
    fn parts_are_drawn_by_their_shares_the_same_each_time() {
        let records: Vec<_> =
            (0..20).map(|line| labeled(line, if line % 2 == 0 { "a" } else { "b" })).collect();
        let set = made(records.clone(), &Settings::default()).expect("a set");
        assert_eq!((set.train.len(), set.validation.len(), set.test.len()), (16, 2, 2));
        assert_eq!(made(records, &Settings::default()).expect("again"), set);
    }

    #[test]
    fn sets_that_cannot_be_trained_on_are_refused_in_words() {
        let error = |records, settings: &Settings| {
            made(records, settings).expect_err("refused").to_string()
        };
        let plain = Settings::default();
        assert_eq!(error(vec![], &plain), "`set.csv` has no examples");
        assert_eq!(
            error(vec![labeled(1, "a"), labeled(2, "a")], &plain),
            "`set.csv` has only the label `a`; classification needs at least two labels"
        );
        let text = Record { line: 2, content: Content::Text("x".into()), split: None };
        assert_eq!(
            error(vec![labeled(1, "a"), text], &plain),
            "`set.csv` line 2: it has text, but the first example has text and label"
        );
        let template = Settings::default().with("template", Value::Text("Label:".into()));
        assert_eq!(
            error(vec![labeled(1, "a"), labeled(2, "b")], &template),
            "template `Label:` must contain {text}"
        );
        let shares = Settings::default()
            .with("validation", Value::Float(0.5))
            .with("test", Value::Float(0.5));
        assert_eq!(
            error(vec![labeled(1, "a"), labeled(2, "b")], &shares),
            "validation=0.5 and test=0.5 leave none of the 2 examples for training"
        );
    }
}
