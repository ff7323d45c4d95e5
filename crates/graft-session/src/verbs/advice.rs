//! Classifies loss curves and suggests the next command.

use graft_protocol::StepRecord;
use graft_spec::{KeySpec, Settings, Value, methods::MethodSpec, number::decimals};

use super::train::job::{TrainingSetup, default_rate};

/// Fewest steps that show a trend.
const MIN_STEPS: usize = 20;
/// An increase below this fraction of the loss, or within twice its standard error, is noise.
const NOISE: f64 = 0.02;
/// An increase above this fraction of the first step's loss, which is that of one batch, is not
/// noise.
const DIVERGENCE: f64 = 0.1;
/// A decrease below this fraction of the loss counts as flat.
const FLAT: f64 = 1e-4;
/// Factor of a smaller learning rate.
pub(crate) const SMALLER: f64 = 0.1;
/// Factor of a larger learning rate.
const LARGER: f64 = 3.0;
/// Factor of the number of steps of a longer run.
const LONGER: u64 = 3;
/// Largest learning rate that is suggested.
const MAX_RATE: f64 = 1.0;

/// The trend of the training loss, from its mean over the first tenth of the steps to its mean over
/// the last tenth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum LossTrend {
    /// Too few steps.
    Short,
    /// The gradient was zero in every step.
    NoGradient,
    /// The loss rose, or became NaN or infinite.
    Rose(f64, f64),
    /// The loss did not change.
    Flat(f64, f64),
    /// The loss fell.
    Fell(f64, f64),
}

impl LossTrend {
    /// The trend of the steps of a run.
    pub(crate) fn of(steps: &[StepRecord]) -> Self {
        if !steps.is_empty() && steps.iter().all(|step| step.grad_norm == 0.0) {
            return Self::NoGradient;
        }
        Self::of_losses(&steps.iter().map(|step| step.loss).collect::<Vec<_>>())
    }

    /// The trend of a loss curve.
    pub(crate) fn of_losses(losses: &[f64]) -> Self {
        if losses.iter().any(|loss| !loss.is_finite()) {
            return Self::Rose(
                losses.first().copied().unwrap_or(f64::NAN),
                losses.last().copied().unwrap_or(f64::NAN),
            );
        }
        if losses.len() < MIN_STEPS {
            return Self::Short;
        }
        let tenth = losses.len().div_ceil(10);
        let (start, first, last) = (losses[0], &losses[..tenth], &losses[losses.len() - tenth..]);
        let (before, after) = (mean(first), mean(last));
        let error = ((variance(first) + variance(last)) / tenth as f64).sqrt();
        // A run that diverges in its first steps may recover and still end far above its start.
        if after - start > (DIVERGENCE * start.abs()).max(3.0 * variance(last).sqrt()) {
            return Self::Rose(start, after);
        }
        match after - before {
            risen if risen > (NOISE * before.abs()).max(2.0 * error) => Self::Rose(before, after),
            risen if risen >= -FLAT * before.abs() => Self::Flat(before, after),
            _ => Self::Fell(before, after),
        }
    }

    /// A warning with a suggestion, unless the loss fell.
    pub(crate) fn warning(self, next: &Next<'_>) -> Option<String> {
        let went = |verb: &str, first: f64, last: f64| {
            format!(
                "the loss {verb}: {} in the first steps, {} in the last ones",
                decimals(first, 3),
                decimals(last, 3)
            )
        };
        match self {
            Self::Short | Self::Fell(..) => None,
            Self::NoGradient => Some(format!(
                "the gradient of the adapter was zero in every step; {}",
                next.with_gradient()
            )),
            Self::Rose(first, last) => {
                Some(format!("{}; {}", went("rose", first, last), next.smaller()))
            }
            Self::Flat(first, last) => {
                Some(format!("{}; {}", went("did not fall", first, last), next.larger()))
            }
        }
    }

    /// A suggestion for a run whose accuracy did not improve.
    pub(crate) fn suggestion(self, next: &Next<'_>) -> String {
        match self {
            Self::NoGradient => next.with_gradient(),
            Self::Rose(..) => next.smaller(),
            Self::Flat(..) => next.larger(),
            Self::Fell(..) | Self::Short => next.longer(),
        }
    }
}

/// Suggests the next command after a run, with the keys of that run.
pub(crate) struct Next<'a> {
    /// The method.
    pub(crate) spec: &'static MethodSpec,
    /// Name and scale of the adapter.
    pub(crate) adapter: (&'a str, f64),
    /// The keys that attach the adapter with fresh weights.
    pub(crate) asked: &'a Settings,
    /// The keys of the training run.
    pub(crate) train: &'a Settings,
    pub(crate) steps: u64,
    /// Peak learning rate.
    pub(crate) lr: f64,
    /// The default learning rate of the method on this model.
    pub(crate) default_lr: f64,
    /// Whether the loss compares pairs of answers. Larger rates make such a model forget its
    /// language before the loss shows it.
    pub(crate) is_preference: bool,
}

impl<'a> Next<'a> {
    /// Suggestions after a run with these keys.
    pub(crate) fn after(setup: &'a TrainingSetup, train: &'a Settings) -> Self {
        let (adapter, config) = (&setup.attached.adapter, &setup.config);
        let (asked, steps, lr, default_lr) = (
            setup.attached.asked(),
            config.steps,
            config.lr,
            default_rate(&setup.model, adapter.spec()),
        );
        Self {
            spec: adapter.spec(),
            adapter: (adapter.name(), adapter.scale()),
            asked,
            train,
            steps,
            lr,
            default_lr,
            is_preference: config.preference.is_some(),
        }
    }

    /// Suggests fresh weights, because those of a diverged run are useless, and a smaller learning
    /// rate: at most the default.
    pub(crate) fn smaller(&self) -> String {
        if self.lr == 0.0 {
            let line = format!("{}{}", self.attached(), self.trained(self.steps, self.lr));
            return format!("the learning rate is 0, so training is not the cause: `{line}`");
        }
        let smaller = (self.lr * SMALLER).min(self.default_lr);
        let line = format!("{}{}", self.attached(), self.trained(self.steps, smaller));
        format!(
            "the learning rate {} is too large; start again with a smaller one: `{line}`",
            rate(self.lr)
        )
    }

    /// Suggests to continue with a larger learning rate: the weights have hardly changed.
    pub(crate) fn larger(&self) -> String {
        if self.lr == 0.0 {
            return format!(
                "the learning rate is 0, so nothing was learned: `%train{}`",
                self.trained(self.steps, self.default_lr)
            );
        }
        if self.is_preference || self.lr * LARGER > MAX_RATE {
            return self.longer();
        }
        format!(
            "train with a larger learning rate or for more steps: `%train{}`",
            self.trained(self.steps, self.lr * LARGER)
        )
    }

    fn longer(&self) -> String {
        format!(
            "train for more steps: `%train{}`",
            self.trained(self.steps.saturating_mul(LONGER), self.lr)
        )
    }

    fn with_gradient(&self) -> String {
        let (verb, (name, scale)) = (self.spec.verb, self.adapter);
        match (scale == 0.0, name) {
            (true, "default") => {
                format!("its scale is 0, so it cannot learn: `%{verb} scale 1`")
            }
            (true, _) => format!(
                "its scale is 0, so it cannot learn: `%{verb} scale 1 adapter_name={}`",
                word(name)
            ),
            (false, _) => {
                format!("start again: `{}{}`", self.attached(), self.trained(self.steps, self.lr))
            }
        }
    }

    /// `%lora r=8`, with the keys that differ from their defaults. Followed by keys of `%train`,
    /// this line attaches and trains.
    fn attached(&self) -> String {
        let differs = |name: &str, value: &Value| {
            let default =
                self.spec.keys.iter().find(|key| key.name == name).and_then(KeySpec::default_value);
            name != "adapter_name" && default.as_ref() != Some(value)
        };
        let mut line = format!("%{}", self.spec.verb);
        line.extend(
            self.asked
                .values
                .iter()
                .filter(|(name, value)| differs(name, value))
                .map(|(name, value)| key(name, &value.to_string())),
        );
        if self.adapter.0 != "default" {
            line.push_str(&key("adapter_name", self.adapter.0));
        }
        line
    }

    /// ` batch=4 lr=2e-3 steps=60`: the keys of the run, with these steps and this learning rate;
    /// the default one instead of 0, with which nothing is learned.
    fn trained(&self, steps: u64, lr: f64) -> String {
        let lr = if lr == 0.0 { self.default_lr } else { lr };
        let others = self
            .train
            .values
            .iter()
            .filter(|(name, _)| !["steps", "lr", "bg"].contains(&name.as_str()));
        let mut line: String = others.map(|(name, value)| key(name, &value.to_string())).collect();
        line.push_str(&format!(" steps={steps} lr={}", rate(lr)));
        line
    }
}

fn key(name: &str, value: &str) -> String {
    format!(" {name}={}", word(value))
}

/// A value, quoted if the parser of magics requires it.
fn word(text: &str) -> String {
    if text.is_empty() || text.contains([' ', '\t', '"', '\'', '\\']) {
        format!("{text:?}")
    } else {
        text.to_owned()
    }
}

/// A learning rate in short notation: `3e-4`, `1.5e-3`.
pub(crate) fn rate(lr: f64) -> String {
    let exact = format!("{lr:e}");
    if exact.len() <= 8 { exact } else { format!("{lr:.1e}").replace(".0e", "e") }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Sample variance; 0 for a single value.
fn variance(values: &[f64]) -> f64 {
    let mean = mean(values);
    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>()
        / (values.len().saturating_sub(1)).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next<'a>(asked: &'a Settings, train: &'a Settings) -> Next<'a> {
        Next {
            spec: &graft_spec::methods::lora::SPEC,
            adapter: ("default", 1.0),
            asked,
            train,
            steps: 60,
            lr: 0.02,
            default_lr: 5e-3,
            is_preference: false,
        }
    }

    #[test]
    fn a_rise_is_not_flat_and_noise_is_not_a_rise() {
        let line = |from: f64, to: f64| {
            (0..40).map(|step| from + (to - from) * f64::from(step) / 39.0).collect::<Vec<_>>()
        };
        assert!(matches!(LossTrend::of_losses(&line(2.0, 9.0)), LossTrend::Rose(..)));
        assert!(matches!(LossTrend::of_losses(&line(2.0, 1.0)), LossTrend::Fell(..)));
        assert!(matches!(LossTrend::of_losses(&line(2.0, 2.01)), LossTrend::Flat(..)));
        assert!(matches!(LossTrend::of_losses(&line(2.0, 2.0 - 1e-9)), LossTrend::Flat(..)));
        assert!(matches!(LossTrend::of_losses(&[2.0, f64::NAN]), LossTrend::Rose(..)));
        assert_eq!(LossTrend::of_losses(&[2.0, 9.0]), LossTrend::Short);
        // From 2 to 40 in one step, then down to 8.
        let jump: Vec<f64> = std::iter::once(2.0)
            .chain((0..39).map(|step| 40.0 - 32.0 * f64::from(step) / 38.0))
            .collect();
        assert!(
            matches!(LossTrend::of_losses(&jump), LossTrend::Rose(start, _) if start == 2.0),
            "{:?}",
            LossTrend::of_losses(&jump)
        );
        // 10 % noise on a constant loss.
        let noisy: Vec<f64> =
            (0..200).map(|step| 2.0 + 0.2 * f64::from((step * 37) % 11 - 5) / 5.0).collect();
        assert!(
            !matches!(LossTrend::of_losses(&noisy), LossTrend::Rose(..)),
            "{:?}",
            LossTrend::of_losses(&noisy)
        );
    }

    #[test]
    fn the_suggestion_follows_from_the_trend() {
        let (asked, train) = (
            Settings::default().with("r", Value::Integer(4)),
            Settings::default().with("batch", Value::Integer(2)),
        );
        let next = next(&asked, &train);
        let smaller = LossTrend::Rose(2.0, 1e300).warning(&next).expect("a warning");
        assert!(
            smaller.contains("rose: 2.000 in the first steps, 1.00e300 in the last ones"),
            "{smaller}"
        );
        assert!(smaller.ends_with("`%lora r=4 batch=2 steps=60 lr=2e-3`"), "{smaller}");
        let larger = LossTrend::Flat(2.0, 2.0).warning(&next).expect("a warning");
        assert!(
            larger.contains("did not fall")
                && larger.ends_with("`%train batch=2 steps=60 lr=6e-2`"),
            "{larger}"
        );
        assert_eq!(LossTrend::Fell(2.0, 1.0).warning(&next), None);
        assert!(
            LossTrend::Fell(2.0, 1.0)
                .suggestion(&next)
                .ends_with("`%train batch=2 steps=180 lr=2e-2`")
        );
        let pairs = Next { is_preference: true, ..self::next(&asked, &train) };
        let longer = LossTrend::Flat(0.69, 0.69).warning(&pairs).expect("a warning");
        assert!(longer.ends_with("`%train batch=2 steps=180 lr=2e-2`"), "{longer}");
        let still = Next { lr: 0.0, ..self::next(&asked, &train) };
        for text in [still.smaller(), still.larger(), still.longer()] {
            assert!(text.contains("lr=5e-3`") && !text.contains("0e0"), "{text}");
        }
        let silent = Next { adapter: ("style", 0.0), ..next };
        assert!(
            LossTrend::NoGradient
                .warning(&silent)
                .expect("a warning")
                .ends_with("`%lora scale 1 adapter_name=style`")
        );
    }
}
