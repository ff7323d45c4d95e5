//! The header of a GGUF file, walked through before candle reads it.
//!
//! candle believes an alignment of zero, and makes thirty-two bytes of every byte of an array. Nothing is kept here but what has to be compared.
//! # Source
//! `gguf.md` of ggml

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
};

const MAGIC: &[u8; 4] = b"GGUF";
const ALIGNMENT: &str = "general.alignment";
/// Most elements of all arrays together; the largest vocabularies come with a million and a half.
const MOST_ELEMENTS: u64 = 1 << 23;
/// Longest name of a key or tensor, as in ggml.
const LONGEST_NAME: u64 = 65_535;
/// Arrays in arrays.
const DEEPEST: u32 = 4;
const MOST_DIMS: u32 = 4;

const ARRAY: u32 = 9;
const STRING: u32 = 8;

/// Walks through the header.
///
/// # Errors
/// In words: what in it cannot be, or that the file ends before it does.
pub(super) fn check(file: &File) -> Result<(), String> {
    let length = file.metadata().map_err(|error| error.to_string())?.len();
    let mut walk = Walk { reader: BufReader::new(file), length, version: 0, elements: 0 };
    walk.header().map_err(|error| match error {
        Problem::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            format!("it ends inside its header, after {length} bytes")
        }
        Problem::Io(error) => error.to_string(),
        Problem::Words(words) => words,
    })
}

/// Why a walk ends early.
enum Problem {
    Io(io::Error),
    Words(String),
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn words<T>(text: String) -> Result<T, Problem> {
    Err(Problem::Words(text))
}

struct Walk<'a> {
    reader: BufReader<&'a File>,
    length: u64,
    version: u32,
    /// Of arrays, so far.
    elements: u64,
}

impl Walk<'_> {
    fn header(&mut self) -> Result<(), Problem> {
        let magic: [u8; 4] = self.bytes()?;
        if magic != *MAGIC {
            return words(format!("it starts with {magic:?}, expected `GGUF`"));
        }
        self.version = self.u32()?;
        if !(1..=3).contains(&self.version) {
            return words(format!("version {} is not supported (1 to 3 are)", self.version));
        }
        let (tensors, keys) = (self.count("tensors")?, self.count("keys")?);
        let mut names = BTreeSet::new();
        for _ in 0..keys {
            let key = self.name()?;
            self.entry(&key)?;
            if let Some(key) = names.replace(key) {
                return words(format!("duplicate key `{}`", shown(&key)));
            }
        }
        names.clear();
        for _ in 0..tensors {
            let name = self.name()?;
            self.tensor(&name)?;
            if let Some(name) = names.replace(name) {
                return words(format!("duplicate tensor `{}`", shown(&name)));
            }
        }
        Ok(())
    }

    /// The value of a key.
    fn entry(&mut self, key: &[u8]) -> Result<(), Problem> {
        let kind = self.u32()?;
        if key != ALIGNMENT.as_bytes() {
            return self.value(kind, 0);
        }
        let width = width(kind).filter(|_| matches!(kind, 0..=5 | 10 | 11));
        let Some(width) = width else {
            return words(format!("`{ALIGNMENT}` must be a whole number"));
        };
        let mut alignment = [0; 8];
        self.reader.read_exact(alignment.get_mut(..width as usize).unwrap_or_default())?;
        match u64::from_le_bytes(alignment) {
            alignment
                if alignment > 0 && alignment.is_multiple_of(8) && alignment <= self.length =>
            {
                Ok(())
            }
            other => words(format!("`{ALIGNMENT}` must be a multiple of 8, got {other}")),
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
                let (kind, count) = (self.u32()?, self.long()?);
                self.elements = self.elements.saturating_add(count);
                if self.elements > MOST_ELEMENTS {
                    return words(format!("its arrays have more than {MOST_ELEMENTS} elements"));
                }
                match width(kind) {
                    Some(width) => self.skip(count.saturating_mul(width)),
                    None => (0..count).try_for_each(|_| self.value(kind, depth + 1)),
                }
            }
            (ARRAY, _) => words(format!("its arrays are nested more than {DEEPEST} levels deep")),
            (other, _) => words(format!("unknown value type {other}")),
        }
    }

    fn tensor(&mut self, name: &[u8]) -> Result<(), Problem> {
        let dims = self.u32()?;
        if dims > MOST_DIMS {
            return words(format!(
                "`{}` has {dims} dimensions, but at most {MOST_DIMS} are supported",
                shown(name)
            ));
        }
        let mut numbers = 1u64;
        for _ in 0..dims {
            let size = self.long()?;
            // No type takes less than a bit for a number.
            match numbers
                .checked_mul(size)
                .filter(|numbers| *numbers > 0 && *numbers / 8 <= self.length)
            {
                Some(product) => numbers = product,
                None => {
                    return words(format!(
                        "`{}` has a dimension of {size}, too large for a file of {} bytes",
                        shown(name),
                        self.length
                    ));
                }
            }
        }
        // Where it begins and ends is compared with the file's end when its type is known.
        let (_kind, _offset): (u32, [u8; 8]) = (self.u32()?, self.bytes()?);
        Ok(())
    }

    fn name(&mut self) -> Result<Vec<u8>, Problem> {
        let length = self.long()?;
        if length > LONGEST_NAME {
            return words(format!(
                "one of its names is {length} bytes long, more than the limit of {LONGEST_NAME}"
            ));
        }
        let mut name = vec![0; length as usize];
        self.reader.read_exact(&mut name)?;
        Ok(name)
    }

    /// A number of things that take a byte or more each.
    fn count(&mut self, things: &str) -> Result<u64, Problem> {
        let count = self.long()?;
        if count > self.length {
            words(format!("it declares {count} {things}, but has only {} bytes", self.length))
        } else {
            Ok(count)
        }
    }

    fn skip(&mut self, bytes: u64) -> Result<(), Problem> {
        let left = self.length.saturating_sub(self.reader.stream_position()?);
        if bytes > left {
            return words(format!(
                "one of its values has {bytes} bytes, but only {left} are left in the file"
            ));
        }
        match i64::try_from(bytes) {
            Ok(bytes) => self.reader.seek_relative(bytes)?,
            Err(_) => drop(self.reader.seek(SeekFrom::End(0))?),
        }
        Ok(())
    }

    /// A length: 32 bits in the first version, 64 later.
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

/// Bytes of a value of that type; none for strings, arrays and what is unknown.
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
