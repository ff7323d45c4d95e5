//! Packs the tutorials into one compressed stream, and writes the table of their names and sizes.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::ZlibEncoder;

/// The file name extensions that belong to the tutorials. A folder in which notebooks were executed
/// also contains what they wrote.
const EXTENSIONS: [&str; 3] = ["ipynb", "md", "svg"];

fn main() {
    let variable =
        |name| PathBuf::from(std::env::var_os(name).expect("invariant: cargo sets the variable"));
    let folder = variable("CARGO_MANIFEST_DIR").join("../../notebooks");
    let mut names = Vec::new();
    collect(&folder, Path::new(""), &mut names);
    names.sort();
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
    let mut table = String::from("/// Name and size in bytes of each file in the stream.\n");
    table.push_str("const TABLE: &[(&str, usize)] = &[\n");
    for name in &names {
        let content = std::fs::read(folder.join(name)).expect("the tutorials can be read");
        packed.write_all(&content).expect("invariant: a vector accepts every write");
        let _ = writeln!(table, "    ({:?}, {}),", name.to_string_lossy(), content.len());
    }
    table.push_str("];\n");
    let packed = packed.finish().expect("invariant: a vector accepts every write");
    let out = variable("OUT_DIR");
    std::fs::write(out.join("tutorials.zlib"), packed)
        .and_then(|()| std::fs::write(out.join("table.rs"), table))
        .expect("invariant: cargo's output folder is writable");
}

/// Collects the files of a folder, except hidden ones, as paths relative to `root`. cargo also
/// watches the folders, so that new files are detected.
fn collect(root: &Path, folder: &Path, names: &mut Vec<PathBuf>) {
    println!("cargo::rerun-if-changed={}", root.join(folder).display());
    for entry in std::fs::read_dir(root.join(folder)).expect("the tutorials exist").flatten() {
        let name = folder.join(entry.file_name());
        let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
        let is_wanted =
            name.extension().is_some_and(|found| EXTENSIONS.iter().any(|it| found == *it));
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && !is_hidden => collect(root, &name, names),
            Ok(kind) if kind.is_file() && !is_hidden && is_wanted => {
                println!("cargo::rerun-if-changed={}", root.join(&name).display());
                names.push(name);
            }
            _ => {}
        }
    }
}
