//! JSON Lines: one object per line.

use super::DataError;
use super::collect::Collector;
use super::json_row::row;
use super::lines::Lines;
use super::place::Place;

/// Reads JSON Lines into `collector`.
pub(crate) fn parse(lines: &mut Lines<'_>, collector: &mut Collector<'_>) -> Result<(), DataError> {
    loop {
        let place = Place::Line(lines.number() + 1);
        let flow = match lines.next() {
            Ok(None) => return Ok(()),
            Ok(Some(text)) if text.trim().is_empty() => continue,
            Ok(Some(text)) => match row(text.trim(), collector.mapping()) {
                Ok(row) => collector.row(place, row)?,
                Err(problem) => {
                    let error = collector.malformed(place, problem);
                    collector.bad(error)?
                }
            },
            Err(error) => collector.bad(error)?,
        };
        if flow.is_break() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests;
