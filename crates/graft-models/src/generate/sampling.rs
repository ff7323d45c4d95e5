//! Sampling of the next token: greedy, or with temperature, top-k and top-p.

use std::collections::BTreeSet;

use graft_nn::Stream;

use super::GenerateOptions;

/// The chosen token, and its natural log-probability at temperature 1 without top-k and top-p.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Choice {
    pub(super) id: u32,
    pub(super) logprob: f64,
}

/// Chooses a token: the most likely one at temperature 0, else a sample from
/// `softmax(logits / temperature)` restricted by top-k, then top-p. Before that, the positive
/// logits of the tokens in `seen` are divided by the repetition penalty and the negative ones
/// multiplied by it. `None` if a logit is NaN or +inf. Equal logits are ordered by token, so that
/// ties do not depend on the machine.
///
/// # Source
/// Top-k: Fan et al. 2018, arXiv:1805.04833; top-p: Holtzman et al. 2020, arXiv:1904.09751;
/// repetition penalty: Keskar et al. 2019, arXiv:1909.05858; the order is that of transformers
pub(super) fn choose(
    logits: &[f32],
    options: &GenerateOptions,
    seen: &BTreeSet<u32>,
    stream: &mut Stream,
) -> Option<Choice> {
    if logits.iter().any(|logit| logit.is_nan() || *logit == f32::INFINITY) {
        return None;
    }
    let mut order: Vec<u32> = (0..logits.len() as u32).collect();
    let logit = |id: u32| f64::from(logits.get(id as usize).copied().unwrap_or(f32::NEG_INFINITY));
    let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let partition: f64 = logits.iter().map(|logit| f64::from(logit - greatest).exp()).sum();
    let logprob = |id: u32| logit(id) - f64::from(greatest) - partition.ln();
    let logit = |id: u32| penalized(logit(id), seen.contains(&id), options.repetition_penalty);
    if options.temperature <= 0.0 || options.top_k == 1 {
        let id =
            order.into_iter().reduce(|best, id| if logit(id) > logit(best) { id } else { best })?;
        return Some(Choice { id, logprob: logprob(id) });
    }
    order.sort_by(|a, b| logit(*b).total_cmp(&logit(*a)).then(a.cmp(b)));
    let greatest = order.first().map_or(0.0, |id| logit(*id));
    if options.top_k > 0 {
        order.truncate(options.top_k);
    }
    let mut weights: Vec<f64> =
        order.iter().map(|id| ((logit(*id) - greatest) / options.temperature).exp()).collect();
    weights.truncate(nucleus(&weights, options.top_p));
    let place = draw(&weights, stream.unit());
    let id = *order.get(place)?;
    Some(Choice { id, logprob: logprob(id) })
}

/// A logit after the repetition penalty.
fn penalized(logit: f64, is_seen: bool, penalty: f64) -> f64 {
    match is_seen {
        true if logit > 0.0 => logit / penalty,
        true => logit * penalty,
        false => logit,
    }
}

/// The number of most likely tokens whose probabilities sum to at least `p`; at least one.
fn nucleus(weights: &[f64], p: f64) -> usize {
    if p >= 1.0 {
        return weights.len();
    }
    let total: f64 = weights.iter().sum();
    let mut sum = 0.0;
    let enough = weights.iter().position(|weight| {
        sum += weight;
        sum >= p * total
    });
    enough.map_or(weights.len(), |place| place + 1)
}

/// The index of a sample from unnormalized weights; `unit` is uniform in [0, 1).
fn draw(weights: &[f64], unit: f64) -> usize {
    let mut left = unit * weights.iter().sum::<f64>();
    for (place, weight) in weights.iter().enumerate() {
        left -= weight;
        if left < 0.0 {
            return place;
        }
    }
    weights.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use graft_nn::Rng;

    use super::*;

    fn counts(options: &GenerateOptions) -> [usize; 4] {
        let mut stream = Rng::new(5).stream("test", "sampling");
        let mut counts = [0; 4];
        for _ in 0..4000 {
            counts[choose(&[1.0, 0.0, 2.0, -1.0], options, &BTreeSet::new(), &mut stream)
                .unwrap()
                .id as usize] += 1;
        }
        counts
    }

    #[test]
    fn greedy_takes_the_greatest_and_the_first_of_equals() {
        let mut stream = Rng::new(0).stream("test", "sampling");
        let choice = choose(
            &[0.0, 3.0, 3.0, 1.0],
            &GenerateOptions::default(),
            &BTreeSet::new(),
            &mut stream,
        )
        .unwrap();
        assert_eq!(choice.id, 1);
        let partition: f64 = [0f64, 3.0, 3.0, 1.0].iter().map(|logit| logit.exp()).sum();
        assert!((choice.logprob - (3.0 - partition.ln())).abs() < 1e-6);
    }

    #[test]
    fn temperature_one_samples_from_the_distribution_of_the_model() {
        let found = counts(&GenerateOptions { temperature: 1.0, ..Default::default() });
        let partition: f64 = [1f64, 0.0, 2.0, -1.0].iter().map(|logit| logit.exp()).sum();
        for (count, logit) in found.into_iter().zip([1f64, 0.0, 2.0, -1.0]) {
            assert!((count as f64 / 4000.0 - logit.exp() / partition).abs() < 0.03, "{found:?}");
        }
    }

    #[test]
    fn top_k_and_top_p_cut_the_tail() {
        let found = counts(&GenerateOptions { temperature: 1.0, top_k: 2, ..Default::default() });
        assert!(found[1] == 0 && found[3] == 0 && found[0] > 0, "{found:?}");
        // The likeliest alone has 64 %.
        assert_eq!(
            counts(&GenerateOptions { temperature: 1.0, top_p: 0.5, ..Default::default() }),
            [0, 0, 4000, 0]
        );
        let found = counts(&GenerateOptions { temperature: 1.0, top_p: 0.8, ..Default::default() });
        assert!(found[1] == 0 && found[3] == 0 && found[0] > 0, "{found:?}");
    }

    #[test]
    fn the_repetition_penalty_makes_seen_tokens_less_likely_whatever_their_sign() {
        // As RepetitionPenaltyLogitsProcessor of transformers.
        assert_eq!([penalized(3.0, true, 1.5), penalized(-3.0, true, 1.5)], [2.0, -4.5]);
        assert_eq!(penalized(3.0, false, 1.5), 3.0);
        let mut stream = Rng::new(0).stream("test", "sampling");
        let options = GenerateOptions { repetition_penalty: 2.0, ..Default::default() };
        let seen = BTreeSet::from([1]);
        let choice = choose(&[2.0, 3.0, -1.0], &options, &seen, &mut stream).unwrap();
        assert_eq!(choice.id, 0);
        // The log-probability is that of the model.
        let partition: f64 = [2f64, 3.0, -1.0].iter().map(|logit| logit.exp()).sum();
        assert!((choice.logprob - (2.0 - partition.ln())).abs() < 1e-6);
    }

    #[test]
    fn a_nan_logit_is_detected() {
        let mut stream = Rng::new(0).stream("test", "sampling");
        assert_eq!(
            choose(&[0.0, f32::NAN], &GenerateOptions::default(), &BTreeSet::new(), &mut stream),
            None
        );
        assert!(
            choose(
                &[0.0, f32::NEG_INFINITY],
                &GenerateOptions::default(),
                &BTreeSet::new(),
                &mut stream
            )
            .is_some()
        );
    }
}
