use super::*;
use crate::Control;
use crate::data::record::{Content, Record};
use graft_spec::Hint;

fn table(delimiter: char, text: &str) -> Result<Vec<Record>, DataError> {
    let control = Control::new();
    let mut lines = Lines::new(Box::new(text.as_bytes()), "a.csv", &control);
    let mut collector = Collector::new("a.csv", false, u64::MAX);
    parse(&mut lines, delimiter, &mut collector)?;
    Ok(collector.finish(String::new())?.records)
}

fn labeled(text: &str, label: &str) -> Content {
    Content::Labeled { text: text.into(), label: label.into() }
}

#[test]
fn quoted_fields_hold_commas_quotes_and_line_ends() {
    let records =
        table(',', "text,label\r\n\"one, \"\"two\"\"\nthree\",x\r\n\nfour,y").expect("parses");
    assert_eq!(records[0].content, labeled("one, \"two\"\nthree", "x"));
    assert_eq!((records[0].line, records[1].line), (2, 5));
}

#[test]
fn rows_keep_their_lines_whatever_ends_them() {
    for end in ["\n", "\r\n"] {
        let records =
            table(',', &["text,label", "a,x", "", " ", "b,y", "\"c", "d\",x", "e,y"].join(end))
                .expect("parses");
        assert_eq!(records.iter().map(|record| record.line).collect::<Vec<_>>(), [2, 5, 6, 8]);
    }
}

#[test]
fn a_row_of_another_length_is_named() {
    let error = table(',', "text,label\na,b,c\n").expect_err("three fields");
    assert_eq!(error.to_string(), "`a.csv` line 2: it has 3 fields, but the header has 2");
}

#[test]
fn a_header_without_the_fields_or_with_one_twice_is_named() {
    let error = table(',', "sentence,score\na,1\n").expect_err("no text");
    assert_eq!(
        error.to_string(),
        "`a.csv` line 2 has no `text`; its fields are `sentence`, `score`"
    );
    let error = table(',', "text,label,text\na,1,b\n").expect_err("twice");
    assert_eq!(error.to_string(), "`a.csv` line 1: the header has two columns `text`");
}

#[test]
fn an_open_quote_is_named_with_the_line_that_it_opens_on() {
    let error = table(',', "text\n\"never closed\n").expect_err("open quote");
    assert_eq!(error.to_string(), "`a.csv` line 2: a quote is never closed");
    let error = table(',', "text,label\na,x\nb,\"y\nc,x\nd,y\n").expect_err("open quote");
    assert_eq!(error.to_string(), "`a.csv` line 3: a quote is never closed");
}

#[test]
fn tabs_separate_and_quotes_are_text_unless_they_are_around_a_field() {
    let records = table(
        '\t',
        "text\tlabel\n\"Great\" movie, really\tpos\n\"he said \"\"no\"\"\"\tneg\n\"open\tpos\n",
    )
    .expect("parses");
    let texts: Vec<_> = records.into_iter().map(|record| record.content).collect();
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
    for delimiter in [',', '\t'] {
        let header = vec!["c"; 1_000_000].join(&delimiter.to_string());
        assert_eq!(table(delimiter, &header).expect_err("too many").code(), "data::many_fields");
    }
}

#[test]
fn the_delimiter_is_the_one_that_gives_known_columns() {
    assert_eq!(delimiter("id;text;label", Some(',')), Some(';'));
    assert_eq!(delimiter("\"text\",\"label\"", Some(',')), Some(','));
    assert_eq!(delimiter("text\tlabel", Some(',')), Some('\t'));
    assert_eq!(delimiter("text", Some('\t')), Some('\t'));
    assert_eq!(delimiter("a,b", Some(',')), None);
    assert!(is_header("Prompt,completion") && !is_header("a plain sentence, with a comma"));
}
