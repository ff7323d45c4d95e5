//! Opens a file as a stream of UTF-8: detects its format, decompresses and decodes it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use graft_spec::user_file;

use super::DataError;
use super::detect::{self, ByteOrder, Content, HEAD};

/// Bytes read at once.
const BUFFER: usize = 64 << 10;

/// An open file.
pub(crate) struct Opened {
    /// The content.
    pub(crate) stream: Stream,
    /// The decoding steps, if the file is not plain UTF-8: `gzip`, `UTF-16`.
    pub(crate) decoded: Vec<&'static str>,
    file: File,
    path: PathBuf,
    bytes: u64,
}

/// The content of an open file.
pub(crate) enum Stream {
    /// UTF-8 text.
    Text(Box<dyn BufRead>),
    /// A Parquet file, which is not read from its start to its end.
    Parquet(File),
}

/// Opens a regular file of at most `available` bytes. `as_text` if the user has asked to read it as
/// plain text.
///
/// # Errors
/// [`DataError::File`], [`DataError::Foreign`], [`DataError::TooLarge`].
pub(crate) fn open(path: &Path, as_text: bool, available: u64) -> Result<Opened, DataError> {
    let (file, bytes) = user_file::open(path)?;
    let left = available;
    if bytes > left {
        return Err(DataError::TooLarge { source_name: path.display().to_string(), bytes, left });
    }
    let io = |source| DataError::Io { path: path.to_owned(), source };
    // Limited to the current size: a file that is being written might never end.
    let reader = file.try_clone().map_err(io)?.take(bytes);
    let mut decoded = Vec::new();
    let stream = match decode(Box::new(reader), (path, as_text), &mut decoded)? {
        Some(text) => Stream::Text(text),
        None => Stream::Parquet(file.try_clone().map_err(io)?),
    };
    Ok(Opened { stream, decoded, file, path: path.to_owned(), bytes })
}

impl Opened {
    /// The content, and a check for changes of the file.
    pub(crate) fn into_parts(self) -> (Stream, Unchanged) {
        (self.stream, Unchanged { file: self.file, path: self.path, bytes: self.bytes })
    }
}

/// Detects changes of a file since it was opened.
pub(crate) struct Unchanged {
    file: File,
    path: PathBuf,
    bytes: u64,
}

impl Unchanged {
    /// Compares the size of the file with its size when it was opened.
    ///
    /// # Errors
    /// [`DataError::Changed`] when it differs.
    pub(crate) fn check(&self) -> Result<(), DataError> {
        let now = self
            .file
            .metadata()
            .map_err(|source| DataError::Io { path: self.path.clone(), source })?
            .len();
        if now == self.bytes {
            Ok(())
        } else {
            Err(DataError::Changed {
                source_name: self.path.display().to_string(),
                before: self.bytes,
                after: now,
            })
        }
    }
}

/// Decompresses and decodes, one layer after another; `None` for a Parquet file.
fn decode(
    mut reader: Box<dyn Read>,
    (path, as_text): (&Path, bool),
    decoded: &mut Vec<&'static str>,
) -> Result<Option<Box<dyn BufRead>>, DataError> {
    let io = |source| DataError::Io { path: path.to_owned(), source };
    let mut head = Vec::with_capacity(HEAD);
    reader.by_ref().take(HEAD as u64).read_to_end(&mut head).map_err(io)?;
    let content = detect::content(&head);
    let mut whole = Cursor::new(head).chain(reader);
    match content {
        Content::Foreign(foreign) if !(as_text && foreign.is_text) => {
            Err(foreign_format(path, foreign.name, detect::step(&foreign, path)))
        }
        Content::Parquet if decoded.is_empty() => Ok(None),
        Content::Parquet => {
            let hint = "unpack it first: gunzip".to_owned();
            Err(foreign_format(path, "a Parquet file that is compressed as a whole", hint))
        }
        Content::Gzip if decoded.contains(&"gzip") => {
            let hint = "unpack it until it is text: gunzip".to_owned();
            Err(foreign_format(path, "compressed with gzip more than once", hint))
        }
        Content::Gzip => {
            decoded.push("gzip");
            decode(Box::new(flate2::read::MultiGzDecoder::new(whole)), (path, as_text), decoded)
        }
        Content::Utf16 { mark, order } => {
            decoded.push("UTF-16");
            io::copy(&mut whole.by_ref().take(mark as u64), &mut io::sink()).map_err(io)?;
            Ok(Some(Box::new(BufReader::with_capacity(
                BUFFER,
                Utf16 { source: BufReader::with_capacity(BUFFER, whole), order, waiting: None },
            ))))
        }
        Content::Utf8 { mark } => {
            io::copy(&mut whole.by_ref().take(mark as u64), &mut io::sink()).map_err(io)?;
            Ok(Some(Box::new(BufReader::with_capacity(BUFFER, whole))))
        }
        Content::Foreign(_) => Ok(Some(Box::new(BufReader::with_capacity(BUFFER, whole)))),
    }
}

/// The error for a file in a format that is not read.
fn foreign_format(path: &Path, format: &'static str, hint: String) -> DataError {
    DataError::Foreign { source_name: path.display().to_string(), format, hint }
}

/// Converts UTF-16 to UTF-8.
struct Utf16<R> {
    source: R,
    order: ByteOrder,
    /// A code unit that was read ahead.
    waiting: Option<u16>,
}

impl<R: Read> Utf16<R> {
    fn unit(&mut self) -> io::Result<Option<u16>> {
        if let Some(unit) = self.waiting.take() {
            return Ok(Some(unit));
        }
        let mut pair = [0; 2];
        match self.source.read(&mut pair[..1])? {
            0 => return Ok(None),
            _ => self
                .source
                .read_exact(&mut pair[1..])
                .map_err(|_| invalid("the last character is incomplete"))?,
        }
        Ok(Some(match self.order {
            ByteOrder::Little => u16::from_le_bytes(pair),
            ByteOrder::Big => u16::from_be_bytes(pair),
        }))
    }

    fn character(&mut self) -> io::Result<Option<char>> {
        let Some(first) = self.unit()? else { return Ok(None) };
        let units = match first {
            0xd800..=0xdbff => [Some(first), self.unit()?],
            _ => [Some(first), None],
        };
        char::decode_utf16(units.into_iter().flatten())
            .next()
            .transpose()
            .map_err(|_| invalid("unpaired surrogate"))
    }
}

fn invalid(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not valid UTF-16: {problem}"))
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut written = 0;
        // A character takes up to four bytes.
        while written + 4 <= buffer.len() {
            let Some(character) = self.character()? else { break };
            written += character.encode_utf8(&mut buffer[written..]).len();
        }
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf_16_becomes_utf_8_and_truncated_or_invalid_text_is_refused() {
        let text = "Grüße, 日本 😀\n";
        let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let decoded = |bytes: &[u8]| {
            let mut out = String::new();
            BufReader::with_capacity(
                8,
                Utf16 { source: bytes, order: ByteOrder::Big, waiting: None },
            )
            .read_to_string(&mut out)
            .map(|_| out)
        };
        assert_eq!(decoded(&units).expect("decodes"), text);
        assert!(
            decoded(&units[..units.len() - 1]).expect_err("cut").to_string().contains("incomplete")
        );
        assert!(
            decoded(&[0xd8, 0x3d, 0, b'a']).expect_err("half").to_string().contains("surrogate")
        );
    }
}
