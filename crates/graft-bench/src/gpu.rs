//! Measurements on an NVIDIA GPU: tokens per second, and the GPU memory reported by the driver, in
//! the same way for all backends.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use crate::backend::{Backend, Figures};
use crate::schedule::{Comparison, Measured, command, figures};
use crate::{BenchError, Result, environment, table};

/// Runs the plan on the GPU; `report` receives a line at each start. Returns a page with the
/// backends and their ratio.
///
/// # Errors
/// [`BenchError::NoGpu`], and the errors of [`crate::schedule::run`].
pub fn run(plan: &Comparison, report: &mut dyn FnMut(&str)) -> Result<String> {
    let name = smi(&["--query-gpu=name,driver_version"])?;
    let own = std::env::current_exe().map_err(BenchError::io("find this program"))?;
    let names = [Some(Backend::Graft.name()), plan.python.as_ref().map(|_| "peft")];
    let mut measured: Vec<Measured> = names
        .iter()
        .flatten()
        .map(|name| Measured { name: (*name).to_owned(), rounds: Vec::new() })
        .collect();
    for round in 1..=plan.rounds {
        for backend in &mut measured {
            report(&format!(
                "round {round} of {}: {} with {} on {}",
                plan.rounds,
                backend.name,
                plan.scene.work.name(),
                plan.scene.shape.name()
            ));
            let meter = Meter::start()?;
            let figures = figures(&backend.name, command(&backend.name, plan, &own))?;
            backend.rounds.push(Figures {
                peak_bytes: Some(meter.stop()),
                memory: None,
                ..figures
            });
        }
    }
    Ok(page(&name, plan, &measured))
}

/// The table, with the name of the GPU.
fn page(name: &str, plan: &Comparison, measured: &[Measured]) -> String {
    format!(
        "On {name}, {}, B {}, T {}, r {}; memory is GPU memory above that in use before the start.\n\n{}\n",
        environment::day(),
        plan.scene.rows,
        plan.scene.tokens,
        plan.scene.rank,
        table::markdown(plan, measured)
    )
}

/// The first line that `nvidia-smi` prints.
fn smi(arguments: &[&str]) -> Result<String> {
    let no_gpu = |output: &str| BenchError::NoGpu { output: output.to_owned() };
    let output = Command::new("nvidia-smi")
        .args(arguments)
        .arg("--format=csv,noheader,nounits")
        .output()
        .map_err(|_| no_gpu("is not installed"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    match text.lines().next().filter(|_| output.status.success()) {
        Some(line) => Ok(line.trim().to_owned()),
        None => Err(no_gpu(text.lines().next().unwrap_or("printed nothing"))),
    }
}

/// Memory in use on the first GPU, in MiB.
const USED: &[&str] = &["--id=0", "--query-gpu=memory.used"];

/// Records the peak of the GPU memory, sampled fifty times per second.
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
        let mut watcher = watch.spawn().map_err(BenchError::io("measure the GPU memory"))?;
        let peak = Arc::new(AtomicU64::new(before));
        let lines = watcher.stdout.take();
        let seen = Arc::clone(&peak);
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

    /// The peak in bytes, above the memory in use at the start.
    fn stop(mut self) -> u64 {
        // The process may have ended already, so an error is ignored.
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

    fn plan() -> Comparison {
        let scene =
            Scene { place: Place::Cuda, rank: 16, ..Scene::new(Shape::Llama1b, Work::Lora) };
        Comparison {
            scene,
            rounds: 1,
            steps: 3,
            warm_up: 1,
            python: None,
            limits: Limits::default(),
        }
    }

    #[test]
    fn the_page_names_the_gpu_the_sizes_and_tokens_per_second() {
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
    fn without_a_gpu_the_error_explains_where_to_run() {
        // On a machine with a GPU the benchmark itself is the test.
        if smi(USED).is_ok() {
            return;
        }
        let error = run(&plan(), &mut |_| ()).expect_err("refused");
        assert!(error.to_string().contains("nvidia-smi"), "{error}");
        assert!(
            graft_spec::Hint::hint(&error).is_some_and(|hint| hint.contains("copy this program"))
        );
    }
}
