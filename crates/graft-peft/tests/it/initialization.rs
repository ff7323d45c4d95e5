//! Initial weights of adapters.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use graft_nn::{
    Context, DType, Device, Linear, Model, Quantization, Tensor, packable, tensor_file,
};
use graft_peft::{Adapter, AttachContext, InputBatch, Inputs, Originals, PeftError, attach, load};
use graft_spec::Value;

use crate::contract::{attach_context, model, settings, targets};

/// `%ablate` compares ranks, so the initial weights must differ only in the rank.
#[test]
fn a_small_rank_is_initialized_with_the_first_rows_of_a_large_rank() {
    let model = model();
    let rows = |r: i64| {
        let adapter =
            attach(&attach_context(&model), "lora", &settings(&[("r", Value::Integer(r))]))
                .unwrap();
        let state = adapter.state().unwrap();
        state
            .into_iter()
            .filter(|(key, _)| key.contains("lora_A"))
            .map(|(_, a)| a.to_vec2::<f32>().unwrap())
            .collect::<Vec<_>>()
    };
    let (small, large) = (rows(2), rows(8));
    assert!(
        !small.is_empty() && small.iter().zip(&large).all(|(small, large)| small[..] == large[..2])
    );
}

const GOLDENS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/goldens");

/// Batches (N, B, T), repeated without end.
struct Batches(Tensor);

impl Inputs for Batches {
    fn batch(&self, index: u64) -> Result<InputBatch, PeftError> {
        let index = index as usize % self.0.dim(0)?;
        Ok(InputBatch { ids: self.0.get(index)?, mask: None })
    }
}

fn golden(name: &str) -> Arc<dyn Model> {
    graft_models::load_model(
        &Path::new(GOLDENS).join(name),
        DType::F32,
        &Device::Cpu,
        &mut |_, _, _| {},
    )
    .unwrap()
    .model
}

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

fn eva(model: &dyn Model, batches: &Batches, more: &[(&str, Value)]) -> Result<Adapter, PeftError> {
    let keys = [
        ("r", Value::Integer(4)),
        ("lora_alpha", Value::Float(8.0)),
        ("init_lora_weights", text("eva")),
    ];
    attach(
        &AttachContext { inputs: Some(batches), ..AttachContext::new(model, "toy", 1) },
        "lora",
        &settings(&[&keys, more].concat()),
    )
}

fn values(tensor: &Tensor) -> Vec<Vec<f32>> {
    tensor.to_vec2().unwrap()
}

/// `make_eva.py` in the goldens created the file.
#[test]
fn eva_initializes_as_hf_peft_does() {
    let theirs =
        tensor_file::TensorFile::open(&Path::new(GOLDENS).join("eva.safetensors")).unwrap();
    let read = |name: &str| theirs.tensor(name, &Device::Cpu).unwrap();
    for (name, names) in [
        ("llama", vec!["q_proj", "v_proj", "o_proj", "down_proj"]),
        ("gpt2", vec!["c_attn", "c_proj"]),
    ] {
        let model = golden(name);
        let batches = Batches(read(&format!("{name}.batches")).to_dtype(DType::U32).unwrap());
        let adapter = eva(&*model, &batches, &[targets(&names)]).unwrap();
        let expected: BTreeMap<String, Tensor> = theirs
            .entries()
            .keys()
            .filter_map(|key| Some((key.strip_prefix(&format!("{name}."))?.to_owned(), read(key))))
            .filter(|(path, _)| path != "batches")
            .collect();
        let ours: BTreeMap<String, Tensor> = adapter
            .state()
            .unwrap()
            .into_iter()
            .filter_map(|(key, a)| {
                Some((
                    key.strip_prefix("base_model.model.")?
                        .strip_suffix(".lora_A.weight")?
                        .to_owned(),
                    a,
                ))
            })
            .collect();
        assert_eq!(ours.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
        for (path, theirs) in &expected {
            let (ours, theirs) = (values(&ours[path]), values(theirs));
            // Layers with equal inputs have equal fractions of variance, and HF PEFT takes any of
            // them: q_proj and v_proj share their ranks.
            assert!(
                ours.len().abs_diff(theirs.len()) <= 1,
                "{name} {path}: rank {} for {}",
                ours.len(),
                theirs.len()
            );
            for (index, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
                let cosine: f32 = ours.iter().zip(theirs).map(|(one, other)| one * other).sum();
                assert!(
                    cosine.abs() > 0.95,
                    "{name} {path}: component {index} has the cosine {cosine} with HF PEFT's"
                );
            }
        }
    }
}

#[test]
fn eva_does_not_change_the_output_keeps_the_budget_and_can_be_loaded() {
    let model = golden("llama");
    let file = tensor_file::TensorFile::open(&Path::new(GOLDENS).join("eva.safetensors")).unwrap();
    let ids = file.tensor("llama.batches", &Device::Cpu).unwrap().to_dtype(DType::U32).unwrap();
    let probe = ids.get(0).unwrap();
    let logits = |model: &dyn Model| {
        model
            .logits(&probe, None, &Context::eval())
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap()
    };
    let before = logits(&*model);
    let other = attach(
        &AttachContext::new(&*model, "toy", 1),
        "lora",
        &settings(&[("adapter_name", text("other"))]),
    )
    .unwrap();
    let adapter = eva(&*model, &Batches(ids), &[targets(&["all-linear"])]).unwrap();
    assert_eq!(logits(&*model), before);
    let ranks: Vec<usize> = adapter
        .state()
        .unwrap()
        .iter()
        .filter(|(key, _)| key.contains("lora_A"))
        .map(|(_, a)| a.dims()[0])
        .collect();
    assert_eq!(ranks.iter().sum::<usize>(), 4 * 14, "{ranks:?}");
    assert!(ranks.iter().any(|rank| *rank > 4) && ranks.iter().all(|rank| *rank <= 8), "{ranks:?}");
    assert!(adapter.notes()[0].contains("EVA read"), "{:?}", adapter.notes());
    assert!(
        model.sites().iter().all(|site| !format!("{:?}", site.layer).contains(".eva")),
        "the watchers are gone"
    );
    assert!(!other.is_active(&*model));
    let folder = tempfile::tempdir().unwrap();
    adapter.save(folder.path(), "toy").unwrap();
    let config: serde_json::Value = serde_json::from_str(
        &std::fs::read_to_string(folder.path().join("adapter_config.json")).unwrap(),
    )
    .unwrap();
    assert_eq!(
        (&config["init_lora_weights"], &config["eva_config"]["rho"]),
        (&"eva".into(), &2.0.into())
    );
    let (again, warnings) =
        load(&AttachContext::new(&*model, "toy", 1), folder.path(), "again").unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    assert!(
        adapter
            .state()
            .unwrap()
            .iter()
            .zip(again.state().unwrap())
            .all(|((_, one), (_, other))| values(one) == values(&other))
    );
    // The weights of a checkpoint build the same layers without data.
    let rebuilt =
        attach(&AttachContext::new(&*model, "toy", 1), "lora", adapter.settings()).unwrap();
    rebuilt.restore(&adapter.state().unwrap()).unwrap();
}

#[test]
fn a_layer_after_the_pooling_keeps_its_rank_under_eva() {
    let model = golden("bert");
    let ids: Vec<u32> = (0..128u32).map(|place| (place * place * 7 + place) % 96).collect();
    let batches = Batches(Tensor::from_vec(ids, (1, 8, 16), &Device::Cpu).unwrap());
    let adapter = eva(&*model, &batches, &[targets(&["all-linear"])]).unwrap();
    let ranks: BTreeMap<String, usize> = adapter
        .state()
        .unwrap()
        .iter()
        .filter(|(key, _)| key.contains("lora_A"))
        .map(|(key, a)| (key.clone(), a.dims()[0]))
        .collect();
    let pooler =
        ranks.iter().find(|(key, _)| key.contains("pooler")).expect("the pooler is a target");
    assert_eq!((*pooler.1, ranks.values().sum::<usize>()), (4, 4 * 13), "{ranks:?}");
}

#[test]
fn eva_without_enough_data_does_not_change_the_model() {
    let model = golden("llama");
    let error = attach(
        &AttachContext::new(&*model, "toy", 1),
        "lora",
        &settings(&[("init_lora_weights", text("eva"))]),
    )
    .err()
    .expect("refused");
    assert!(error.to_string().contains("no data set is loaded"), "{error}");
    let few = Batches(Tensor::zeros((1, 1, 3), DType::U32, &Device::Cpu).unwrap());
    let error = eva(&*model, &few, &[]).err().expect("refused");
    assert!(error.to_string().contains("too few tokens"), "{error}");
    let error = attach(
        &AttachContext::new(&*model, "toy", 1),
        "lora",
        &settings(&[("eva_rho", Value::Float(1.0))]),
    )
    .err()
    .expect("refused");
    assert!(error.to_string().contains("needs init_lora_weights=eva"), "{error}");
    assert!(model.sites().iter().all(|site| format!("{:?}", site.layer).contains("adapters []")
        || !format!("{:?}", site.layer).starts_with("Linear")));
}

/// The weights of another copy of the model, which was not quantized.
struct Copy(Arc<dyn Model>);

impl Originals for Copy {
    fn weight(&self, linear: &Linear) -> Result<Tensor, PeftError> {
        let sites = self.0.sites();
        let site = sites.iter().find(|site| site.path == linear.path()).expect("the same layers");
        Ok(site.layer.parameters()[0].base_value())
    }
}

#[test]
fn loftq_reduces_the_quantization_error() {
    for name in ["llama", "gpt2", "bert"] {
        let (model, whole) = (golden(name), golden(name));
        for linear in packable(&*model) {
            linear.weight().pack(Quantization::Nf4 { double: true }).unwrap();
        }
        let ids =
            Tensor::new(&[[4u32, 8, 15, 16, 23, 42], [7, 7, 1, 0, 49, 3]], &Device::Cpu).unwrap();
        let logits = |model: &dyn Model| {
            model.logits(&ids, None, &Context::eval()).unwrap().flatten_all().unwrap()
        };
        let away = |model: &dyn Model| {
            (logits(model) - logits(&*whole))
                .unwrap()
                .sqr()
                .unwrap()
                .sum_all()
                .unwrap()
                .to_scalar::<f32>()
                .unwrap()
        };
        let packed = away(&*model);
        let originals = Copy(whole.clone());
        let keys = settings(&[
            ("r", Value::Integer(16)),
            ("init_lora_weights", text("loftq")),
            targets(&["all-linear"]),
        ]);
        let adapter = attach(
            &AttachContext { originals: Some(&originals), ..AttachContext::new(&*model, "toy", 1) },
            "lora",
            &keys,
        )
        .unwrap();
        assert!(
            away(&*model) < 0.5 * packed,
            "{name}: {} is not nearer than {packed}",
            away(&*model)
        );
        assert!(
            adapter.notes()[0].starts_with("LoftQ: the quantization error is"),
            "{:?}",
            adapter.notes()
        );
        assert!(!adapter.settings().values.contains_key("init_lora_weights"));
        adapter.detach(&*model).unwrap();
        assert_eq!(away(&*model), packed);
    }
}

#[test]
fn loftq_is_refused_without_quantized_weights() {
    let model = golden("llama");
    let keys = settings(&[("init_lora_weights", text("loftq"))]);
    assert!(
        attach(&AttachContext::new(&*model, "toy", 1), "lora", &keys)
            .err()
            .expect("refused")
            .to_string()
            .contains("from a folder")
    );
    let originals = Copy(golden("llama"));
    let error = attach(
        &AttachContext { originals: Some(&originals), ..AttachContext::new(&*model, "toy", 1) },
        "lora",
        &keys,
    )
    .err()
    .expect("refused");
    assert!(error.to_string().contains("is not quantized"), "{error}");
}
