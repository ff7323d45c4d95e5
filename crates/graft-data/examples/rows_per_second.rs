//! Measures reading: `cargo run -p graft-data --example rows_per_second -- FILE...` prints the rows
//! per second of each file, and the peak memory on top of the program as a multiple of its size.

use std::path::Path;
use std::time::Instant;

use graft_data::{Limits, load_file};
use graft_spec::Settings;

/// Resident memory in bytes: a field of `/proc/self/status`, 0 where there is none.
fn resident(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for file in std::env::args().skip(1) {
        let bytes = std::fs::metadata(&file)?.len();
        // proc(5): 5 resets the peak resident set size to the current one.
        let _ = std::fs::write("/proc/self/clear_refs", "5");
        let before = resident("VmRSS:");
        let start = Instant::now();
        let set = load_file(Path::new(&file), &Settings::default(), Limits::NONE)?;
        let seconds = start.elapsed().as_secs_f64();
        let rows = set.train.len() + set.validation.len() + set.test.len();
        let peak = resident("VmHWM:").saturating_sub(before);
        println!(
            "{file}: {rows} rows in {seconds:.2} s, {:.0} rows/s, peak memory {:.2} times the {} MB of the file",
            rows as f64 / seconds,
            peak as f64 / bytes as f64,
            bytes / 1_000_000
        );
    }
    Ok(())
}
