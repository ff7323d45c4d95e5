//! Writing safetensors files in the order of the reference implementation: widest elements first,
//! then by name.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::Path,
};

use candle_core::{DType, Tensor};
use serde_json::{Map, Value, json};

use super::TensorFileError;
use crate::atomic_file;

/// Writes `tensors` to `path` atomically, with the metadata `{"format": "pt"}` that transformers
/// and PEFT expect.
///
/// # Errors
/// [`TensorFileError::Io`], for example for a full disk, and [`TensorFileError::Tensor`]. An
/// existing file is then unchanged.
pub fn write(path: &Path, tensors: &BTreeMap<String, Tensor>) -> Result<(), TensorFileError> {
    let mut ordered: Vec<_> = tensors.iter().collect();
    ordered.sort_by_key(|(_, tensor)| std::cmp::Reverse(tensor.dtype().size_in_bytes()));
    let header = header(&ordered);
    let mut failed = None;
    let written = atomic_file::write_with(path, |file| {
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(&header)?;
        for (name, tensor) in &ordered {
            let bytes = bytes(tensor).map_err(|error| {
                failed = Some(((*name).clone(), error));
                io::Error::other("tensor")
            })?;
            file.write_all(&bytes)?;
        }
        Ok(())
    });
    match (written, failed) {
        (Ok(()), _) => Ok(()),
        (Err(_), Some((name, source))) => {
            Err(TensorFileError::Tensor { path: path.to_owned(), name, source })
        }
        (Err(source), None) => {
            Err(TensorFileError::Io { action: "write", path: path.to_owned(), source })
        }
    }
}

/// The JSON header, padded with spaces so that the data starts at a multiple of eight bytes.
fn header(ordered: &[(&String, &Tensor)]) -> Vec<u8> {
    let mut header = Map::new();
    header.insert("__metadata__".to_owned(), json!({ "format": "pt" }));
    let mut start = 0;
    for (name, tensor) in ordered {
        let end = start + tensor.elem_count() * tensor.dtype().size_in_bytes();
        let entry = json!({ "dtype": tensor.dtype().as_str().to_ascii_uppercase(), "shape": tensor.dims(), "data_offsets": [start, end] });
        header.insert((*name).clone(), entry);
        start = end;
    }
    let mut text = Value::Object(header).to_string().into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    text
}

fn bytes(tensor: &Tensor) -> candle_core::Result<Vec<u8>> {
    let flat = tensor.flatten_all()?;
    Ok(match flat.dtype() {
        DType::F32 => flat.to_vec1::<f32>()?.into_iter().flat_map(f32::to_le_bytes).collect(),
        DType::F64 => flat.to_vec1::<f64>()?.into_iter().flat_map(f64::to_le_bytes).collect(),
        DType::F16 => {
            flat.to_vec1::<half::f16>()?.into_iter().flat_map(half::f16::to_le_bytes).collect()
        }
        DType::BF16 => {
            flat.to_vec1::<half::bf16>()?.into_iter().flat_map(half::bf16::to_le_bytes).collect()
        }
        DType::I64 => flat.to_vec1::<i64>()?.into_iter().flat_map(i64::to_le_bytes).collect(),
        DType::U32 => flat.to_vec1::<u32>()?.into_iter().flat_map(u32::to_le_bytes).collect(),
        DType::I32 => flat.to_vec1::<i32>()?.into_iter().flat_map(i32::to_le_bytes).collect(),
        DType::U8 => flat.to_vec1::<u8>()?,
        other => candle_core::bail!("{} cannot be stored", other.as_str()),
    })
}
