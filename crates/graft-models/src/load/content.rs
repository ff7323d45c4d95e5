//! A fingerprint of files, which identifies the base model of a checkpoint.

use std::{
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use graft_nn::regular_file;

use crate::ModelError;

/// Files up to this size are read as a whole; of larger ones, [`SAMPLES`] evenly spaced blocks are
/// read.
const WHOLE: u64 = 64 << 20;
const SAMPLES: u64 = 256;
const BLOCK: usize = 64 << 10;

/// Sixteen hexadecimal digits that depend on the sizes and contents of the files. The hash is not
/// cryptographic.
///
/// # Errors
/// [`ModelError::Io`].
pub(super) fn hash<'a>(paths: impl Iterator<Item = &'a Path>) -> Result<String, ModelError> {
    let mut state = 0xcbf2_9ce4_8422_2325;
    for path in paths {
        mix_file(&mut state, path).map_err(|source| ModelError::Io {
            action: "read",
            path: PathBuf::from(path),
            source,
        })?;
    }
    Ok(format!("{state:016x}"))
}

fn mix_file(state: &mut u64, path: &Path) -> io::Result<()> {
    let file = regular_file::open(path)?;
    let length = file.metadata()?.len();
    mix(state, length);
    let stride = if length <= WHOLE { BLOCK as u64 } else { length / SAMPLES };
    let mut buffer = vec![0; BLOCK];
    let mut offset = 0;
    while offset < length {
        let count = BLOCK.min((length - offset) as usize);
        let block = buffer.get_mut(..count).unwrap_or_default();
        file.read_exact_at(block, offset)?;
        for word in block.chunks(8) {
            mix(state, word.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)));
        }
        offset += stride;
    }
    Ok(())
}

fn mix(state: &mut u64, word: u64) {
    *state = (*state ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    *state ^= *state >> 29;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_changed_byte_changes_the_hash() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights");
        let mut bytes = vec![7; 200_001];
        std::fs::write(&path, &bytes).unwrap();
        let before = hash([path.as_path()].into_iter()).unwrap();
        assert_eq!(before, hash([path.as_path()].into_iter()).unwrap());
        bytes[200_000] = 8;
        std::fs::write(&path, &bytes).unwrap();
        assert_ne!(before, hash([path.as_path()].into_iter()).unwrap());
    }
}
