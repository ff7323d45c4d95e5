//! Tables and other blocks as plain text, for `println!`. The host renders the rich forms.

use graft_protocol::{
    Align, Block, Cell, CheckResult, ConfusionMatrix, ShownToken, Table, TokenList, TreeLine,
};
use graft_spec::number;

/// A table with a line under its header.
pub(crate) fn table(table: &Table) -> String {
    let header = table.columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>();
    let rows =
        table.rows.iter().map(|row| row.iter().map(cell).collect()).collect::<Vec<Vec<String>>>();
    let width = |place: usize| {
        rows.iter()
            .chain([&header])
            .filter_map(|row| row.get(place))
            .map(|text| text.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<_> = (0..header.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let padded =
            row.iter().zip(&widths).zip(&table.columns).map(|((text, width), column)| match column
                .align
            {
                Align::Left => format!("{text:<width$}"),
                Align::Right => format!("{text:>width$}"),
            });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let rule = widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>().join("  ");
    let mut lines: Vec<String> =
        (!table.title.is_empty()).then(|| table.title.clone()).into_iter().collect();
    lines.extend([line(&header), rule]);
    lines.extend(rows.iter().map(line));
    lines.extend(table.footer.iter().cloned());
    lines.join("\n")
}

/// The lines of a module tree.
pub(crate) fn tree(lines: &[TreeLine]) -> String {
    let line = |line: &TreeLine| {
        format!("{}{}  {}", "  ".repeat(line.depth), line.name, line.note).trim_end().to_owned()
    };
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The results of checks, one line each.
pub(crate) fn checks(results: &[CheckResult]) -> String {
    let line = |result: &CheckResult| {
        let sign = if result.passed { "passed" } else { "failed" };
        let points = result
            .points
            .map(|points| format!(" ({} of {} points)", points.earned, points.possible));
        let next = result.next.as_ref().map(|next| format!("\n  next: {next}"));
        let (points, next) = (points.unwrap_or_default(), next.unwrap_or_default());
        format!("{sign} {}: {}{points}{next}", result.condition, result.reason)
    };
    results.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The tokens of an example, one line each; those that carry loss have a mark.
pub(crate) fn tokens(list: &TokenList) -> String {
    let line = |token: &ShownToken| {
        let mark = if token.has_loss { "*" } else { " " };
        format!("{mark} {:>7}  {:?}", token.id, token.text)
    };
    let mut lines = vec![list.title.clone()];
    lines.extend(list.tokens.iter().map(line));
    lines.push(format!("{} (*)", list.note));
    lines.join("\n")
}

/// A confusion matrix as a table.
pub(crate) fn confusion(matrix: &ConfusionMatrix) -> String {
    let headers: Vec<String> = matrix.names.iter().map(|name| format!("#{name}")).collect();
    let headers: Vec<&str> =
        std::iter::once("expected").chain(headers.iter().map(String::as_str)).collect();
    let mut data = Table::new(matrix.title.clone(), &headers);
    for (name, row) in matrix.names.iter().zip(&matrix.counts) {
        let counts = row.iter().map(|count| Cell::Integer(*count as i64));
        data.row(std::iter::once(Cell::Text(name.clone())).chain(counts).collect());
    }
    data.footer.push(matrix.note.clone());
    table(&data)
}

/// Any block.
pub(crate) fn block(block: &Block) -> String {
    match block {
        Block::Text(text) | Block::Note(_, text) => text.clone(),
        Block::Table(data) => table(data),
        Block::Chart(chart) => format!("[chart: {}]", chart.title),
        Block::Heat(maps) => format!(
            "[heat maps: {}]",
            maps.iter().map(|map| map.title.as_str()).collect::<Vec<_>>().join(", ")
        ),
        Block::Generated { prompt, text, .. } => format!("{prompt}{text}"),
        Block::SideBySide { prompt, columns } => {
            let texts = columns.iter().map(|column| {
                format!("--- {} ({})\n{prompt}{}", column.title, column.note, column.text)
            });
            texts.collect::<Vec<_>>().join("\n")
        }
        Block::Tree(lines) => tree(lines),
        Block::Checks(results) => checks(results),
        Block::Tokens(list) => tokens(list),
        Block::Confusion(matrix) => confusion(matrix),
    }
}

fn cell(cell: &Cell) -> String {
    match cell {
        Cell::Empty => String::new(),
        Cell::Text(text) | Cell::Code(text) | Cell::Strong(text) => text.clone(),
        Cell::Integer(value) => value.to_string(),
        Cell::Float(value, decimals) => number::decimals(*value, usize::from(*decimals)),
        Cell::Percent(value, decimals) => {
            format!("{} %", number::percent(*value, usize::from(*decimals)))
        }
        Cell::Bytes(bytes) => format!("{:.1} MiB", *bytes as f64 / f64::from(1 << 20)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_left_aligned_and_numbers_are_right_aligned() {
        let mut data = Table::new("scores", &["model", "#loss"]);
        data.row(vec![Cell::Text("base".to_owned()), Cell::Float(12.5, 2)]);
        data.row(vec![Cell::Text("default".to_owned()), Cell::Float(1.25, 2)]);
        data.footer.push("lower is better".to_owned());
        assert_eq!(
            table(&data),
            "scores\nmodel     loss\n-------  -----\nbase     12.50\ndefault   1.25\nlower is better"
        );
    }
}
