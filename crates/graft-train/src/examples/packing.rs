//! Rows of several examples, for `packing=true`.

use std::collections::{BTreeMap, VecDeque};

/// Rows of examples, as indices. Each row has at most `limit` tokens, except a row of a single
/// example.
///
/// Best-fit decreasing: the examples are taken from the longest to the shortest, and each goes into
/// the fullest row that has room for it, of equal ones into the earliest.
///
/// # Source
/// Ding et al. 2024, arXiv:2404.10830; `packing_strategy="bfd"` of TRL
pub(super) fn rows(lengths: &[usize], limit: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(lengths[*index]));
    let mut rows: Vec<Vec<usize>> = Vec::new();
    // The rows by the room that is left in them, for equal room the earliest first.
    let mut room: BTreeMap<usize, VecDeque<usize>> = BTreeMap::new();
    for index in order {
        let length = lengths[index];
        let fitting = room.range(length..).next().map(|(left, _)| *left);
        let (row, left) = match fitting.and_then(|left| Some((take(&mut room, left)?, left))) {
            Some((row, left)) => {
                rows[row].push(index);
                (row, left - length)
            }
            None => {
                rows.push(vec![index]);
                (rows.len() - 1, limit.saturating_sub(length))
            }
        };
        room.entry(left).or_default().push_back(row);
    }
    rows
}

/// Removes the earliest row with this room.
fn take(room: &mut BTreeMap<usize, VecDeque<usize>>, left: usize) -> Option<usize> {
    let rows = room.get_mut(&left)?;
    let row = rows.pop_front();
    if rows.is_empty() {
        room.remove(&left);
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use graft_nn::Rng;

    #[test]
    fn each_example_goes_into_the_fullest_row_with_room() {
        // 7 and 5 open rows; 4 fits only after 5; 3 fills the row of 7; 2 opens a third.
        assert_eq!(rows(&[3, 7, 2, 5, 4], 10), [vec![1, 0], vec![3, 4], vec![2]]);
        assert_eq!(rows(&[], 10), Vec::<Vec<usize>>::new());
        assert_eq!(rows(&[12, 1], 10), [vec![0], vec![1]]);
    }

    #[test]
    fn the_rows_are_those_of_trl() {
        // pack_dataset(dataset, 64, "bfd") of TRL 1.16.0.
        let lengths = [
            40, 17, 48, 23, 51, 45, 54, 48, 42, 60, 34, 2, 54, 30, 50, 16, 42, 4, 58, 11, 8, 24,
            31, 56, 16, 25, 35, 7, 37, 16, 1, 47, 14, 27, 18, 12, 59, 56, 50, 25,
        ];
        let expected: [&[usize]; 22] = [
            &[9, 17],
            &[36],
            &[18],
            &[23, 20],
            &[37, 27],
            &[6],
            &[12],
            &[4, 35],
            &[14, 32],
            &[38, 19, 11],
            &[2, 15],
            &[7, 24],
            &[31, 1],
            &[5, 34, 30],
            &[8, 29],
            &[16],
            &[0, 21],
            &[28, 33],
            &[26, 25],
            &[10, 13],
            &[22, 39],
            &[3],
        ];
        assert_eq!(rows(&lengths, 64), expected);
    }

    #[test]
    fn no_example_is_lost_and_no_row_is_too_long() {
        let mut stream = Rng::new(3).stream("packing", "lengths");
        let lengths: Vec<usize> = (0..400).map(|_| 1 + stream.below(60) as usize).collect();
        let packed = rows(&lengths, 64);
        let mut all: Vec<usize> = packed.concat();
        all.sort_unstable();
        assert_eq!(all, (0..400).collect::<Vec<_>>());
        let tokens = |row: &Vec<usize>| row.iter().map(|index| lengths[*index]).sum::<usize>();
        assert!(packed.iter().all(|row| tokens(row) <= 64));
        // At most 22/9 of the optimum plus one row is the bound; random lengths nearly fill them.
        let least = lengths.iter().sum::<usize>().div_ceil(64);
        assert!(packed.len() <= least + least / 20 + 1, "{} rows, at least {least}", packed.len());
    }
}
