//! The methods and their keys. A new method is one file here and one line in [`METHODS`]; its mathematics is one file in graft-peft.

pub mod adalora;
pub mod bitfit;
pub mod bottleneck;
pub mod dora;
pub mod full;
pub mod ia3;
pub mod ln_tuning;
pub mod loha;
pub mod lokr;
pub mod lora;
pub mod oft;
pub mod p_tuning;
pub mod prefix_tuning;
pub mod prompt_tuning;
pub mod shira;
pub mod trainable_tokens;
pub mod vera;

use crate::{KeyKind, KeySpec};

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
    /// The equation of an adapted layer, such as `y = W x + s B A x`.
    pub equation: &'static str,
    /// A paragraph: what is trained, initial values, and what is saved.
    pub help: &'static str,
    /// Shapes of the tensors in the equation, in Markdown.
    pub shapes: &'static str,
    /// The papers, each with its arXiv number, or the reference implementation.
    pub source: &'static str,
    /// The keys of `attach`, HF PEFT's words.
    pub keys: &'static [KeySpec],
    /// Default learning rate for a hidden size of 256, that of the embedded model. It differs by an
    /// order of magnitude between methods.
    pub learning_rate: f64,
    /// Whether the effect of a step on the output of a layer grows with the width of the layer. It
    /// does for matrices and soft prompts, but not for factors and offsets of single activations.
    pub rate_falls_with_width: bool,
}

/// The width at which the default learning rates were chosen.
const WIDTH: usize = 256;

impl MethodSpec {
    /// Learning rate of a run that sets no `lr`, in a model of hidden size `C`.
    ///
    /// If [`rate_falls_with_width`](Self::rate_falls_with_width), it is
    /// `learning_rate · min(1, 256 / C)`, rounded to two digits: for LoRA about 3e-4 in a Llama of
    /// hidden size 4,096.
    ///
    /// # Source
    /// Yang et al. 2022, arXiv:2203.03466, table 3: Adam and hidden matrices
    pub fn learning_rate_for(&self, width: usize) -> f64 {
        if !self.rate_falls_with_width || width <= WIDTH {
            return self.learning_rate;
        }
        let exact = self.learning_rate * WIDTH as f64 / width as f64;
        format!("{exact:.1e}").parse().unwrap_or(exact)
    }
}

/// Every method, in the order the reference lists them.
pub const METHODS: &[&MethodSpec] = &[
    &lora::SPEC,
    &dora::SPEC,
    &adalora::SPEC,
    &vera::SPEC,
    &loha::SPEC,
    &lokr::SPEC,
    &oft::SPEC,
    &ia3::SPEC,
    &shira::SPEC,
    &prompt_tuning::SPEC,
    &p_tuning::SPEC,
    &prefix_tuning::SPEC,
    &bottleneck::SPEC,
    &bitfit::SPEC,
    &ln_tuning::SPEC,
    &trainable_tokens::SPEC,
    &full::SPEC,
];

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
    kind: KeyKind::Text,
    default: "default",
    help: "name of the adapter; an adapter of the same name is replaced",
};

/// The layers that are adapted, common to all methods that act on linear layers.
pub const TARGET_MODULES: KeySpec = KeySpec {
    name: "target_modules",
    aliases: &["targets"],
    kind: KeyKind::Modules,
    default: "",
    help: "module names (suffixes, a regular expression, or all-linear); default: that of the model family, such as q_proj,v_proj",
};

/// Layers that the targets would take in and that are left alone.
pub const EXCLUDE_MODULES: KeySpec = KeySpec {
    name: "exclude_modules",
    aliases: &["exclude"],
    kind: KeyKind::Modules,
    default: "",
    help: "module names, or a regular expression, to exclude from the targets",
};

/// Numbers of the blocks that are adapted.
pub const LAYERS_TO_TRANSFORM: KeySpec = KeySpec {
    name: "layers_to_transform",
    aliases: &["layers"],
    kind: KeyKind::List,
    default: "",
    help: "block numbers, such as 0,2,4; default: all blocks",
};

/// Rank by module.
pub const RANK_PATTERN: KeySpec = KeySpec {
    name: "rank_pattern",
    aliases: &[],
    kind: KeyKind::List,
    default: "",
    help: "ranks for some modules, such as q_proj:16,v_proj:4; a key is a regular expression that matches the end of the path",
};

/// Alpha by module.
pub const ALPHA_PATTERN: KeySpec = KeySpec {
    name: "alpha_pattern",
    aliases: &[],
    kind: KeyKind::List,
    default: "",
    help: "alpha for some modules, such as q_proj:32; a key is a regular expression that matches the end of the path",
};

/// Modules that are trained in full, in addition to the method.
pub const MODULES_TO_SAVE: KeySpec = KeySpec {
    name: "modules_to_save",
    aliases: &[],
    kind: KeyKind::Modules,
    default: "",
    help: "modules to train in full and save with the adapter, such as lm_head; trained as copies, so the base model is unchanged",
};

/// Number of virtual tokens.
pub(crate) const VIRTUAL_TOKENS: KeySpec = KeySpec {
    name: "num_virtual_tokens",
    aliases: &["tokens"],
    kind: KeyKind::Integer { min: 1, max: 65_536 },
    default: "20",
    help: "number of virtual tokens; they use up that much of the context",
};

/// Rank of a low-rank update.
pub(crate) const RANK: KeySpec = KeySpec {
    name: "r",
    aliases: &["rank"],
    kind: KeyKind::Integer { min: 1, max: 65_536 },
    default: "8",
    help: "rank of the update, at least 1 and at most the smaller dimension of the layer",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_rate_falls_with_the_width_where_the_update_grows_with_it() {
        let spec = MethodSpec { learning_rate: 5e-3, ..lora::SPEC };
        assert_eq!(
            [64, 256, 768, 4096].map(|width| spec.learning_rate_for(width)),
            [5e-3, 5e-3, 1.7e-3, 3.1e-4]
        );
        assert_eq!(ia3::SPEC.learning_rate_for(4096), ia3::SPEC.learning_rate);
    }
}
