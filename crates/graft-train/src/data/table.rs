//! A data set as a table, for `%data show`.

use graft_protocol::{Cell, Table};

use super::dataset::{Dataset, Example, Kind, SplitName};

/// Most characters of a text in a row.
const SHOWN: usize = 120;
/// Most labels counted in the footer.
const LABELS: usize = 50;

impl Dataset {
    /// The first `rows` examples of each split, and their total numbers.
    pub fn table(&self, rows: usize) -> Table {
        let headers: &[&str] = match self.kind {
            Kind::Text => &["split", "text"],
            Kind::Completion => &["split", "prompt", "completion"],
            Kind::Labels(_) => &["split", "text", "label"],
        };
        let mut table = Table::new(&self.name, headers);
        for split in SplitName::ALL {
            for example in self.split(split).iter().take(rows) {
                table.row(self.cells(split, example));
            }
        }
        let counts = SplitName::ALL.map(|split| format!("{} {split}", self.split(split).len()));
        table.footer.push(format!("{} examples", counts.join(", ")));
        if !self.labels().is_empty() {
            table.footer.push(format!("labels: {}", self.label_counts().join(", ")));
            let encoder = if self.is_template_given {
                "an encoder reads the template too"
            } else {
                "an encoder reads the text alone"
            };
            table.footer.push(format!(
                "a language model reads {:?} and should write a label; {encoder}",
                self.template
            ));
        }
        table.footer.push(self.report.line());
        table
    }

    fn cells(&self, split: SplitName, example: &Example) -> Vec<Cell> {
        let mut cells = vec![Cell::Text(split.to_string())];
        match self.kind {
            Kind::Text => {}
            Kind::Completion => cells.push(Cell::Text(shortened(&example.prompt))),
            Kind::Labels(_) => cells.push(Cell::Text(shortened(self.text_of(example)))),
        }
        cells.push(Cell::Text(shortened(&example.completion)));
        cells
    }

    fn label_counts(&self) -> Vec<String> {
        let counts = self.counts(SplitName::ALL.into_iter().flat_map(|split| self.split(split)));
        let mut shown: Vec<String> = self
            .labels()
            .iter()
            .zip(counts)
            .take(LABELS)
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        if self.labels().len() > LABELS {
            shown.push(format!("and {} more", self.labels().len() - LABELS));
        }
        shown
    }
}

/// One line of at most [`SHOWN`] characters.
fn shortened(text: &str) -> String {
    // A text may be long, so only its start is processed.
    let begin = text.char_indices().nth(8 * SHOWN).map_or(text, |(end, _)| &text[..end]);
    let line = begin.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use crate::data::parse_inline;
    use graft_protocol::Cell;
    use graft_spec::Settings;

    #[test]
    fn rows_show_text_without_its_template_and_the_footer_counts() {
        let set = parse_inline(
            "moods",
            "text,label\nfine day,good\nawful day,bad\n",
            &Settings::default(),
        )
        .expect("a set");
        let table = set.table(1);
        assert_eq!(
            table.rows,
            [[
                Cell::Text("train".into()),
                Cell::Text("fine day".into()),
                Cell::Text("good".into())
            ]]
        );
        assert_eq!(
            table.footer[..2],
            ["2 train, 0 validation, 0 test examples", "labels: bad 1, good 1"]
        );
        assert_eq!(table.footer[3], "read as csv: `text`, `label`");
    }
}
