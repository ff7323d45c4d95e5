//! End-to-end check of one golden case: outputs, loss, gradients, training, counts, merge and
//! files.
//!
//! Tolerances: 1e-4 absolute and relative for outputs and losses, 1e-3 of the norm for gradients
//! and trained parameters.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use graft_nn::{
    Context, DType, Device, Model, Tensor, Trainable, Var, gradients, ops::cross_entropy,
    tensor_file::TensorFile,
};
use graft_peft::{Adapter, AttachContext, PeftError, attach, counts, load};
use serde_json::Value;

/// The result of a case.
pub(crate) enum Outcome {
    /// Everything agrees.
    Passed,
    /// The case needs a feature that is not implemented.
    Skipped(String),
    /// The differences.
    Failed(Vec<String>),
}

/// The cases in a folder of goldens, as `(model folder, case)`, sorted.
pub(crate) fn cases(root: &Path) -> Vec<(PathBuf, String)> {
    let folders = |path: &Path| -> Vec<PathBuf> {
        let mut found: Vec<_> = std::fs::read_dir(path)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.is_dir())
            .collect();
        found.sort();
        found
    };
    let models = folders(root).into_iter().filter(|folder| folder.join("config.json").is_file());
    let with_cases = |model: PathBuf| {
        let cases = folders(&model)
            .into_iter()
            .filter(|folder| folder.join("expected.safetensors").is_file());
        let name =
            |case: PathBuf| case.file_name().unwrap_or_default().to_string_lossy().into_owned();
        cases.map(|case| (model.clone(), name(case))).collect::<Vec<_>>()
    };
    models.flat_map(with_cases).collect()
}

/// Checks one case.
pub(crate) fn check(model_folder: &Path, case: &str) -> Outcome {
    let files =
        match graft_models::load_model(model_folder, DType::F32, &Device::Cpu, &mut |_, _, _| {}) {
            Ok(files) => files,
            Err(error @ graft_models::ModelError::UnsupportedFamily { .. }) => {
                return Outcome::Skipped(error.to_string());
            }
            Err(error) => return Outcome::Failed(vec![error.to_string()]),
        };
    let golden = match Golden::read(files.model, model_folder, case) {
        Ok(golden) => golden,
        Err(error) => return Outcome::Failed(vec![error]),
    };
    match golden.run() {
        Ok(problems) if problems.is_empty() => Outcome::Passed,
        Ok(problems) => Outcome::Failed(problems),
        Err(error @ (PeftError::Unsupported { .. } | PeftError::NotLinear { .. })) => {
            Outcome::Skipped(error.to_string())
        }
        Err(error) => Outcome::Failed(vec![error.to_string()]),
    }
}

struct Golden {
    model: Arc<dyn Model>,
    base_name: String,
    folder: PathBuf,
    expected: BTreeMap<String, Tensor>,
    case: Value,
}

impl Golden {
    fn read(model: Arc<dyn Model>, model_folder: &Path, case: &str) -> Result<Self, String> {
        let folder = model_folder.join(case);
        let base_name = model_folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let file = TensorFile::open(&folder.join("expected.safetensors"))
            .map_err(|error| error.to_string())?;
        let expected = file.tensors(&Device::Cpu).map_err(|error| error.to_string())?;
        let text =
            std::fs::read_to_string(folder.join("case.json")).map_err(|error| error.to_string())?;
        let case = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        Ok(Self { model, base_name, folder, expected, case })
    }

    /// Returns the differences.
    fn run(&self) -> Result<Vec<String>, PeftError> {
        let mut problems = Vec::new();
        let model = &*self.model;
        let untouched = self.logits(&Context::eval())?;
        problems.extend(self.far("base_logits", &untouched)?);
        let attach_context = AttachContext::new(model, &self.base_name, 0);
        let (adapter, warnings) = load(&attach_context, &self.folder, "default")?;
        problems.extend(warnings.into_iter().map(|warning| format!("warning: {warning}")));
        problems.extend(self.far("logits", &self.logits(&Context::eval())?)?);
        problems.extend(self.files(&adapter)?);
        let adapter = self.with_network(&attach_context, adapter)?;
        let counted = counts(model, &[&adapter]);
        if self.case["line"] != counted.line()
            || self.case["trainable_params"] != counted.trainable
            || self.case["all_params"] != counted.all
        {
            problems.push(format!("counts: {} instead of {}", counted.line(), self.case["line"]));
        }
        problems.extend(self.merged(&adapter)?);
        problems.extend(self.training(&adapter)?);
        adapter.detach(model)?;
        if bits(&self.logits(&Context::eval())?)? != bits(&untouched)? {
            problems.push("the base is not what it was after detach".to_owned());
        }
        Ok(problems)
    }

    /// The adapter of a case. A file contains only the output of a soft prompt's network, so the
    /// network is built anew with the weights of the reference.
    fn with_network(
        &self,
        attach_context: &AttachContext<'_>,
        loaded: Adapter,
    ) -> Result<Adapter, PeftError> {
        if loaded.spec().verb != "p_tune" {
            return Ok(loaded);
        }
        let named = |(name, tensor): (&String, &Tensor)| {
            Some((
                name.strip_prefix("init.")?.replace(".modules_to_save.default", ""),
                tensor.clone(),
            ))
        };
        let adapter = attach(attach_context, "p_tune", loaded.settings())?;
        adapter.restore(&self.expected.iter().filter_map(named).collect())?;
        Ok(adapter)
    }

    fn merged(&self, adapter: &Adapter) -> Result<Vec<String>, PeftError> {
        if !self.expected.contains_key("merged_logits") {
            return Ok(Vec::new());
        }
        let model = &*self.model;
        let weights = || {
            model
                .parameters()
                .iter()
                .map(|parameter| bits(&parameter.base_value()))
                .collect::<Result<Vec<_>, _>>()
        };
        let before = weights()?;
        match adapter.merge(model) {
            // HF PEFT's merge also changes the tied head, and therefore the output.
            Err(PeftError::TiedEmbedding) => return Ok(Vec::new()),
            merged => merged?,
        }
        let mut problems: Vec<_> =
            self.far("merged_logits", &self.logits(&Context::eval())?)?.into_iter().collect();
        if before == weights()? {
            problems.push("merging changed no weight".to_owned());
        }
        adapter.unmerge(model)?;
        if before != weights()? {
            problems.push("unmerging did not restore the weights bit for bit".to_owned());
        }
        problems.extend(self.far("logits", &self.logits(&Context::eval())?)?);
        Ok(problems)
    }

    /// Saves the adapter and compares it with the files of the reference: keys, shapes, values, and
    /// every field of the configuration.
    fn files(&self, adapter: &Adapter) -> Result<Vec<String>, PeftError> {
        let folder = tempfile::tempdir().map_err(|source| PeftError::Io {
            action: "write",
            path: std::env::temp_dir(),
            source,
        })?;
        adapter.save(folder.path(), &self.base_name)?;
        let name = "adapter_model.safetensors";
        // The script that created the cases gave all adapters this AdapterHub name.
        let own =
            if adapter.spec().peft_type == "ADAPTERHUB" { "adapter.safetensors" } else { name };
        let (ours, theirs) = (
            TensorFile::open(&folder.path().join(own))?,
            TensorFile::open(&self.folder.join(name))?,
        );
        let mut problems = Vec::new();
        if !ours.entries().keys().eq(theirs.entries().keys()) {
            problems.push(format!(
                "keys: {:?} instead of {:?}",
                ours.entries().keys(),
                theirs.entries().keys()
            ));
        } else {
            for key in ours.entries().keys() {
                if bits(&ours.tensor(key, &Device::Cpu)?)?
                    != bits(&theirs.tensor(key, &Device::Cpu)?)?
                {
                    problems.push(format!("saved `{key}` differs"));
                }
            }
        }
        if ours.metadata() != theirs.metadata() {
            problems.push(format!(
                "metadata: {:?} instead of {:?}",
                ours.metadata(),
                theirs.metadata()
            ));
        }
        let config = |folder: &Path| {
            std::fs::read_to_string(folder.join("adapter_config.json"))
                .ok()
                .and_then(|text| serde_json::from_str(&text).ok())
        };
        let (ours, theirs): (Option<Value>, Option<Value>) =
            (config(folder.path()), config(&self.folder));
        if ours != theirs {
            problems.push(format!("adapter_config.json: {ours:?} instead of {theirs:?}"));
        }
        Ok(problems)
    }

    /// Compares the gradients of the first step, the losses of all steps and the parameters after
    /// them.
    fn training(&self, adapter: &Adapter) -> Result<Vec<String>, PeftError> {
        let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
        let optimizer = &self.case["optimizer"];
        let mut adam = Adam {
            lr: number(&optimizer["lr"]),
            betas: (number(&optimizer["betas"][0]), number(&optimizer["betas"][1])),
            eps: number(&optimizer["eps"]),
            decay: number(&optimizer["weight_decay"]),
            moments: Vec::new(),
            step: 0,
        };
        let (mut problems, mut losses) = (Vec::new(), Vec::new());
        let trainables = adapter.trainables();
        for step in 0..self.case["steps"].as_u64().unwrap_or(0) {
            let mut loss = self.loss(&Context::train(0, step, 0))?;
            if let Some(training_hook) = adapter.training_hook() {
                loss = (loss + training_hook.penalty()?)?;
            }
            losses.push(loss.to_scalar::<f32>()?);
            let found = gradients(&loss, &trainables)?;
            if step == 0 {
                problems.extend(self.far("loss", &loss.reshape(1)?)?);
                for (trainable, gradient) in trainables.iter().zip(&found) {
                    problems.extend(self.off("grad", &trainable.name, gradient)?);
                }
            }
            adam.update(&trainables, &found)?;
        }
        let count = losses.len();
        problems.extend(self.far("losses", &Tensor::from_vec(losses, count, &Device::Cpu)?)?);
        for trainable in &trainables {
            problems.extend(self.off("after", &trainable.name, trainable.var.as_tensor())?);
        }
        Ok(problems)
    }

    fn logits(&self, cx: &Context) -> Result<Tensor, PeftError> {
        let ids = self.expected("input_ids").to_dtype(DType::U32)?;
        let mask = self.expected("attention_mask").to_dtype(DType::U8)?;
        let Some(encoder) = self.model.encoder_decoder() else {
            return Ok(self.model.logits(&ids, Some(&mask), cx)?);
        };
        let encoded = encoder.encode(&ids, Some(&mask), cx)?;
        let cx = cx.clone().with_encoded(encoded);
        Ok(self.model.logits(&self.decoder_ids(encoder.start_token())?, None, &cx)?)
    }

    /// The labels after the start token, which is also the padding token: teacher forcing.
    fn decoder_ids(&self, start: u32) -> Result<Tensor, PeftError> {
        let labels = self.expected("labels").to_vec2::<i64>()?;
        let shifted = |row: &Vec<i64>| {
            let ids = row.iter().map(|label| u32::try_from(*label).unwrap_or(start));
            std::iter::once(start).chain(ids).take(row.len()).collect::<Vec<_>>()
        };
        let ids: Vec<_> = labels.iter().map(shifted).collect();
        Ok(Tensor::new(ids, &Device::Cpu)?)
    }

    /// Mean cross-entropy of the class, or of the next token; virtual tokens and padding have no
    /// label.
    fn loss(&self, cx: &Context) -> Result<Tensor, PeftError> {
        let logits = self.logits(cx)?; // (B, P+T, V), or (B, labels) of a classifier
        if logits.rank() == 2 {
            let labels = self.expected("labels").to_vec1::<i64>()?;
            return Ok(cross_entropy(&logits, &labels, labels.len() as f64)?);
        }
        let (batch, length, vocab) = logits.dims3()?;
        let labels = self.expected("labels").to_vec2::<i64>()?;
        if self.model.encoder_decoder().is_some() {
            let labels = labels.concat();
            let counted = labels.iter().filter(|label| **label != -100).count();
            let rows = logits.reshape((batch * length, vocab))?; // (B*T, V)
            return Ok(cross_entropy(&rows, &labels, counted as f64)?);
        }
        let mut shifted = Vec::new();
        for row in &labels {
            let virtual_tokens = length - row.len();
            let padded = std::iter::repeat_n(-100, virtual_tokens).chain(row.iter().copied());
            shifted.extend(padded.skip(1).chain([-100]));
        }
        let counted = shifted.iter().filter(|label| **label != -100).count();
        Ok(cross_entropy(&logits.reshape((batch * length, vocab))?, &shifted, counted as f64)?)
    }

    fn expected(&self, name: &str) -> Tensor {
        self.expected
            .get(name)
            .cloned()
            .unwrap_or_else(|| panic!("{} has no `{name}`", self.folder.display()))
    }

    /// The largest difference of an output, if it exceeds the tolerance.
    fn far(&self, name: &str, found: &Tensor) -> Result<Option<String>, PeftError> {
        let (found, expected) = (numbers(found)?, numbers(&self.expected(name))?);
        if found.len() != expected.len() {
            return Ok(Some(format!(
                "{name}: {} numbers instead of {}",
                found.len(),
                expected.len()
            )));
        }
        let excess = |(found, expected): (&f32, &f32)| {
            f64::from((found - expected).abs()) / (1e-4 + 1e-4 * f64::from(expected.abs()))
        };
        let worst =
            found.iter().zip(&expected).map(excess).fold(0.0, |worst: f64, one| {
                if one.is_nan() { f64::INFINITY } else { worst.max(one) }
            });
        Ok((worst > 1.0).then(|| format!("{name}: {worst:.1} times the tolerance")))
    }

    /// Rounding error of a gradient that should be zero: one millionth of the largest gradient.
    fn rounding(&self) -> Result<f32, PeftError> {
        let gradients = self.expected.iter().filter(|(name, _)| name.starts_with("grad."));
        let largest = gradients.map(|(_, tensor)| {
            Ok(numbers(tensor)?.iter().fold(0.0, |most: f32, value| most.max(value.abs())))
        });
        Ok(1e-6 * largest.collect::<Result<Vec<f32>, PeftError>>()?.into_iter().fold(0.0, f32::max))
    }

    /// The relative error of a gradient or parameter, if it exceeds the tolerance.
    fn off(&self, kind: &str, key: &str, found: &Tensor) -> Result<Option<String>, PeftError> {
        // The single tensor of a soft prompt is named after PEFT's module here.
        let named = format!("{kind}.{key}");
        let only = || {
            self.expected
                .keys()
                .find(|name| name.starts_with(&format!("{kind}.prompt")))
                .cloned()
                .unwrap_or_default()
        };
        let named = if self.expected.contains_key(&named) || key != "prompt_embeddings" {
            named
        } else {
            only()
        };
        if kind == "grad" && !self.expected.contains_key(&named) {
            // The reference has no gradient where an adapter has no effect.
            let largest =
                numbers(found)?.iter().fold(0.0, |most: f32, value| most.max(value.abs()));
            return Ok((largest > 0.0).then(|| format!("grad.{key}: {largest} instead of none")));
        }
        let (mut found, mut expected) = (numbers(found)?, numbers(&self.expected(&named))?);
        if let ("after", Some(gradient)) = (kind, self.expected.get(&format!("grad.{key}"))) {
            leave_out_noise(&numbers(gradient)?, self.rounding()?, &mut found, &mut expected);
        }
        let norm = |values: &mut dyn Iterator<Item = f64>| {
            values.map(|value| value * value).sum::<f64>().sqrt()
        };
        let error = norm(&mut found.iter().zip(&expected).map(|(a, b)| f64::from(a - b)));
        // The gradient of tokens that do not occur is exactly zero.
        let floor = if kind == "grad" { 1e3 * f64::from(self.rounding()?) } else { 1e-12 }
            .max(f64::MIN_POSITIVE);
        let relative = error / norm(&mut expected.iter().map(|value| f64::from(*value))).max(floor);
        Ok((found.len() != expected.len() || relative.is_nan() || relative > 1e-3)
            .then(|| format!("{kind}.{key}: relative error {relative:.2e}")))
    }
}

/// Equalizes weights whose gradient is only rounding error, such as the bias of attention's keys,
/// which cancels in the softmax: AdamW turns the error into full steps of arbitrary sign.
fn leave_out_noise(gradient: &[f32], rounding: f32, found: &mut [f32], expected: &mut [f32]) {
    for ((gradient, found), expected) in gradient.iter().zip(found).zip(expected) {
        if gradient.abs() < rounding {
            (*found, *expected) = (0.0, 0.0);
        }
    }
}

/// Plain AdamW as in PyTorch, implemented only for these tests, so that they do not depend on the
/// trainer that they check.
struct Adam {
    lr: f64,
    betas: (f64, f64),
    eps: f64,
    decay: f64,
    moments: Vec<(Vec<f64>, Vec<f64>)>,
    step: i32,
}

impl Adam {
    fn update(&mut self, trainables: &[Trainable], gradients: &[Tensor]) -> Result<(), PeftError> {
        self.step += 1;
        self.moments.resize_with(trainables.len(), Default::default);
        let (first, second) = self.betas;
        let corrections = (1.0 - first.powi(self.step), 1.0 - second.powi(self.step));
        for ((trainable, gradient), (m, v)) in
            trainables.iter().zip(gradients).zip(&mut self.moments)
        {
            let gradient = numbers(gradient)?;
            m.resize(gradient.len(), 0.0);
            v.resize(gradient.len(), 0.0);
            let mut values = numbers(trainable.var.as_tensor())?;
            for (((value, gradient), m), v) in values.iter_mut().zip(&gradient).zip(m).zip(v) {
                let gradient = f64::from(*gradient);
                *m = first * *m + (1.0 - first) * gradient;
                *v = second * *v + (1.0 - second) * gradient * gradient;
                let change = (*m / corrections.0) / ((*v / corrections.1).sqrt() + self.eps);
                *value =
                    (f64::from(*value) * (1.0 - self.lr * self.decay) - self.lr * change) as f32;
            }
            set(&trainable.var, values)?;
        }
        Ok(())
    }
}

fn set(var: &Var, values: Vec<f32>) -> Result<(), PeftError> {
    Ok(var.set(&Tensor::from_vec(values, var.dims(), var.device())?)?)
}

fn numbers(tensor: &Tensor) -> Result<Vec<f32>, PeftError> {
    Ok(tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?)
}

fn bits(tensor: &Tensor) -> Result<Vec<u32>, PeftError> {
    Ok(numbers(tensor)?.into_iter().map(f32::to_bits).collect())
}
