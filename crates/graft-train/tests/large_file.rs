//! The memory used to read a large file. The test needs its own process, because it measures the
//! peak of the process.

use std::io::Write;

use graft_nn::{Device, memory::Meter};
use graft_spec::Settings;
use graft_train::{Control, data::load_file};

/// Rows of about 100 bytes.
const ROWS: usize = 200_000;

#[test]
#[cfg(target_os = "linux")]
fn a_large_file_takes_a_small_multiple_of_its_size() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("large.jsonl");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).expect("creates"));
    for row in 0..ROWS {
        writeln!(file, "{{\"text\": \"row {row} has about as many words as the comments that are read most often\", \"label\": \"class {}\"}}", row % 7)
            .expect("writes");
    }
    drop(file.into_inner().expect("writes"));
    let bytes = std::fs::metadata(&path).expect("exists").len();
    let meter = Meter::start(&Device::Cpu).expect("Linux measures");
    let set = load_file(&path, &Settings::default(), &Control::new()).expect("reads");
    let most = meter.most().expect("measured");
    assert_eq!(set.train.len() + set.validation.len() + set.test.len(), ROWS);
    assert!(most < 4 * bytes, "{most} bytes for a file of {bytes}");
}
