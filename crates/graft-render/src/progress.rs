//! Progress as an HTML bar, as one plain line, and as a bar for terminals.

use graft_protocol::{Rewards, RunStarted, StepRecord, ValidationRecord};
use maud::{Markup, html};

use crate::{number, paint::Paint, visible::one_line, width};

/// Progress of an operation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// The operation, such as `evaluating which-book`; `step` for training.
    pub label: String,
    /// Number of units done.
    pub done: u64,
    /// Number of units in total; 0 if unknown.
    pub total: u64,
    /// Estimated seconds until the end; `None` if unknown.
    pub eta_seconds: Option<f64>,
    /// Further figures, in display order: `loss 1.93`, `12.3k tokens/s`.
    pub figures: Vec<String>,
}

impl Progress {
    /// Creates the progress of an operation, with the fields of
    /// [`graft_protocol::Event::Progress`].
    pub fn of(label: &str, done: u64, total: u64) -> Self {
        Self { label: label.to_owned(), done, total, ..Self::default() }
    }

    /// Creates the progress of a run: latest loss and validation, recent speed, remaining time.
    pub fn of_run(
        started: &RunStarted,
        steps: &[StepRecord],
        validations: &[ValidationRecord],
    ) -> Self {
        let mut progress = Self::of(
            "step",
            steps.last().map_or(started.first_step, |step| step.step),
            started.steps,
        );
        let recent = steps.get(steps.len().saturating_sub(20)..).unwrap_or(&[]);
        let mean = |value: fn(&StepRecord) -> f64| {
            recent.iter().map(value).sum::<f64>() / recent.len().max(1) as f64
        };
        if !recent.is_empty() {
            progress
                .figures
                .push(format!("loss {}", number::significant(mean(|step| step.loss), 3)));
        }
        if let Some(rewards) = mean_rewards(recent) {
            let margin = number::significant(rewards.margin(), 3);
            let accuracy = number::percent(rewards.accuracy, 0);
            progress.figures.push(format!("reward margin {margin}, accuracy {accuracy}"));
        }
        if let Some(validation) = validations.last() {
            let accuracy = match (validation.metric, validation.accuracy) {
                (Some(metric), _) => {
                    format!(", {} {}", started.metric_name(), number::significant(metric, 3))
                }
                (None, Some(share)) => format!(", accuracy {}", number::percent(share, 0)),
                (None, None) => String::new(),
            };
            progress
                .figures
                .push(format!("validation {}{accuracy}", number::significant(validation.loss, 3)));
        }
        if !recent.is_empty() {
            progress
                .figures
                .push(format!("{} tokens/s", number::short(mean(|step| step.tokens_per_second))));
        }
        progress.eta_seconds = eta(started, steps);
        progress
    }

    /// Returns the share done, in `[0, 1]`; `None` if the total is unknown.
    pub fn share(&self) -> Option<f64> {
        (self.total > 0).then(|| (self.done as f64 / self.total as f64).clamp(0.0, 1.0))
    }

    /// Formats one line: `step 120/500 · 24% · loss 1.93 · 12.3k tokens/s · ETA 0:41`.
    pub fn line(&self) -> String {
        let mut parts = vec![match self.total {
            0 if self.done == 0 => self.label.clone(),
            0 => format!(
                "{} {}",
                self.label,
                number::count(self.done.try_into().unwrap_or(i64::MAX))
            ),
            total => format!("{} {}/{total}", self.label, self.done),
        }];
        parts.extend(self.share().map(|share| {
            number::percent(share.min(if self.done < self.total { 0.99 } else { 1.0 }), 0)
        }));
        parts.extend(self.figures.iter().cloned());
        parts.extend(self.eta_seconds.map(|seconds| format!("ETA {}", number::clock(seconds))));
        let mut line = parts.join(" · ");
        one_line(&mut line);
        line
    }

    /// Draws a `progress` element followed by the line; untrusted notebooks display both.
    pub fn html(&self) -> String {
        self.markup().into_string()
    }

    pub(crate) fn markup(&self) -> Markup {
        html! {
            div style="margin:2px 0;font-variant-numeric:tabular-nums" {
                @if let Some(share) = self.share() { progress max="1" value={ (number::decimals(share, 4)) } style="width:160px;height:12px;vertical-align:middle;margin-right:10px" {} " " }
                span { (self.line()) }
            }
        }
    }

    /// Draws a bar and the line in at most `columns` columns, for a terminal line that is redrawn.
    pub fn ansi(&self, columns: usize) -> String {
        let line = self.line();
        let bar = columns.saturating_sub(width::of(&line) + 1).min(20);
        match self.share() {
            Some(share) if bar >= 8 => format!("{} {line}", Paint::Ansi.hint(&bar_of(share, bar))),
            _ => width::cut(&line, columns),
        }
    }
}

/// Draws a bar in eighths of a cell, so that it moves smoothly.
fn bar_of(share: f64, width: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share * width as f64 * 8.0).round() as usize;
    let part = EIGHTHS.get(eighths % 8).copied().unwrap_or("");
    let full = format!("{}{part}", "█".repeat(eighths / 8));
    width::pad(&full, width, false).replace(' ', "░")
}

/// The mean rewards of steps of preference training; `None` for other losses.
fn mean_rewards(steps: &[StepRecord]) -> Option<Rewards> {
    let all: Vec<Rewards> = steps.iter().filter_map(|step| step.rewards).collect();
    let mean = |value: fn(&Rewards) -> f64| all.iter().map(value).sum::<f64>() / all.len() as f64;
    (!all.is_empty()).then(|| Rewards {
        chosen: mean(|it| it.chosen),
        rejected: mean(|it| it.rejected),
        accuracy: mean(|it| it.accuracy),
    })
}

/// Estimates the remaining seconds from the mean speed of the last 50 steps.
fn eta(started: &RunStarted, steps: &[StepRecord]) -> Option<f64> {
    let last = steps.last()?;
    let fresh =
        steps.iter().rev().take(50).take_while(|step| step.step > started.first_step).last()?;
    let left = started.steps.saturating_sub(last.step) as f64;
    let (taken, seconds) = match last.step - fresh.step {
        0 => (last.step.saturating_sub(started.first_step).max(1), last.elapsed_seconds),
        taken => (taken, last.elapsed_seconds - fresh.elapsed_seconds),
    };
    Some(left * seconds / taken as f64).filter(|seconds| seconds.is_finite() && *seconds >= 0.0)
}

#[cfg(test)]
mod tests;
