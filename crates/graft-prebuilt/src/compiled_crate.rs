//! Compiled crates without their machine code, which the facade contains.
//!
//! An `.rlib` is an archive of object files and of one member with the crate's metadata, wrapped
//! in an object file. Cells and the crates that they add need the metadata only.

use object::read::archive::ArchiveFile;
use object::{Object, ObjectSection};

/// The member with the metadata.
const METADATA: &[u8] = b"lib.rmeta";
/// The section of that member.
const SECTION: &str = ".rmeta";
/// The first bytes of an archive.
const MAGIC: &[u8] = b"!<arch>\n";
/// The table of long names, which is empty. With it, the member begins at a multiple of 8 bytes, as
/// readers of object files expect.
const NAMES: &str = "//";

/// Returns an archive that contains only the metadata of `rlib`; `None` if it has none.
pub(crate) fn without_code(rlib: &[u8]) -> Option<Vec<u8>> {
    let member = member(rlib)?;
    let mut archive = MAGIC.to_vec();
    archive.extend(header(NAMES, 0).bytes());
    archive.extend(header(&(String::from_utf8_lossy(METADATA) + "/"), member.len()).bytes());
    archive.extend(member);
    if member.len() % 2 == 1 {
        archive.push(b'\n');
    }
    Some(archive)
}

/// The header of a member: name, time, owner, group, mode and size.
fn header(name: &str, size: usize) -> String {
    format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 644)
}

/// Returns the metadata of `rlib` as rustc writes it to an `.rmeta` file; `None` if it has none.
pub(crate) fn metadata(rlib: &[u8]) -> Option<&[u8]> {
    let object = object::File::parse(member(rlib)?).ok()?;
    object.section_by_name(SECTION)?.data().ok()
}

/// The member with the metadata.
fn member(rlib: &[u8]) -> Option<&[u8]> {
    let archive = ArchiveFile::parse(rlib).ok()?;
    let member = archive.members().flatten().find(|member| member.name() == METADATA)?;
    member.data(rlib).ok()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::*;

    /// Compiles a crate with rustc; `emit` and further arguments as on its command line.
    fn rustc(folder: &Path, source: &str, arguments: &[&str]) -> bool {
        std::fs::write(folder.join("source.rs"), source).unwrap();
        let mut rustc = Command::new("rustc");
        rustc.arg("source.rs").args(arguments).current_dir(folder);
        rustc.output().unwrap().status.success()
    }

    #[test]
    fn the_metadata_is_that_of_the_rmeta_file_and_the_code_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let arguments = ["--crate-type=lib", "--crate-name=a", "--emit=metadata,link"];
        assert!(rustc(folder.path(), "pub fn one() -> u64 { 1 }", &arguments));
        let rlib = std::fs::read(folder.path().join("liba.rlib")).unwrap();
        let rmeta = std::fs::read(folder.path().join("liba.rmeta")).unwrap();
        assert!(metadata(&rlib) == Some(&rmeta), "{} bytes", rmeta.len());
        let small = without_code(&rlib).unwrap();
        assert!(small.len() < rlib.len());
        assert!(metadata(&small) == Some(&rmeta));
        assert_eq!(without_code(&small).as_ref(), Some(&small));
        // rustc reads it: a crate that only mentions a type of the other compiles.
        std::fs::remove_file(folder.path().join("liba.rmeta")).unwrap();
        std::fs::write(folder.path().join("liba.rlib"), small).unwrap();
        let user = "pub fn two() -> u64 { a::one() + 1 }";
        let arguments = ["--crate-type=lib", "--crate-name=b", "--extern=a=liba.rlib"];
        assert!(rustc(folder.path(), user, &arguments));
    }

    #[test]
    fn other_files_have_no_metadata() {
        for bytes in [&b""[..], b"!<arch>\n", b"!<arch>\nlib.rmeta/", b"\x7fELF"] {
            assert!(without_code(bytes).is_none() && metadata(bytes).is_none());
        }
    }
}
