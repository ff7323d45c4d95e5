//! Warnings about weights in the files that the model does not use.

use graft_nn::Task;
use serde_json::Value;

/// Prefixes of the weights of known heads, with the name of the head and its predictions.
const HEADS: &[(&str, &str, &str)] = &[
    ("cls.predictions.", "masked-language-model head", "masked tokens"),
    ("cls.seq_relationship.", "next-sentence head", "whether two sentences follow each other"),
    ("cls.", "pretraining head", "what it was pretrained on"),
    ("qa_outputs.", "question-answering head", "where an answer begins and ends"),
    ("score.", "sequence-classification head", "classes"),
    ("lm_head.", "language-model head", "tokens"),
    ("head.", "prediction head", "masked tokens"),
    ("decoder.", "masked-language-model head", "masked tokens"),
    ("vocab_transform.", "masked-language-model head", "masked tokens"),
    ("vocab_layer_norm.", "masked-language-model head", "masked tokens"),
    ("vocab_projector.", "masked-language-model head", "masked tokens"),
];

/// Architectures whose weight is also named `classifier`, with the name of the head and its
/// predictions.
const CLASSIFIERS: &[(&str, &str, &str)] = &[
    ("TokenClassification", "token-classification head", "a label for each token"),
    ("MultipleChoice", "multiple-choice head", "which choice is right"),
];

/// Whether a weight is ignored silently: buffers that transformers 4 saved, and the copy of the
/// embedding as a tied head.
pub(super) fn is_ignored(name: &str, tied: bool) -> bool {
    let buffers = [
        "rotary_emb.inv_freq",
        "attn.bias",
        "attn.masked_bias",
        "attention.bias",
        "attention.masked_bias",
        "embeddings.position_ids",
    ];
    // Copies of T5's embedding, and a table that only its first files have.
    let of_t5 = [
        "encoder.embed_tokens.weight",
        "decoder.embed_tokens.weight",
        "EncDecAttention.relative_attention_bias.weight",
    ];
    buffers.iter().chain(&of_t5).any(|buffer| name.ends_with(buffer))
        || tied && name == "lm_head.weight"
}

/// A warning for each unused head, and one for all other unused weights.
pub(super) fn warnings(names: &[String], config: &Value, task: Task) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut others = Vec::new();
    let mut heads: Vec<(&str, &str, Vec<&str>)> = Vec::new();
    for name in names {
        match head(name, config) {
            Some((head, predicts)) => match heads.iter_mut().find(|(known, ..)| *known == head) {
                Some((.., members)) => members.push(name),
                None => heads.push((head, predicts, vec![name])),
            },
            None => others.push(name.as_str()),
        }
    }
    let instead = match task {
        Task::SequenceClassification { .. } => "it predicts one class per text",
        Task::FeatureExtraction => {
            "it returns hidden states; num_labels=N adds a head for N classes"
        }
        Task::CausalLm | Task::Seq2SeqLm => "it predicts the next token",
    };
    warnings.extend(heads.iter().map(|(head, predicts, members)| {
        format!(
            "the {head} of the checkpoint ({}) is not used: the loaded model does not predict \
             {predicts}; {instead}",
            listed(members)
        )
    }));
    warnings.extend((!others.is_empty()).then(|| {
        format!("unused weights, which config.json does not require: {}", listed(&others))
    }));
    warnings
}

/// A warning about a classifier that was trained for another task.
pub(super) fn foreign_classifier(config: &Value, task: Task, is_stored: bool) -> Option<String> {
    let (_, head, predicts) =
        CLASSIFIERS.iter().find(|(part, ..)| architecture(config).contains(part))?;
    let is_classifier = matches!(task, Task::SequenceClassification { .. });
    (is_stored && is_classifier).then(|| {
        format!(
            "the classifier was a {head}, which predicts {predicts}: train it before you use it \
             to classify texts"
        )
    })
}

fn head(name: &str, config: &Value) -> Option<(&'static str, &'static str)> {
    if name.starts_with("classifier.") {
        let known = CLASSIFIERS.iter().find(|(part, ..)| architecture(config).contains(part));
        return Some(
            known
                .map_or(("classification head", "classes"), |(_, head, predicts)| (head, predicts)),
        );
    }
    HEADS
        .iter()
        .find(|(start, ..)| name.starts_with(start))
        .map(|(_, head, predicts)| (*head, *predicts))
}

fn architecture(config: &Value) -> &str {
    config
        .get("architectures")
        .and_then(|names| names.get(0))
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn listed(names: &[&str]) -> String {
    let others = names.len().saturating_sub(1);
    let more = if others > 0 { format!(" and {others} more") } else { String::new() };
    format!("`{}`{more}", names.first().copied().unwrap_or_default())
}
