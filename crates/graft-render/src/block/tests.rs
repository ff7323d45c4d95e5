use graft_protocol::{Cell, Table};

use super::*;

#[test]
fn every_shown_text_is_escaped() {
    let evil = "<script>alert(1)</script>".to_owned();
    let mut table = Table::new(&*evil, &[&evil]);
    table.row(vec![Cell::Code(evil.clone())]);
    table.footer.push(evil.clone());
    for drawn in [
        Block::Text(evil.clone()),
        Block::Note(Level::Warning, evil.clone()),
        Block::Table(table),
        Block::Generated { prompt: evil.clone(), text: evil.clone(), pieces: vec![(evil, -1.0)] },
    ] {
        let html = block(&drawn).html.unwrap();
        assert!(!html.contains("<script>") && html.contains("&lt;script&gt;"), "{html}");
    }
}

#[test]
fn texts_and_tables_of_one_answer_are_one_output() {
    let answer = Reply {
        blocks: vec![
            Block::Text("a".to_owned()),
            Block::Table(Table::new("t", &["x"])),
            Block::Chart(graft_protocol::Chart::default()),
        ],
    };
    let bundles = reply(&answer);
    assert_eq!(bundles.len(), 2);
    assert!(bundles[0].plain.starts_with("a\n\nt"));
    assert!(bundles[1].html.is_none() && bundles[1].svg.is_some() && bundles[1].png.is_some());
}
