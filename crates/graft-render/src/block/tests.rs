use graft_protocol::{Cell, SideText, Table, reply::TreeLine};

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

/// One block of each kind, as the session creates them.
fn samples() -> Vec<Block> {
    let mut table = Table::new(
        "Trainable parameters",
        &["module", "shape", "#parameters", "#trainable", "#trainable %"],
    );
    for layer in 0..3 {
        for name in ["q_proj", "v_proj"] {
            let module = Cell::Code(format!("model.layers.{layer}.self_attn.{name}"));
            table.row(vec![
                module,
                Cell::Text("192 × 192".to_owned()),
                Cell::Integer(36_864),
                Cell::Integer(3072),
                Cell::Percent(0.0769, 2),
            ]);
        }
    }
    table.row(vec![
        Cell::Strong("total".to_owned()),
        Cell::Empty,
        Cell::Integer(3_712_192),
        Cell::Integer(18_432),
        Cell::Percent(0.00494, 2),
    ]);
    table
        .footer
        .push("trainable params: 18,432 || all params: 3,730,624 || trainable%: 0.4941".to_owned());
    let side = |title: &str, text: &str| SideText {
        title: title.to_owned(),
        text: text.to_owned(),
        pieces: Vec::new(),
        note: "40 tokens, mean log-probability -1.93".to_owned(),
    };
    let columns = vec![
        side(
            "base",
            " is a type that can be used to store a value of the same type as the value.\n\n## Examples\n\nlet x = 5;",
        ),
        side(
            "default (lora r=8)",
            " is borrowed as mutable more than once at a time.\n\nErroneous code example:",
        ),
    ];
    let line = |depth, name: &str, note: &str, strong| TreeLine {
        depth,
        name: name.to_owned(),
        note: note.to_owned(),
        strong,
    };
    vec![
        Block::Text("%lora: low-rank adapters: train B·A beside frozen weights".to_owned()),
        Block::Note(Level::Info, "adapter `default` replaces the one of that name".to_owned()),
        Block::Note(
            Level::Warning,
            "12 examples are longer than 256 tokens and were cut".to_owned(),
        ),
        Block::Table(table),
        Block::Generated {
            prompt: "The borrow checker".to_owned(),
            text: " is a part of the compiler.\nIt makes sure that references are valid."
                .to_owned(),
            pieces: Vec::new(),
        },
        Block::SideBySide { prompt: "error[E0499]: a variable".to_owned(), columns },
        Block::Tree(vec![
            line(0, "model", "", false),
            line(1, "embed_tokens", "embedding 2,048 × 192", false),
            line(2, "self_attn", "", false),
            line(3, "q_proj", "linear 192 × 192 + lora r=8", true),
        ]),
    ]
}

/// Writes a page for visual inspection: `GRAFT_LOOK=DIR cargo test -p graft-render`.
#[test]
fn writes_the_blocks_for_inspection() {
    let Some(folder) = std::env::var_os("GRAFT_LOOK").map(std::path::PathBuf::from) else { return };
    std::fs::create_dir_all(&folder).unwrap();
    let page: Vec<String> = samples().iter().filter_map(|sample| block(sample).html).collect();
    let plain: Vec<String> = samples().iter().map(plain).collect();
    let painted: Vec<String> = samples().iter().map(|sample| crate::ansi(sample, 80)).collect();
    std::fs::write(folder.join("blocks.html"), page.join("\n")).unwrap();
    std::fs::write(folder.join("blocks.txt"), plain.join("\n\n")).unwrap();
    std::fs::write(folder.join("blocks.ansi"), painted.join("\n\n")).unwrap();
}
