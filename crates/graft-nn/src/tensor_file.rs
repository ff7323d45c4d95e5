//! Reading and writing safetensors files.
//!
//! A file consists of eight bytes of header length, a JSON header and the tensors' bytes. Tensors
//! are read one by one at their offsets instead of through a memory map: loading needs the memory
//! of the model only once, and a file that another process truncates meanwhile causes an error
//! instead of a crash. Every error names the file.
//!
//! # Source
//! The safetensors format, <https://github.com/huggingface/safetensors#format>

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

/// An open file whose header has been validated against the length of the file.
#[derive(Debug)]
pub struct TensorFile {
    path: PathBuf,
    file: File,
    data_start: u64,
    entries: BTreeMap<String, Entry>,
    metadata: BTreeMap<String, String>,
}

/// The header's entry of one tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Element type.
    pub dtype: DType,
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// Offset of the first byte, counted from the end of the header.
    start: u64,
    /// Offset after the last byte.
    end: u64,
}

/// An error of reading or writing a safetensors file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TensorFileError {
    /// The file system reported an error.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// The file is shorter than its header declares.
    #[error(
        "`{}` is truncated: its header declares {declared} bytes, the file has {found}",
        path.display()
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Size that the header declares, header included.
        declared: u64,
        /// Actual size in bytes.
        found: u64,
    },
    /// The file is not a valid safetensors file.
    #[error("`{}` is not a valid safetensors file: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The problem.
        problem: String,
    },
    /// The file has no tensor of that name.
    #[error("`{}` has no tensor `{name}`", path.display())]
    NoTensor {
        /// The file.
        path: PathBuf,
        /// The requested name.
        name: String,
    },
    /// candle could not create the tensor.
    #[error("cannot create tensor `{name}` of `{}`", path.display())]
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
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Some("free some disk space and try again".to_owned())
            }
            Self::Truncated { .. } => Some("copy or download the file again".to_owned()),
            Self::Malformed { .. } => Some(
                "only safetensors files are supported; convert other formats with \
                 transformers' `save_pretrained`"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

impl TensorFile {
    /// Opens a file, and reads and validates its header.
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

    /// Path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The entries of all tensors, sorted by name.
    pub fn entries(&self) -> &BTreeMap<String, Entry> {
        &self.entries
    }

    /// The metadata strings of the header, such as `format`.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Reads one tensor in its stored type.
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
    /// The errors of [`Self::tensor`].
    pub fn tensors(&self, device: &Device) -> Result<BTreeMap<String, Tensor>, TensorFileError> {
        self.entries.keys().map(|name| Ok((name.clone(), self.tensor(name, device)?))).collect()
    }
}

#[cfg(test)]
mod tests;
