use std::sync::atomic::AtomicBool;

use graft_spec::{Hint, Settings};

use super::*;
use crate::options::ReadOptions;

/// The texts and labels of a table, with the line of each row.
fn table(delimiter: u8, text: &str) -> Result<Vec<(String, String)>, DataError> {
    let quoting = if delimiter == b'\t' { Quoting::None } else { Quoting::Doubled };
    read(Dialect { delimiter, quoting }, text)
}

fn read(dialect: Dialect, text: &str) -> Result<Vec<(String, String)>, DataError> {
    let stop = AtomicBool::new(false);
    let options = ReadOptions::new(&Settings::default(), "{text}")?;
    let mut lines = Lines::new(Box::new(text.as_bytes()), "a.csv", &stop);
    let mut collector = Collector::new(&options, u64::MAX);
    collector.begin("a.csv", None, false);
    parse(&mut lines, dialect, &mut collector)?;
    let found = collector.finish("a.csv", String::new())?;
    let pair = |example: crate::Example| {
        (example.prompt.to_string(), example.completion.trim().to_owned())
    };
    Ok(found.examples.into_iter().map(pair).collect())
}

/// The lines on which the rows of a table start.
fn lines_of(text: &str) -> Vec<usize> {
    let stop = AtomicBool::new(false);
    let mut lines = Lines::new(Box::new(text.as_bytes()), "a.csv", &stop);
    let mut rows = Rows::new(Dialect { delimiter: b',', quoting: Quoting::Doubled });
    std::iter::from_fn(|| rows.next(&mut lines).expect("parses")).map(|(line, _)| line).collect()
}

fn labeled(text: &str, label: &str) -> (String, String) {
    (text.to_owned(), label.to_owned())
}

#[test]
fn quoted_fields_hold_commas_quotes_and_line_ends() {
    let text = "text,label\r\n\"one, \"\"two\"\"\nthree\",x\r\n\nfour,y";
    let records = table(b',', text).expect("parses");
    assert_eq!(records[0], labeled("one, \"two\"\nthree", "x"));
    assert_eq!(lines_of(text), [1, 2, 5]);
}

#[test]
fn quotes_may_be_escaped_with_a_backslash() {
    let dialect = Dialect { delimiter: b',', quoting: Quoting::Backslash };
    let records =
        read(dialect, "text,label\n\"he said \\\"no\\\", twice\",x\nb,y\n").expect("parses");
    assert_eq!(records[0], labeled("he said \"no\", twice", "x"));
}

#[test]
fn rows_keep_their_lines_whatever_ends_them() {
    for end in ["\n", "\r\n"] {
        let text = ["text,label", "a,x", "", " ", "b,y", "\"c", "d\",x", "e,y"].join(end);
        assert_eq!(lines_of(&text), [1, 2, 5, 6, 8]);
    }
}

#[test]
fn a_row_of_another_length_is_named() {
    let error = table(b',', "text,label\na,b,c\n").expect_err("three fields");
    assert_eq!(error.to_string(), "`a.csv` line 2: it has 3 fields, but the header has 2");
}

#[test]
fn a_header_without_the_fields_or_with_one_twice_is_named() {
    let error = table(b',', "title,score\na,1\n").expect_err("no text");
    assert_eq!(error.to_string(), "`a.csv` line 2 has no `text`; its fields are `title`, `score`");
    let error = table(b',', "text,label,text\na,1,b\n").expect_err("twice");
    assert_eq!(error.to_string(), "`a.csv` line 1: the header has two columns `text`");
}

#[test]
fn an_open_quote_is_named_with_the_line_that_it_opens_on() {
    let error = table(b',', "text\n\"never closed\n").expect_err("open quote");
    assert_eq!(error.to_string(), "`a.csv` line 2: a quote is never closed");
    let error = table(b',', "text,label\na,x\nb,\"y\nc,x\nd,y\n").expect_err("open quote");
    assert_eq!(error.to_string(), "`a.csv` line 3: a quote is never closed");
}

#[test]
fn tabs_separate_and_quotes_are_text_unless_they_are_around_a_field() {
    let records = table(
        b'\t',
        "text\tlabel\n\"Great\" movie, really\tpos\n\"he said \"\"no\"\"\"\tneg\n\"open\tpos\n",
    )
    .expect("parses");
    let texts = records;
    assert_eq!(
        texts,
        [
            labeled("\"Great\" movie, really", "pos"),
            labeled("he said \"no\"", "neg"),
            labeled("\"open", "pos")
        ]
    );
}

#[test]
fn a_million_columns_are_refused() {
    for delimiter in [b',', b'\t'] {
        let header = vec!["c"; 1_000_000].join(&(delimiter as char).to_string());
        assert_eq!(table(delimiter, &header).expect_err("too many").code(), "data::many_fields");
    }
}
