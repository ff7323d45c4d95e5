//! The points of `%check`: their sum is the result of the cell.
//!
//! nbgrader takes a number as the result of a cell for partial credit.

use std::collections::BTreeMap;

use graft_frontend::Rich;
use graft_protocol::{Block, Points, Reply};

/// Adds the points of the checks in a reply.
pub(super) fn added(before: Option<Points>, reply: &Reply) -> Option<Points> {
    let results = reply.blocks.iter().filter_map(|block| match block {
        Block::Checks(results) => Points::sum(results),
        _ => None,
    });
    before.into_iter().chain(results).reduce(|one, other| Points {
        earned: one.earned + other.earned,
        possible: one.possible + other.possible,
    })
}

/// The result of a cell with checks that have points. Its plain text is only the number.
pub(super) fn result(points: Points) -> Rich {
    let html = format!("<strong>{} of {} points</strong>", points.earned, points.possible);
    Rich {
        mime: BTreeMap::from([
            ("text/plain".to_owned(), points.earned.to_string()),
            ("text/html".to_owned(), html),
        ]),
        ..Rich::default()
    }
}

#[cfg(test)]
mod tests {
    use graft_protocol::CheckResult;

    use super::*;

    fn reply(earned: f64) -> Reply {
        Reply::one(Block::Checks(vec![CheckResult {
            condition: "r == 8".to_owned(),
            passed: earned > 0.0,
            reason: "r is 8".to_owned(),
            next: None,
            points: Some(Points { earned, possible: 1.5 }),
        }]))
    }

    #[test]
    fn the_points_of_a_cell_are_added_and_others_have_none() {
        let points = added(added(None, &reply(1.5)), &reply(0.0));
        assert_eq!(points, Some(Points { earned: 1.5, possible: 3.0 }));
        assert_eq!(added(points, &Reply::text("done")), points);
        assert_eq!(added(None, &Reply::text("done")), None);
        let rich = result(points.unwrap());
        assert_eq!(rich.text(), "1.5");
        assert!(rich.mime["text/html"].contains("1.5 of 3 points"));
    }
}
