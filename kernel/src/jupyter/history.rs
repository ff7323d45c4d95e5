//! The cells of this session, for the up arrow of `jupyter console` and for `%history`.
//!
//! Spec: <https://jupyter-client.readthedocs.io/en/stable/messaging.html#history>

use super::reply::HistoryEntry;
use super::request::History as Query;

/// This session's number: the history lives as long as the kernel.
const SESSION: i64 = 1;

/// One cell that ran.
#[derive(Clone, Debug)]
struct Entry {
    line: i64,
    input: String,
    output: Option<String>,
}

/// The cells that ran with `store_history`, oldest first.
#[derive(Debug, Default)]
pub(crate) struct History {
    entries: Vec<Entry>,
}

impl History {
    /// Adds a cell.
    pub(crate) fn add(&mut self, line: u64, input: &str) {
        self.entries.push(Entry { line: i64::try_from(line).unwrap_or(i64::MAX), input: input.to_owned(), output: None });
    }

    /// Sets the result of the last cell, as text.
    pub(crate) fn set_output(&mut self, text: &str) {
        if let Some(last) = self.entries.last_mut() {
            last.output = Some(text.to_owned());
        }
    }

    /// Answers a request.
    pub(crate) fn answer(&self, query: &Query) -> Vec<HistoryEntry> {
        let found: Vec<&Entry> = match query.hist_access_type.as_str() {
            "range" => self.range(query),
            "search" => self.search(query),
            _ => tail(&self.entries, query.n.unwrap_or(10)).iter().collect(),
        };
        found
            .into_iter()
            .map(|entry| match query.output {
                true => HistoryEntry::InputOutput(SESSION, entry.line, (entry.input.clone(), entry.output.clone())),
                false => HistoryEntry::Input(SESSION, entry.line, entry.input.clone()),
            })
            .collect()
    }

    fn range(&self, query: &Query) -> Vec<&Entry> {
        if query.session != 0 && query.session != SESSION {
            return Vec::new();
        }
        let (start, stop) = (query.start.unwrap_or(1), query.stop.unwrap_or(i64::MAX));
        self.entries.iter().filter(|entry| (start..stop).contains(&entry.line)).collect()
    }

    fn search(&self, query: &Query) -> Vec<&Entry> {
        let pattern: Vec<char> = query.pattern.as_deref().unwrap_or("*").chars().collect();
        let mut found: Vec<&Entry> = Vec::new();
        for entry in self.entries.iter().rev() {
            let text: Vec<char> = entry.input.chars().collect();
            let seen = query.unique && found.iter().any(|other| other.input == entry.input);
            if !seen && found.len() < query.n.unwrap_or(usize::MAX) && matches(&pattern, &text) {
                found.push(entry);
            }
        }
        found.reverse();
        found
    }
}

fn tail(entries: &[Entry], count: usize) -> &[Entry] {
    entries.get(entries.len().saturating_sub(count)..).unwrap_or_default()
}

/// A glob over the whole text: `*` is any run of characters, `?` any one.
fn matches(pattern: &[char], text: &[char]) -> bool {
    let (mut at, mut position) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while position < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, position));
                at += 1;
            }
            Some(c) if *c == '?' || Some(c) == text.get(position) => {
                at += 1;
                position += 1;
            }
            // The last star takes one character more.
            _ => match &mut star {
                Some((star_at, taken)) => {
                    *taken += 1;
                    at = *star_at + 1;
                    position = *taken;
                }
                None => return false,
            },
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history() -> History {
        let mut history = History::default();
        for (line, text) in [(1, "1+1"), (2, "2+2"), (3, "1+1"), (4, "let x = 1;")] {
            history.add(line, text);
        }
        history.set_output("1");
        history
    }

    fn texts(query: Query) -> Vec<String> {
        let text = |entry| match entry {
            HistoryEntry::Input(_, line, text) => format!("{line} {text}"),
            HistoryEntry::InputOutput(_, line, (text, output)) => format!("{line} {text} -> {output:?}"),
        };
        history().answer(&query).into_iter().map(text).collect()
    }

    fn query(kind: &str) -> Query {
        Query { hist_access_type: kind.to_owned(), ..Query::default() }
    }

    #[test]
    fn a_tail_gives_the_last_cells_oldest_first() {
        assert_eq!(texts(Query { n: Some(2), ..query("tail") }), ["3 1+1", "4 let x = 1;"]);
        assert_eq!(texts(Query { n: Some(1), output: true, ..query("tail") }), ["4 let x = 1; -> Some(\"1\")"]);
    }

    #[test]
    fn a_range_excludes_its_stop_and_other_sessions() {
        assert_eq!(texts(Query { start: Some(2), stop: Some(4), ..query("range") }), ["2 2+2", "3 1+1"]);
        assert_eq!(texts(Query { session: 7, ..query("range") }), Vec::<String>::new());
    }

    #[test]
    fn a_search_is_a_glob_with_unique_and_n() {
        assert_eq!(texts(Query { pattern: Some("?+?".into()), ..query("search") }), ["1 1+1", "2 2+2", "3 1+1"]);
        assert_eq!(texts(Query { pattern: Some("1*1".into()), unique: true, ..query("search") }), ["3 1+1"]);
        assert_eq!(texts(Query { pattern: Some("*+*".into()), n: Some(2), ..query("search") }), ["2 2+2", "3 1+1"]);
        assert_eq!(texts(Query { pattern: Some("let".into()), ..query("search") }), Vec::<String>::new());
    }
}
