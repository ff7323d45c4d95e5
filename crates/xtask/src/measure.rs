//! `cargo xtask measure`: code statistics of each crate. They are based on lines instead of syntax
//! and accurate to about five percent.

use std::path::{Path, PathBuf};

use crate::paths::Paths;
use crate::problem::{Problem, Result};

/// Statistics of one source tree, without tests.
#[derive(Debug, Default)]
struct Figures {
    file_lines: Vec<usize>,
    function_lines: Vec<usize>,
    code: usize,
    documentation: usize,
    public: usize,
    public_documented: usize,
    panics: usize,
}

/// Prints one line for each given folder, or for every crate.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let paths = Paths::here();
    let folders = if arguments.is_empty() {
        crates(&paths)?
    } else {
        arguments.iter().map(PathBuf::from).collect()
    };
    println!(
        "{:20} {:>5} {:>6} {:>6} {:>5} {:>5} {:>6} {:>9} {:>11} {:>6} {:>6}",
        "",
        "files",
        "lines",
        "median",
        "p90",
        "max",
        "doc %",
        "pub doc %",
        "panics/kloc",
        "fn p95",
        "fn max"
    );
    for folder in folders {
        let mut figures = Figures::default();
        for file in rust_files(&folder)? {
            let text = std::fs::read_to_string(&file)
                .map_err(|error| Problem::file("read", &file, &error))?;
            figures.read(&text);
        }
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        println!("{}", figures.line(&name));
    }
    Ok(())
}

/// Lists the crates of the workspace.
fn crates(paths: &Paths) -> Result<Vec<PathBuf>> {
    let folder = paths.root.join("crates");
    let entries =
        std::fs::read_dir(&folder).map_err(|error| Problem::file("read", &folder, &error))?;
    let mut crates: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.join("Cargo.toml").is_file())
        .collect();
    crates.sort();
    crates.insert(0, paths.root.join("kernel"));
    Ok(crates)
}

/// Lists the Rust files in a folder except tests.
fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in
        std::fs::read_dir(folder).map_err(|error| Problem::file("read", folder, &error))?.flatten()
    {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() && !matches!(name.as_str(), "target" | "tests" | "examples" | "benches") {
            files.extend(rust_files(&path)?);
        } else if name.ends_with(".rs") && name != "tests.rs" {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

impl Figures {
    /// Counts one file up to its test module.
    fn read(&mut self, text: &str) {
        let all: Vec<&str> = text.lines().collect();
        let end = all.iter().position(|line| *line == "#[cfg(test)]").unwrap_or(all.len());
        let lines = &all[..end];
        self.file_lines.push(lines.len());
        for (index, line) in lines.iter().enumerate() {
            self.count(lines, index, line.trim());
        }
    }

    /// Counts one line.
    fn count(&mut self, lines: &[&str], index: usize, line: &str) {
        if line.starts_with("///") || line.starts_with("//!") {
            self.documentation += 1;
        } else if !line.is_empty() && !line.starts_with("//") {
            self.code += 1;
            self.panics += [".unwrap()", ".expect(", "panic!(", "unimplemented!("]
                .iter()
                .filter(|word| line.contains(**word))
                .count();
            if let Some(rest) = line.strip_prefix("pub ") {
                let is_item = [
                    "fn ", "struct ", "enum ", "trait ", "type ", "const ", "static ", "async ",
                    "unsafe ",
                ]
                .iter()
                .any(|word| rest.starts_with(word));
                self.public += usize::from(is_item);
                self.public_documented += usize::from(is_item && is_documented(lines, index));
            }
            if is_function(line) {
                self.function_lines.push(function_length(lines, index));
            }
        }
    }

    /// Formats the statistics as one line of the table.
    fn line(mut self, name: &str) -> String {
        self.file_lines.sort_unstable();
        self.function_lines.sort_unstable();
        let share = |part: usize, whole: usize| 100.0 * part as f64 / whole.max(1) as f64;
        format!(
            "{name:20} {:>5} {:>6} {:>6} {:>5} {:>5} {:>6.0} {:>9.0} {:>11.1} {:>6} {:>6}",
            self.file_lines.len(),
            self.code,
            rank(&self.file_lines, 0.5),
            rank(&self.file_lines, 0.9),
            rank(&self.file_lines, 1.0),
            share(self.documentation, self.code),
            share(self.public_documented, self.public),
            10.0 * share(self.panics, self.code),
            rank(&self.function_lines, 0.95),
            rank(&self.function_lines, 1.0),
        )
    }
}

/// Returns the value below which the given share of a sorted list is.
fn rank(sorted: &[usize], share: f64) -> usize {
    let last = sorted.len().saturating_sub(1);
    sorted.get((share * last as f64) as usize).copied().unwrap_or(0)
}

/// Returns whether a doc comment precedes a line, with or without attributes in between.
fn is_documented(lines: &[&str], index: usize) -> bool {
    let above =
        lines[..index].iter().rev().map(|line| line.trim()).find(|line| !line.starts_with("#["));
    above.is_some_and(|line| line.starts_with("///"))
}

/// Returns whether a function begins on this line.
fn is_function(line: &str) -> bool {
    let words = line.split_whitespace().take_while(|word| *word != "fn");
    let modifiers = words.clone().all(|word| {
        word.starts_with("pub") || matches!(word, "const" | "async" | "unsafe" | "extern" | "\"C\"")
    });
    modifiers && line.split_whitespace().nth(words.count()) == Some("fn")
}

/// Counts the lines from the signature to the closing brace, which rustfmt's indentation
/// identifies. A signature without a body counts as one line.
fn function_length(lines: &[&str], start: usize) -> usize {
    let indent = lines[start].len() - lines[start].trim_start().len();
    let closing = |line: &&str| {
        line.len() > indent && &line[indent..] == "}" && line[..indent].trim().is_empty()
    };
    if lines[start].ends_with(';') || lines[start].ends_with('}') {
        return 1;
    }
    lines[start..].iter().position(closing).map_or(1, |end| end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_functions_and_documentation_are_counted() {
        let mut figures = Figures::default();
        figures.read("//! Doc.\n\n/// Adds.\n#[must_use]\npub fn add(a: u8) -> u8 {\n    a.checked_add(1).unwrap()\n}\n\npub fn bare() {}\n\n#[cfg(test)]\nmod tests { panic!() }\n");
        assert_eq!(
            (figures.documentation, figures.public, figures.public_documented, figures.panics),
            (2, 2, 1, 1)
        );
        assert_eq!(figures.function_lines, [3, 1]);
        assert_eq!(figures.file_lines, [10]);
    }
}
