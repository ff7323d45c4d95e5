//! A data set as a table, for `%data show`.

use graft_protocol::{Cell, Table};

use super::conversation;
use super::dataset::{Dataset, Example, Extra, Kind, SplitName};

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
            Kind::Labels(_) if self.has_pairs() => &["split", "text", "text_pair", "label"],
            Kind::Labels(_) => &["split", "text", "label"],
            Kind::Chat => &["split", "messages", "conversation", "tools"],
            Kind::Preference => &["split", "prompt", "chosen", "rejected"],
        };
        let mut table = Table::new(&self.name, headers);
        for split in SplitName::ALL {
            for example in self.split(split).iter().take(rows) {
                table.row(self.cells(split, example));
            }
        }
        let counts = SplitName::ALL.map(|split| format!("{} {split}", self.split(split).len()));
        table.footer.push(format!("{} examples", counts.join(", ")));
        table.footer.extend(self.template_lines());
        table.footer.push(self.report.line());
        table
    }

    /// The labels and the template, for the footer.
    fn template_lines(&self) -> Vec<String> {
        match self.kind {
            Kind::Labels(_) => {
                let encoder = if self.is_template_given {
                    "an encoder reads the template too"
                } else {
                    "an encoder reads the text alone"
                };
                vec![
                    format!("labels: {}", self.label_counts().join(", ")),
                    format!(
                        "a language model reads {:?} and should write a label; {encoder}",
                        self.template
                    ),
                ]
            }
            Kind::Completion if !self.template.is_empty() => vec![format!(
                "a language model reads {:?} and should write the completion; template= changes it",
                self.template
            )],
            _ => Vec::new(),
        }
    }

    fn cells(&self, split: SplitName, example: &Example) -> Vec<Cell> {
        let mut cells = vec![Cell::Text(split.to_string())];
        let text = |text: &str| Cell::Text(shortened(text));
        match (&self.kind, example.extra.as_deref()) {
            (_, Some(Extra::Conversation(chat))) => {
                let lines = conversation::lines(&chat.messages);
                cells.push(Cell::Text(lines.len().to_string()));
                cells.push(text(&lines.join(" | ")));
                cells.push(text(&chat.tools));
                return cells;
            }
            (_, Some(Extra::Rejected(answer))) => {
                cells.extend([&example.prompt, &example.completion, answer].map(|one| text(one)));
                return cells;
            }
            (_, Some(Extra::RejectedConversation { chosen, rejected, prompt_messages })) => {
                let [chosen, rejected] = [chosen, rejected].map(|list| conversation::lines(list));
                let start = (*prompt_messages).min(chosen.len()).min(rejected.len());
                for lines in [&chosen[..start], &chosen[start..], &rejected[start..]] {
                    cells.push(text(&lines.join(" | ")));
                }
                return cells;
            }
            (_, Some(Extra::Pair(first, second))) => cells.extend([text(first), text(second)]),
            (Kind::Completion, _) => cells.push(text(&example.prompt)),
            (Kind::Labels(_), _) => cells.push(text(self.text_of(example))),
            _ => {}
        }
        cells.push(text(&example.completion));
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
    use crate::parse_inline;
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
