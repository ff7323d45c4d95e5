//! Finds out how the fields of a table are written, from the start of the file.

use csv_core::ReadRecordResult;

use super::csv::{Dialect, Quoting};
use super::roles::is_known;
use super::shape::Mapping;

/// Delimiters, the more likely ones first.
const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];
/// Most rows that are compared.
const ROWS: usize = 50;

/// The dialect of a table; `usual` is the delimiter of the format that the user or the file name
/// asks for. `None` if no delimiter gives a known column or rows of one length.
pub(crate) fn dialect(head: &str, usual: Option<u8>, mapping: &Mapping) -> Option<Dialect> {
    let header = first_line(head);
    let others = DELIMITERS.into_iter().filter(|other| Some(*other) != usual);
    let delimiters: Vec<u8> = usual.into_iter().chain(others).collect();
    let named =
        delimiters.iter().copied().find(|delimiter| has_known_column(header, *delimiter, mapping));
    let even = || delimiters.iter().copied().find(|delimiter| is_even(head, *delimiter));
    let delimiter = named.or_else(even)?;
    Some(Dialect { delimiter, quoting: quoting(head, delimiter) })
}

/// Whether a first line is the header of a table, judged by its column names alone.
pub(crate) fn is_header(line: &str, mapping: &Mapping) -> bool {
    let known = ["text", "prompt", "sentence", "review", "instruction", "question", "messages"];
    DELIMITERS.into_iter().any(|delimiter| {
        let names: Vec<&str> = columns(line, delimiter).collect();
        let is_one =
            names.iter().any(|name| known.iter().any(|known| known.eq_ignore_ascii_case(name)));
        let is_alone = names.len() == 1
            && !["text", "prompt"].iter().any(|known| known.eq_ignore_ascii_case(names[0]));
        let short = names.iter().all(|name| name.len() < 64);
        let given = names.iter().any(|name| mapping.names(name));
        (is_one && !is_alone && short) || given
    })
}

fn first_line(head: &str) -> &str {
    head.lines().find(|line| !line.trim().is_empty()).unwrap_or_default()
}

fn columns(header: &str, delimiter: u8) -> impl Iterator<Item = &str> {
    header.split(delimiter as char).map(|name| name.trim().trim_matches('"').trim())
}

fn has_known_column(header: &str, delimiter: u8, mapping: &Mapping) -> bool {
    columns(header, delimiter).any(|name| is_known(name) || mapping.names(name))
}

/// Whether all rows have the same number of fields, at least two.
fn is_even(head: &str, delimiter: u8) -> bool {
    let counts = counts(head, Dialect { delimiter, quoting: quoting(head, delimiter) });
    counts.first().is_some_and(|first| *first > 1 && counts.iter().all(|count| count == first))
}

/// The quoting under which most rows have as many fields as the header. Tab-separated values have
/// no quotes unless only quotes explain the rows.
fn quoting(head: &str, delimiter: u8) -> Quoting {
    let order = match delimiter {
        b'\t' => [Quoting::None, Quoting::Doubled, Quoting::Backslash],
        _ => [Quoting::Doubled, Quoting::Backslash, Quoting::None],
    };
    let uneven = |quoting: Quoting| {
        let counts = counts(head, Dialect { delimiter, quoting });
        let Some((header, rows)) = counts.split_first() else { return 0 };
        rows.iter().filter(|count| *count != header).count()
    };
    // A backslash escapes quotes only where there is one.
    let fits = |quoting: &Quoting| *quoting != Quoting::Backslash || head.contains("\\\"");
    let mut best = (order[0], uneven(order[0]));
    for quoting in order.into_iter().skip(1).filter(fits) {
        let count = uneven(quoting);
        if best.1 > 0 && count == 0 {
            best = (quoting, count);
        }
    }
    best.0
}

/// Number of fields of the first complete rows.
fn counts(head: &str, dialect: Dialect) -> Vec<usize> {
    let mut parser = dialect.parser();
    let mut input = head.as_bytes();
    let mut counts = Vec::new();
    let (mut fields, mut ends) = (vec![0; head.len() + 1], vec![0; head.len() + 1]);
    while !input.is_empty() && counts.len() < ROWS {
        let (result, read, _, count) = parser.read_record(input, &mut fields, &mut ends);
        input = &input[read..];
        // The last row may be cut off.
        if result != ReadRecordResult::Record {
            break;
        }
        counts.push(count);
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(head: &str, usual: Option<u8>) -> Option<(char, Quoting)> {
        dialect(head, usual, &Mapping::default())
            .map(|dialect| (dialect.delimiter as char, dialect.quoting))
    }

    #[test]
    fn the_delimiter_is_the_one_that_gives_known_columns_or_even_rows() {
        assert_eq!(found("id;text;label\n", Some(b',')), Some((';', Quoting::Doubled)));
        assert_eq!(found("\"text\",\"label\"\n", Some(b',')), Some((',', Quoting::Doubled)));
        assert_eq!(found("text\tlabel\n", Some(b',')), Some(('\t', Quoting::None)));
        assert_eq!(found("text\n", Some(b'\t')), Some(('\t', Quoting::None)));
        assert_eq!(found("a;b\n1;2\n3,5;4\n", None), Some((';', Quoting::Doubled)));
        assert_eq!(found("one word\nand more, words\n", None), None);
    }

    #[test]
    fn quotes_are_those_that_give_rows_of_one_length() {
        let backslash = "text,label\n\"he said \\\"no\\\", twice\",x\nb,y\n";
        assert_eq!(found(backslash, None), Some((',', Quoting::Backslash)));
        let tabs = "text\tlabel\n\"a\tb\"\tx\n\"two\nlines\"\ty\n";
        assert_eq!(found(tabs, None), Some(('\t', Quoting::Doubled)));
        let inches = "text\tlabel\n\"Great\" movie\tx\n12\" disk\ty\n";
        assert_eq!(found(inches, None), Some(('\t', Quoting::None)));
    }

    #[test]
    fn a_header_is_known_by_its_names() {
        let none = Mapping::default();
        assert!(is_header("Prompt,completion", &none) && is_header("text", &none));
        assert!(is_header("id\tsentence\tlabel", &none));
        assert!(
            !is_header("a plain sentence, with a comma", &none) && !is_header("question", &none)
        );
        let mapping = Mapping::parse(&["text:body".to_owned()]).expect("valid");
        assert!(is_header("title,body", &mapping));
    }
}
