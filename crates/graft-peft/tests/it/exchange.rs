//! HF PEFT and transformers load what Graft saves and compute the same output. The tests need
//! PyTorch; `cargo xtask test --peft` runs them.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use graft_models::{FolderParts, save_folder};
use graft_nn::{Context, DType, Device, Model, Task, Tensor, tensor_file};
use graft_peft::{Adapter, AttachContext, attach, combine};
use graft_spec::{Settings, Value as Setting};
use serde_json::Value;

use crate::method_contract::{Case, cases, is_impossible, randomize};

const GOLDENS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/goldens");

/// Methods that HF PEFT does not have.
const OWN: &[&str] = &["bitfit", "bottleneck", "full"];

#[test]
#[ignore = "needs PyTorch and HF PEFT: `cargo xtask test --peft` installs them"]
fn hf_peft_loads_saved_adapters_with_the_same_logits() {
    let out = tempfile::tempdir().unwrap();
    for (name, base) in bases() {
        write_adapters(&base, &out.path().join(&name), |case| !OWN.contains(&case.verb));
        write_combined(&base, &out.path().join(&name));
    }
    check("GRAFT_PEFT_PYTHON", "hf_peft.py", out.path());
}

#[test]
#[ignore = "needs PyTorch and AdapterHub's library: `cargo xtask test --peft` installs them"]
fn adapterhub_opens_the_bottleneck_adapters_that_graft_saves_and_gives_the_same_logits() {
    let out = tempfile::tempdir().unwrap();
    for (name, base) in bases() {
        write_adapters(&base, &out.path().join(&name), |case| case.verb == "bottleneck");
    }
    check("GRAFT_ADAPTERHUB_PYTHON", "adapterhub.py", out.path());
}

/// The models of the golden cases.
fn bases() -> impl Iterator<Item = (String, PathBuf)> {
    let folders = std::fs::read_dir(GOLDENS).unwrap().flatten();
    folders
        .filter(|entry| entry.path().join("config.json").is_file())
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()))
}

/// Runs a script in the Python interpreter that an environment variable names.
fn check(python: &str, script: &str, adapters: &Path) {
    let python = std::env::var_os(python)
        .unwrap_or_else(|| panic!("{python} names a Python with what {script} imports"));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(script);
    let status = Command::new(python)
        .arg(&script)
        .arg(GOLDENS)
        .arg(adapters)
        .env("HF_HUB_OFFLINE", "1")
        .status()
        .unwrap();
    assert!(status.success(), "{} does not agree; the table above says where", script.display());
}

fn open(base: &Path) -> (Arc<dyn Model>, Value) {
    let config =
        serde_json::from_str(&std::fs::read_to_string(base.join("config.json")).unwrap()).unwrap();
    (
        graft_models::load_model(base, DType::F32, &Device::Cpu, &mut |_, _, _| {}).unwrap().model,
        config,
    )
}

/// One folder per case: the adapter, its output, and the merged model if it can be merged.
fn write_adapters(base: &Path, out: &Path, is_wanted: impl Fn(&Case) -> bool) {
    for case in cases().into_iter().filter(is_wanted) {
        let (model, config) = open(base);
        let has_bias =
            model.parameters().iter().any(|parameter| parameter.path().ends_with(".bias"));
        if is_impossible(&*model, &case) || case.title.contains("bias") && !has_bias {
            continue;
        }
        let adapter = case.attach(&*model, "default").unwrap();
        randomize(&adapter, 3);
        write_adapter(
            &model,
            &config,
            &adapter,
            &out.join(case.title.replace([' ', '=', ','], "-")),
        );
    }
}

/// Combinations of two adapters. Those of a classifier each have a head, and heads cannot be
/// combined.
fn write_combined(base: &Path, out: &Path) {
    let (model, config) = open(base);
    if matches!(model.task(), Task::SequenceClassification { .. }) {
        return;
    }
    let attach_context = AttachContext::new(&*model, "base", 1);
    let lora = |name: &str, r: i64| {
        let keys = Settings::default()
            .with("adapter_name", Setting::Text(name.to_owned()))
            .with("r", Setting::Integer(r));
        let adapter = attach(&attach_context, "lora", &keys).unwrap();
        randomize(&adapter, r as u64);
        adapter
    };
    let (one, other) = (lora("one", 2), lora("other", 3));
    let weights = Setting::List(vec!["0.7".to_owned(), "0.4".to_owned()]);
    for kind in ["svd", "cat"] {
        let keys = Settings::default()
            .with("combination_type", Setting::Text(kind.to_owned()))
            .with("weights", weights.clone());
        let both = combine(
            &attach_context,
            &[&one, &other],
            &keys.with("adapter_name", Setting::Text("both".to_owned())),
        )
        .unwrap();
        write_adapter(&model, &config, &both.adapter, &out.join(format!("lora-combine-{kind}")));
        both.adapter.detach(&*model).unwrap();
    }
}

fn write_adapter(model: &Arc<dyn Model>, config: &Value, adapter: &Adapter, folder: &Path) {
    adapter.save(folder, "base").unwrap();
    let ids = Tensor::new(&[[4u32, 8, 15, 16, 23, 42], [7, 7, 1, 0, 49, 3]], &Device::Cpu).unwrap();
    let logits = model.logits(&ids, None, &Context::eval()).unwrap();
    let ids = ids.to_dtype(DType::I64).unwrap();
    let tensors =
        [("input_ids".to_owned(), ids), ("logits".to_owned(), logits)].into_iter().collect();
    tensor_file::write(&folder.join("given.safetensors"), &tensors).unwrap();
    if adapter.merge(&**model).is_ok() {
        let parts = FolderParts {
            model: &**model,
            dtype: DType::F32,
            config,
            tokenizer: None,
            others: &[],
        };
        save_folder(&folder.join("merged"), &parts).unwrap();
    }
}
