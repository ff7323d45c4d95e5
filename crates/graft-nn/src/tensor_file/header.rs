//! Parsing and validation of the JSON header of a safetensors file.

use std::{collections::BTreeMap, fmt, fs::File, os::unix::fs::FileExt, path::Path};

use candle_core::DType;
use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

use super::{Entry, TensorFileError};

/// Longest accepted header, as in the reference implementation.
const MAX_HEADER: u64 = 100_000_000;
/// Most dimensions that a shape may have.
const MAX_DIMS: usize = 16;

pub(super) struct Header {
    pub(super) data_start: u64,
    pub(super) entries: BTreeMap<String, Entry>,
    pub(super) metadata: BTreeMap<String, String>,
}

pub(super) fn read(path: &Path, file: &File, length: u64) -> Result<Header, TensorFileError> {
    let malformed = |problem: String| TensorFileError::Malformed { path: path.to_owned(), problem };
    let io = |source| TensorFileError::Io { action: "read", path: path.to_owned(), source };
    let truncated =
        |declared| TensorFileError::Truncated { path: path.to_owned(), declared, found: length };
    if length < 8 {
        return Err(malformed(format!("it has {length} bytes, too few for a header")));
    }
    let mut size = [0; 8];
    file.read_exact_at(&mut size, 0).map_err(io)?;
    let size = u64::from_le_bytes(size);
    if size > MAX_HEADER {
        return Err(malformed(format!(
            "its header length is {size} bytes, more than the limit of {MAX_HEADER}"
        )));
    }
    if 8 + size > length {
        return Err(truncated(8 + size));
    }
    let mut json = vec![0; size as usize];
    file.read_exact_at(&mut json, 8).map_err(io)?;
    let json: RawHeader = serde_json::from_slice(&json).map_err(|error| {
        malformed(format!("its header is not a JSON object of tensors ({error})"))
    })?;
    let header = parse(json, 8 + size).map_err(malformed)?;
    let data_length = header.entries.values().map(|entry| entry.end).max().unwrap_or(0);
    let end = header.data_start.saturating_add(data_length);
    if end > length {
        return Err(truncated(end));
    }
    check_layout(&header.entries).map_err(malformed)?;
    if end < length {
        return Err(malformed(format!("{} unused bytes after the last tensor", length - end)));
    }
    Ok(header)
}

/// The header as written in the file; every name is unique.
#[derive(Default)]
struct RawHeader {
    tensors: BTreeMap<String, RawEntry>,
    metadata: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct RawEntry {
    dtype: Option<String>,
    shape: Option<ShortList>,
    data_offsets: Option<ShortList>,
}

/// A short list of whole numbers; a longer one is rejected while it is parsed.
struct ShortList(Vec<u64>);

impl<'de> Deserialize<'de> for RawHeader {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = RawHeader;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawHeader, A::Error> {
                let mut header = RawHeader::default();
                let mut has_metadata = false;
                while let Some(name) = map.next_key::<String>()? {
                    let is_repeated = if name == "__metadata__" {
                        let texts = map.next_value::<BTreeMap<String, Value>>()?;
                        header.metadata = texts
                            .into_iter()
                            .filter_map(|(key, text)| Some((key, text.as_str()?.to_owned())))
                            .collect();
                        std::mem::replace(&mut has_metadata, true)
                    } else if header.tensors.contains_key(&name) {
                        map.next_value::<IgnoredAny>()?;
                        true
                    } else {
                        header.tensors.insert(name.clone(), map.next_value()?);
                        false
                    };
                    if is_repeated {
                        return Err(A::Error::custom(format!("duplicate name `{name}`")));
                    }
                }
                Ok(header)
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

impl<'de> Deserialize<'de> for ShortList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Numbers;
        impl<'de> Visitor<'de> for Numbers {
            type Value = ShortList;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "at most {MAX_DIMS} whole numbers")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<ShortList, A::Error> {
                let mut numbers = Vec::new();
                while let Some(number) = sequence.next_element()? {
                    if numbers.len() == MAX_DIMS {
                        return Err(A::Error::invalid_length(MAX_DIMS + 1, &self));
                    }
                    numbers.push(number);
                }
                Ok(ShortList(numbers))
            }
        }
        deserializer.deserialize_seq(Numbers)
    }
}

fn parse(raw: RawHeader, data_start: u64) -> Result<Header, String> {
    let mut entries = BTreeMap::new();
    for (name, value) in raw.tensors {
        let entry = entry(value).map_err(|problem| format!("tensor `{name}` {problem}"))?;
        entries.insert(name, entry);
    }
    Ok(Header { data_start, entries, metadata: raw.metadata })
}

fn entry(raw: RawEntry) -> Result<Entry, String> {
    let dtype = raw.dtype.ok_or("has no dtype")?;
    let (dtype, width) = self::dtype(&dtype).ok_or_else(|| {
        format!(
            "has the unsupported type {dtype} (supported: F32, F16, BF16, F64, I64, I32, U32, \
             U8, I8)"
        )
    })?;
    let ShortList(shape) = raw.shape.ok_or("has no shape")?;
    let ShortList(offsets) = raw.data_offsets.ok_or("has no data_offsets")?;
    let [start, end] = offsets[..] else {
        return Err(format!("has {} data_offsets instead of 2", offsets.len()));
    };
    let bytes = shape
        .iter()
        .try_fold(width, |product, size| product.checked_mul(*size))
        .ok_or("has a shape whose size overflows")?;
    if start.checked_add(bytes) != Some(end) {
        return Err(format!(
            "of shape {shape:?} needs {bytes} bytes but has offsets {start} to {end}"
        ));
    }
    Ok(Entry { dtype, shape: shape.into_iter().map(|size| size as usize).collect(), start, end })
}

/// Rejects overlapping tensors and gaps between tensors, neither of which the reference
/// implementation writes.
fn check_layout(entries: &BTreeMap<String, Entry>) -> Result<(), String> {
    let mut ordered: Vec<_> = entries.iter().collect();
    ordered.sort_by_key(|(_, entry)| (entry.start, entry.end));
    let mut before = "";
    let mut end = 0;
    for (name, entry) in ordered {
        match entry.start.cmp(&end) {
            std::cmp::Ordering::Less => {
                return Err(format!(
                    "tensors `{before}` and `{name}` overlap: `{name}` starts at byte {}, \
                     before the end at {end}",
                    entry.start
                ));
            }
            std::cmp::Ordering::Greater => {
                return Err(format!("{} unused bytes before tensor `{name}`", entry.start - end));
            }
            std::cmp::Ordering::Equal => (before, end) = (name, entry.end),
        }
    }
    Ok(())
}

/// The element type and its size in bytes.
fn dtype(name: &str) -> Option<(DType, u64)> {
    Some(match name {
        "F64" => (DType::F64, 8),
        "I64" => (DType::I64, 8),
        "F32" => (DType::F32, 4),
        "U32" => (DType::U32, 4),
        "I32" => (DType::I32, 4),
        "F16" => (DType::F16, 2),
        "BF16" => (DType::BF16, 2),
        // candle has no i8: a caller that reads I8 tensors reinterprets the bytes.
        "U8" | "I8" => (DType::U8, 1),
        _ => return None,
    })
}
