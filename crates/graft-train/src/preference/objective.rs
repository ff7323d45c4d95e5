//! The losses on pairs of answers: their values, and their slopes for the backward pass.

/// The kind of loss on a pair of answers.
///
/// With the log-probabilities `c` and `r` of the chosen and the rejected answer, `c'` and `r'`
/// those of the reference model, and `n` the number of tokens of an answer:
///
/// ```text
/// dpo     -log sigmoid(beta d),            d = (c - c') - (r - r')
/// ipo     (e - 1 / (2 beta))^2,            e = (c - c') / n_c - (r - r') / n_r
/// hinge   max(0, 1 - beta d)
/// orpo    nll - beta log sigmoid(log odds(c / n_c) - log odds(r / n_r)),
///         log odds(a) = a - log(1 - exp(a))
/// simpo   -log sigmoid(beta (c / n_c - r / n_r) - gamma)
/// ```
/// `nll` is the mean negative log-likelihood per token of prompt and chosen answer.
///
/// # Source
/// DPO: Rafailov et al. 2023, arXiv:2305.18290. IPO: Azar et al. 2023, arXiv:2310.12036. Hinge:
/// Zhao et al. 2023, arXiv:2305.10425. ORPO: Hong et al. 2024, arXiv:2403.07691. SimPO: Meng et
/// al. 2024, arXiv:2405.14734. The averages over tokens are those of TRL; goldens `preference`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreferenceLoss {
    /// Direct preference optimization.
    Dpo,
    /// Identity preference optimization.
    Ipo,
    /// The hinge loss of SLiC on the rewards of DPO.
    Hinge,
    /// Odds ratio preference optimization, without a reference model.
    Orpo,
    /// Simple preference optimization, without a reference model.
    Simpo,
}

/// The constants of a preference loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Strength {
    /// Scale of the rewards.
    pub beta: f64,
    /// Margin of the rewards that SimPO aims at; the other losses have none.
    pub gamma: f64,
}

/// The log-probabilities of the two answers of a pair.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LogProbabilities {
    /// Of the chosen answer, in nats.
    pub chosen: f64,
    /// Of the rejected answer, in nats.
    pub rejected: f64,
    /// Of the prompt, in nats; only ORPO uses it, and it is 0 for the other losses.
    pub prompt: f64,
}

/// The loss of one pair without the likelihood term of ORPO, its slopes, and the rewards.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PairLoss {
    /// The loss.
    pub value: f64,
    /// Its derivatives by the log-probabilities of the chosen and the rejected answer.
    pub slopes: (f64, f64),
    /// Reward of the chosen answer.
    pub chosen_reward: f64,
    /// Reward of the rejected answer.
    pub rejected_reward: f64,
}

/// Closest that a mean log-probability comes to 0 in the odds of ORPO, which are infinite there.
const SUREST: f64 = -1e-7;

impl PreferenceLoss {
    /// Parses a value of the key `loss`.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "dpo" => Some(Self::Dpo),
            "ipo" => Some(Self::Ipo),
            "hinge" => Some(Self::Hinge),
            "orpo" => Some(Self::Orpo),
            "simpo" => Some(Self::Simpo),
            _ => None,
        }
    }

    /// The value of the key `loss`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dpo => "dpo",
            Self::Ipo => "ipo",
            Self::Hinge => "hinge",
            Self::Orpo => "orpo",
            Self::Simpo => "simpo",
        }
    }

    /// Whether the loss compares the model with a reference model.
    pub fn has_reference(self) -> bool {
        !matches!(self, Self::Orpo | Self::Simpo)
    }

    /// Whether the loss includes the likelihood of the prompt and the chosen answer.
    pub fn has_likelihood(self) -> bool {
        self == Self::Orpo
    }

    /// Whether the rewards are means over the tokens of an answer.
    pub fn is_per_token(self) -> bool {
        matches!(self, Self::Orpo | Self::Simpo)
    }

    /// The loss of a pair. `tokens` are the numbers of tokens of the chosen and the rejected
    /// answer; `reference` is not used by ORPO and SimPO.
    pub fn of_pair(
        self,
        strength: Strength,
        model: LogProbabilities,
        reference: LogProbabilities,
        tokens: (usize, usize),
    ) -> PairLoss {
        let Strength { beta, gamma } = strength;
        let tokens = (tokens.0.max(1) as f64, tokens.1.max(1) as f64);
        let chosen = model.chosen - reference.chosen;
        let rejected = model.rejected - reference.rejected;
        match self {
            Self::Dpo => {
                let margin = beta * (chosen - rejected);
                let slope = -beta * sigmoid(-margin);
                PairLoss::new(softplus(-margin), (slope, -slope), (beta * chosen, beta * rejected))
            }
            Self::Hinge => {
                let rest = 1.0 - beta * (chosen - rejected);
                let slope = if rest > 0.0 { -beta } else { 0.0 };
                PairLoss::new(rest.max(0.0), (slope, -slope), (beta * chosen, beta * rejected))
            }
            Self::Ipo => {
                let distance = chosen / tokens.0 - rejected / tokens.1 - 1.0 / (2.0 * beta);
                let slopes = (2.0 * distance / tokens.0, -2.0 * distance / tokens.1);
                PairLoss::new(distance * distance, slopes, (beta * chosen, beta * rejected))
            }
            Self::Orpo => odds_ratio(beta, model, tokens),
            Self::Simpo => {
                let rewards = (beta * model.chosen / tokens.0, beta * model.rejected / tokens.1);
                let margin = rewards.0 - rewards.1 - gamma;
                let slope = -beta * sigmoid(-margin);
                let slopes = (slope / tokens.0, -slope / tokens.1);
                PairLoss::new(softplus(-margin), slopes, rewards)
            }
        }
    }
}

/// The odds ratio term of ORPO.
fn odds_ratio(beta: f64, model: LogProbabilities, tokens: (f64, f64)) -> PairLoss {
    let (chosen, rejected) = (model.chosen / tokens.0, model.rejected / tokens.1);
    let (sure_chosen, sure_rejected) = (chosen.min(SUREST), rejected.min(SUREST));
    let log_odds = |a: f64| a - (-a.exp_m1()).ln();
    let ratio = log_odds(sure_chosen) - log_odds(sure_rejected);
    let slope = -beta * sigmoid(-ratio);
    // The derivative of log odds(a) is 1 / (1 - exp(a)).
    let slopes =
        (slope / -sure_chosen.exp_m1() / tokens.0, -slope / -sure_rejected.exp_m1() / tokens.1);
    PairLoss::new(beta * softplus(-ratio), slopes, (beta * chosen, beta * rejected))
}

impl PairLoss {
    fn new(value: f64, slopes: (f64, f64), rewards: (f64, f64)) -> Self {
        Self { value, slopes, chosen_reward: rewards.0, rejected_reward: rewards.1 }
    }
}

/// `log(1 + exp(x))` without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// `1 / (1 + exp(-x))`.
fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [PreferenceLoss; 5] = [
        PreferenceLoss::Dpo,
        PreferenceLoss::Ipo,
        PreferenceLoss::Hinge,
        PreferenceLoss::Orpo,
        PreferenceLoss::Simpo,
    ];

    fn strength(beta: f64) -> Strength {
        Strength { beta, gamma: 0.7 }
    }

    fn pair(chosen: f64, rejected: f64) -> LogProbabilities {
        LogProbabilities { chosen, rejected, prompt: 0.0 }
    }

    #[test]
    fn slopes_are_the_derivatives_of_the_loss() {
        let reference = pair(-9.1, -7.3);
        for loss in ALL {
            for (chosen, rejected) in [(-8.0, -9.5), (-12.0, -3.0), (-0.4, -0.3)] {
                let of = |chosen: f64, rejected: f64| {
                    let model = pair(chosen, rejected);
                    loss.of_pair(strength(0.3), model, reference, (4, 7))
                };
                let step = 1e-5;
                let slopes = of(chosen, rejected).slopes;
                let by_chosen = (of(chosen + step, rejected).value
                    - of(chosen - step, rejected).value)
                    / (2.0 * step);
                let by_rejected = (of(chosen, rejected + step).value
                    - of(chosen, rejected - step).value)
                    / (2.0 * step);
                assert!((slopes.0 - by_chosen).abs() < 1e-7, "{loss:?} {slopes:?}");
                assert!((slopes.1 - by_rejected).abs() < 1e-7, "{loss:?} {slopes:?}");
            }
        }
    }

    #[test]
    fn extreme_log_probabilities_have_finite_losses() {
        let reference = pair(-1.0, -1.0);
        for loss in ALL {
            for (chosen, rejected) in [(0.0, -1e6), (-1e6, 0.0), (0.0, 0.0)] {
                let model = pair(chosen, rejected);
                let found = loss.of_pair(strength(0.1), model, reference, (3, 0));
                assert!(found.value.is_finite() && found.slopes.0.is_finite(), "{found:?}");
            }
        }
    }

    #[test]
    fn a_model_equal_to_its_reference_has_the_loss_of_a_coin() {
        let same = pair(-5.0, -2.0);
        let found = PreferenceLoss::Dpo.of_pair(strength(0.1), same, same, (3, 3));
        assert!((found.value - std::f64::consts::LN_2).abs() < 1e-12);
        assert_eq!((found.chosen_reward, found.rejected_reward), (0.0, 0.0));
    }

    #[test]
    fn the_margin_of_simpo_is_what_its_rewards_must_exceed() {
        let model = pair(-2.0, -9.0);
        let found = PreferenceLoss::Simpo.of_pair(strength(2.0), model, model, (4, 6));
        assert!((found.chosen_reward + 1.0).abs() < 1e-12);
        assert!((found.rejected_reward + 3.0).abs() < 1e-12);
        // -log sigmoid(2 - 0.7)
        assert!((found.value - (-1.3f64).exp().ln_1p()).abs() < 1e-12);
    }

    #[test]
    fn names_are_those_of_the_key() {
        let names: Vec<_> = ALL.iter().map(|loss| loss.name()).collect();
        for name in graft_spec::training::preference::LOSSES {
            assert_eq!(PreferenceLoss::parse(name).map(PreferenceLoss::name), Some(*name));
            assert!(names.contains(name));
        }
    }
}
