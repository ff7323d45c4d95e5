//! `%weights`: what the adapter in use does to the weights, in pictures.

use std::collections::BTreeSet;

use graft_nn::{Model, Task, TokenEncoder};
use graft_peft::{
    Adapter, Grid, LayerAnalysis, UpdateNorm, analyze_layer, attention_to_prompt, nearest_tokens,
    update_norms,
};
use graft_protocol::{
    Block, Cell, Chart, HeatMap, Reply, Series, SeriesStyle, Table, chart::NonFinite,
};
use graft_spec::Failure;
use graft_train::samples;

use super::{attach::adapter_wanted, words::counted};
use crate::{CommandContext, SessionError, State};

/// Cells of a picture along each side.
const CELLS: usize = 64;
/// Layers in the table.
const LAYERS: usize = 12;
/// Words shown for each vector of a soft prompt.
const WORDS: usize = 3;
/// Examples whose attention is looked at.
const TEXTS: usize = 8;

/// The table of what has moved, and the pictures of one layer; of a soft prompt, its nearest words and the attention that the data's texts give it.
///
/// # Errors
/// [`SessionError::NoModel`], [`SessionError::NoAdapter`], [`SessionError::NoSuchLayer`], [`SessionError::NoWeights`] for a method that changes no weight.
pub fn weights(desk: &CommandContext, module: Option<&str>) -> Result<Reply, Failure> {
    let state = desk.state();
    let loaded = state.model()?;
    let attached = adapter_wanted(&state)?;
    let (model, adapter) = (loaded.loaded.model.as_ref(), &attached.adapter);
    let mut moved = update_norms(model, adapter)?;
    let mut blocks = Vec::new();
    if module.is_none() {
        blocks.extend(prompt(model, loaded.loaded.tokenizer.as_ref())?.map(Block::Table));
        blocks.extend(attention(&state, model, loaded.loaded.tokenizer.as_ref())?);
    }
    moved.sort_by(|one, other| {
        moved_by(other).total_cmp(&moved_by(one)).then(other.update.total_cmp(&one.update))
    });
    if let Some(path) = chosen(&moved, module)? {
        blocks.push(Block::Table(table(adapter, &moved)));
        if let Some(found) = analyze_layer(model, adapter, &path)? {
            blocks.extend([Block::Heat(maps(&found)), Block::Chart(spectrum(&found))]);
        }
    }
    if blocks.is_empty() {
        return Err(SessionError::NoWeights {
            name: adapter.name().to_owned(),
            method: adapter.spec().verb,
        }
        .into());
    }
    Ok(Reply { blocks })
}

/// The layer to look at: the one whose path is `module` or ends with it, else the one that has moved most.
fn chosen(moved: &[UpdateNorm], module: Option<&str>) -> Result<Option<String>, SessionError> {
    let Some(module) = module else { return Ok(moved.first().map(|change| change.path.clone())) };
    let paths = || moved.iter().map(|change| change.path.clone());
    let ends = |path: &String| path == module || path.ends_with(&format!(".{module}"));
    match paths().find(ends) {
        Some(path) => Ok(Some(path)),
        None => {
            // The ends of the paths are what one types, and few.
            let ends: BTreeSet<String> =
                paths().filter_map(|path| Some(path.rsplit('.').next()?.to_owned())).collect();
            Err(SessionError::NoSuchLayer {
                name: module.to_owned(),
                known: ends.into_iter().collect(),
            })
        }
    }
}

/// By how much a layer has moved, for the order: those without a length to compare with come last.
fn moved_by(change: &UpdateNorm) -> f64 {
    change.ratio().unwrap_or(-1.0)
}

fn table(adapter: &Adapter, moved: &[UpdateNorm]) -> Table {
    let title = format!("how far `{}` has moved the weights", adapter.name());
    let mut table = Table::new(title, &["layer", "#update / weight"]);
    for change in moved.iter().take(LAYERS) {
        table.row(vec![
            Cell::Code(change.path.clone()),
            change.ratio().map_or_else(
                || Cell::Text("the base weight is zero".to_owned()),
                |share| Cell::Percent(share, 2),
            ),
        ]);
    }
    let more = moved.len().saturating_sub(LAYERS);
    table.footer.extend((more > 0).then(|| format!("and {more} more that have moved less")));
    table.footer.push("lengths are Frobenius norms; the pictures are of the first layer, `%weights LAYER` shows another".to_owned());
    table
}

/// A, B and the update.
fn maps(found: &LayerAnalysis) -> Vec<HeatMap> {
    let map = |title: &str, grid: &Grid, [rows, columns]: [&str; 2]| {
        let labels = [format!("{rows} {}", grid.rows), format!("{columns} {}", grid.columns)];
        HeatMap::of(title, labels, (grid.rows, grid.columns), &grid.values, CELLS)
    };
    let factors = [("lora_A", &found.a, ["rank", "d_in"]), ("lora_B", &found.b, ["d_out", "rank"])];
    let mut maps: Vec<_> = factors
        .into_iter()
        .filter_map(|(title, grid, labels)| Some(map(title, grid.as_ref()?, labels)))
        .collect();
    let title = if maps.len() == 2 { "update = scale · B A" } else { "update" };
    maps.push(map(title, &found.update, ["d_out", "d_in"]));
    maps
}

/// Singular values of the update beside the frozen weight's.
fn spectrum(found: &LayerAnalysis) -> Chart {
    let largest = found.update_values.first().copied().unwrap_or(0.0);
    // What is nothing but rounding would stretch the axis.
    let line = |name: &str, values: &[f64], least: f64| {
        let points = values
            .iter()
            .enumerate()
            .filter(|(_, value)| **value > least)
            .map(|(index, value)| (index as f64 + 1.0, NonFinite(*value)));
        Series { name: name.to_owned(), style: SeriesStyle::Dots, points: points.collect() }
    };
    let series = vec![
        line("frozen weight", &found.weight_values, 0.0),
        line("update", &found.update_values, largest * 1e-4),
    ];
    Chart {
        title: format!("singular values, {}", found.path),
        x_label: "number".to_owned(),
        y_label: "singular value".to_owned(),
        log_y: true,
        series: series.into_iter().filter(|series| !series.points.is_empty()).collect(),
        ..Chart::default()
    }
}

/// The words nearest to each vector of the soft prompts that act; none where none does.
fn prompt(model: &dyn Model, tokenizer: &dyn TokenEncoder) -> Result<Option<Table>, Failure> {
    let found = nearest_tokens(model, WORDS)?;
    let mut table = Table::new(
        "the soft prompt, vector by vector",
        &["#vector", "#length", "nearest words of the vocabulary, with their cosines"],
    );
    for (index, (length, words)) in found.iter().enumerate() {
        let word = |(id, cosine): &(u32, f32)| {
            format!("{:?} {cosine:.2}", tokenizer.decode(&[*id]).unwrap_or_default())
        };
        let words: Vec<_> = words.iter().map(word).collect();
        table.row(vec![
            Cell::Integer(index as i64 + 1),
            Cell::Float(f64::from(*length), 2),
            Cell::Text(words.join(", ")),
        ]);
    }
    table.footer.push("a cosine near 1 is that word; far below it the vector is no word at all, which training is free to find".to_owned());
    Ok((!found.is_empty()).then_some(table))
}

/// What the texts of the data give to each virtual token; nothing where none acts or no data is loaded.
fn attention(
    state: &State,
    model: &dyn Model,
    tokenizer: &dyn TokenEncoder,
) -> Result<Vec<Block>, Failure> {
    let Ok(data) = state.data(None) else { return Ok(Vec::new()) };
    let texts = samples(model, tokenizer, &data.dataset, TEXTS)?;
    let Some(given) = attention_to_prompt(model, &texts)? else { return Ok(Vec::new()) };
    let labels = [format!("layer {}", given.rows), format!("virtual token {}", given.columns)];
    let map = HeatMap::of(
        "attention to the virtual tokens",
        labels,
        (given.rows, given.columns),
        &given.values,
        CELLS,
    );
    let share =
        given.values.iter().map(|share| f64::from(*share)).sum::<f64>() / given.rows.max(1) as f64;
    let tokens = texts.iter().map(Vec::len).sum::<usize>() as f64 / texts.len() as f64;
    let even = texts
        .iter()
        .map(|text| even_share(given.columns, text.len(), model.task() == Task::CausalLm))
        .sum::<f64>()
        / texts.len() as f64;
    let words = format!(
        "the tokens of {} of {} ({tokens:.0} tokens each on average) give {:.0} % of their attention to the virtual tokens; spread evenly over all that \
         a token sees it would be {:.0} %",
        counted(texts.len(), "text"),
        data.dataset.name,
        100.0 * share,
        100.0 * even,
    );
    Ok(vec![Block::Heat(vec![map]), Block::Text(words)])
}

/// What `count` virtual tokens would get on average from the tokens of a text that spread their attention evenly: each sees those before it and itself in a
/// causal model, else all of them.
fn even_share(count: usize, tokens: usize, is_causal: bool) -> f64 {
    let share = |seen: usize| count as f64 / (count + seen) as f64;
    if is_causal {
        (1..=tokens).map(share).sum::<f64>() / tokens.max(1) as f64
    } else {
        share(tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::even_share;

    #[test]
    fn an_even_spread_counts_what_a_token_sees() {
        assert_eq!(even_share(2, 2, false), 0.5);
        assert_eq!(even_share(2, 2, true), f64::midpoint(2.0 / 3.0, 0.5));
    }
}
