//! Values of `TrainingArguments` in transformers that are values of keys under another name.

/// Name of the key, its value in transformers, and its value here.
const WORDS: &[(&str, &str, &str)] = &[
    ("optim", "adamw_torch", "adamw"),
    ("optim", "adamw_torch_fused", "adamw"),
    ("optim", "adamw_hf", "adamw"),
    ("optim", "adamw_8bit", "adamw_8bit"),
    ("optim", "adamw_bnb_8bit", "adamw_8bit"),
    ("optim", "paged_adamw_8bit", "adamw_8bit"),
    ("optim", "lion_32bit", "lion"),
    ("schedule", "reduce_lr_on_plateau", "reduce_on_plateau"),
    ("best", "eval_loss", "loss"),
    ("best", "eval_accuracy", "accuracy"),
];

/// The value here of a value in transformers; any other text as it is.
pub(super) fn meaning<'a>(key: &str, text: &'a str) -> &'a str {
    let known = WORDS.iter().find(|(name, word, _)| *name == key && *word == text);
    known.map_or(text, |(_, _, value)| value)
}
