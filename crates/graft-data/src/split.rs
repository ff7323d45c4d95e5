//! Builds a data set from examples: their order, their number, and the three splits.

use graft_random::{Rng, Stream};

use super::DataError;
use super::collect::Collected;
use super::dataset::{Dataset, Example, Extra, Kind, SplitName};
use super::options::{HeldOut, Order, ReadOptions};
use super::shape::Shape;

/// Builds a data set.
///
/// # Errors
/// [`DataError::NothingLeft`] when no example is left for training.
pub(crate) fn dataset(
    name: &str,
    collected: Collected,
    options: &ReadOptions,
) -> Result<Dataset, DataError> {
    let Collected { mut examples, mut splits, shape, is_verbatim, labels, mut report } = collected;
    let rng = Rng::new(options.seed);
    if options.order == Order::Shuffled {
        // The same numbers for both, so that an example keeps its split.
        let order = rng.stream("order", name);
        order.clone().shuffle(&mut examples);
        order.clone().shuffle(&mut splits);
    }
    limit(&mut examples, &mut splits, options.limit);
    let has_own = splits.iter().any(Option::is_some);
    let splits = complete(splits, &examples, options, &mut rng.stream("split", name))?;
    report.notes.extend(not_held_out(has_own, &splits, options));
    let is_chat = |example: &Example| {
        matches!(example.extra.as_deref(), Some(Extra::RejectedConversation { .. }))
    };
    let has_chats = shape == Shape::Chat || examples.iter().any(is_chat);
    if options.chat_template.is_some() && !has_chats {
        report
            .notes
            .push("`chat_template` has no effect: the data has no conversations".to_owned());
    }
    let template = match shape {
        Shape::Completion if is_verbatim && !options.template.is_given() => "",
        shape => options.template.of(shape, is_verbatim)?,
    };
    let [train, validation, test] = parted(examples, &splits);
    if !has_own {
        report.notes.extend(too_few([&train, &validation, &test], options));
    }
    Ok(Dataset {
        name: name.to_owned(),
        kind: match shape {
            Shape::Text => Kind::Text,
            Shape::Completion => Kind::Completion,
            Shape::Labeled | Shape::Pair => Kind::Labels(labels),
            Shape::Preference => Kind::Preference,
            Shape::Chat => Kind::Chat,
        },
        template: template.to_owned(),
        is_template_given: options.template.is_given(),
        chat_template: options.chat_template.clone(),
        train,
        validation,
        test,
        report,
    })
}

/// Keeps the first examples of each split, or of all if the data has no splits.
fn limit(examples: &mut Vec<Example>, splits: &mut Vec<Option<SplitName>>, most: Option<usize>) {
    let Some(most) = most else { return };
    let mut kept = [0; 4];
    let is_kept: Vec<bool> = splits
        .iter()
        .map(|split| {
            let count = &mut kept[split.map_or(3, |split| split as usize)];
            *count += 1;
            *count <= most
        })
        .collect();
    let mut each = is_kept.iter();
    examples.retain(|_| each.next() == Some(&true));
    let mut each = is_kept.iter();
    splits.retain(|_| each.next() == Some(&true));
}

/// The split of each example: that of the data if it has any, otherwise drawn by the fractions of
/// the options, with the same result for the same name, seed and examples. A fraction that the user
/// set is taken from the training examples if the data has no such split.
fn complete(
    splits: Vec<Option<SplitName>>,
    examples: &[Example],
    options: &ReadOptions,
    stream: &mut Stream,
) -> Result<Vec<SplitName>, DataError> {
    let has_own = splits.iter().any(Option::is_some);
    let mut complete: Vec<SplitName> =
        splits.into_iter().map(|split| split.unwrap_or(SplitName::Train)).collect();
    let share = |part: &HeldOut, split: SplitName| match has_own {
        false => part.share(),
        true if complete.contains(&split) => 0.0,
        true => part.given_share().unwrap_or(0.0),
    };
    let validation = share(&options.validation, SplitName::Validation);
    let test = share(&options.test, SplitName::Test);
    let mut train: Vec<usize> =
        (0..complete.len()).filter(|index| complete[*index] == SplitName::Train).collect();
    let count = |share: f64| (train.len() as f64 * share).round() as usize;
    let counts = [count(validation), count(test)];
    if counts[0] + counts[1] >= train.len().max(1) {
        return Err(DataError::NothingLeft { validation, test, examples: train.len() });
    }
    stream.shuffle(&mut train);
    for (index, split) in drawn(&train, examples, counts) {
        complete[index] = split;
    }
    Ok(complete)
}

/// The examples to hold out, of shuffled ones: the first ones, and of labeled examples the same
/// fraction of each label. Every label keeps an example for training.
fn drawn(shuffled: &[usize], examples: &[Example], counts: [usize; 2]) -> Vec<(usize, SplitName)> {
    let labels = shuffled.iter().filter_map(|index| examples[*index].label).max();
    let groups = labels.map_or(1, |most| most + 1);
    let mut of_label: Vec<Vec<usize>> = vec![Vec::new(); groups];
    for index in shuffled {
        of_label[examples[*index].label.unwrap_or(0)].push(*index);
    }
    let mut held = Vec::new();
    let mut taken = vec![0; groups];
    for (count, split) in counts.into_iter().zip([SplitName::Validation, SplitName::Test]) {
        let quotas = quotas(&of_label, &taken, count, shuffled.len());
        for ((group, quota), taken) in of_label.iter().zip(quotas).zip(&mut taken) {
            held.extend(group[*taken..*taken + quota].iter().map(|index| (*index, split)));
            *taken += quota;
        }
    }
    held
}

/// How many of `count` examples to take of each group: in proportion to its size, the rest from the
/// groups with the largest remainders.
fn quotas(groups: &[Vec<usize>], taken: &[usize], count: usize, total: usize) -> Vec<usize> {
    let room = |group: usize| groups[group].len().saturating_sub(taken[group] + 1);
    let exact = |group: usize| groups[group].len() as f64 * count as f64 / total.max(1) as f64;
    let mut quotas: Vec<usize> =
        (0..groups.len()).map(|group| (exact(group).floor() as usize).min(room(group))).collect();
    let mut order: Vec<usize> = (0..groups.len()).collect();
    order.sort_by(|one, other| {
        let remainder = |group: usize| exact(group) - exact(group).floor();
        remainder(*other).total_cmp(&remainder(*one))
    });
    let mut missing = count.saturating_sub(quotas.iter().sum());
    while missing > 0 {
        let before = missing;
        for group in &order {
            if missing > 0 && quotas[*group] < room(*group) {
                quotas[*group] += 1;
                missing -= 1;
            }
        }
        if missing == before {
            break;
        }
    }
    quotas
}

/// A note about data whose own splits lack one for validation, which is then not drawn.
fn not_held_out(has_own: bool, splits: &[SplitName], options: &ReadOptions) -> Option<String> {
    let has = |split| splits.contains(&split);
    let is_missing = has_own && !has(SplitName::Validation);
    let found = if has(SplitName::Test) { "a test split but no" } else { "no test and no" };
    (is_missing && options.validation.given_share().is_none() && options.validation.share() > 0.0)
        .then(|| {
            format!(
                "the data has {found} validation split; validation=0.1 takes a part of the \
                 training examples"
            )
        })
}

/// A note about fractions of so few examples that none is held out.
fn too_few([train, validation, test]: [&[Example]; 3], options: &ReadOptions) -> Option<String> {
    let is_empty = |split: &[Example], part: &HeldOut| split.is_empty() && part.share() > 0.0;
    let empty = [
        is_empty(validation, &options.validation).then_some("validation"),
        is_empty(test, &options.test).then_some("test"),
    ];
    let empty: Vec<&str> = empty.into_iter().flatten().collect();
    // A test split without a validation split, or the reverse, has a note of its own.
    if empty.is_empty() || !(validation.is_empty() && test.is_empty()) {
        return None;
    }
    let splits = empty.join(" and ");
    match train.len() {
        0 | 1 => Some(format!("1 example: too few to hold any out for {splits}")),
        count => Some(format!(
            "{count} examples: too few to hold any out for {splits}; {}=0.5 holds out half of them",
            empty[0]
        )),
    }
}

/// The examples of each split, in their order.
fn parted(mut examples: Vec<Example>, splits: &[SplitName]) -> [Vec<Example>; 3] {
    let mut take = |split: SplitName, splits: &mut Vec<SplitName>| -> Vec<Example> {
        let mut each = splits.clone().into_iter();
        let taken = examples.extract_if(.., |_| each.next() == Some(split)).collect();
        splits.retain(|other| *other != split);
        taken
    };
    let mut splits = splits.to_vec();
    let validation = take(SplitName::Validation, &mut splits);
    let test = take(SplitName::Test, &mut splits);
    examples.shrink_to_fit();
    [examples, validation, test]
}

#[cfg(test)]
mod tests;
