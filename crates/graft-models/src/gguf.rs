//! GGUF files of llama.cpp: config, tokenizer and weights in one file.
//!
//! The matrices of linear layers keep the quantization of the file; embeddings and the head are
//! dequantized. `blk.3.attn_q.weight` is Hugging Face's `model.layers.3.self_attn.q_proj.weight`;
//! [`names`] has the other names.
//! # Source
//! `gguf.md` of ggml; the metadata keys of llama.cpp's `convert_hf_to_gguf.py`; goldens
//! `tests/goldens-gguf`

mod config;
mod header;
mod names;
mod row_permutation;
mod sentencepiece;
mod tokenizer;

use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufReader, Seek},
    path::{Path, PathBuf},
};

use candle_core::quantized::{
    GgmlDType, QTensor,
    gguf_file::{Content, Value as Entry},
};
use graft_nn::{
    DType, Device, NnError, Packed, Tensor,
    message::first_line,
    packed::{Ggml, Numbers},
    regular_file,
};
use serde_json::Value;

use crate::{ModelError, Tokenizer, finite, sizes::Stored};
use row_permutation::RowPermutation;

/// A GGUF file whose header has been read.
pub(crate) struct Gguf {
    path: PathBuf,
    content: Content,
}

/// Whether a path has the extension of a GGUF file.
pub(crate) fn is_gguf(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"))
}

/// The GGUF files of a folder, sorted by name.
pub(crate) fn in_folder(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<_> =
        entries.map(|entry| entry.path()).filter(|path| is_gguf(path) && path.is_file()).collect();
    files.sort();
    files
}

impl Gguf {
    /// Reads the header of a file.
    ///
    /// # Errors
    /// [`ModelError::Io`], [`ModelError::Malformed`] if the file is not a GGUF file.
    pub(crate) fn open(path: &Path) -> Result<Self, ModelError> {
        let file = open(path)?;
        let malformed = |problem: String| ModelError::Malformed {
            path: path.to_owned(),
            problem: format!("not a complete GGUF file ({problem})"),
        };
        header::check(&file).map_err(malformed)?;
        let mut reader = BufReader::new(file);
        reader.rewind().map_err(|source| ModelError::Io {
            action: "read",
            path: path.to_owned(),
            source,
        })?;
        let content = Content::read(&mut reader).map_err(|error| malformed(first_line(&error)))?;
        let file = Self { path: path.to_owned(), content };
        file.check_ends()?;
        Ok(file)
    }

    /// Checks that all tensors end within the file.
    fn check_ends(&self) -> Result<(), ModelError> {
        let length = open(&self.path)?
            .metadata()
            .map_err(|source| ModelError::Io { action: "read", path: self.path.clone(), source })?
            .len();
        let mut infos: Vec<_> = self.content.tensor_infos.iter().collect();
        infos.sort_by_key(|(name, _)| name.as_str());
        for (name, info) in infos {
            // The header check has bounded each product.
            let count = info.shape.elem_count();
            let block = info.ggml_dtype.block_size();
            let bytes = (count / block) as u64 * info.ggml_dtype.type_size() as u64;
            let end =
                self.content.tensor_data_offset.saturating_add(info.offset).saturating_add(bytes);
            if !count.is_multiple_of(block) || end > length {
                return Err(self.malformed(format!(
                    "cannot read `{name}`: it ends at byte {end}, but the file has {length} bytes"
                )));
            }
        }
        Ok(())
    }

    /// Number and largest dimension of the tensors.
    pub(crate) fn stored(&self) -> Stored {
        Stored::of(self.content.tensor_infos.values().map(|info| info.shape.dims()))
    }

    /// The equivalent config.json of the model.
    ///
    /// # Errors
    /// [`ModelError::UnsupportedFamily`], [`ModelError::Malformed`].
    pub(crate) fn config(&self) -> Result<Value, ModelError> {
        config::read(self)
    }

    /// The tokenizer of the file, or tokenizer.json in the same folder if the file's tokenizer is
    /// not supported.
    ///
    /// # Errors
    /// [`ModelError::Malformed`] and [`ModelError::MissingFile`].
    pub(crate) fn tokenizer(&self) -> Result<Tokenizer, ModelError> {
        tokenizer::read(self)
    }

    /// The folder of the tokenizer.json that is used instead of the file's tokenizer; `None` if the
    /// file's tokenizer is supported.
    pub(crate) fn tokenizer_folder(&self) -> Option<PathBuf> {
        tokenizer::folder(self)
    }

    /// The id of a special token by its name in llama.cpp, such as `bos` or `unknown`.
    pub(crate) fn special_token(&self, kind: &str) -> Option<u32> {
        u32::try_from(self.size(&format!("tokenizer.ggml.{kind}_token_id"))?).ok()
    }

    /// The chat template, in Jinja.
    pub(crate) fn chat_template(&self) -> Option<String> {
        self.text("tokenizer.chat_template")
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The shape of a weight by Hugging Face name; `None` if it is missing.
    pub(crate) fn shape(&self, name: &str) -> Option<Vec<usize>> {
        Some(self.content.tensor_infos.get(&self.stored_name(name)?)?.shape.dims().to_vec())
    }

    /// Whether a weight belongs to a linear layer and is quantized.
    pub(crate) fn is_packed(&self, name: &str) -> bool {
        let kind = self
            .stored_name(name)
            .and_then(|name| self.content.tensor_infos.get(&name))
            .map(|info| info.ggml_dtype);
        name.contains("_proj.")
            && kind.is_some_and(|kind| {
                !matches!(kind, GgmlDType::F32 | GgmlDType::F16 | GgmlDType::BF16)
            })
    }

    /// Reads and dequantizes a weight.
    ///
    /// # Errors
    /// [`ModelError::Io`], [`ModelError::Malformed`].
    pub(crate) fn read(
        &self,
        name: &str,
        dtype: DType,
        device: &Device,
    ) -> Result<Tensor, ModelError> {
        let stored = self.tensor(name)?.dequantize(&Device::Cpu).map_err(NnError::from)?;
        let rows = stored.dim(0).map_err(NnError::from)?;
        let plain = match self.permutation(name, rows) {
            Some(permutation) => {
                let order = Tensor::from_iter(
                    (0..rows).map(|row| permutation.stored(row) as u32),
                    &Device::Cpu,
                );
                order.and_then(|order| stored.index_select(&order, 0)).map_err(NnError::from)?
            }
            None => stored,
        };
        let plain =
            if self.is_offset(name) { (plain - 1.0).map_err(NnError::from)? } else { plain };
        if !finite::is_finite(&plain).map_err(NnError::from)? {
            return Err(ModelError::NotFiniteWeight {
                path: self.path.clone(),
                name: name.to_owned(),
            });
        }
        Ok(plain
            .to_dtype(dtype)
            .and_then(|tensor| tensor.to_device(device))
            .map_err(NnError::from)?)
    }

    /// Reads a weight in its quantized form.
    ///
    /// # Errors
    /// [`ModelError::Io`], [`ModelError::Malformed`].
    pub(crate) fn packed(&self, name: &str, dims: (usize, usize)) -> Result<Packed, ModelError> {
        let stored = self.tensor(name)?;
        let bytes = stored.data().map_err(NnError::from)?.into_owned();
        let blocks = Ggml::new(stored.dtype(), bytes, dims.1)
            .map_err(|problem| self.malformed(format!("`{name}`: {problem}")))?;
        let blocks = match self.permutation(name, dims.0) {
            Some(permutation) => blocks.reordered(|row| permutation.stored(row)),
            None => blocks,
        };
        Packed::from_numbers(dims, Numbers::Ggml(blocks))
            .map_err(|error| self.malformed(format!("`{name}`: {error}")))
    }

    /// Names of weights that are not in `wanted`.
    pub(crate) fn others(&self, wanted: &BTreeSet<&str>) -> Vec<String> {
        let known: BTreeSet<_> = wanted.iter().filter_map(|name| self.stored_name(name)).collect();
        // The rope factors of Llama 3 are read with the config.
        let mut others: Vec<_> = self
            .content
            .tensor_infos
            .keys()
            .filter(|name| !known.contains(*name) && *name != config::ROPE_FACTORS)
            .cloned()
            .collect();
        others.sort();
        others
    }

    /// The name in the file of a weight; `None` for an unknown one.
    fn stored_name(&self, name: &str) -> Option<String> {
        names::of(name, &self.architecture())
    }

    fn architecture(&self) -> String {
        self.text("general.architecture").unwrap_or_default()
    }

    /// Whether llama.cpp has added 1 to a weight, which is an offset from 1 in the Gemma families.
    fn is_offset(&self, name: &str) -> bool {
        name.ends_with("norm.weight") && names::is_gemma(&self.architecture())
    }

    fn tensor(&self, name: &str) -> Result<QTensor, ModelError> {
        let stored = self
            .stored_name(name)
            .ok_or_else(|| self.malformed(format!("GGUF files have no weight `{name}`")))?;
        let problem = |error: candle_core::Error| {
            self.malformed(format!("cannot read `{stored}` ({})", first_line(&error)))
        };
        self.content.tensor(&mut open(&self.path)?, &stored, &Device::Cpu).map_err(problem)
    }

    /// The permutation of the rows of a weight: llama.cpp pairs neighboring elements of a head for
    /// RoPE, Hugging Face pairs its halves.
    fn permutation(&self, name: &str, rows: usize) -> Option<RowPermutation> {
        let heads = match () {
            () if name.contains(".q_proj.") => "attention.head_count",
            () if name.contains(".k_proj.") => "attention.head_count_kv",
            () => return None,
        };
        let architecture = self.text("general.architecture")?;
        let heads = self
            .size(&format!("{architecture}.{heads}"))
            .or_else(|| self.size(&format!("{architecture}.attention.head_count")))?;
        (architecture == "llama" && heads > 0 && rows.is_multiple_of(2 * heads))
            .then_some(RowPermutation { width: rows / heads })
    }

    fn entry(&self, key: &str) -> Option<&Entry> {
        self.content.metadata.get(key)
    }

    fn text(&self, key: &str) -> Option<String> {
        self.entry(key)?.to_string().ok().cloned()
    }

    fn size(&self, key: &str) -> Option<usize> {
        let entry = self.entry(key)?;
        let unsigned = entry.to_u64().ok().or_else(|| entry.to_u32().ok().map(u64::from));
        let number = unsigned
            .or_else(|| entry.to_i32().ok().and_then(|number| u64::try_from(number).ok()))?;
        usize::try_from(number).ok()
    }

    fn number(&self, key: &str) -> Option<f64> {
        let entry = self.entry(key)?;
        entry.to_f32().map(f64::from).or_else(|_| entry.to_f64()).ok()
    }

    fn malformed(&self, problem: String) -> ModelError {
        ModelError::Malformed { path: self.path.clone(), problem }
    }
}

fn open(path: &Path) -> Result<File, ModelError> {
    regular_file::open(path).map_err(|source| ModelError::Io {
        action: "read",
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests;
