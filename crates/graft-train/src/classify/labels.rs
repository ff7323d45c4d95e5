//! Matches the labels of a data set with the classes of a classifier.

use std::sync::Arc;

use graft_nn::{LabelNames, Model, Task};

use crate::data::{Dataset, Kind};
use crate::{Result, TrainError};

/// Most names listed in a message.
const LISTED: usize = 12;

/// The classes of a data set's labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelMap {
    /// The class of each label, in the order of [`Dataset::labels`]; empty for a language model,
    /// which writes labels as words.
    pub classes: Vec<usize>,
    /// The names of the classes once the model has been trained on the data.
    pub names: Option<Arc<Vec<String>>>,
    /// A warning for the user: labels that do not match a class by name.
    pub warning: Option<String>,
}

/// Matches the labels of a data set with the classes of a model.
///
/// A label matches the class of the same name, first exactly, then ignoring case; otherwise
/// `LABEL_2` or `2` matches class 2. The remaining labels get the remaining classes in order, with
/// a warning unless the head is fresh. The data set may have fewer labels than the model has
/// classes.
///
/// # Errors
/// [`TrainError::NoHead`] for an encoder without a head. [`TrainError::Classes`] for a classifier
/// when the data has no labels, more labels than the model has classes, or another number of labels
/// than a fresh head.
pub fn label_map(model: &dyn Model, data: &Dataset) -> Result<LabelMap> {
    let labels: &[String] = if let Kind::Labels(labels) = &data.kind { labels } else { &[] };
    let count = match model.task() {
        Task::CausalLm | Task::Seq2SeqLm => return Ok(LabelMap::default()),
        Task::FeatureExtraction => {
            return Err(TrainError::NoHead {
                family: model.shape().family.clone(),
                labels: labels.len(),
            });
        }
        Task::SequenceClassification { labels } => labels,
    };
    let known = model.label_names().and_then(LabelNames::get);
    let is_fresh = model.label_names().is_some_and(LabelNames::is_fresh);
    let names = known.as_deref().map_or(&[][..], Vec::as_slice);
    let does_not_fit = || TrainError::Classes {
        head: count,
        names: names.to_vec(),
        data: data.name.clone(),
        labels: labels.to_vec(),
    };
    if labels.is_empty() || labels.len() > count {
        return Err(does_not_fit());
    }
    let matched = matched_classes(labels, names, count);
    let unmatched: Vec<usize> =
        (0..labels.len()).filter(|label| matched[*label].is_none()).collect();
    if !unmatched.is_empty() && is_fresh && labels.len() != count {
        return Err(does_not_fit());
    }
    let warning = (!unmatched.is_empty() && !is_fresh)
        .then(|| warning(data, labels, names, count, &unmatched));
    let classes = filled(matched, count);
    let names = renamed(labels, names, count, &classes, &unmatched);
    Ok(LabelMap { classes, names: Some(Arc::new(names)), warning })
}

/// The class of each label, by name or, if some names match no class, by number.
fn matched_classes(labels: &[String], names: &[String], count: usize) -> Vec<Option<usize>> {
    let mut matched = by_name(labels, names);
    if matched.iter().any(Option::is_none)
        && let Some(classes) = by_number(labels, count)
    {
        matched = classes.into_iter().map(Some).collect();
    }
    matched
}

/// The class of the same name, exact matches first; no class matches two labels.
fn by_name(labels: &[String], names: &[String]) -> Vec<Option<usize>> {
    let mut classes: Vec<Option<usize>> =
        labels.iter().map(|label| names.iter().position(|name| name == label)).collect();
    let fold = |name: &str| name.trim().to_lowercase();
    for (label, text) in labels.iter().enumerate() {
        if classes[label].is_none() {
            let free = |class: &usize| {
                !classes.contains(&Some(*class)) && fold(&names[*class]) == fold(text)
            };
            classes[label] = (0..names.len()).find(free);
        }
    }
    classes
}

/// The classes when all labels are class numbers, such as `LABEL_2` or `2`.
fn by_number(labels: &[String], count: usize) -> Option<Vec<usize>> {
    let number = |label: &String| {
        let digits = label
            .get(..6)
            .filter(|start| start.eq_ignore_ascii_case("LABEL_"))
            .map_or(label.as_str(), |_| &label[6..]);
        digits.parse().ok().filter(|class| *class < count)
    };
    let classes: Vec<usize> = labels.iter().map(number).collect::<Option<_>>()?;
    // `2` and `LABEL_2` would be the same class.
    (0..classes.len()).all(|label| !classes[..label].contains(&classes[label])).then_some(classes)
}

/// Gives the unmatched labels the remaining classes, in order.
fn filled(matched: Vec<Option<usize>>, count: usize) -> Vec<usize> {
    let mut free: Vec<usize> =
        (0..count).rev().filter(|class| !matched.contains(&Some(*class))).collect();
    matched
        .into_iter()
        .map(|class| {
            class.or_else(|| free.pop()).expect("invariant: there are no more labels than classes")
        })
        .collect()
}

/// The names of the classes after the run. Unnamed classes, and those of unmatched labels, get the
/// name of their label.
fn renamed(
    labels: &[String],
    names: &[String],
    count: usize,
    classes: &[usize],
    unmatched: &[usize],
) -> Vec<String> {
    let mut renamed: Vec<String> = (0..count)
        .map(|class| names.get(class).cloned().unwrap_or_else(|| format!("LABEL_{class}")))
        .collect();
    for (label, class) in classes.iter().enumerate() {
        if names.is_empty() || unmatched.contains(&label) {
            renamed[*class].clone_from(&labels[label]);
        }
    }
    renamed
}

fn warning(
    data: &Dataset,
    labels: &[String],
    names: &[String],
    count: usize,
    unmatched: &[usize],
) -> String {
    let classes: Vec<String> = if names.is_empty() {
        (0..count).map(|class| format!("LABEL_{class}")).collect()
    } else {
        names.to_vec()
    };
    let missing: Vec<String> = unmatched.iter().map(|label| labels[*label].clone()).collect();
    let who = match missing.len() {
        all if all == labels.len() => format!("no label of data set `{}` is", data.name),
        1 => format!("the label {} of data set `{}` is not", listed(&missing), data.name),
        _ => format!("the labels {} of data set `{}` are not", listed(&missing), data.name),
    };
    format!(
        "{who} among the model's classes, so classes were assigned in order and the accuracy may be meaningless; classes of the model: {}; labels of the data: {}; \
         to match them, rename the labels in the data or `id2label` in the model's config.json",
        listed(&classes),
        listed(labels)
    )
}

/// Names for a message, at most twelve of them.
pub(crate) fn listed(names: &[String]) -> String {
    let shown =
        names.iter().take(LISTED).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.len() > LISTED { format!("{shown} and {} more", names.len() - LISTED) } else { shown }
}

#[cfg(test)]
mod tests;
