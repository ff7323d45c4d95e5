use super::*;

fn sample() -> Table {
    let mut table = Table::new("Parameters", &["module", "shape", "#trainable", "#share"]);
    table.row(vec![
        Cell::Code("layers.0.q_proj".to_owned()),
        Cell::Text("192 × 192".to_owned()),
        Cell::Integer(3072),
        Cell::Percent(0.0125, 2),
    ]);
    table.row(vec![
        Cell::Strong("total".to_owned()),
        Cell::Empty,
        Cell::Integer(12_288),
        Cell::Percent(f64::NAN, 2),
    ]);
    table
        .footer
        .push("trainable params: 12,288 || all params: 3,700,000 || trainable%: 0.3321".to_owned());
    table
}

#[test]
fn the_plain_table_is_aligned() {
    assert_eq!(
        plain(&sample()),
        "Parameters\n\
         module           shape      trainable   share\n\
         ───────────────  ─────────  ─────────  ──────\n\
         layers.0.q_proj  192 × 192      3,072  1.25 %\n\
         total                          12,288   NaN %\n\
         trainable params: 12,288 || all params: 3,700,000 || trainable%: 0.3321"
    );
}

#[test]
fn the_html_table_has_a_caption_header_cells_and_only_inline_styles() {
    let page = html(&sample()).into_string();
    assert!(
        page.contains(">Parameters</caption>")
            && page.contains(">trainable</th>")
            && page.contains("<code>layers.0.q_proj</code>"),
        "{page}"
    );
    assert!(
        page.contains("text-align:right\">3,072</td>") && page.contains("<strong>total</strong>"),
        "{page}"
    );
    assert!(!page.contains("class=") && !page.contains("var("), "{page}");
}

#[test]
fn a_narrow_terminal_wraps_the_widest_column() {
    let mut table = Table::new("", &["key", "meaning"]);
    table.row(vec![
        Cell::Text("steps".to_owned()),
        Cell::Text("how many optimizer steps are taken".to_owned()),
    ]);
    assert_eq!(
        aligned(&table, Paint::Plain, 25),
        "key    meaning\n─────  ──────────────────\nsteps  how many optimizer\n       steps are taken"
    );
}

#[test]
fn an_empty_table_is_a_header() {
    assert_eq!(plain(&Table::new("", &["a", "#b"])), "a  b\n─  ─");
}

#[test]
fn no_line_of_a_plain_table_is_wider_than_a_page() {
    let mut table = Table::new("", &["prompt", "completion"]);
    table.row(vec![Cell::Text("word ".repeat(80)), Cell::Text("x".repeat(300))]);
    assert!(plain(&table).lines().all(|line| width::of(line) <= PLAIN_WIDTH));
}

#[test]
fn a_narrow_terminal_breaks_words_but_no_number() {
    let mut table = Table::new("", &["module", "#parameters"]);
    let module = Cell::Code("model.layers.0.self_attn.q_proj".to_owned());
    table.row(vec![module, Cell::Integer(3_712_192_000)]);
    let drawn = aligned(&table, Paint::Plain, 24);
    assert!(drawn.contains("3,712,192,000"), "{drawn}");
    assert!(drawn.lines().all(|line| width::of(line) <= 24), "{drawn}");
}
