//! `%params`: the parameters by module, with one row for all layers of a kind.

use graft_nn::{Model, Site};
use graft_protocol::{Cell, Table};

use crate::{Adapter, Counts, counts};

/// One row: the same module in several blocks, with the same shape and the same number of trainable
/// parameters.
struct Group {
    /// The path before and after the block number: `model.layers.`, `.self_attn.q_proj`; the second
    /// is empty outside of blocks.
    path: (String, String),
    numbers: Vec<usize>,
    shape: Vec<usize>,
    /// Of one layer.
    trainable: u64,
    /// Of one layer, including its adapter.
    all: u64,
}

/// The table of a model with one adapter; its footer is HF PEFT's line.
pub fn parameter_table(model: &dyn Model, adapter: Option<&Adapter>) -> Table {
    let adapters: Vec<_> = adapter.into_iter().collect();
    let total = counts(model, &adapters);
    let title = match adapter {
        Some(adapter) => {
            format!("{} `{}`: {}", adapter.spec().verb, adapter.name(), adapter.summary())
        }
        None => "no adapter".to_owned(),
    };
    let mut table =
        Table::new(title, &["module", "#layers", "weight", "#trainable", "#all", "#trainable %"]);
    for group in groups(model, adapter) {
        table.row(group.cells());
    }
    table.row(total_cells(total));
    table.footer.push(total.line());
    table
}

fn groups(model: &dyn Model, adapter: Option<&Adapter>) -> Vec<Group> {
    let acts = adapter.is_some_and(|adapter| adapter.is_active(model));
    let mut groups: Vec<Group> = Vec::new();
    for site in model.sites() {
        let added = adapter.map_or((0, 0), |adapter| adapter.parameters_at(site.path));
        let (path, number) = split(site.path);
        let group = of_site(&site, path, added, acts);
        add(&mut groups, group, number);
    }
    // A head that shares the embedding's weight has no parameters of its own, except those of an
    // adapter.
    for (head, adapter) in model.tied_head().into_iter().zip(adapter) {
        let (in_adapter, added) = adapter.parameters_at(head.path());
        if added > 0 {
            let shape = vec![head.d_out(), head.d_in()];
            let group = Group {
                path: split(head.path()).0,
                numbers: Vec::new(),
                shape,
                trainable: if acts { in_adapter } else { 0 },
                all: added,
            };
            add(&mut groups, group, None);
        }
    }
    for (name, var) in adapter.into_iter().flat_map(Adapter::standalone_weights) {
        let (path, number) = split(name);
        let added = var.elem_count() as u64;
        let group = Group {
            path,
            numbers: Vec::new(),
            shape: var.dims().to_vec(),
            trainable: if acts { added } else { 0 },
            all: added,
        };
        add(&mut groups, group, number);
    }
    groups
}

/// Adds a layer to the row of its kind, or starts a new row.
fn add(groups: &mut Vec<Group>, group: Group, number: Option<usize>) {
    match groups.iter_mut().find(|known| known.is_like(&group)) {
        Some(known) => known.numbers.extend(number),
        None => groups.push(Group { numbers: number.into_iter().collect(), ..group }),
    }
}

fn of_site(
    site: &Site<'_>,
    path: (String, String),
    (in_adapter, added): (u64, u64),
    acts: bool,
) -> Group {
    let parameters = site.layer.parameters();
    let base: u64 = parameters.iter().map(|parameter| parameter.elements() as u64).sum();
    let trained: u64 = parameters
        .iter()
        .filter(|parameter| parameter.is_trainable())
        .map(|parameter| parameter.elements() as u64)
        .sum();
    let shape = parameters.first().map(|parameter| parameter.dims()).unwrap_or_default();
    Group {
        path,
        numbers: Vec::new(),
        shape,
        trainable: trained + if acts { in_adapter } else { 0 },
        all: base + added,
    }
}

impl Group {
    fn is_like(&self, other: &Self) -> bool {
        (&self.path, &self.shape, self.trainable, self.all)
            == (&other.path, &other.shape, other.trainable, other.all)
    }

    fn cells(&self) -> Vec<Cell> {
        let layers = self.numbers.len().max(1) as u64;
        let shape = self.shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" × ");
        let (trainable, all) = (self.trainable * layers, self.all * layers);
        let percent = Counts { trainable, all }.percent();
        let trained = if trainable == 0 {
            [Cell::Integer(0), Cell::Integer(all as i64), Cell::Empty]
        } else {
            numbers(trainable, all, percent)
        };
        let [trainable, all, percent] = trained;
        vec![
            Cell::Code(self.name()),
            Cell::Integer(layers as i64),
            Cell::Text(shape),
            trainable,
            all,
            percent,
        ]
    }

    /// `model.layers.0-3.self_attn.q_proj`
    fn name(&self) -> String {
        format!("{}{}{}", self.path.0, ranges(&self.numbers), self.path.1)
    }
}

fn total_cells(total: Counts) -> Vec<Cell> {
    let [trainable, all, percent] = numbers(total.trainable, total.all, total.percent());
    vec![Cell::Strong("total".to_owned()), Cell::Empty, Cell::Empty, trainable, all, percent]
}

fn numbers(trainable: u64, all: u64, percent: f64) -> [Cell; 3] {
    [Cell::Integer(trainable as i64), Cell::Integer(all as i64), Cell::Percent(percent / 100.0, 4)]
}

/// The path before and after its first numeric component, and the number.
fn split(path: &str) -> ((String, String), Option<usize>) {
    let mut start = 0;
    for part in path.split('.') {
        if let Ok(number) = part.parse() {
            let (before, after) = path.split_at(start);
            return (
                (
                    before.to_owned(),
                    after.trim_start_matches(|letter: char| letter.is_ascii_digit()).to_owned(),
                ),
                Some(number),
            );
        }
        start += part.len() + 1;
    }
    ((path.to_owned(), String::new()), None)
}

/// Ascending numbers in short form: `0-3,7`.
fn ranges(numbers: &[usize]) -> String {
    let mut spans: Vec<(usize, usize)> = Vec::new();
    for number in numbers {
        match spans.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => spans.push((*number, *number)),
        }
    }
    let span = |(first, last): &(usize, usize)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    spans.iter().map(span).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_split_at_their_first_number() {
        assert_eq!(
            split("model.layers.12.mlp.up_proj"),
            (("model.layers.".to_owned(), ".mlp.up_proj".to_owned()), Some(12))
        );
        assert_eq!(split("model.norm"), (("model.norm".to_owned(), String::new()), None));
    }

    #[test]
    fn numbers_in_a_row_are_a_range() {
        assert_eq!(ranges(&[0, 1, 2, 5, 7, 8]), "0-2,5,7-8");
        assert_eq!(ranges(&[]), "");
    }
}
