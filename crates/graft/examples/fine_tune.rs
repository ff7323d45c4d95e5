//! Fine-tunes the embedded model with LoRA: load, attach, train, evaluate, generate, save.
//!
//! `cargo run -p graft --example fine_tune`

use graft::prelude::*;

fn main() -> graft::Result<()> {
    fine_tune(60)
}

/// Trains for `steps` steps.
pub fn fine_tune(steps: usize) -> graft::Result<()> {
    let model = lab().load_model("tiny")?;
    println!("{model}");

    // Sentences, each with the title of the book it is from.
    let data = lab().load_data("which-book")?;
    println!("{data}");

    let adapter = model.attach(Lora::new().r(8).target_modules(["q_proj", "v_proj"]))?;
    println!("{adapter}");

    // The session prints the progress of the run; `run` gives access to its record.
    let options = Train::new().steps(steps).batch(4).lr(5e-3).max_length(96);
    let run = lab().train(options)?;
    println!("{} steps are recorded in {}", run.steps()?.len(), run.folder().display());

    println!("{}", lab().eval(Eval::new().examples(40))?);

    let (prompt, completion) = &data.examples("test")[0];
    let generated = lab().generate(prompt, Generate::new().max_new_tokens(8))?;
    println!("expected:  {completion}\ngenerated: {}", generated.text());

    let folder = std::env::temp_dir().join("graft-fine-tune");
    adapter.save(&folder.display().to_string())?;
    println!("saved the adapter to {}", folder.display());
    Ok(())
}
