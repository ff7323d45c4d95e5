//! The compiler's arguments for the last cell, with which the host asks the compiler for the types
//! of the next cell's variables.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::process::Command;

/// The call of rustc that compiled a cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordedCell {
    rustc: String,
    arguments: Vec<String>,
    environment: Vec<(OsString, OsString)>,
}

impl RecordedCell {
    /// The call with the arguments and the environment of this process.
    pub(super) fn of_this_process(rustc: &str, arguments: &[String]) -> Self {
        Self {
            rustc: rustc.to_owned(),
            arguments: arguments.to_vec(),
            environment: std::env::vars_os().collect(),
        }
    }

    /// Writes the call to a file that only the session reads. Neither arguments nor variables can
    /// contain a zero byte, so it separates them.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let mut text =
            [self.rustc.as_bytes(), self.arguments.len().to_string().as_bytes()].join(&b'\0');
        for argument in &self.arguments {
            text.push(0);
            text.extend_from_slice(argument.as_bytes());
        }
        for (name, value) in &self.environment {
            text.push(0);
            text.extend_from_slice(name.as_bytes());
            text.push(b'=');
            text.extend_from_slice(value.as_bytes());
        }
        let temporary = path.with_extension("new");
        std::fs::write(&temporary, text)?;
        std::fs::rename(temporary, path)
    }

    /// Reads the call from a file; `None` if no cell has been compiled yet.
    pub fn read(path: &Path) -> Option<Self> {
        let bytes = std::fs::read(path).ok()?;
        let mut parts = bytes.split(|byte| *byte == 0);
        let mut text = || Some(String::from_utf8_lossy(parts.next()?).into_owned());
        let rustc = text()?;
        let count: usize = text()?.parse().ok()?;
        let arguments: Vec<String> = (0..count).map_while(|_| text()).collect();
        let environment = parts.filter_map(|part| {
            let at = part.iter().position(|byte| *byte == b'=')?;
            let (name, value) = part.split_at(at);
            let owned = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
            Some((owned(name), owned(value.get(1..).unwrap_or_default())))
        });
        let environment = environment.collect();
        (arguments.len() == count).then_some(Self { rustc, arguments, environment })
    }

    /// The command that checks another source with the same crates. Its messages are JSON and
    /// contain types with full paths, which needs an unstable flag; `out` receives the output
    /// files.
    pub fn check(&self, source: &Path, out: &Path) -> Command {
        let mut command = Command::new(&self.rustc);
        command.env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.env("RUSTC_BOOTSTRAP", "1");
        let mut rest = self.arguments.iter();
        while let Some(argument) = rest.next() {
            match argument.as_str() {
                "--out-dir" | "--crate-type" => drop(rest.next()),
                "-C" => {
                    let option = rest.next().map(String::as_str).unwrap_or_default();
                    if !option.starts_with("incremental=") {
                        command.args(["-C", option]);
                    }
                }
                other if is_replaced(other) => {}
                other => {
                    command.arg(other);
                }
            }
        }
        command.arg(source).args(["--crate-type", "lib", "--emit=metadata", "--out-dir"]).arg(out);
        command.args(["--error-format=json", "--diagnostic-width=100000", "--cap-lints=allow"]);
        command.arg("-Ztrim-diagnostic-paths=no");
        command
    }
}

/// Whether the check sets the argument itself.
fn is_replaced(argument: &str) -> bool {
    ["--emit=", "--error-format=", "--json=", "--diagnostic-width=", "--cap-lints", "-Cincremental"]
        .iter()
        .any(|begin| argument.starts_with(begin))
        || Path::new(argument).extension() == Some(OsStr::new("rs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_read_back_and_checks_another_source() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cell-arguments");
        let arguments = [
            "--crate-name",
            "ctx",
            "cell/src/lib.rs",
            "--crate-type",
            "cdylib",
            "--emit=link",
            "-C",
            "opt-level=2",
            "-C",
            "incremental=/x",
            "--out-dir",
            "/deps",
            "--extern",
            "a=/a",
        ]
        .map(str::to_owned);
        let call = RecordedCell::of_this_process("/bin/rustc", &arguments);
        call.write(&file).unwrap();
        assert_eq!(RecordedCell::read(&file).as_ref(), Some(&call));
        let command = call.check(Path::new("/s/probe.rs"), Path::new("/s"));
        let given: Vec<&str> = command.get_args().filter_map(|one| one.to_str()).collect();
        assert_eq!(
            given.get(..7),
            Some(
                &["--crate-name", "ctx", "-C", "opt-level=2", "--extern", "a=/a", "/s/probe.rs"][..]
            )
        );
        assert!(!given.contains(&"cell/src/lib.rs") && !given.contains(&"--emit=link"));
    }

    #[test]
    fn a_damaged_or_missing_file_is_no_call() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cell-arguments");
        assert_eq!(RecordedCell::read(&file), None);
        for text in [&b""[..], b"/bin/rustc", b"/bin/rustc\x00many", b"/bin/rustc\x009\x00a"] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(RecordedCell::read(&file), None);
        }
    }
}
