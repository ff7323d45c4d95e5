//! Tables of the measurements, with ratios to the other backends.

use crate::environment::{day, machine};
use crate::products::operations;
use crate::schedule::{Comparison, Measured};

/// A Markdown table with one row per backend.
pub fn markdown(plan: &Comparison, measured: &[Measured]) -> String {
    let tokens = (plan.scene.rows * plan.scene.tokens) as f64;
    let mut page = format!(
        "{} on {}: {} alternating rounds, median of {} steps each after {} warm-up steps, {} threads\n\n\
         | backend | ms per step | tokens/s | peak memory, MB | time to first step, ms | loss, first and last |\n|---|---:|---:|---:|---:|---:|\n",
        plan.scene.work.name(),
        plan.scene.shape.name(),
        plan.rounds,
        plan.steps.saturating_sub(plan.warm_up),
        plan.warm_up,
        std::thread::available_parallelism().map_or(1, usize::from),
    );
    for backend in measured {
        let step = backend.step_milliseconds(plan.warm_up);
        let peak = backend
            .peak_bytes()
            .map_or_else(|| "unknown".to_owned(), |bytes| format!("{:.0}", bytes as f64 / 1e6));
        let (first, last) = backend.losses();
        page.push_str(&format!(
            "| {} | {step:.1} | {:.0} | {peak} | {:.0} | {first:.4}, {last:.4} |\n",
            backend.name,
            1e3 * tokens / step,
            backend.first_step_milliseconds()
        ));
    }
    let ratios = measured.split_first().map_or_else(Vec::new, |(ours, peers)| {
        peers.iter().map(|peer| ratio(ours, peer, plan.warm_up)).collect()
    });
    page + "\n" + &ratios.join("\n")
}

/// A measurement in the summary.
#[derive(Clone, Debug)]
pub struct Row {
    /// The measurement.
    pub plan: Comparison,
    /// The results of the backends.
    pub measured: Vec<Measured>,
    /// Operations per second of the machine's best matrix multiplications at that time
    /// ([`crate::products::rate`]).
    pub rate: f64,
}

/// A Markdown table with one row per measurement, comparing Graft with PyTorch and Hugging Face
/// PEFT, with the machine and the date.
///
/// The last two columns are about the time of the matrix multiplications alone at the machine's
/// best rate: its fraction of Graft's step, and its ratio to PyTorch's step, which no
/// implementation could beat.
pub fn summary(all: &[Row]) -> String {
    let Some(Row { plan: first, .. }) = all.first() else { return String::new() };
    let mut page = format!(
        "Measured on {}, {} threads, {}: alternating rounds, medians of {} steps in each of {}.\n\n\
         | model | trained | Graft, ms | PyTorch + PEFT, ms | ratio | Graft, MB | PyTorch + PEFT, MB | ratio | time to first step, ratio | plain candle, ratio \
         | matrix products at the best rate, fraction of the step | their ratio |\n\
         |---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
        machine(),
        std::thread::available_parallelism().map_or(1, usize::from),
        day(),
        first.steps.saturating_sub(first.warm_up),
        first.rounds,
    );
    all.iter().filter_map(summary_row).for_each(|row| page.push_str(&row));
    page
}

/// The row of a measurement in the summary; `None` without Graft's measurements.
fn summary_row(row: &Row) -> Option<String> {
    let Row { plan, measured, rate } = row;
    let of = |name: &str| measured.iter().find(|backend| backend.name == name);
    let ours = of("graft")?;
    let step = ours.step_milliseconds(plan.warm_up);
    let megabytes = |backend: &Measured| backend.peak_bytes().map(|bytes| bytes as f64 / 1e6);
    let shown = |value: Option<f64>, digits: usize| {
        value.map_or_else(|| "—".to_owned(), |value| format!("{value:.digits$}"))
    };
    let peft = of("peft");
    let peer_step = peft.map(|peft| peft.step_milliseconds(plan.warm_up));
    let peer_memory = peft.and_then(megabytes);
    let first = peft.map(|peft| ours.first_step_milliseconds() / peft.first_step_milliseconds());
    let candle = of("candle").map(|candle| step / candle.step_milliseconds(plan.warm_up));
    let products = operations(&plan.scene).map(|operations| 1e3 * operations / rate);
    let cells = [
        shown(Some(step), 1),
        shown(peer_step, 1),
        shown(peer_step.map(|peer| step / peer), 2),
        shown(megabytes(ours), 0),
        shown(peer_memory, 0),
        shown(megabytes(ours).zip(peer_memory).map(|(ours, peer)| ours / peer), 2),
        shown(first, 2),
        shown(candle, 2),
        shown(products.map(|products| products / step), 2),
        shown(products.zip(peer_step).map(|(products, peer)| products / peer), 2),
    ];
    Some(format!(
        "| {} | {} | {} |\n",
        plan.scene.shape.name(),
        plan.scene.work.name(),
        cells.join(" | ")
    ))
}

fn ratio(ours: &Measured, peer: &Measured, warm_up: usize) -> String {
    let step = ours.step_milliseconds(warm_up) / peer.step_milliseconds(warm_up);
    let memory =
        ours.peak_bytes().zip(peer.peak_bytes()).map_or_else(String::new, |(ours, peer)| {
            format!(", {:.2} of its memory", ours as f64 / peer as f64)
        });
    format!("compared with {}: {step:.2} of its time{memory}", peer.name)
}

impl Measured {
    /// Median of the steps after the warm-up, over all rounds.
    pub fn step_milliseconds(&self, warm_up: usize) -> f64 {
        median(
            self.rounds
                .iter()
                .flat_map(|round| round.step_milliseconds.iter().skip(warm_up).copied())
                .collect(),
        )
    }

    /// The largest peak of all rounds.
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
    use crate::backend::Figures;
    use crate::schedule::Limits;
    use crate::workload::{Scene, Shape, Work};

    fn plan(shape: Shape, work: Work) -> Comparison {
        Comparison {
            scene: Scene::new(shape, work),
            rounds: 1,
            steps: 4,
            warm_up: 1,
            python: None,
            limits: Limits::default(),
        }
    }

    fn measured(name: &str, milliseconds: &[f64], peak: u64) -> Measured {
        let figures = Figures {
            step_milliseconds: milliseconds.to_vec(),
            losses: vec![5.0, 4.0],
            first_step_milliseconds: 70.0,
            memory: None,
            peak_bytes: Some(peak),
        };
        Measured { name: name.to_owned(), rounds: vec![figures] }
    }

    #[test]
    fn the_summary_has_a_row_for_each_measurement_with_its_ratios() {
        let gpt2 = plan(Shape::Gpt2, Work::Full);
        let both = vec![
            measured("graft", &[900.0, 10.0, 30.0, 20.0], 3_000_000),
            measured("peft", &[1.0, 40.0, 50.0], 12_000_000),
        ];
        let row = |plan: &Comparison, measured: Vec<Measured>, rate: f64| Row {
            plan: plan.clone(),
            measured,
            rate,
        };
        let page = summary(&[
            row(&gpt2, both.clone(), 1e9),
            row(&gpt2, vec![measured("graft", &[9.0, 10.0], 3_000_000)], 1e9),
        ]);
        assert!(
            page.contains(
                "| gpt2 | full | 20.0 | 45.0 | 0.44 | 3 | 12 | 0.25 | 1.00 | — | — | — |"
            ),
            "{page}"
        );
        assert!(
            page.contains("| gpt2 | full | 10.0 | — | — | 3 | — | — | — | — | — | — |"),
            "{page}"
        );
        // At that rate the matrix products of a step take 10 ms.
        let tiny = plan(Shape::Tiny, Work::Lora);
        let page = summary(&[row(&tiny, both, 1e2 * operations(&tiny.scene).expect("counted"))]);
        assert!(page.contains("| — | 0.50 | 0.22 |"), "{page}");
    }

    #[test]
    fn the_warm_up_does_not_count_and_ratios_are_to_each_peer() {
        let plan = plan(Shape::Tiny, Work::Lora);
        let page = markdown(
            &plan,
            &[
                measured("graft", &[900.0, 10.0, 30.0, 20.0], 3_000_000),
                measured("candle", &[1.0, 40.0, 50.0], 12_000_000),
            ],
        );
        assert!(page.contains("| graft | 20.0 | 51200 | 3 | 70 | 5.0000, 4.0000 |"), "{page}");
        assert!(
            page.ends_with("compared with candle: 0.44 of its time, 0.25 of its memory"),
            "{page}"
        );
    }
}
