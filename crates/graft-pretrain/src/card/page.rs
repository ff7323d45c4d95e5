//! The model card as Markdown.

use graft_protocol::ValidationRecord;

use super::Facts;
use super::figures::Figures;
use crate::recipe::{CLIP, LONG, OPTIMIZER, PHASES, SEED, SHORT, model};

/// The complete model card.
pub(super) fn text(facts: &Facts) -> String {
    [
        origin(facts),
        recipe(),
        curve(&facts.validations),
        figures(&facts.figures),
        samples(&facts.samples),
    ]
    .join("\n")
}

fn origin(facts: &Facts) -> String {
    let parameters: usize =
        model().weights().iter().map(|weight| weight.shape.iter().product::<usize>()).sum();
    let Facts { pages, bytes, tokens, .. } = facts;
    format!(
        "# tiny\n\n\
        The small language model that comes with Graft: Llama architecture, {parameters} parameters, large enough to imitate Rust documentation and\n\
        small enough to fine-tune in seconds on two CPU cores. `cargo xtask pretrain` (crate `graft-pretrain`) trains it with Graft.\n\n\
        ## Text\n\n\
        The documentation that ships with the Rust toolchain (1.95.0): the Book, the Reference, Rust by Example, the Cargo, rustc, rustdoc, Clippy, edition,\n\
        embedded and unstable books, the Rustonomicon, the style guide, std, core, alloc, proc_macro and test. Copyright the Rust Project's contributors,\n\
        MIT OR Apache-2.0; the model is distributed under the same terms.\n\n\
        Training read {pages} pages ({bytes} bytes, {tokens} tokens), every passage once per epoch. Validation pages (7 %), test pages (8 %, both chosen by a hash\n\
        of the path) and the whole of the error codes were held out, and none of their passages is in a training page.\n"
    )
}

fn recipe() -> String {
    let config = model();
    let per_step = SHORT.0 * SHORT.1;
    let steps: u64 = PHASES.iter().map(|phase| phase.steps).sum();
    let cycles: Vec<String> = PHASES
        .iter()
        .map(|phase| {
            format!(
                "{} steps with a peak of {} after {} steps of warm-up",
                phase.steps, phase.peak, phase.warmup
            )
        })
        .collect();
    let long: u64 = PHASES.iter().map(|phase| phase.long_steps).sum();
    format!(
        "## Model and recipe\n\n\
        * {} layers, width {}, {} heads, feed-forward {}, context {}, head tied to the embedding; {} byte-level BPE tokens; stored in f16.\n\
        * Seed {SEED}; {steps} steps of {per_step} tokens ({} in all), windows of {} tokens, of {} in the last {long} steps.\n\
        * AdamW, betas {} and {}, weight decay {} on the matrices, gradients clipped to norm {CLIP}.\n\
        * Learning rate, falling to 0 along half a cosine: {}.\n",
        config.num_hidden_layers,
        config.hidden_size,
        config.num_attention_heads,
        config.intermediate_size,
        config.max_position_embeddings,
        config.vocab_size,
        steps * per_step as u64,
        SHORT.0,
        LONG.0,
        OPTIMIZER.beta1,
        OPTIMIZER.beta2,
        OPTIMIZER.weight_decay,
        cycles.join(", then "),
    )
}

/// The plot, and about ten of its points.
fn curve(validations: &[ValidationRecord]) -> String {
    let mut table =
        "![loss](loss.svg)\n\n| step | validation loss, nats per token |\n|---:|---:|\n".to_owned();
    let mut points: Vec<_> =
        validations.iter().rev().step_by((validations.len() / 10).max(1)).collect();
    points.reverse();
    for point in points {
        table.push_str(&format!("| {} | {:.3} |\n", point.step, point.loss));
    }
    table
}

fn figures(figures: &[Figures]) -> String {
    let mut table = "## Held-out figures\n\n\
        Bits per byte, lower is better. The count-based models were trained on the same text; the 5-grams have interpolated Kneser-Ney smoothing.\n\n\
        | text | bytes | tokens | unigram of tokens | 5-gram of bytes | 5-gram of tokens | tiny |\n|---|---:|---:|---:|---:|---:|---:|\n"
        .to_owned();
    for f in figures {
        let Figures { text, bytes, tokens, unigram, five_gram, byte_five_gram, model } = f;
        table.push_str(&format!("| {text} | {bytes} | {tokens} | {unigram:.3} | {byte_five_gram:.3} | {five_gram:.3} | **{model:.3}** |\n"));
    }
    table
}

/// The samples, each in a fence longer than those that the model generates.
fn samples(samples: &[(String, String)]) -> String {
    let mut text = format!(
        "## Samples\n\nTemperature 0.7, top-p 0.95, seed {SEED}; the first one generated for each prompt.\n"
    );
    for (prompt, written) in samples {
        let shown = prompt.replace('\n', "⏎").replace('`', "'");
        text.push_str(&format!("\nPrompt `{shown}`:\n\n````text\n{prompt}{written}\n````\n"));
    }
    text
}
