//! Metrics of generated text and of classes. The crate does not depend on tensors, tokenizers or
//! data files.
//!
//! [`Metric`] lists the metrics, [`score`] computes one of them over [`Pair`]s of texts, and
//! [`Classes`] computes those of classes. With a seed, a [`Score`] has a bootstrap interval.
//!
//! # Examples
//! ```
//! use graft_metrics::{Metric, Pair, score};
//!
//! let pairs = [
//!     Pair { prediction: "the borrow checker", gold: "The borrow checker." },
//!     Pair { prediction: "a trait", gold: "a lifetime" },
//! ];
//! let exact = score(Metric::ExactMatch, &pairs, None, Some(0))?;
//! assert_eq!(exact.value, 0.5);
//! # Ok::<(), graft_metrics::MetricError>(())
//! ```

mod bleu;
mod bootstrap;
mod chrf;
mod classification;
mod error;
mod metric;
mod ngrams;
mod numeric;
mod pattern;
mod python_text;
mod rouge;
mod scoring;
mod squad;

pub use bleu::{Bleu, Orders, tokenize_13a};
pub use bootstrap::{Interval, RESAMPLES};
pub use chrf::Chrf;
pub use classification::{Averaged, Classes};
pub use error::MetricError;
pub use metric::{Metric, Scale, parse_metrics};
pub use numeric::{is_same_number, last_number};
pub use pattern::AnswerPattern;
pub use rouge::{Overlap, RougeSummary, RougeTokens, Stemming, stem};
pub use scoring::{Pair, Score, check_gold, mean_score, score};
pub use squad::{exact_match, normalize, token_f1};
