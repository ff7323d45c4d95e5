//! Measures reading and tokenizing: `cargo run -p graft-train --example encoding_speed -- MODEL
//! FILE...` prints one JSON object per file. MODEL is `tiny` or the folder of a model.
//!
//! `tests/bench/encoding_speed.py` runs it next to `datasets` and the tokenizers of transformers.

use std::path::Path;
use std::time::Instant;

use graft_nn::Device;
use graft_spec::{Settings, Value};
use graft_train::data::{Limits, load_file};
use graft_train::{EncodedExamples, TrainConfig};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let source = arguments.next().ok_or("expected MODEL FILE...")?;
    let model = graft_models::load(&source, &Settings::default(), &Device::Cpu, &mut |_, _, _| {})?;
    // All rows are for training, as without a split in Python.
    let settings = Settings::default()
        .with("validation", Value::Float(0.0))
        .with("test", Value::Float(0.0))
        .with("chat_template", Value::Text("chatml".to_owned()));
    for file in arguments {
        let started = Instant::now();
        let data = load_file(Path::new(&file), &settings, Limits::NONE)?;
        let read = started.elapsed().as_secs_f64();
        let keys = Settings::default().with("eval_every", Value::Integer(0));
        let config = TrainConfig::from_settings(&keys, 0.0, 0);
        let started = Instant::now();
        let encoded =
            EncodedExamples::new(model.model.as_ref(), model.tokenizer.as_ref(), &data, &config)?;
        let encode = started.elapsed().as_secs_f64();
        let line = serde_json::json!({
            "file": file, "rows": encoded.rows_per_epoch(), "tokens": encoded.tokens(),
            "read": read, "encode": encode,
        });
        println!("{line}");
    }
    Ok(())
}
