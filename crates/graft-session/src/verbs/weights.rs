//! `%weights`: plots how the adapter in use changes the weights.

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

use super::{attach::require_adapter, format::counted};
use crate::{CommandContext, SessionError, SessionState};

/// Most cells of a heat map along each axis.
const MAX_CELLS: usize = 64;
/// Most layers in the table.
const MAX_LAYERS: usize = 12;
/// Nearest tokens shown for each virtual token.
const NEIGHBORS: usize = 3;
/// Examples whose attention is measured.
const EXAMPLES: usize = 8;

/// The table of the changed layers and the plots of one layer. For a soft prompt, the nearest
/// tokens and the attention that the examples of the current data give it.
///
/// # Errors
/// [`SessionError::NoModel`], [`SessionError::NoAdapter`], [`SessionError::NoSuchLayer`];
/// [`SessionError::NoWeights`] for a method that changes no weights.
pub fn weights(cx: &CommandContext, module: Option<&str>) -> Result<Reply, Failure> {
    let state = cx.state();
    let loaded = state.model()?;
    let attached = require_adapter(&state)?;
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

/// The layer to plot: the one whose path is `module` or ends with it; without `module`, the one
/// that has changed the most.
fn chosen(moved: &[UpdateNorm], module: Option<&str>) -> Result<Option<String>, SessionError> {
    let Some(module) = module else { return Ok(moved.first().map(|change| change.path.clone())) };
    let paths = || moved.iter().map(|change| change.path.clone());
    let ends = |path: &String| path == module || path.ends_with(&format!(".{module}"));
    match paths().find(ends) {
        Some(path) => Ok(Some(path)),
        None => {
            // Users type the last parts of the paths, of which there are few.
            let ends: BTreeSet<String> =
                paths().filter_map(|path| Some(path.rsplit('.').next()?.to_owned())).collect();
            Err(SessionError::NoSuchLayer {
                name: module.to_owned(),
                known: ends.into_iter().collect(),
            })
        }
    }
}

/// The relative change of a layer, for sorting. Layers with zero weights come last.
fn moved_by(change: &UpdateNorm) -> f64 {
    change.ratio().unwrap_or(-1.0)
}

fn table(adapter: &Adapter, moved: &[UpdateNorm]) -> Table {
    let title = format!("change of the weights by `{}`", adapter.name());
    let mut table = Table::new(title, &["layer", "#update / weight"]);
    for change in moved.iter().take(MAX_LAYERS) {
        table.row(vec![
            Cell::Code(change.path.clone()),
            change.ratio().map_or_else(
                || Cell::Text("the base weight is zero".to_owned()),
                |share| Cell::Percent(share, 2),
            ),
        ]);
    }
    let more = moved.len().saturating_sub(MAX_LAYERS);
    table.footer.extend((more > 0).then(|| format!("and {more} more with smaller changes")));
    table.footer.push(
        "ratios of Frobenius norms; the plots show the first layer, `%weights LAYER` another one"
            .to_owned(),
    );
    table
}

/// Heat maps of `A`, `B` and the update.
fn maps(found: &LayerAnalysis) -> Vec<HeatMap> {
    let map = |title: &str, grid: &Grid, [rows, columns]: [&str; 2]| {
        let labels = [format!("{rows} {}", grid.rows), format!("{columns} {}", grid.columns)];
        HeatMap::of(title, labels, (grid.rows, grid.columns), &grid.values, MAX_CELLS)
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

/// Singular values of the update and of the frozen weight.
fn spectrum(found: &LayerAnalysis) -> Chart {
    let largest = found.update_values.first().copied().unwrap_or(0.0);
    // Values that are rounding errors would stretch the axis.
    let line = |name: &str, values: &[f64], least: f64| {
        let points = values
            .iter()
            .enumerate()
            .filter(|(_, value)| **value > least)
            .map(|(index, value)| (index as f64 + 1.0, NonFinite(*value)));
        Series {
            name: name.to_owned(),
            style: SeriesStyle::Dots,
            points: points.collect(),
            labels: Vec::new(),
        }
    };
    let series = vec![
        line("frozen weight", &found.weight_values, 0.0),
        line("update", &found.update_values, largest * 1e-4),
    ];
    Chart {
        title: format!("singular values, {}", found.path),
        x_label: "index".to_owned(),
        y_label: "singular value".to_owned(),
        log_y: true,
        series: series.into_iter().filter(|series| !series.points.is_empty()).collect(),
        ..Chart::default()
    }
}

/// The tokens nearest to each virtual token of the active soft prompts; `None` without soft
/// prompts.
fn prompt(model: &dyn Model, tokenizer: &dyn TokenEncoder) -> Result<Option<Table>, Failure> {
    let found = nearest_tokens(model, NEIGHBORS)?;
    let mut table = Table::new(
        "virtual tokens of the soft prompt",
        &["#virtual token", "#norm", "nearest tokens of the vocabulary (cosine similarity)"],
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
    table.footer.push("a cosine similarity near 1 means that token; a much lower one means that the vector is not \
         close to any token".to_owned());
    Ok((!found.is_empty()).then_some(table))
}

/// The attention that the examples of the current data give to each virtual token; empty without
/// soft prompts or data.
fn attention(
    state: &SessionState,
    model: &dyn Model,
    tokenizer: &dyn TokenEncoder,
) -> Result<Vec<Block>, Failure> {
    let Ok(data) = state.data(None) else { return Ok(Vec::new()) };
    let texts = samples(model, tokenizer, &data.dataset, EXAMPLES)?;
    let Some(given) = attention_to_prompt(model, &texts)? else { return Ok(Vec::new()) };
    let labels = [format!("layer {}", given.rows), format!("virtual token {}", given.columns)];
    let map = HeatMap::of(
        "attention to the virtual tokens",
        labels,
        (given.rows, given.columns),
        &given.values,
        MAX_CELLS,
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
        "attention to the virtual tokens: {:.0} % on {} of {} ({tokens:.0} tokens on average); a uniform distribution \
         would give {:.0} %",
        100.0 * share,
        counted(texts.len(), "text"),
        data.dataset.name,
        100.0 * even,
    );
    Ok(vec![Block::Heat(vec![map]), Block::Text(words)])
}

/// The mean attention that `count` virtual tokens would get from a text whose tokens attend
/// uniformly: in a causal model to themselves and the tokens before them, else to all tokens.
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
    fn uniform_attention_depends_on_the_number_of_visible_tokens() {
        assert_eq!(even_share(2, 2, false), 0.5);
        assert_eq!(even_share(2, 2, true), f64::midpoint(2.0 / 3.0, 0.5));
    }
}
