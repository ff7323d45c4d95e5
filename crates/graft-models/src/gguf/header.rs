//! Validation of the header of a GGUF file before candle reads it.
//!
//! candle accepts an alignment of zero, and uses thirty-two bytes of memory for every byte of an
//! array. This check stores only the names, to find duplicates.
//! # Source
//! `gguf.md` of ggml

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
};

const MAGIC: &[u8; 4] = b"GGUF";
const ALIGNMENT: &str = "general.alignment";
/// Maximum total number of array elements; the largest vocabularies have a million and a half.
const MOST_ELEMENTS: u64 = 1 << 23;
/// Maximum length of the name of a key or tensor, as in ggml.
const LONGEST_NAME: u64 = 65_535;
/// Maximum depth of nested arrays.
const DEEPEST: u32 = 4;
const MOST_DIMS: u32 = 4;

const ARRAY: u32 = 9;
const STRING: u32 = 8;

/// Checks the header.
///
/// # Errors
/// Returns a description of the problem: an invalid value, or a file that ends inside its header.
pub(super) fn check(file: &File) -> Result<(), String> {
    let length = file.metadata().map_err(|error| error.to_string())?.len();
    let mut reader = HeaderReader { reader: BufReader::new(file), length, version: 0, elements: 0 };
    reader.header().map_err(|error| match error {
        Problem::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            format!("it ends inside its header, after {length} bytes")
        }
        Problem::Io(error) => error.to_string(),
        Problem::Invalid(problem) => problem,
    })
}

/// Why the header is invalid.
enum Problem {
    Io(io::Error),
    Invalid(String),
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn invalid<T>(text: String) -> Result<T, Problem> {
    Err(Problem::Invalid(text))
}

struct HeaderReader<'a> {
    reader: BufReader<&'a File>,
    length: u64,
    version: u32,
    /// Number of array elements so far.
    elements: u64,
}

impl HeaderReader<'_> {
    fn header(&mut self) -> Result<(), Problem> {
        let magic: [u8; 4] = self.bytes()?;
        if magic != *MAGIC {
            return invalid(format!("it starts with {magic:?}, expected `GGUF`"));
        }
        self.version = self.u32()?;
        if !(1..=3).contains(&self.version) {
            return invalid(format!("version {} is not supported (1 to 3 are)", self.version));
        }
        let tensors = self.count("tensors")?;
        let keys = self.count("keys")?;
        let mut names = BTreeSet::new();
        for _ in 0..keys {
            let key = self.name()?;
            self.entry(&key)?;
            if let Some(key) = names.replace(key) {
                return invalid(format!("duplicate key `{}`", shown(&key)));
            }
        }
        names.clear();
        for _ in 0..tensors {
            let name = self.name()?;
            self.tensor(&name)?;
            if let Some(name) = names.replace(name) {
                return invalid(format!("duplicate tensor `{}`", shown(&name)));
            }
        }
        Ok(())
    }

    /// Reads the value of a key.
    fn entry(&mut self, key: &[u8]) -> Result<(), Problem> {
        let kind = self.u32()?;
        if key != ALIGNMENT.as_bytes() {
            return self.value(kind, 0);
        }
        let width = width(kind).filter(|_| matches!(kind, 0..=5 | 10 | 11));
        let Some(width) = width else {
            return invalid(format!("`{ALIGNMENT}` must be a whole number"));
        };
        let mut alignment = [0; 8];
        self.reader.read_exact(alignment.get_mut(..width as usize).unwrap_or_default())?;
        match u64::from_le_bytes(alignment) {
            alignment
                if alignment > 0 && alignment.is_multiple_of(8) && alignment <= self.length =>
            {
                Ok(())
            }
            other => invalid(format!("`{ALIGNMENT}` must be a multiple of 8, got {other}")),
        }
    }

    fn value(&mut self, kind: u32, depth: u32) -> Result<(), Problem> {
        match (kind, width(kind)) {
            (_, Some(width)) => self.skip(width),
            (STRING, _) => {
                let length = self.long()?;
                self.skip(length)
            }
            (ARRAY, _) if depth < DEEPEST => {
                let kind = self.u32()?;
                let count = self.long()?;
                self.elements = self.elements.saturating_add(count);
                if self.elements > MOST_ELEMENTS {
                    return invalid(format!("its arrays have more than {MOST_ELEMENTS} elements"));
                }
                match width(kind) {
                    Some(width) => self.skip(count.saturating_mul(width)),
                    None => (0..count).try_for_each(|_| self.value(kind, depth + 1)),
                }
            }
            (ARRAY, _) => invalid(format!("its arrays are nested more than {DEEPEST} levels deep")),
            (other, _) => invalid(format!("unknown value type {other}")),
        }
    }

    fn tensor(&mut self, name: &[u8]) -> Result<(), Problem> {
        let dims = self.u32()?;
        if dims > MOST_DIMS {
            return invalid(format!(
                "`{}` has {dims} dimensions, but at most {MOST_DIMS} are supported",
                shown(name)
            ));
        }
        let mut elements = 1u64;
        for _ in 0..dims {
            let size = self.long()?;
            // Every type uses at least one bit per value.
            match elements
                .checked_mul(size)
                .filter(|product| *product > 0 && *product / 8 <= self.length)
            {
                Some(product) => elements = product,
                None => {
                    return invalid(format!(
                        "`{}` has a dimension of {size}, too large for a file of {} bytes",
                        shown(name),
                        self.length
                    ));
                }
            }
        }
        // The range of the tensor is checked later, when its type is known.
        let (_kind, _offset): (u32, [u8; 8]) = (self.u32()?, self.bytes()?);
        Ok(())
    }

    fn name(&mut self) -> Result<Vec<u8>, Problem> {
        let length = self.long()?;
        if length > LONGEST_NAME {
            return invalid(format!(
                "one of its names is {length} bytes long, more than the limit of {LONGEST_NAME}"
            ));
        }
        let mut name = vec![0; length as usize];
        self.reader.read_exact(&mut name)?;
        Ok(name)
    }

    /// Reads the number of items, each of which has at least one byte.
    fn count(&mut self, things: &str) -> Result<u64, Problem> {
        let count = self.long()?;
        if count > self.length {
            invalid(format!("it declares {count} {things}, but has only {} bytes", self.length))
        } else {
            Ok(count)
        }
    }

    fn skip(&mut self, bytes: u64) -> Result<(), Problem> {
        let left = self.length.saturating_sub(self.reader.stream_position()?);
        if bytes > left {
            return invalid(format!(
                "one of its values has {bytes} bytes, but only {left} are left in the file"
            ));
        }
        match i64::try_from(bytes) {
            Ok(bytes) => self.reader.seek_relative(bytes)?,
            Err(_) => drop(self.reader.seek(SeekFrom::End(0))?),
        }
        Ok(())
    }

    /// Reads a length: 32 bits in version 1, 64 bits later.
    fn long(&mut self) -> Result<u64, Problem> {
        if self.version == 1 {
            self.u32().map(u64::from)
        } else {
            Ok(u64::from_le_bytes(self.bytes()?))
        }
    }

    fn u32(&mut self) -> Result<u32, Problem> {
        Ok(u32::from_le_bytes(self.bytes()?))
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Problem> {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

/// Size of a value of that type in bytes; `None` for strings, arrays and unknown types.
fn width(kind: u32) -> Option<u64> {
    Some(match kind {
        0 | 1 | 7 => 1,
        2 | 3 => 2,
        4..=6 => 4,
        10..=12 => 8,
        _ => return None,
    })
}

fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).chars().take(80).collect()
}
