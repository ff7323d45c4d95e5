//! What a training did, and what to type next because of it.

use graft_protocol::StepRecord;
use graft_spec::{KeySpec, Settings, Value, methods::MethodSpec, number::decimals};

use super::train::{TrainingSetup, default_rate};

/// Steps from which on a course says something.
const ENOUGH: usize = 20;
/// A rise of less than this share of the loss, or within twice its standard error, is noise.
const NOISE: f64 = 0.02;
/// So much above the loss of the very first step, which is that of one batch, is no noise.
const JUMP: f64 = 0.1;
/// A fall of less than this share of the loss is none.
const STILL: f64 = 1e-4;
/// The factors by which a rate or a number of steps is changed.
pub(crate) const SMALLER: f64 = 0.1;
const LARGER: f64 = 3.0;
const LONGER: u64 = 3;
/// No rate above this is proposed.
const LARGEST: f64 = 1.0;

/// How the training loss went, from the mean over the first tenth of the steps to that over the last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Course {
    /// Too few steps to tell.
    Short,
    /// No gradient arrived in any step.
    NoGradient,
    /// It rose, or was no number at the end.
    Rose(f64, f64),
    /// It stayed where it was.
    Flat(f64, f64),
    /// It fell.
    Fell(f64, f64),
}

impl Course {
    /// Of the steps of a run.
    pub(crate) fn of(steps: &[StepRecord]) -> Self {
        if !steps.is_empty() && steps.iter().all(|step| step.grad_norm == 0.0) {
            return Self::NoGradient;
        }
        Self::of_losses(&steps.iter().map(|step| step.loss).collect::<Vec<_>>())
    }

    /// Of a curve of losses.
    pub(crate) fn of_losses(losses: &[f64]) -> Self {
        if losses.iter().any(|loss| !loss.is_finite()) {
            return Self::Rose(
                losses.first().copied().unwrap_or(f64::NAN),
                losses.last().copied().unwrap_or(f64::NAN),
            );
        }
        if losses.len() < ENOUGH {
            return Self::Short;
        }
        let tenth = losses.len().div_ceil(10);
        let (start, first, last) = (losses[0], &losses[..tenth], &losses[losses.len() - tenth..]);
        let (before, after) = (mean(first), mean(last));
        let error = ((variance(first) + variance(last)) / tenth as f64).sqrt();
        // A run that diverges in its first steps may fall from there and still end far above its start.
        if after - start > (JUMP * start.abs()).max(3.0 * variance(last).sqrt()) {
            return Self::Rose(start, after);
        }
        match after - before {
            risen if risen > (NOISE * before.abs()).max(2.0 * error) => Self::Rose(before, after),
            risen if risen >= -STILL * before.abs() => Self::Flat(before, after),
            _ => Self::Fell(before, after),
        }
    }

    /// The course in words, and what follows from it; none when there is nothing to object to.
    pub(crate) fn alarm(self, next: &Next<'_>) -> Option<String> {
        let went = |verb: &str, first: f64, last: f64| {
            format!(
                "the loss {verb}: {} in the first steps, {} in the last",
                decimals(first, 3),
                decimals(last, 3)
            )
        };
        match self {
            Self::Short | Self::Fell(..) => None,
            Self::NoGradient => Some(format!(
                "no gradient reached the adapter in any step; {}",
                next.with_gradient()
            )),
            Self::Rose(first, last) => {
                Some(format!("{}; {}", went("has risen", first, last), next.smaller()))
            }
            Self::Flat(first, last) => {
                Some(format!("{}; {}", went("has not fallen", first, last), next.larger()))
            }
        }
    }

    /// What follows from it for a training whose accuracy shows nothing.
    pub(crate) fn advice(self, next: &Next<'_>) -> String {
        match self {
            Self::NoGradient => next.with_gradient(),
            Self::Rose(..) => next.smaller(),
            Self::Flat(..) => next.larger(),
            Self::Fell(..) | Self::Short => next.longer(),
        }
    }
}

/// The lines to type after a training, with its own numbers in them.
pub(crate) struct Next<'a> {
    /// Its method.
    pub(crate) spec: &'static MethodSpec,
    /// Name and scale of its adapter.
    pub(crate) adapter: (&'a str, f64),
    /// The keys that attach the adapter anew, and those that it was trained with.
    pub(crate) asked: &'a Settings,
    pub(crate) train: &'a Settings,
    /// Steps and peak learning rate.
    pub(crate) steps: u64,
    pub(crate) lr: f64,
    /// The method's own rate on this model.
    pub(crate) default_lr: f64,
}

impl<'a> Next<'a> {
    /// After the training of a plan with these keys.
    pub(crate) fn after(plan: &'a TrainingSetup, train: &'a Settings) -> Self {
        let (adapter, config) = (&plan.attached.adapter, &plan.config);
        let (asked, steps, lr, default_lr) = (
            plan.attached.asked(),
            config.steps,
            config.lr,
            default_rate(&plan.model, adapter.spec()),
        );
        Self {
            spec: adapter.spec(),
            adapter: (adapter.name(), adapter.scale()),
            asked,
            train,
            steps,
            lr,
            default_lr,
        }
    }

    /// Weights that have diverged are no start. A rate far above the method's own gives way to that one.
    pub(crate) fn smaller(&self) -> String {
        let smaller = (self.lr * SMALLER).min(self.default_lr);
        let line = format!("{}{}", self.attached(), self.trained(self.steps, smaller));
        format!(
            "the learning rate {} is too large; start again with a smaller one: `{line}`",
            rate(self.lr)
        )
    }

    /// The weights are near their start, so training goes on from there.
    pub(crate) fn larger(&self) -> String {
        if self.lr == 0.0 {
            return format!(
                "the learning rate is 0, so nothing was learned: `%train{}`",
                self.trained(self.steps, self.default_lr)
            );
        }
        if self.lr * LARGER > LARGEST {
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
                format!("its scale is 0, so nothing can be learned: `%{verb} scale 1`")
            }
            (true, _) => format!(
                "its scale is 0, so nothing can be learned: `%{verb} scale 1 adapter_name={}`",
                word(name)
            ),
            (false, _) => {
                format!("start again: `{}{}`", self.attached(), self.trained(self.steps, self.lr))
            }
        }
    }

    /// `%lora r=8`, with the keys that differ from their defaults: with keys of a training behind them it attaches and trains.
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

    /// ` batch=4 lr=2e-3 steps=60`: its own keys, with these steps and this rate.
    fn trained(&self, steps: u64, lr: f64) -> String {
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

/// A word as a magic reads it.
fn word(text: &str) -> String {
    if text.is_empty() || text.contains([' ', '\t', '"', '\'', '\\']) {
        format!("{text:?}")
    } else {
        text.to_owned()
    }
}

/// A rate as one types it, exactly where that is short: `3e-4`, `1.5e-3`.
pub(crate) fn rate(lr: f64) -> String {
    let exact = format!("{lr:e}");
    if exact.len() <= 8 { exact } else { format!("{lr:.1e}").replace(".0e", "e") }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Sample variance; 0 of a single value.
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
        }
    }

    #[test]
    fn a_rise_is_no_flat_course_and_noise_is_no_rise() {
        let line = |from: f64, to: f64| {
            (0..40).map(|step| from + (to - from) * f64::from(step) / 39.0).collect::<Vec<_>>()
        };
        assert!(matches!(Course::of_losses(&line(2.0, 9.0)), Course::Rose(..)));
        assert!(matches!(Course::of_losses(&line(2.0, 1.0)), Course::Fell(..)));
        assert!(matches!(Course::of_losses(&line(2.0, 2.01)), Course::Flat(..)));
        assert!(matches!(Course::of_losses(&line(2.0, 2.0 - 1e-9)), Course::Flat(..)));
        assert!(matches!(Course::of_losses(&[2.0, f64::NAN]), Course::Rose(..)));
        assert_eq!(Course::of_losses(&[2.0, 9.0]), Course::Short);
        // From 2 to 40 at once, and down to 8.
        let jump: Vec<f64> = std::iter::once(2.0)
            .chain((0..39).map(|step| 40.0 - 32.0 * f64::from(step) / 38.0))
            .collect();
        assert!(
            matches!(Course::of_losses(&jump), Course::Rose(start, _) if start == 2.0),
            "{:?}",
            Course::of_losses(&jump)
        );
        // A tenth of noise on top of nothing learned.
        let noisy: Vec<f64> =
            (0..200).map(|step| 2.0 + 0.2 * f64::from((step * 37) % 11 - 5) / 5.0).collect();
        assert!(
            !matches!(Course::of_losses(&noisy), Course::Rose(..)),
            "{:?}",
            Course::of_losses(&noisy)
        );
    }

    #[test]
    fn advice_follows_from_what_happened() {
        let (asked, train) = (
            Settings::default().with("r", Value::Integer(4)),
            Settings::default().with("batch", Value::Integer(2)),
        );
        let next = next(&asked, &train);
        let smaller = Course::Rose(2.0, 1e300).alarm(&next).expect("an alarm");
        assert!(
            smaller.contains("has risen: 2.000 in the first steps, 1.00e300 in the last"),
            "{smaller}"
        );
        assert!(smaller.ends_with("`%lora r=4 batch=2 steps=60 lr=2e-3`"), "{smaller}");
        let larger = Course::Flat(2.0, 2.0).alarm(&next).expect("an alarm");
        assert!(
            larger.contains("has not fallen")
                && larger.ends_with("`%train batch=2 steps=60 lr=6e-2`"),
            "{larger}"
        );
        assert_eq!(Course::Fell(2.0, 1.0).alarm(&next), None);
        assert!(
            Course::Fell(2.0, 1.0).advice(&next).ends_with("`%train batch=2 steps=180 lr=2e-2`")
        );
        let silent = Next { adapter: ("style", 0.0), ..next };
        assert!(
            Course::NoGradient
                .alarm(&silent)
                .expect("an alarm")
                .ends_with("`%lora scale 1 adapter_name=style`")
        );
    }
}
