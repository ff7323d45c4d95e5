//! GGUF: one file with sizes, tokenizer and weights, as llama.cpp keeps models.
//!
//! Matrices of linear layers stay in the blocks that they have in the file; embeddings and the head become plain numbers. `blk.3.attn_q.weight`
//! is Hugging Face's `model.layers.3.self_attn.q_proj.weight`, and [`names`] knows the others.
//! # Source
//! `gguf.md` of ggml; the metadata keys of llama.cpp's `convert_hf_to_gguf.py`; goldens `tests/goldens-gguf`

mod config;
mod header;
mod names;
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
    packed::{Ggml, Numbers},
    regular_file,
};
use serde_json::Value;

use crate::{ModelError, Tokenizer, finite, sizes::Stored};

/// A GGUF file whose header has been read.
pub(crate) struct Gguf {
    path: PathBuf,
    content: Content,
}

/// Whether a path is meant as a GGUF file.
pub(crate) fn is_gguf(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"))
}

/// The GGUF files of a folder, by name.
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
    /// [`ModelError::Io`], [`ModelError::Malformed`] when it is no GGUF file.
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
        let content = Content::read(&mut reader).map_err(|error| malformed(line(&error)))?;
        let file = Self { path: path.to_owned(), content };
        file.check_ends()?;
        Ok(file)
    }

    /// Refuses tensors that reach beyond the end of the file.
    fn check_ends(&self) -> Result<(), ModelError> {
        let length = open(&self.path)?
            .metadata()
            .map_err(|source| ModelError::Io { action: "read", path: self.path.clone(), source })?
            .len();
        let mut infos: Vec<_> = self.content.tensor_infos.iter().collect();
        infos.sort_by_key(|(name, _)| name.as_str());
        for (name, info) in infos {
            // The header has been found to have room for each product.
            let (numbers, block) = (info.shape.elem_count(), info.ggml_dtype.block_size());
            let bytes = (numbers / block) as u64 * info.ggml_dtype.type_size() as u64;
            let end =
                self.content.tensor_data_offset.saturating_add(info.offset).saturating_add(bytes);
            if !numbers.is_multiple_of(block) || end > length {
                return Err(self.malformed(format!(
                    "cannot read `{name}`: it ends at byte {end}, but the file has {length} bytes"
                )));
            }
        }
        Ok(())
    }

    /// How many tensors there are and how long their dimensions.
    pub(crate) fn stored(&self) -> Stored {
        Stored::of(self.content.tensor_infos.values().map(|info| info.shape.dims()))
    }

    /// What a config.json of the same model would say.
    ///
    /// # Errors
    /// [`ModelError::UnsupportedFamily`], [`ModelError::Malformed`].
    pub(crate) fn config(&self) -> Result<Value, ModelError> {
        config::read(self)
    }

    /// The tokenizer in the file, or the tokenizer.json beside it where the file's is of a kind that is not built in.
    ///
    /// # Errors
    /// [`ModelError::Malformed`] and [`ModelError::MissingFile`].
    pub(crate) fn tokenizer(&self) -> Result<Tokenizer, ModelError> {
        tokenizer::read(self)
    }

    /// The folder of the tokenizer.json that is read in the place of the file's own tokenizer; none where the file's own is built in.
    pub(crate) fn tokenizer_folder(&self) -> Option<PathBuf> {
        tokenizer::folder(self)
    }

    /// The id of a special token, by llama.cpp's word for it, such as `bos` or `unknown`.
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

    /// The shape of a weight, by Hugging Face's name; none where it is not in the file.
    pub(crate) fn shape(&self, name: &str) -> Option<Vec<usize>> {
        Some(self.content.tensor_infos.get(&names::of(name)?)?.shape.dims().to_vec())
    }

    /// Whether a weight is a linear layer's and in blocks.
    pub(crate) fn is_packed(&self, name: &str) -> bool {
        let kind = names::of(name)
            .and_then(|name| self.content.tensor_infos.get(&name))
            .map(|info| info.ggml_dtype);
        name.contains("_proj.")
            && kind.is_some_and(|kind| {
                !matches!(kind, GgmlDType::F32 | GgmlDType::F16 | GgmlDType::BF16)
            })
    }

    /// A weight as plain numbers.
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
        let plain = match self.turn(name, rows) {
            Some(turn) => {
                let order =
                    Tensor::from_iter((0..rows).map(|row| turn.stored(row) as u32), &Device::Cpu);
                order.and_then(|order| stored.index_select(&order, 0)).map_err(NnError::from)?
            }
            None => stored,
        };
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

    /// A weight in its blocks.
    ///
    /// # Errors
    /// [`ModelError::Io`], [`ModelError::Malformed`].
    pub(crate) fn packed(&self, name: &str, dims: (usize, usize)) -> Result<Packed, ModelError> {
        let stored = self.tensor(name)?;
        let bytes = stored.data().map_err(NnError::from)?.into_owned();
        let blocks = Ggml::new(stored.dtype(), bytes, dims.1)
            .map_err(|problem| self.malformed(format!("`{name}`: {problem}")))?;
        let blocks = match self.turn(name, dims.0) {
            Some(turn) => blocks.reordered(|row| turn.stored(row)),
            None => blocks,
        };
        Packed::from_numbers(dims, Numbers::Ggml(blocks))
            .map_err(|error| self.malformed(format!("`{name}`: {error}")))
    }

    /// Weights that are not among those wanted.
    pub(crate) fn others(&self, wanted: &BTreeSet<&str>) -> Vec<String> {
        let known: BTreeSet<_> = wanted.iter().filter_map(|name| names::of(name)).collect();
        // Llama 3's positions; the config has them.
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

    fn tensor(&self, name: &str) -> Result<QTensor, ModelError> {
        let stored = names::of(name)
            .ok_or_else(|| self.malformed(format!("GGUF files have no weight `{name}`")))?;
        let problem = |error: candle_core::Error| {
            self.malformed(format!("cannot read `{stored}` ({})", line(&error)))
        };
        self.content.tensor(&mut open(&self.path)?, &stored, &Device::Cpu).map_err(problem)
    }

    /// How the rows of a weight are put round: llama.cpp rotates neighbouring numbers of a head where Hugging Face rotates its halves.
    fn turn(&self, name: &str, rows: usize) -> Option<Turn> {
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
            .then_some(Turn { width: rows / heads })
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

/// The order of the rows of a head.
struct Turn {
    /// Rows of a head.
    width: usize,
}

impl Turn {
    /// Where the row is stored that Hugging Face has at `row`: `(head, half, i)` lies at `(head, i, half)`.
    fn stored(&self, row: usize) -> usize {
        let (head, within) = (row / self.width, row % self.width);
        let (half, index) = (within / (self.width / 2), within % (self.width / 2));
        head * self.width + index * 2 + half
    }
}

fn open(path: &Path) -> Result<File, ModelError> {
    regular_file::open(path).map_err(|source| ModelError::Io {
        action: "read",
        path: path.to_owned(),
        source,
    })
}

/// What candle says, without the frames that it may append.
fn line(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
