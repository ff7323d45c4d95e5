//! Independent pieces of work on all threads. The pieces are chosen by the caller and never by the number of threads, so
//! results are the same on one thread and on many.

use rayon::prelude::*;

/// Elements per piece of elementwise work: large enough to pay for the hand-over, small enough to stay in the cache.
pub(crate) const CHUNK: usize = 8192;

/// Rows of `width` elements that make one piece.
pub(crate) fn rows_per_piece(width: usize) -> usize {
    (CHUNK / width.max(1)).max(1)
}

/// Does `work` for each piece.
pub(crate) fn each<T: Send>(pieces: impl Iterator<Item = T>, work: impl Fn(T) + Send + Sync) {
    let pieces: Vec<T> = pieces.collect();
    if alone(pieces.len()) { pieces.into_iter().for_each(work) } else { pieces.into_par_iter().for_each(work) }
}

/// What `work` makes of each piece, in the order of the pieces.
pub(crate) fn map<T: Send, R: Send>(pieces: impl Iterator<Item = T>, work: impl Fn(T) -> R + Send + Sync) -> Vec<R> {
    let pieces: Vec<T> = pieces.collect();
    if alone(pieces.len()) { pieces.into_iter().map(work).collect() } else { pieces.into_par_iter().map(work).collect() }
}

fn alone(pieces: usize) -> bool {
    pieces < 2 || rayon::current_num_threads() == 1
}
