//! The memory used to read a large file. The test needs its own process, because it measures the
//! peak of the process.

#![cfg(target_os = "linux")]

use std::fs;
use std::io::Write;

use graft_data::{Limits, load_file};
use graft_spec::Settings;

/// Rows of about 100 bytes.
const ROWS: usize = 1_000_000;

/// Resident memory in bytes: a field of `/proc/self/status`.
fn resident(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("the field");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

#[test]
fn a_million_rows_take_less_than_twice_the_size_of_the_file() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("large.jsonl");
    let mut file = std::io::BufWriter::new(fs::File::create(&path).expect("creates"));
    for row in 0..ROWS {
        writeln!(file, "{{\"text\": \"row {row} has about as many words as the comments that are read most often\", \"label\": \"class {}\"}}", row % 7)
            .expect("writes");
    }
    drop(file.into_inner().expect("writes"));
    let bytes = fs::metadata(&path).expect("exists").len();
    // proc(5): 5 resets the peak resident set size to the current one.
    fs::write("/proc/self/clear_refs", "5").expect("Linux");
    let before = resident("VmRSS:");
    let set = load_file(&path, &Settings::default(), Limits::NONE).expect("reads");
    let most = resident("VmHWM:") - before;
    assert_eq!(set.train.len() + set.validation.len() + set.test.len(), ROWS);
    assert!(most < 2 * bytes, "{most} bytes for a file of {bytes}");
}
