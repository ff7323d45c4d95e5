//! Saves an adapter in the format of HF PEFT and loads it again.
//!
//! The folder contains `adapter_config.json` and `adapter_model.safetensors`. In Python, with a
//! model that both libraries can load:
//!
//! ```python
//! from peft import PeftModel
//! model = PeftModel.from_pretrained(base_model, "my-adapter")
//! ```
//!
//! `cargo run -p graft --example exchange_with_peft`

use graft::prelude::*;

fn main() -> graft::Result<()> {
    let folder = std::env::temp_dir().join("graft-exchange-with-peft");
    let difference = exchange_with_peft(&folder.display().to_string(), 10)?;
    println!("largest difference of the logits after loading: {difference}");
    Ok(())
}

/// Trains for `steps` steps, saves the adapter to `folder`, and loads it from there. Returns the
/// largest difference between the logits of the trained and of the loaded adapter.
pub fn exchange_with_peft(folder: &str, steps: usize) -> graft::Result<f32> {
    let model = lab().load_model("tiny")?;
    lab().load_data("which-book")?;
    let adapter = model.attach(Lora::new().r(4).target_modules(["q_proj", "v_proj"]))?;
    lab().train(Train::new().steps(steps).batch(2).lr(5e-3).max_length(64).eval_every(0))?;

    let ids = model.tokenizer()?.tensor("It was a bright morning")?; // (T)
    let trained = model.logits(&ids)?; // (T, V)

    adapter.save(folder)?;
    println!("{}", std::fs::read_to_string(format!("{folder}/adapter_config.json"))?);
    adapter.detach()?;

    let loaded = model.load_adapter(folder)?;
    for (name, tensor) in loaded.tensors()?.iter().take(2) {
        println!("{name} {:?}", tensor.dims());
    }
    let difference = (model.logits(&ids)? - trained)?.abs()?.max_all()?;
    Ok(difference.to_scalar::<f32>()?)
}
