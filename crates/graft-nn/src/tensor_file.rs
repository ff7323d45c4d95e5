//! Reading and writing of safetensors files: eight bytes of header length, a JSON header, then the tensors' bytes.
//!
//! Tensors are read one by one at their offsets, so that a model needs its own memory once and a file cut by somebody else
//! meanwhile is an error and not a crash (which a memory map would make of it). Every error names the file and what is wrong with it.

mod header;
mod write;

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use candle_core::{DType, Device, Tensor};
use graft_spec::Hint;

pub use write::write;

use crate::regular_file;

/// A file whose header has been read and checked against its length.
#[derive(Debug)]
pub struct TensorFile {
    path: PathBuf,
    file: File,
    data_start: u64,
    entries: BTreeMap<String, Entry>,
    metadata: BTreeMap<String, String>,
}

/// What the header says of one tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// How the elements are stored.
    pub dtype: DType,
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// First byte after the header's end.
    start: u64,
    /// One past the last byte.
    end: u64,
}

/// Why a safetensors file cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TensorFileError {
    /// The file system refuses.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The file ends before its data does.
    #[error("`{}` is cut: its header announces {announced} bytes, the file has {found}", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Bytes that the header asks for, header included.
        announced: u64,
        /// Bytes there are.
        found: u64,
    },
    /// It is no safetensors file.
    #[error("`{}` is no safetensors file: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// There is no tensor of that name.
    #[error("`{}` holds no tensor `{name}`", path.display())]
    NoTensor {
        /// The file.
        path: PathBuf,
        /// The name asked for.
        name: String,
    },
    /// The tensor could not be made.
    #[error("tensor `{name}` of `{}`", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// Its name.
        name: String,
        /// The cause.
        #[source]
        source: candle_core::Error,
    },
}

impl Hint for TensorFileError {
    fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "file::io",
            Self::Truncated { .. } => "file::truncated",
            Self::Malformed { .. } => "file::malformed",
            Self::NoTensor { .. } => "file::no_tensor",
            Self::Tensor { .. } => "file::tensor",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => Some("free some space on the disk and try again".to_owned()),
            Self::Truncated { .. } => Some("copy or download the file again".to_owned()),
            Self::Malformed { .. } => Some("only safetensors files are read; convert others with transformers' `save_pretrained`".to_owned()),
            _ => None,
        }
    }
}

impl TensorFile {
    /// Reads and checks the header.
    ///
    /// # Errors
    /// [`TensorFileError::Io`], [`TensorFileError::Truncated`], [`TensorFileError::Malformed`].
    pub fn open(path: &Path) -> Result<Self, TensorFileError> {
        let io = |source| TensorFileError::Io { action: "read", path: path.to_owned(), source };
        let file = regular_file::open(path).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        let header = header::read(path, &file, length)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            data_start: header.data_start,
            entries: header.entries,
            metadata: header.metadata,
        })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every tensor, in the order of their names.
    pub fn entries(&self) -> &BTreeMap<String, Entry> {
        &self.entries
    }

    /// The free texts of the header, such as `format`.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Reads one tensor as it is stored.
    ///
    /// # Errors
    /// [`TensorFileError::NoTensor`], [`TensorFileError::Io`] and [`TensorFileError::Tensor`].
    pub fn tensor(&self, name: &str, device: &Device) -> Result<Tensor, TensorFileError> {
        let entry = self.entries.get(name).ok_or_else(|| TensorFileError::NoTensor {
            path: self.path.clone(),
            name: name.to_owned(),
        })?;
        let mut bytes = vec![0; (entry.end - entry.start) as usize];
        self.file.read_exact_at(&mut bytes, self.data_start + entry.start).map_err(|source| {
            TensorFileError::Io { action: "read", path: self.path.clone(), source }
        })?;
        Tensor::from_raw_buffer(&bytes, entry.dtype, &entry.shape, device).map_err(|source| {
            TensorFileError::Tensor { path: self.path.clone(), name: name.to_owned(), source }
        })
    }

    /// Reads every tensor.
    ///
    /// # Errors
    /// Those of [`Self::tensor`].
    pub fn tensors(&self, device: &Device) -> Result<BTreeMap<String, Tensor>, TensorFileError> {
        self.entries.keys().map(|name| Ok((name.clone(), self.tensor(name, device)?))).collect()
    }
}

#[cfg(test)]
mod tests;
