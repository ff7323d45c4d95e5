//! Independent pieces of work on all threads. The caller defines the pieces, independent of the
//! number of threads, so the result is the same for any number of threads.

use std::cell::Cell;
use std::ops::Range;

use rayon::prelude::*;

thread_local! {
    /// Whether this thread works on a piece of a larger task, so that its work is not divided
    /// again.
    static ALONE: Cell<bool> = const { Cell::new(false) };
}

/// Elements per piece of elementwise work: large enough to outweigh the scheduling overhead, small
/// enough to stay in the cache.
pub(crate) const CHUNK: usize = 8192;

/// Rows of `width` elements that make one piece.
pub(crate) fn rows_per_piece(width: usize) -> usize {
    (CHUNK / width.max(1)).max(1)
}

/// The number of threads that process pieces at the same time.
pub fn threads() -> usize {
    rayon::current_num_threads()
}

/// Runs `work` for each piece.
pub(crate) fn each<T: Send>(pieces: impl Iterator<Item = T>, work: impl Fn(T) + Send + Sync) {
    let pieces: Vec<T> = pieces.collect();
    if alone(pieces.len()) {
        pieces.into_iter().for_each(work)
    } else {
        pieces.into_par_iter().for_each(work)
    }
}

/// The results of `work` for all pieces, in their order.
pub(crate) fn map<T: Send, R: Send>(
    pieces: impl Iterator<Item = T>,
    work: impl Fn(T) -> R + Send + Sync,
) -> Vec<R> {
    let pieces: Vec<T> = pieces.collect();
    if alone(pieces.len()) {
        pieces.into_iter().map(work).collect()
    } else {
        pieces.into_par_iter().map(work).collect()
    }
}

/// The sum of the results of `work` for the pieces 0..count, each of which is a whole pass through
/// a model. Pairs are added first, then pairs of pairs, so the sum is bit-identical for any
/// assignment of pieces to threads.
///
/// If there are at least as many pieces as threads, each thread processes whole pieces, which
/// avoids synchronization after every operation. Otherwise the pieces are processed one after
/// another, and all threads share the operations of each.
///
/// # Errors
/// The first error of `work` or `add`, in the order of the pieces.
pub fn summed<R: Send, E: Send>(
    count: usize,
    work: &(impl Fn(usize) -> Result<R, E> + Sync),
    add: &(impl Fn(R, R) -> Result<R, E> + Sync),
) -> Option<Result<R, E>> {
    let divided = count > 1 && count >= threads() && !is_alone();
    (count > 0).then(|| {
        if divided {
            sum_on_threads(0..count, work, add)
        } else {
            sum_sequentially(0..count, work, add)
        }
    })
}

fn sum_on_threads<R: Send, E: Send>(
    pieces: Range<usize>,
    work: &(impl Fn(usize) -> Result<R, E> + Sync),
    add: &(impl Fn(R, R) -> Result<R, E> + Sync),
) -> Result<R, E> {
    if pieces.len() == 1 {
        return alone_here(|| work(pieces.start));
    }
    let (left, right) = halves(pieces);
    let (left, right) =
        rayon::join(|| sum_on_threads(left, work, add), || sum_on_threads(right, work, add));
    add(left?, right?)
}

fn sum_sequentially<R, E>(
    pieces: Range<usize>,
    work: &impl Fn(usize) -> Result<R, E>,
    add: &impl Fn(R, R) -> Result<R, E>,
) -> Result<R, E> {
    if pieces.len() == 1 {
        return work(pieces.start);
    }
    let (left, right) = halves(pieces);
    add(sum_sequentially(left, work, add)?, sum_sequentially(right, work, add)?)
}

fn halves(pieces: Range<usize>) -> (Range<usize>, Range<usize>) {
    let middle = usize::midpoint(pieces.start, pieces.end);
    (pieces.start..middle, middle..pieces.end)
}

/// Runs `work` without dividing it among threads.
fn alone_here<R>(work: impl FnOnce() -> R) -> R {
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            ALONE.set(self.0);
        }
    }
    let _before = Before(ALONE.replace(true));
    work()
}

/// Whether work must not be divided: this thread already works on a piece, or it is the only one.
pub(crate) fn is_alone() -> bool {
    ALONE.get() || threads() == 1
}

fn alone(pieces: usize) -> bool {
    pieces < 2 || is_alone()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(threads: usize) -> rayon::ThreadPool {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads")
    }

    #[test]
    fn a_sum_of_pieces_is_the_same_on_any_number_of_threads() {
        // Each rounding depends on the order.
        let sum = |threads: usize, count: usize| {
            let work = |piece: usize| Ok::<f32, ()>(1.0 / (piece as f32 + 0.3));
            pool(threads).install(|| {
                summed(count, &work, &|one, other| Ok(one + other))
                    .map(|sum| sum.expect("no error").to_bits())
            })
        };
        assert_eq!(sum(2, 0), None);
        for count in [1, 2, 3, 7, 64] {
            assert_eq!(sum(1, count), sum(2, count));
            assert_eq!(sum(1, count), sum(5, count));
        }
    }

    #[test]
    fn a_piece_is_not_divided_again_and_later_work_is() {
        let inside = pool(2).install(|| {
            summed(4, &|_| Ok::<_, ()>(u32::from(is_alone())), &|one, other| Ok(one + other))
        });
        assert_eq!(inside, Some(Ok(4)));
        assert!(!pool(2).install(is_alone));
        // Fewer pieces than threads: the threads share each.
        let shared = pool(3).install(|| {
            summed(2, &|_| Ok::<_, ()>(u32::from(is_alone())), &|one, other| Ok(one + other))
        });
        assert_eq!(shared, Some(Ok(0)));
    }

    #[test]
    fn the_first_error_is_the_answer() {
        let answer = pool(2).install(|| {
            summed(5, &|piece| if piece > 1 { Err(piece) } else { Ok(piece) }, &|one, other| {
                Ok(one + other)
            })
        });
        assert_eq!(answer, Some(Err(2)));
    }
}
