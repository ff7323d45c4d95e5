//! Your own training loop with a custom loss: LoRA with label smoothing.
//!
//! The session attaches the adapter; the loop is plain candle. `adapter.variables()` returns the
//! variables, and `backward()` of a loss of the logits computes their gradients.
//!
//! `cargo run -p graft --example own_loop`

use graft::{
    candle_nn::{AdamW, Optimizer, ParamsAdamW, ops::log_softmax},
    prelude::*,
};

/// ε: the probability that the targets distribute over the whole vocabulary.
const SMOOTHING: f64 = 0.1;

/// Cross-entropy with smoothed labels, averaged over the tokens of the completion:
/// `L = (1 - ε) · -log p(label) + ε · mean over the vocabulary of -log p`.
///
/// # Source
/// Szegedy et al. 2015, arXiv:1512.00567, section 7
fn smoothed_loss(model: &Model, prompt: &str, completion: &str) -> graft::Result<Tensor> {
    let tokenizer = model.tokenizer()?;
    let prompt_tokens = tokenizer.encode(prompt)?.len();
    let ids = tokenizer.tensor(&format!("{prompt}{completion}"))?; // (T)
    let logits = model.logits(&ids)?; // (T, V)

    // The position before a token predicts it.
    let labels = ids.narrow(0, prompt_tokens, ids.dim(0)? - prompt_tokens)?; // (N)
    let n = labels.dim(0)?;
    let log_p = log_softmax(&logits.narrow(0, prompt_tokens - 1, n)?, D::Minus1)?; // (N, V)
    let of_labels = log_p.gather(&labels.unsqueeze(1)?, 1)?.mean_all()?;
    let of_all = log_p.mean_all()?;
    Ok((of_labels * (SMOOTHING - 1.0))?.sub(&(of_all * SMOOTHING)?)?)
}

fn main() -> graft::Result<()> {
    let losses = own_loop(40)?;
    println!("first loss {:.3}, last loss {:.3}", losses[0], losses[losses.len() - 1]);
    Ok(())
}

/// Trains for `steps` steps. Returns the loss of each step.
pub fn own_loop(steps: usize) -> graft::Result<Vec<f32>> {
    const BATCH: usize = 4;
    let model = lab().load_model("tiny")?;
    let adapter = model.attach(Lora::new().r(4).target_modules(["q_proj", "v_proj"]))?;
    let examples = lab().load_data("which-book")?.examples("train");

    let variables = adapter.variables().into_iter().map(|(_, variable)| variable).collect();
    let options = ParamsAdamW { lr: 5e-3, weight_decay: 0.0, ..Default::default() };
    let mut optimizer = AdamW::new(variables, options)?;
    let mut losses = Vec::new();
    for batch in examples.chunks(BATCH).take(steps) {
        let mut loss = Tensor::zeros((), DType::F32, &lab().device())?;
        for (prompt, completion) in batch {
            loss = (loss + smoothed_loss(&model, prompt, completion)?)?;
        }
        let loss = (loss / batch.len() as f64)?;
        optimizer.backward_step(&loss)?;
        losses.push(loss.to_scalar::<f32>()?);
    }
    // The adapter is the one that the session uses: `lab().eval` scores what the loop has trained.
    println!("{}", lab().eval(Eval::new().split("validation").examples(20))?);
    Ok(losses)
}
