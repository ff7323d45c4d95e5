//! Frames: the length of the JSON part and that of the binary part (`u32`, little endian), then the
//! two parts.
//!
//! Both lengths are limited, so that a damaged stream causes an error instead of an allocation of
//! gigabytes.

use std::io::{self, Read, Write};

use serde::{Serialize, de::DeserializeOwned};

/// Maximum size of the JSON part: 64 MiB.
pub const MAX_JSON: u32 = 64 << 20;
/// Maximum size of the binary part: 256 MiB.
pub const MAX_BINARY: u32 = 256 << 20;

/// Writes one message and its binary part (usually empty), and flushes.
///
/// # Errors
/// Errors of the writer, and `InvalidInput` if a part exceeds its maximum size.
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

/// Reads one message; returns `None` at a clean end of the stream.
///
/// # Errors
/// Errors of the reader, `InvalidData` if a length exceeds its maximum or the JSON is not a `T`,
/// and `UnexpectedEof` within a frame.
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
            "a frame has {json_len} + {binary_len} bytes, more than the maximum of {MAX_JSON} + \
             {MAX_BINARY}"
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
            format!("a part has {len} bytes, more than the maximum of {cap}"),
        )
    })
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// Fills the buffer. Returns false if the stream ends before the first byte; a later end is an
/// error.
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
