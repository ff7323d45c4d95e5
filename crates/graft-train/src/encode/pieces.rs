//! Examples that are longer than the limit: cut, or split into pieces.

use graft_nn::ops::IGNORED;

use crate::batch::Encoded;

/// An example within the length limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pieces {
    /// The example, or its pieces in order.
    pub(crate) all: Vec<Encoded>,
    /// Number of tokens that were cut off.
    pub(crate) lost: usize,
    /// Number of pieces without loss, which are not in `all`.
    pub(crate) left_out: usize,
}

impl Pieces {
    /// An example without its end, if it is too long.
    pub(crate) fn truncated(mut encoded: Encoded, limit: usize) -> Self {
        let lost = encoded.ids.len().saturating_sub(limit);
        encoded.ids.truncate(limit);
        encoded.labels.truncate(limit);
        Self { all: vec![encoded], lost, left_out: 0 }
    }

    /// An example, split if it is too long. Each piece begins with the same `prefix` special tokens
    /// and repeats `stride` tokens of the piece before it as context, so that every token carries
    /// its loss once. Pieces without loss are left out.
    pub(crate) fn split(encoded: Encoded, limit: usize, (prefix, stride): (usize, usize)) -> Self {
        if encoded.ids.len() <= limit {
            return Self { all: vec![encoded], ..Self::default() };
        }
        let Encoded { ids, labels, .. } = encoded;
        let (special, body) = ids.split_at(prefix.min(limit - 1));
        let labels = &labels[special.len()..];
        let room = limit - special.len();
        // Without a special token, the first token of a piece has nothing that predicts it.
        let repeated = stride.max(usize::from(special.is_empty())).min(room - 1);
        let (mut all, mut left_out) = (Vec::new(), 0);
        for start in (0..body.len()).step_by(room - repeated) {
            let end = body.len().min(start + room);
            let context = if start == 0 { 0 } else { repeated.min(end - start) };
            let without_loss = std::iter::repeat_n(IGNORED, special.len() + context);
            let piece = Encoded {
                ids: [special, &body[start..end]].concat(),
                labels: without_loss.chain(labels[start + context..end].iter().copied()).collect(),
                class: None,
            };
            if piece.has_loss() {
                all.push(piece);
            } else {
                left_out += 1;
            }
            if end == body.len() {
                break;
            }
        }
        Self { all, lost: 0, left_out }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(ids: std::ops::Range<u32>, without_loss: usize) -> Encoded {
        let ids: Vec<u32> = ids.collect();
        let mut labels: Vec<i64> = ids.iter().map(|id| i64::from(*id)).collect();
        labels[..without_loss].fill(IGNORED);
        Encoded { ids, labels, class: None }
    }

    /// The labels of all pieces, without those of no loss.
    fn learned(pieces: &Pieces) -> Vec<i64> {
        let labels = pieces.all.iter().flat_map(|piece| piece.labels.iter().copied());
        labels.filter(|label| *label != IGNORED).collect()
    }

    #[test]
    fn every_token_carries_its_loss_once_whatever_the_stride() {
        for (limit, stride) in [(4, 0), (4, 1), (5, 3), (7, 2), (11, 0), (12, 5)] {
            let pieces = Pieces::split(example(100..123, 1), limit, (1, stride));
            assert_eq!(learned(&pieces), (101..123).collect::<Vec<_>>(), "{limit} {stride}");
            assert_eq!(pieces.lost, 0);
            for (index, piece) in pieces.all.iter().enumerate() {
                assert_eq!((piece.ids[0], piece.ids.len()), (100, piece.labels.len()));
                assert!(piece.ids.len() <= limit, "{limit} {stride}");
                if index > 0 {
                    let before = &pieces.all[index - 1].ids;
                    assert_eq!(piece.ids[1..=stride], before[before.len() - stride..]);
                }
            }
        }
    }

    #[test]
    fn a_text_without_special_tokens_repeats_one_token_so_that_none_is_unpredicted() {
        let pieces = Pieces::split(example(0..10, 0), 4, (0, 0));
        let starts: Vec<_> =
            pieces.all.iter().map(|piece| (piece.ids[0], piece.labels[0])).collect();
        assert_eq!(starts, [(0, 0), (3, IGNORED), (6, IGNORED)]);
        assert_eq!(learned(&pieces), (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn pieces_without_loss_are_left_out_and_short_examples_stay_whole() {
        let pieces = Pieces::split(example(0..10, 8), 4, (0, 1));
        assert_eq!((pieces.all.len(), pieces.left_out, learned(&pieces)), (1, 2, vec![8, 9]));
        let short = example(0..4, 1);
        assert_eq!(Pieces::split(short.clone(), 4, (0, 1)).all, [short]);
    }

    #[test]
    fn a_cut_example_reports_the_tokens_that_it_lost() {
        let cut = Pieces::truncated(example(0..10, 2), 4);
        assert_eq!((cut.all[0].ids.as_slice(), cut.lost), (&[0, 1, 2, 3][..], 6));
        assert_eq!(Pieces::truncated(example(0..4, 2), 4).lost, 0);
    }
}
