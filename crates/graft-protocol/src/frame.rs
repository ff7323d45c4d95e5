//! Frames: `u32` length of the JSON part, `u32` length of the binary part (both little endian), then the two parts.
//!
//! Both lengths are capped, so that a damaged stream is an error and never an allocation of gigabytes.

use std::io::{self, Read, Write};

use serde::{Serialize, de::DeserializeOwned};

/// Most bytes of the JSON part: 64 MiB.
pub const MAX_JSON: u32 = 64 << 20;
/// Most bytes of the binary part: 256 MiB.
pub const MAX_BINARY: u32 = 256 << 20;

/// Writes one message and its binary part (empty for most) and flushes.
///
/// # Errors
/// Those of the writer, and `InvalidInput` when a part is over its cap.
pub fn write<T: Serialize>(writer: &mut impl Write, message: &T, binary: &[u8]) -> io::Result<()> {
    let json = serde_json::to_vec(message).map_err(io::Error::other)?;
    let json_len = capped(json.len(), MAX_JSON)?;
    let binary_len = capped(binary.len(), MAX_BINARY)?;
    let mut frame = Vec::with_capacity(8 + json.len() + binary.len());
    frame.extend_from_slice(&json_len.to_le_bytes());
    frame.extend_from_slice(&binary_len.to_le_bytes());
    frame.extend_from_slice(&json);
    frame.extend_from_slice(binary);
    writer.write_all(&frame)?;
    writer.flush()
}

/// Reads one message; `None` at a clean end of the stream.
///
/// # Errors
/// Those of the reader, `InvalidData` when a length is over its cap or the JSON is not a `T`, `UnexpectedEof` inside a frame.
pub fn read<T: DeserializeOwned>(reader: &mut impl Read) -> io::Result<Option<(T, Vec<u8>)>> {
    let mut head = [0u8; 8];
    if !fill_or_end(reader, &mut head)? {
        return Ok(None);
    }
    let [a, b, c, d, e, f, g, h] = head;
    let json_len = u32::from_le_bytes([a, b, c, d]);
    let binary_len = u32::from_le_bytes([e, f, g, h]);
    if json_len > MAX_JSON || binary_len > MAX_BINARY {
        return Err(invalid(format!(
            "a frame announces {json_len} + {binary_len} bytes, more than the caps {MAX_JSON} + {MAX_BINARY}"
        )));
    }
    let mut json = vec![0; json_len as usize];
    reader.read_exact(&mut json)?;
    let mut binary = vec![0; binary_len as usize];
    reader.read_exact(&mut binary)?;
    let message = serde_json::from_slice(&json).map_err(|error| invalid(error.to_string()))?;
    Ok(Some((message, binary)))
}

fn capped(len: usize, cap: u32) -> io::Result<u32> {
    u32::try_from(len).ok().filter(|len| *len <= cap).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("a part of {len} bytes is over the cap of {cap}"),
        )
    })
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// False when the stream ends before the first byte; an end after it is an error.
fn fill_or_end(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(buffer.get_mut(filled..).unwrap_or_default()) {
            Ok(0) if filled == 0 => return Ok(false),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests;
