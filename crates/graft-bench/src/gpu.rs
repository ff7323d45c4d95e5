//! The contenders on an NVIDIA card: tokens per second, and the card's memory as the driver counts it for all of them alike.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use crate::backend::{Backend, Figures};
use crate::schedule::{Measured, Plan, command, figures};
use crate::{BenchError, Result, table};

/// Runs the plan on the machine's card; `told` hears of every start. The answer is the page with both contenders and the ratio of the two.
///
/// # Errors
/// [`BenchError::NoGpu`] where there is none, and those of [`crate::schedule::run`].
pub fn run(plan: &Plan, told: &mut dyn FnMut(&str)) -> Result<String> {
    let name = smi(&["--query-gpu=name,driver_version"])?;
    let own = std::env::current_exe().map_err(BenchError::io("find this program"))?;
    let names = [Some(Backend::Graft.name()), plan.python.as_ref().map(|_| "peft")];
    let mut measured: Vec<Measured> = names
        .iter()
        .flatten()
        .map(|name| Measured { name: (*name).to_owned(), rounds: Vec::new() })
        .collect();
    for round in 1..=plan.rounds {
        for contender in &mut measured {
            told(&format!(
                "round {round} of {}: {} with {} on {}",
                plan.rounds,
                contender.name,
                plan.scene.work.name(),
                plan.scene.shape.name()
            ));
            let meter = Meter::start()?;
            let figures = figures(&contender.name, command(&contender.name, plan, &own))?;
            contender.rounds.push(Figures {
                peak_bytes: Some(meter.stop()),
                memory: None,
                ..figures
            });
        }
    }
    Ok(page(&name, plan, &measured))
}

/// The table under the card's name.
fn page(name: &str, plan: &Plan, measured: &[Measured]) -> String {
    format!(
        "On {name}, {}, B {}, T {}, r {}; the memory is the card's, above what was taken before.\n\n{}\n",
        table::day(),
        plan.scene.rows,
        plan.scene.tokens,
        plan.scene.rank,
        table::markdown(plan, measured)
    )
}

/// The first line that `nvidia-smi` answers.
fn smi(arguments: &[&str]) -> Result<String> {
    let said = |said: &str| BenchError::NoGpu { said: said.to_owned() };
    let output = Command::new("nvidia-smi")
        .args(arguments)
        .arg("--format=csv,noheader,nounits")
        .output()
        .map_err(|_| said("is not there"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    match text.lines().next().filter(|_| output.status.success()) {
        Some(line) => Ok(line.trim().to_owned()),
        None => Err(said(text.lines().next().unwrap_or("says nothing"))),
    }
}

/// Memory in use on the first card, in MiB.
const USED: &[&str] = &["--id=0", "--query-gpu=memory.used"];

/// Watches the card's memory, fifty times a second.
struct Meter {
    watcher: Child,
    peak: Arc<AtomicU64>,
    reader: JoinHandle<()>,
    before: u64,
}

impl Meter {
    fn start() -> Result<Self> {
        let before = smi(USED)?.parse().unwrap_or(0);
        let mut watch = Command::new("nvidia-smi");
        watch
            .args(USED)
            .args(["--format=csv,noheader,nounits", "--loop-ms=20"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut watcher = watch.spawn().map_err(BenchError::io("watch the card's memory"))?;
        let peak = Arc::new(AtomicU64::new(before));
        let (lines, seen) = (watcher.stdout.take(), Arc::clone(&peak));
        let reader = std::thread::spawn(move || {
            for line in lines
                .into_iter()
                .flat_map(|lines| BufReader::new(lines).lines().map_while(std::io::Result::ok))
            {
                seen.fetch_max(line.trim().parse().unwrap_or(0), Ordering::Relaxed);
            }
        });
        Ok(Self { watcher, peak, reader, before })
    }

    /// The most bytes in use since the start, above what was in use then.
    fn stop(mut self) -> u64 {
        // It may have ended by itself; then there is nothing to stop.
        let _ = self.watcher.kill();
        let _ = self.watcher.wait();
        let _ = self.reader.join();
        self.peak.load(Ordering::Relaxed).saturating_sub(self.before) << 20
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Limits;
    use crate::workload::{Place, Scene, Shape, Work};

    fn plan() -> Plan {
        let scene =
            Scene { place: Place::Cuda, rank: 16, ..Scene::new(Shape::Llama1b, Work::Lora) };
        Plan { scene, rounds: 1, steps: 3, warm_up: 1, python: None, limits: Limits::default() }
    }

    #[test]
    fn the_page_names_card_sizes_and_tokens_per_second() {
        let figures = Figures {
            step_milliseconds: vec![900.0, 100.0, 100.0],
            losses: vec![11.8, 11.7, 11.6],
            first_step_milliseconds: 950.0,
            memory: None,
            peak_bytes: Some(4 << 30),
        };
        let page = page(
            "NVIDIA T4, 580.65",
            &plan(),
            &[Measured { name: "graft".to_owned(), rounds: vec![figures] }],
        );
        assert!(
            page.contains("NVIDIA T4")
                && page.contains("B 1, T 1024, r 16")
                && page.contains("| graft | 100.0 | 10240 | 4295 |"),
            "{page}"
        );
    }

    #[test]
    fn without_a_card_the_command_says_where_to_go() {
        // Where there is one, the benchmark itself is the test.
        if smi(USED).is_ok() {
            return;
        }
        let error = run(&plan(), &mut |_| ()).expect_err("refused");
        assert!(error.to_string().contains("nvidia-smi"), "{error}");
        assert!(
            graft_spec::Hint::hint(&error).is_some_and(|hint| hint.contains("carry this program"))
        );
    }
}
