//! The tutorials of Graft, compressed into the program.
//!
//! Must not depend on any other crate of Graft.

use std::io::{self, Read};

use flate2::read::ZlibDecoder;

include!(concat!(env!("OUT_DIR"), "/table.rs"));

/// The contents of the files of [`TABLE`], one after another.
const PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tutorials.zlib"));

/// A file of the tutorials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TutorialFile {
    /// Path relative to the folder of the tutorials, such as `01-first-adapter.ipynb`.
    pub name: &'static str,
    /// The content.
    pub content: Vec<u8>,
}

/// Unpacks all files of the tutorials, sorted by name.
///
/// # Errors
/// Returns an error if the program file is damaged.
///
/// # Examples
/// ```
/// let files = graft_tutorials::files()?;
/// assert_eq!(files[0].name, "01-first-adapter.ipynb");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn files() -> io::Result<Vec<TutorialFile>> {
    let mut stream = ZlibDecoder::new(PACKED);
    let mut unpack = |&(name, bytes): &(&'static str, usize)| {
        let mut content = vec![0; bytes];
        stream.read_exact(&mut content)?;
        Ok(TutorialFile { name, content })
    };
    TABLE.iter().map(&mut unpack).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_tutorial_is_unpacked_as_it_is_in_the_checkout() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../notebooks");
        let files = files().unwrap();
        for file in &files {
            assert_eq!(
                file.content,
                std::fs::read(folder.join(file.name)).unwrap(),
                "{}",
                file.name
            );
        }
        let notebooks = std::fs::read_dir(&folder).unwrap().flatten();
        for name in notebooks.map(|entry| entry.file_name().into_string().unwrap()) {
            let is_packed = files.iter().any(|file| file.name == name);
            assert_eq!(is_packed, name.ends_with(".ipynb") || name == "README.md", "{name}");
        }
        assert!(files.iter().any(|file| file.name == "images/first-adapter.svg"));
    }

    #[test]
    fn the_tutorials_add_at_most_three_megabytes_to_the_program() {
        assert!(PACKED.len() < 3_000_000, "{} bytes", PACKED.len());
    }
}
