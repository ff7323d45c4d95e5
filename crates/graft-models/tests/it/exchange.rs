//! transformers loads a saved folder with the same predictions, labels, tokens and chat template.
//! It needs PyTorch, so `cargo xtask test --peft` runs it.

use std::{fs, path::Path, process::Command};

use graft_models::{FolderParts, SavedModel, load, random_model, save_folder, save_loaded};
use graft_nn::{Context, DType, Device, Task, Tensor, tensor_file};
use graft_spec::{Settings, Value as Setting};
use serde_json::{Value, json};

use crate::hostile::tokenizer;

const TEMPLATE: &str =
    "{% for message in messages %}<{{ message['role'] }}>{{ message['content'] }}{% endfor %}";

/// Class names from training labels.
const LABELS: [&str; 3] = ["ham", "spam", "eggs"];

/// A folder in the format of a published model.
fn publish(folder: &Path, config: &Value) {
    let model = random_model(config, 5, &Device::Cpu).unwrap();
    save_folder(
        folder,
        &FolderParts { model: &*model, dtype: DType::F32, config, tokenizer: None, others: &[] },
    )
    .unwrap();
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    fs::write(folder.join("tokenizer.json"), tokenizer().to_string()).unwrap();
    let special = json!({"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "w0", "eos_token": "w1", "unk_token": "[UNK]"});
    fs::write(folder.join("tokenizer_config.json"), special.to_string()).unwrap();
    fs::write(
        folder.join("special_tokens_map.json"),
        r#"{"bos_token": "w0", "eos_token": "w1", "unk_token": "[UNK]"}"#,
    )
    .unwrap();
    fs::write(folder.join("chat_template.jinja"), TEMPLATE).unwrap();
    fs::write(
        folder.join("generation_config.json"),
        r#"{"eos_token_id": [1, 2], "bos_token_id": 0, "do_sample": true, "temperature": 0.6}"#,
    )
    .unwrap();
}

#[test]
#[ignore = "needs PyTorch and transformers: `cargo xtask test --peft` installs them"]
fn transformers_loads_saved_models_with_equal_predictions_tokens_and_chats() {
    let (sources, saved) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let bert = |architecture: &str| {
        json!({"model_type": "bert", "architectures": [architecture], "vocab_size": 64, "hidden_size": 16, "intermediate_size": 24,
            "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 32, "initializer_range": 0.3})
    };
    let llama = |tied: bool| {
        json!({"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 64, "hidden_size": 16, "intermediate_size": 24,
            "num_hidden_layers": 2, "num_attention_heads": 4, "initializer_range": 0.3, "tie_word_embeddings": tied, "eos_token_id": 1})
    };
    let gpt2 = json!({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": 64, "n_embd": 16, "n_layer": 2, "n_head": 4, "n_positions": 32});
    let cases = [
        ("classifier", bert("BertForMaskedLM"), Some(3)),
        ("encoder", bert("BertModel"), None),
        ("llama", llama(false), None),
        ("tied", llama(true), None),
        ("gpt2", gpt2, None),
    ];
    for (name, config, labels) in cases {
        let (source, target) = (sources.path().join(name), saved.path().join(name));
        publish(&source, &config);
        let settings = labels.map_or(Settings::default(), |labels| {
            Settings::default().with("num_labels", Setting::Integer(labels))
        });
        let loaded =
            load(&source.display().to_string(), &settings, &Device::Cpu, &mut |_, _, _| {})
                .unwrap();
        if let Some(names) = loaded.model.label_names() {
            names.set(Some(std::sync::Arc::new(LABELS.map(str::to_owned).to_vec())));
        }
        save_loaded(&target, &SavedModel { loaded: &loaded, dtype: DType::F32 }).unwrap();
        let ids =
            Tensor::new(&[[4u32, 8, 15, 16, 23, 42], [7, 7, 1, 0, 49, 3]], &Device::Cpu).unwrap();
        let (cx, model) = (Context::eval(), &loaded.model);
        let given = if model.task() == Task::FeatureExtraction {
            model.hidden(&ids, None, &cx).unwrap().states
        } else {
            model.logits(&ids, None, &cx).unwrap()
        };
        let tensors = [
            ("input_ids".to_owned(), ids.to_dtype(DType::I64).unwrap()),
            ("logits".to_owned(), given),
        ]
        .into_iter()
        .collect();
        tensor_file::write(&target.join("given.safetensors"), &tensors).unwrap();
        fs::write(
            target.join("labels.json"),
            json!(labels.map_or(Vec::new(), |_| LABELS.to_vec())).to_string(),
        )
        .unwrap();
    }
    let python = std::env::var_os("GRAFT_PEFT_PYTHON")
        .expect("GRAFT_PEFT_PYTHON names a Python with transformers");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hf_models.py");
    let status = Command::new(python)
        .arg(script)
        .arg(sources.path())
        .arg(saved.path())
        .env("HF_HUB_OFFLINE", "1")
        .status()
        .unwrap();
    assert!(status.success(), "transformers does not agree; the lines above say where");
}
