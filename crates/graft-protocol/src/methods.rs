//! The methods and their keys. A new method is one file here and one line in [`METHODS`]; its mathematics is one file in graft-peft.

pub mod lora;
pub mod prompt_tuning;

use crate::KeySpec;

/// What a method is called and which keys it takes.
#[derive(Clone, Copy, Debug)]
pub struct MethodSpec {
    /// Name of the magic without `%`, such as `prompt_tune`.
    pub verb: &'static str,
    /// HF PEFT's `peft_type`, such as `PROMPT_TUNING`.
    pub peft_type: &'static str,
    /// Name of the facade's builder, such as `PromptTuning`.
    pub builder: &'static str,
    /// One line of help.
    pub summary: &'static str,
    /// A paragraph: equation, what is trained, what is kept; then the source.
    pub help: &'static str,
    /// The keys of `attach`, HF PEFT's words.
    pub keys: &'static [KeySpec],
    /// Default learning rate, which differs by an order of magnitude between methods.
    pub learning_rate: f64,
}

/// Every method, in the order the reference lists them.
pub const METHODS: &[&MethodSpec] = &[&lora::SPEC, &prompt_tuning::SPEC];

/// The method of that verb.
pub fn by_verb(verb: &str) -> Option<&'static MethodSpec> {
    METHODS.iter().copied().find(|spec| spec.verb == verb)
}

/// The method of that `peft_type`.
pub fn by_peft_type(peft_type: &str) -> Option<&'static MethodSpec> {
    METHODS.iter().copied().find(|spec| spec.peft_type == peft_type)
}

/// The key that names an adapter, common to all methods.
pub const ADAPTER_NAME: KeySpec = KeySpec {
    name: "adapter_name",
    aliases: &["name"],
    kind: crate::KeyKind::Text,
    default: "default",
    help: "name of the adapter; attaching under a name in use replaces that adapter",
};
