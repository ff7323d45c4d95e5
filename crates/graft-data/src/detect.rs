//! Detects the format of a file from its first bytes; the file name is ignored.

use std::path::Path;

/// Number of bytes that [`content`] inspects.
pub(crate) const HEAD: usize = 4096;

/// The detected content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Text, or an unknown format.
    Utf8 {
        /// Length of the byte order mark.
        mark: usize,
    },
    /// Text in UTF-16.
    Utf16 {
        /// Length of the byte order mark.
        mark: usize,
        /// The byte order.
        order: ByteOrder,
    },
    /// Compressed with gzip.
    Gzip,
    /// A Parquet file.
    Parquet,
    /// A format that is detected but not supported.
    Foreign(Foreign),
}

/// The byte order of UTF-16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ByteOrder {
    /// Low byte first, as on Windows.
    Little,
    /// High byte first.
    Big,
}

/// A format that is not supported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Foreign {
    /// The name with its article.
    pub(crate) name: &'static str,
    /// A command that converts the file, with `FILE` as its name.
    pub(crate) step: &'static str,
    /// Whether it is text, which `format=txt` can read.
    pub(crate) is_text: bool,
}

/// Offset and bytes of a signature, the format, and a hint.
type Signature = (usize, &'static [u8], &'static str, &'static str);

const ARROW: &str = "convert it: python3 -c \"import datasets; datasets.Dataset.from_file('FILE').to_json('FILE.jsonl')\", then %data load FILE.jsonl";
const FEATHER: &str = "convert it: python3 -c \"import pandas; pandas.read_feather('FILE').to_json('FILE.jsonl', orient='records', lines=True)\", \
     then %data load FILE.jsonl";
const PICKLE: &str = "reading a pickle runs code of whoever wrote it; if you trust it: python3 -c \"import pandas; \
     pandas.read_pickle('FILE').to_json('FILE.jsonl', orient='records', lines=True)\", then %data load FILE.jsonl";
const SQLITE: &str = "export a table: sqlite3 -header -csv 'FILE' \"SELECT text, label FROM mytable\" > 'FILE.csv', then %data load FILE.csv";
const EXCEL: &str = "save it as csv, or: python3 -c \"import pandas; pandas.read_excel('FILE').to_csv('FILE.csv', index=False)\", then %data load FILE.csv";
const WEIGHTS: &str =
    "%model load and %lora load read models and adapters; %data load expects examples";
const NOT_TEXT: &str = "%data load expects text";
const UTF32: &str = "convert it: iconv -f UTF-32 -t UTF-8 'FILE' > 'FILE.txt', then load that file";

const SIGNATURES: &[Signature] = &[
    (0, b"ARROW1\0\0", "an Arrow (Feather) file", FEATHER),
    (0, b"FEA1", "a Feather file", FEATHER),
    (0, b"\xff\xff\xff\xff", "an Arrow stream, as Hugging Face datasets stores it", ARROW),
    (0, b"Obj\x01", "an Avro file", "convert it to JSON Lines first, for example with `avro cat`"),
    (
        0,
        b"ORC",
        "an ORC file",
        "convert it to csv or JSON Lines first, for example with pandas.read_orc",
    ),
    (
        0,
        b"BZh",
        "compressed with bzip2",
        "unpack it: bunzip2 -k 'FILE', then load the file without .bz2",
    ),
    (
        0,
        b"\xfd7zXZ\0",
        "compressed with xz",
        "unpack it: xz -dk 'FILE', then load the file without .xz",
    ),
    (
        0,
        b"\x28\xb5\x2f\xfd",
        "compressed with Zstandard",
        "unpack it: zstd -d 'FILE', then load the file without .zst",
    ),
    (
        0,
        b"\x04\x22\x4d\x18",
        "compressed with LZ4",
        "unpack it: lz4 -d 'FILE', then load the file that it writes",
    ),
    (
        0,
        b"7z\xbc\xaf\x27\x1c",
        "a 7z archive",
        "unpack it: 7z x 'FILE', then load one of its files",
    ),
    (0, b"Rar!\x1a\x07", "a RAR archive", "unpack it: unrar x 'FILE', then load one of its files"),
    (257, b"ustar", "a tar archive", "unpack it: tar xf 'FILE', then load one of its files"),
    (0, b"SQLite format 3\0", "an SQLite database", SQLITE),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document (.xls, .doc)", EXCEL),
    (
        0,
        b"%PDF-",
        "a PDF document",
        "extract its text: pdftotext 'FILE' 'FILE.txt', then %data load FILE.txt",
    ),
    (0, b"{\\rtf", "an RTF document", "save it as plain text first"),
    (
        0,
        b"\x89HDF\r\n\x1a\n",
        "an HDF5 file",
        "convert it to csv or JSON Lines first, for example with pandas.read_hdf",
    ),
    (
        0,
        b"\x93NUMPY",
        "a NumPy array",
        "%data load expects text: write the texts to a JSON Lines file",
    ),
    (0, b"GGUF", "a GGUF model", WEIGHTS),
    (0, b"\x89PNG\r\n\x1a\n", "a PNG image", NOT_TEXT),
    (0, b"\xff\xd8\xff", "a JPEG image", NOT_TEXT),
    (0, b"GIF8", "a GIF image", NOT_TEXT),
    (0, b"\x7fELF", "a program", NOT_TEXT),
    (0, b"\0\0\xfe\xff", "UTF-32 text", UTF32),
    (0, b"\xff\xfe\0\0", "UTF-32 text", UTF32),
];

/// Printable signatures that also count in text files. All others count only in files with binary
/// bytes.
const TEXTS: &[&[u8]] = &[b"%PDF-", b"{\\rtf"];

/// Detects a format from the first [`HEAD`] bytes.
pub(crate) fn content(head: &[u8]) -> Content {
    let found = SIGNATURES
        .iter()
        .find(|(place, bytes, ..)| head.get(*place..).is_some_and(|rest| rest.starts_with(bytes)));
    // A csv file may start with `ORCID`, plain text with `GIF89a`.
    let found = found.filter(|(_, bytes, ..)| {
        TEXTS.contains(bytes) || !bytes.iter().all(u8::is_ascii_graphic) || is_binary(head)
    });
    let foreign = |name, step, is_text| Content::Foreign(Foreign { name, step, is_text });
    match head {
        _ if let Some((_, _, name, step)) = found => foreign(name, step, false),
        [b'P', b'A', b'R', b'1', ..] if is_binary(head) => Content::Parquet,
        [b'P', b'K', 3 | 5, 4 | 6, ..] => zip(head),
        [0x1f, 0x8b, ..] => Content::Gzip,
        [0x80, 2..=5, ..] => foreign("a Python pickle", PICKLE, false),
        [_, _, _, _, _, _, _, 0, b'{', ..] => foreign("a safetensors file", WEIGHTS, false),
        [0xef, 0xbb, 0xbf, ..] => Content::Utf8 { mark: 3 },
        [0xff, 0xfe, ..] => Content::Utf16 { mark: 2, order: ByteOrder::Little },
        [0xfe, 0xff, ..] => Content::Utf16 { mark: 2, order: ByteOrder::Big },
        _ => match (markup(head), unmarked_utf16(head)) {
            (Some(foreign), _) => Content::Foreign(foreign),
            (None, Some(order)) => Content::Utf16 { mark: 0, order },
            (None, None) => Content::Utf8 { mark: 0 },
        },
    }
}

/// Whether the bytes contain control characters or invalid UTF-8; a character cut at the end is
/// valid.
fn is_binary(head: &[u8]) -> bool {
    let is_control = |byte: &u8| byte.is_ascii_control() && !matches!(byte, b'\t' | b'\n' | b'\r');
    head.iter().any(is_control)
        || std::str::from_utf8(head).is_err_and(|error| error.error_len().is_some())
}

/// The hint for a file of that format.
pub(crate) fn step(foreign: &Foreign, path: &Path) -> String {
    with_name(foreign.step, &path.display().to_string())
}

/// Replaces `FILE` in a command by the file name, unless a shell or Python would interpret the
/// name.
pub(crate) fn with_name(step: &str, name: &str) -> String {
    if name.contains(['\'', '"', '\\', '$', '`', '!']) || name.chars().any(char::is_control) {
        step.to_owned()
    } else {
        step.replace("FILE", name)
    }
}

/// Office documents, PyTorch checkpoints and NumPy archives are zip archives: the first entry
/// distinguishes them.
fn zip(head: &[u8]) -> Content {
    let has = |name: &str| head.windows(name.len()).any(|window| window == name.as_bytes());
    let (name, step) = match () {
        () if has("[Content_Types].xml") && has("word/") => {
            ("a Word document (.docx)", "save it as plain text first")
        }
        () if has("[Content_Types].xml") || has("xl/") => ("an Excel workbook (.xlsx)", EXCEL),
        () if has("data.pkl") => ("a PyTorch checkpoint", WEIGHTS),
        () if has(".npy") => {
            ("a NumPy archive", "%data load expects text: write the texts to a JSON Lines file")
        }
        () => ("a zip archive", "unpack it: unzip 'FILE', then load one of its files"),
    };
    Content::Foreign(Foreign { name, step, is_text: false })
}

/// Text that is not data: a web page such as an error or a login page, or a Git LFS pointer.
fn markup(head: &[u8]) -> Option<Foreign> {
    let start = head.iter().position(|byte| !byte.is_ascii_whitespace())?;
    let text: Vec<u8> = head[start..].iter().take(64).map(u8::to_ascii_lowercase).collect();
    let foreign = |name, step| Some(Foreign { name, step, is_text: true });
    match text.as_slice() {
        text if text.starts_with(b"<!doctype html") || text.starts_with(b"<html") => foreign(
            "a web page (HTML)",
            "a site may have sent a login or error page: download the raw file; format=txt reads the page's source as text",
        ),
        text if text.starts_with(b"<?xml") => {
            foreign("XML", "convert it to csv or JSON Lines first; format=txt reads it as text")
        }
        text if text.starts_with(b"version https://git-lfs") => foreign(
            "a Git LFS pointer, not the data itself",
            "fetch the data: git lfs pull, in the folder of the repository",
        ),
        _ => None,
    }
}

/// The byte order of UTF-16 without a byte order mark. In Latin text every other byte is 0 and the
/// rest is printable.
fn unmarked_utf16(head: &[u8]) -> Option<ByteOrder> {
    let pairs = head.len() / 2;
    let count = |place: usize, is: fn(u8) -> bool| {
        head.iter().skip(place).step_by(2).filter(|byte| is(**byte)).count()
    };
    let printable = |byte: u8| byte >= b' ' || byte.is_ascii_whitespace();
    let even = count(0, |byte| byte == 0);
    let odd = count(1, |byte| byte == 0);
    let looks_like = |zeros: usize, others: usize, letters: usize| {
        zeros * 2 > pairs && others == 0 && letters * 20 >= pairs * 19
    };
    match pairs {
        0 | 1 => None,
        _ if looks_like(odd, even, count(0, printable)) => Some(ByteOrder::Little),
        _ if looks_like(even, odd, count(1, printable)) => Some(ByteOrder::Big),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(head: &[u8]) -> &'static str {
        match content(head) {
            Content::Foreign(foreign) => foreign.name,
            other => panic!("{other:?}"),
        }
    }

    fn utf16(text: &str, order: ByteOrder) -> Vec<u8> {
        text.encode_utf16()
            .flat_map(|unit| {
                if order == ByteOrder::Little { unit.to_le_bytes() } else { unit.to_be_bytes() }
            })
            .collect()
    }

    #[test]
    fn formats_are_recognized_by_their_first_bytes() {
        assert_eq!(content(b"PAR1\x15\x04\x15"), Content::Parquet);
        assert_eq!(
            name(b"PK\x03\x04\x14\0\x06\0\x08\0\0\0!\0[Content_Types].xml xl/workbook.xml"),
            "an Excel workbook (.xlsx)"
        );
        assert_eq!(name(b"PK\x03\x04\0\0\x08\x08\0\0\0\0archive/data.pkl"), "a PyTorch checkpoint");
        assert_eq!(name(b"PK\x03\x04data.csv"), "a zip archive");
        assert_eq!(name(b"\x80\x04\x95\x1a\0\0\0\0\0\0\0}\x94"), "a Python pickle");
        assert_eq!(name(b"\x28\xb5\x2f\xfd\x24\0"), "compressed with Zstandard");
        assert_eq!(name(b"\n <!DOCTYPE html><html>"), "a web page (HTML)");
        assert_eq!(name(b"\x58\x01\0\0\0\0\0\0{\"a\":{}}"), "a safetensors file");
        assert_eq!(name(&[&[0u8; 257][..], b"ustar\x0000"].concat()), "a tar archive");
        assert_eq!(content(b"\x1f\x8b\x08\0"), Content::Gzip);
        assert_eq!(content(b"plain words"), Content::Utf8 { mark: 0 });
        assert_eq!(content(b""), Content::Utf8 { mark: 0 });
    }

    #[test]
    fn a_printable_signature_counts_only_in_a_file_with_binary_bytes() {
        assert_eq!(name(b"ORC\x0a\x0b\x08\x03"), "an ORC file");
        assert_eq!(name(b"GIF89a\x10\0\x10\0"), "a GIF image");
        assert_eq!(name(b"%PDF-1.7\n1 0 obj\n"), "a PDF document");
        assert_eq!(name(b"{\\rtf1\\ansi text}"), "an RTF document");
        for text in [
            "ORCID,label\n0000-0001,good\n",
            "BZh is a name\n",
            "GIF89a or PNG?\tBoth.\r\n",
            "GGUF",
        ] {
            assert_eq!(content(text.as_bytes()), Content::Utf8 { mark: 0 }, "{text}");
        }
        assert_eq!(
            content(&"ORCID: Grüße".as_bytes()[..10]),
            Content::Utf8 { mark: 0 },
            "a character that is cut off"
        );
    }

    #[test]
    fn utf_16_is_recognized_with_and_without_its_mark() {
        for order in [ByteOrder::Little, ByteOrder::Big] {
            assert_eq!(
                content(&utf16("text,label\nGrüße,gut\n", order)),
                Content::Utf16 { mark: 0, order }
            );
            assert_eq!(content(&utf16("\u{feff}日本", order)), Content::Utf16 { mark: 2, order });
        }
        assert_eq!(
            content(&[1, 0, 2, 0, 3, 0, 4, 0]),
            Content::Utf8 { mark: 0 },
            "small numbers are not text"
        );
        assert_eq!(name(b"\xff\xfe\0\0a\0\0\0"), "UTF-32 text");
    }

    #[test]
    fn the_step_names_the_file() {
        let Content::Foreign(feather) = content(b"FEA1\x15\x04") else { panic!("not recognized") };
        let step = step(&feather, Path::new("my data.feather"));
        assert!(step.contains("pandas.read_feather('my data.feather').to_json('my data.feather.jsonl', orient='records', lines=True)"), "{step}");
    }
}
