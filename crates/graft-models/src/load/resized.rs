//! Weight files with another number of tokens than the model was saved with.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use graft_nn::{DType, Device, NnError, Packed, Tensor};
use serde_json::Value;

use super::weights::WeightFiles;
use crate::{ModelError, WeightSpec, families, sizes::Stored};

/// The key of a config with the number of tokens.
const VOCAB: &str = "vocab_size";

/// The number of tokens of a loaded model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum VocabSize {
    /// That of the files.
    #[default]
    AsStored,
    /// At least this many.
    AtLeast(usize),
    /// Exactly this many, as `model.resize_token_embeddings(N)` of transformers.
    Exactly(usize),
}

/// The weights of a model whose embedding and head have more or fewer rows than in the files.
///
/// New rows are the mean of the stored ones, so that a new token is as likely as an average one.
///
/// # Source
/// Hewitt 2021, "Initializing New Word Embeddings for Pretrained Language Models";
/// `resize_token_embeddings(mean_resizing=True)` of transformers, which adds noise with a
/// covariance of 1e-9 times that of the rows
pub(super) struct Resized {
    files: Box<dyn WeightFiles>,
    /// The stored and the new shape of each weight that differs, by name.
    changed: BTreeMap<String, (Vec<usize>, Vec<usize>)>,
}

/// Changes the number of tokens in a config, and wraps the files to match. Returns the files
/// unchanged if they have this number.
///
/// # Errors
/// Those of the family's config.
pub(super) fn resize(
    files: Box<dyn WeightFiles>,
    config: &mut Value,
    path: &Path,
    size: VocabSize,
) -> Result<Box<dyn WeightFiles>, ModelError> {
    let stored = config.get(VOCAB).and_then(Value::as_u64).and_then(|it| usize::try_from(it).ok());
    let Some(stored) = stored else { return Ok(files) };
    let vocab = match size {
        VocabSize::AsStored => stored,
        VocabSize::AtLeast(least) => stored.max(least),
        VocabSize::Exactly(vocab) => vocab,
    };
    if vocab == stored {
        return Ok(files);
    }
    let before = families::plan(config, path)?.weights();
    if let Some(object) = config.as_object_mut() {
        object.insert(VOCAB.to_owned(), vocab.into());
    }
    let after = families::plan(config, path)?.weights();
    let changed = before.into_iter().zip(after).filter(|(old, new)| old.shape != new.shape);
    let changed = changed.map(|(old, new)| (new.name, (old.shape, new.shape))).collect();
    Ok(Box::new(Resized { files, changed }))
}

/// A tensor with `rows` rows: its first ones, or all of them and as many copies of their mean as
/// are missing.
///
/// # Shapes
/// `(V, ..)` -> `(rows, ..)`
fn with_rows(tensor: &Tensor, rows: usize) -> Result<Tensor, NnError> {
    let stored = tensor.dim(0)?;
    if rows <= stored {
        return Ok(tensor.narrow(0, 0, rows)?.contiguous()?);
    }
    let mean = tensor.to_dtype(DType::F32)?.mean_keepdim(0)?.to_dtype(tensor.dtype())?; // (1, ..)
    let mut dims = tensor.dims().to_vec();
    dims[0] = rows - stored;
    let new = mean.broadcast_as(dims)?; // (rows - V, ..)
    Ok(Tensor::cat(&[tensor, &new.contiguous()?], 0)?) // (rows, ..)
}

impl WeightFiles for Resized {
    fn place(&self) -> &Path {
        self.files.place()
    }

    fn paths(&self) -> Vec<&Path> {
        self.files.paths()
    }

    fn stored(&self) -> Stored {
        self.files.stored()
    }

    fn expect(&mut self, prefix: &str, expected: &[WeightSpec]) -> Result<(), ModelError> {
        self.files.expect(prefix, expected)
    }

    /// The new shape, if the stored one is as expected.
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let found = self.files.shape(name)?;
        match self.changed.get(name) {
            Some((old, new)) if found == *old => Some(new.clone()),
            _ => Some(found),
        }
    }

    fn others(&self, wanted: &BTreeSet<&str>) -> Vec<String> {
        self.files.others(wanted)
    }

    fn read(&self, name: &str, dtype: DType, device: &Device) -> Result<Tensor, ModelError> {
        let tensor = self.files.read(name, dtype, device)?;
        match self.changed.get(name) {
            Some((_, new)) => Ok(with_rows(&tensor, new[0])?),
            None => Ok(tensor),
        }
    }

    /// Rows are added to numbers, not to quantized codes.
    fn is_packed(&self, name: &str) -> bool {
        !self.changed.contains_key(name) && self.files.is_packed(name)
    }

    fn is_reshaped(&self, name: &str) -> bool {
        self.files.is_reshaped(name)
    }

    fn packed(&self, name: &str, dims: (usize, usize)) -> Result<Packed, ModelError> {
        self.files.packed(name, dims)
    }
}

#[cfg(test)]
mod tests {
    use graft_nn::TokenEncoder;
    use graft_spec::{Settings, Value as Setting};

    use super::*;
    use crate::{Loaded, SavedModel, load, save_loaded};

    fn loaded(source: &str, settings: &Settings) -> Loaded {
        load(source, settings, &Device::Cpu, &mut |_, _, _| {}).unwrap()
    }

    #[test]
    fn added_tokens_have_rows_of_their_own_and_are_saved() {
        let tokens = ["<|im_start|>", "</s>", "<|im_end|>"].map(str::to_owned).to_vec();
        let settings = Settings::default().with("added_tokens", Setting::List(tokens));
        let (base, model) = (loaded("tiny", &Settings::default()), loaded("tiny", &settings));
        let vocab = base.model.shape().vocab;
        // The tokenizer has `</s>` already.
        let ids: Vec<u32> = model.added_tokens.iter().map(|(_, id)| *id).collect();
        assert_eq!(
            (ids.as_slice(), model.is_resized),
            (&[vocab as u32, vocab as u32 + 1][..], true)
        );
        assert_eq!(model.model.shape().vocab, vocab + 2);
        assert_eq!(model.tokenizer.encode("<|im_start|>").unwrap(), ids[..1]);
        assert_ne!(model.content_hash, base.content_hash);
        let rows = |loaded: &Loaded| loaded.model.embedding().weight().base_value();
        let (old, new) = (rows(&base), rows(&model));
        let kept = new.narrow(0, 0, vocab).unwrap();
        assert_eq!(kept.to_vec2::<f32>().unwrap(), old.to_vec2::<f32>().unwrap());
        let mean = old.mean(0).unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(new.get(vocab + 1).unwrap().to_vec1::<f32>().unwrap(), mean);
        let folder = tempfile::tempdir().unwrap();
        save_loaded(folder.path(), &SavedModel { loaded: &model, dtype: DType::F32 }).unwrap();
        let again = loaded(&folder.path().display().to_string(), &Settings::default());
        assert_eq!((again.model.shape().vocab, again.is_resized), (vocab + 2, false));
        assert_eq!(again.tokenizer.encode("a<|im_end|>").unwrap().last(), ids.last());
        assert!(again.tokenizer.is_special(ids[1]));
    }

    #[test]
    fn a_model_is_resized_to_a_number_of_tokens_but_not_below_its_tokenizer() {
        let vocab = loaded("tiny", &Settings::default()).model.shape().vocab;
        let sized = |rows: usize| {
            let settings = Settings::default().with("resize_tokens", Setting::Integer(rows as i64));
            load("tiny", &settings, &Device::Cpu, &mut |_, _, _| {})
        };
        assert_eq!(sized(vocab + 7).unwrap().model.shape().vocab, vocab + 7);
        assert!(matches!(sized(9).err(), Some(ModelError::TokenizerMismatch { .. })));
    }

    #[test]
    fn new_rows_are_the_mean_and_others_stay() {
        let table = Tensor::new(&[[1.0f32, 2.0], [3.0, 6.0]], &Device::Cpu).unwrap();
        let rows = |count| with_rows(&table, count).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(rows(4), [[1.0, 2.0], [3.0, 6.0], [2.0, 4.0], [2.0, 4.0]]);
        assert_eq!(rows(1), [[1.0, 2.0]]);
        let bias = Tensor::new(&[1.0f32, 3.0], &Device::Cpu).unwrap();
        assert_eq!(with_rows(&bias, 3).unwrap().to_vec1::<f32>().unwrap(), [1.0, 3.0, 2.0]);
    }
}
