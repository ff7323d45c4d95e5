//! Comma-separated values with a header, as RFC 4180 has them: quoted fields may hold commas, line ends and doubled quotes.

use super::DataError;
use super::record::Record;

pub(super) fn parse(source_name: &str, text: &str) -> Result<Vec<Record>, DataError> {
    let mut rows = rows(source_name, text)?.into_iter();
    let Some((_, header)) = rows.next() else { return Ok(Vec::new()) };
    let header: Vec<String> = header.iter().map(|name| name.trim().to_ascii_lowercase()).collect();
    rows.map(|(line, row)| {
        if row.len() != header.len() {
            let problem = format!("it has {} fields, the header has {}", row.len(), header.len());
            return Err(DataError::Malformed { source_name: source_name.to_owned(), line, problem });
        }
        Record::from_fields(source_name, line, header.iter().cloned().zip(row).collect())
    })
    .collect()
}

/// The rows with the line each begins on; empty lines are left out.
fn rows(source_name: &str, text: &str) -> Result<Vec<(usize, Vec<String>)>, DataError> {
    let mut reader = Reader::default();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let doubled = reader.quoted && character == '"' && characters.peek() == Some(&'"');
        if doubled {
            characters.next();
            reader.field.push('"');
        } else {
            reader.take(character);
        }
    }
    if reader.quoted {
        let problem = "a quote is opened and never closed".to_owned();
        return Err(DataError::Malformed { source_name: source_name.to_owned(), line: reader.row_line + 1, problem });
    }
    reader.end_row();
    Ok(reader.rows)
}

#[derive(Default)]
struct Reader {
    rows: Vec<(usize, Vec<String>)>,
    row: Vec<String>,
    field: String,
    quoted: bool,
    /// Lines read.
    line: usize,
    /// Line the row began on, from 0.
    row_line: usize,
}

impl Reader {
    fn take(&mut self, character: char) {
        self.line += usize::from(character == '\n');
        match character {
            '"' if self.quoted => self.quoted = false,
            '"' if self.field.is_empty() => self.quoted = true,
            ',' if !self.quoted => self.row.push(std::mem::take(&mut self.field)),
            '\r' if !self.quoted => {}
            '\n' if !self.quoted => self.end_row(),
            _ => self.field.push(character),
        }
    }

    fn end_row(&mut self) {
        self.row.push(std::mem::take(&mut self.field));
        let row = std::mem::take(&mut self.row);
        if row.len() > 1 || !row[0].trim().is_empty() {
            self.rows.push((self.row_line + 1, row));
        }
        self.row_line = self.line;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::record::Content;

    #[test]
    fn quoted_fields_hold_commas_quotes_and_line_ends() {
        let records = parse("a.csv", "text,label\r\n\"one, \"\"two\"\"\nthree\",x\r\n\nfour,y").expect("parses");
        assert_eq!(records[0].content, Content::Labelled { text: "one, \"two\"\nthree".into(), label: "x".into() });
        assert_eq!((records[0].line, records[1].line), (2, 5));
    }

    #[test]
    fn a_row_of_another_length_is_named() {
        let error = parse("a.csv", "text,label\na,b,c\n").expect_err("three fields");
        assert_eq!(error.to_string(), "`a.csv` line 2: it has 3 fields, the header has 2");
    }

    #[test]
    fn a_header_without_the_fields_is_named() {
        let error = parse("a.csv", "sentence,score\na,1\n").expect_err("no text");
        assert_eq!(error.to_string(), "`a.csv` line 2 has no `text`; its fields are `score`, `sentence`");
    }

    #[test]
    fn an_open_quote_is_named() {
        let error = parse("a.csv", "text\n\"never closed\n").expect_err("open quote");
        assert_eq!(error.to_string(), "`a.csv` line 2: a quote is opened and never closed");
    }
}
