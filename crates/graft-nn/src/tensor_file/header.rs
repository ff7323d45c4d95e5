//! The JSON header of a safetensors file and every check on it.

use std::{collections::BTreeMap, fs::File, os::unix::fs::FileExt, path::Path};

use candle_core::DType;
use serde_json::Value;

use super::{Entry, TensorFileError};

/// Longest header accepted, as in the format's own implementation.
const MAX_HEADER: u64 = 100_000_000;

pub(super) struct Header {
    pub(super) data_start: u64,
    pub(super) entries: BTreeMap<String, Entry>,
    pub(super) metadata: BTreeMap<String, String>,
}

pub(super) fn read(path: &Path, file: &File, length: u64) -> Result<Header, TensorFileError> {
    let malformed = |problem: String| TensorFileError::Malformed { path: path.to_owned(), problem };
    let io = |source| TensorFileError::Io { action: "read", path: path.to_owned(), source };
    if length < 8 {
        return Err(malformed(format!("it has {length} bytes, too few for a header")));
    }
    let mut size = [0; 8];
    file.read_exact_at(&mut size, 0).map_err(io)?;
    let size = u64::from_le_bytes(size);
    if size > MAX_HEADER {
        return Err(malformed(format!("its first bytes announce a header of {size} bytes")));
    }
    if 8 + size > length {
        return Err(TensorFileError::Truncated { path: path.to_owned(), announced: 8 + size, found: length });
    }
    let mut json = vec![0; size as usize];
    file.read_exact_at(&mut json, 8).map_err(io)?;
    let json: BTreeMap<String, Value> = serde_json::from_slice(&json).map_err(|error| malformed(format!("its header is no JSON object ({error})")))?;
    let header = parse(json, 8 + size).map_err(malformed)?;
    let end = header.entries.values().map(|entry| entry.end).max().unwrap_or(0);
    if header.data_start.saturating_add(end) > length {
        return Err(TensorFileError::Truncated { path: path.to_owned(), announced: header.data_start.saturating_add(end), found: length });
    }
    Ok(header)
}

fn parse(json: BTreeMap<String, Value>, data_start: u64) -> Result<Header, String> {
    let mut entries = BTreeMap::new();
    let mut metadata = BTreeMap::new();
    for (name, value) in json {
        if name == "__metadata__" {
            let texts = value.as_object().into_iter().flatten();
            metadata.extend(texts.filter_map(|(key, text)| Some((key.clone(), text.as_str()?.to_owned()))));
        } else {
            entries.insert(name.clone(), entry(&value).map_err(|problem| format!("tensor `{name}` {problem}"))?);
        }
    }
    Ok(Header { data_start, entries, metadata })
}

fn entry(value: &Value) -> Result<Entry, String> {
    let dtype = value.get("dtype").and_then(Value::as_str).ok_or("has no dtype")?;
    let (dtype, width) = self::dtype(dtype).ok_or_else(|| format!("is stored as {dtype}, which is not read (F32, F16, BF16, F64, I64, U32, U8, I8 are)"))?;
    let numbers = |key: &str| -> Option<Vec<u64>> { value.get(key)?.as_array()?.iter().map(Value::as_u64).collect() };
    let shape = numbers("shape").ok_or("has no shape")?;
    let offsets = numbers("data_offsets").ok_or("has no data_offsets")?;
    let [start, end] = offsets[..] else { return Err(format!("has {} data_offsets instead of 2", offsets.len())) };
    let bytes = shape.iter().try_fold(width, |product, size| product.checked_mul(*size)).ok_or("has an absurd shape")?;
    if start.checked_add(bytes) != Some(end) {
        return Err(format!("of shape {shape:?} needs {bytes} bytes but has offsets {start} to {end}"));
    }
    Ok(Entry { dtype, shape: shape.into_iter().map(|size| size as usize).collect(), start, end })
}

/// The type and its bytes per element.
fn dtype(name: &str) -> Option<(DType, u64)> {
    Some(match name {
        "F64" => (DType::F64, 8),
        "I64" => (DType::I64, 8),
        "F32" => (DType::F32, 4),
        "U32" => (DType::U32, 4),
        "F16" => (DType::F16, 2),
        "BF16" => (DType::BF16, 2),
        // candle has no signed bytes: whoever asks for some knows that they are.
        "U8" | "I8" => (DType::U8, 1),
        _ => return None,
    })
}
