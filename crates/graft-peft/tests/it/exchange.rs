//! What Graft writes is opened by HF PEFT and transformers themselves and acts the same there. It needs PyTorch, so `cargo xtask test --peft` runs it.

use std::{path::Path, process::Command, sync::Arc};

use graft_models::{FolderParts, save_folder};
use graft_nn::{Context, DType, Device, Model, Tensor, tensor_file};
use serde_json::Value;

use crate::promises::{Case, cases, is_impossible, stir};

const GOLDENS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/goldens");

/// Methods that HF PEFT does not have.
const OWN: &[&str] = &["bitfit", "bottleneck", "full"];

#[test]
#[ignore = "needs PyTorch and HF PEFT: `cargo xtask test --peft` installs them"]
fn hf_peft_opens_what_graft_saves_and_gives_the_same_logits() {
    let python = std::env::var_os("GRAFT_PEFT_PYTHON").expect("GRAFT_PEFT_PYTHON names a Python with torch, transformers and peft");
    let out = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(GOLDENS).unwrap().flatten() {
        let base = entry.path();
        if base.join("config.json").is_file() {
            write_adapters(&base, &out.path().join(entry.file_name()));
        }
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hf_peft.py");
    let status = Command::new(python).arg(script).arg(GOLDENS).arg(out.path()).env("HF_HUB_OFFLINE", "1").status().unwrap();
    assert!(status.success(), "HF PEFT does not agree; the table above says where");
}

/// One folder per method: the adapter, what it gives, and, where it can be merged, the merged model.
fn write_adapters(base: &Path, out: &Path) {
    let config: Value = serde_json::from_str(&std::fs::read_to_string(base.join("config.json")).unwrap()).unwrap();
    for case in cases().into_iter().filter(|case| !OWN.contains(&case.verb)) {
        let model = graft_models::load_model(base, DType::F32, &Device::Cpu, &mut |_, _, _| {}).unwrap().model;
        let has_bias = model.parameters().iter().any(|parameter| parameter.path().ends_with(".bias"));
        if is_impossible(&*model, &case) || case.title.contains("bias") && !has_bias {
            continue;
        }
        write_adapter(&model, &config, &case, &out.join(case.title.replace([' ', '=', ','], "-")));
    }
}

fn write_adapter(model: &Arc<dyn Model>, config: &Value, case: &Case, folder: &Path) {
    let adapter = case.attach(&**model, "default").unwrap();
    stir(&adapter, 3);
    adapter.save(folder, "base").unwrap();
    let ids = Tensor::new(&[[4u32, 8, 15, 16, 23, 42], [7, 7, 1, 0, 49, 3]], &Device::Cpu).unwrap();
    let logits = model.logits(&ids, None, &Context::eval()).unwrap();
    let ids = ids.to_dtype(DType::I64).unwrap();
    let tensors = [("input_ids".to_owned(), ids), ("logits".to_owned(), logits)].into_iter().collect();
    tensor_file::write(&folder.join("given.safetensors"), &tensors).unwrap();
    if adapter.merge(&**model).is_ok() {
        let parts = FolderParts { model: &**model, dtype: DType::F32, config, tokenizer: None, others: &[] };
        save_folder(&folder.join("merged"), &parts).unwrap();
    }
}
