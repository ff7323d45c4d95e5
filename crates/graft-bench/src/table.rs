//! The figures of the contenders as a table, with ratios to the last of them.

use crate::rounds::{Measured, Plan};

/// Markdown: one row for each contender.
pub fn markdown(plan: &Plan, measured: &[Measured]) -> String {
    let tokens = (plan.shape.rows() * plan.shape.tokens()) as f64;
    let mut page = format!(
        "LoRA on all linear maps, {}: {} rounds in turn, median of {} steps each after {} to warm up, {} threads\n\n\
         | contender | ms per step | tokens/s | peak memory, MB | to the first step, ms | loss, first and last |\n|---|---:|---:|---:|---:|---:|\n",
        plan.shape.name(),
        plan.rounds,
        plan.steps.saturating_sub(plan.warm_up),
        plan.warm_up,
        std::thread::available_parallelism().map_or(1, usize::from),
    );
    for contender in measured {
        let step = contender.step_milliseconds(plan.warm_up);
        let peak = contender.peak_bytes().map_or_else(|| "unknown".to_owned(), |bytes| format!("{:.0}", bytes as f64 / 1e6));
        let (first, last) = contender.losses();
        page.push_str(&format!(
            "| {} | {step:.1} | {:.0} | {peak} | {:.0} | {first:.4}, {last:.4} |\n",
            contender.name,
            1e3 * tokens / step,
            contender.first_step_milliseconds()
        ));
    }
    let ratios = measured.split_first().map_or_else(Vec::new, |(ours, peers)| peers.iter().map(|peer| ratio(ours, peer, plan.warm_up)).collect());
    page + "\n" + &ratios.join("\n")
}

fn ratio(ours: &Measured, peer: &Measured, warm_up: usize) -> String {
    let step = ours.step_milliseconds(warm_up) / peer.step_milliseconds(warm_up);
    let memory = ours.peak_bytes().zip(peer.peak_bytes()).map_or_else(String::new, |(ours, peer)| format!(", {:.2} of its memory", ours as f64 / peer as f64));
    format!("beside {}: {step:.2} of its time{memory}", peer.name)
}

impl Measured {
    /// Median over all rounds of the steps after the warm-up.
    pub fn step_milliseconds(&self, warm_up: usize) -> f64 {
        median(self.rounds.iter().flat_map(|round| round.step_milliseconds.iter().skip(warm_up).copied()).collect())
    }

    /// The largest peak of any round.
    pub fn peak_bytes(&self) -> Option<u64> {
        self.rounds.iter().filter_map(|round| round.peak_bytes).max()
    }

    fn first_step_milliseconds(&self) -> f64 {
        median(self.rounds.iter().map(|round| round.first_step_milliseconds).collect())
    }

    fn losses(&self) -> (f64, f64) {
        let losses = self.rounds.first().map_or(&[][..], |round| &round.losses);
        (losses.first().copied().unwrap_or(f64::NAN), losses.last().copied().unwrap_or(f64::NAN))
    }
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        even if even.is_multiple_of(2) => f64::midpoint(values[middle - 1], values[middle]),
        _ => values[middle],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contender::Figures;
    use crate::workload::Shape;

    fn measured(name: &str, milliseconds: &[f64], peak: u64) -> Measured {
        let figures = Figures {
            step_milliseconds: milliseconds.to_vec(),
            losses: vec![5.0, 4.0],
            first_step_milliseconds: 70.0,
            start_bytes: None,
            peak_bytes: Some(peak),
        };
        Measured { name: name.to_owned(), rounds: vec![figures] }
    }

    #[test]
    fn the_warm_up_does_not_count_and_ratios_are_to_each_peer() {
        let plan = Plan { shape: Shape::Tiny, rounds: 1, steps: 4, warm_up: 1, python: None };
        let page = markdown(&plan, &[measured("graft", &[900.0, 10.0, 30.0, 20.0], 3_000_000), measured("candle", &[1.0, 40.0, 50.0], 12_000_000)]);
        assert!(page.contains("| graft | 20.0 | 51200 | 3 | 70 | 5.0000, 4.0000 |"), "{page}");
        assert!(page.ends_with("beside candle: 0.44 of its time, 0.25 of its memory"), "{page}");
    }
}
