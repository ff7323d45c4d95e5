//! The methods and their keys.
//!
//! A new method is one file in this module and one line in [`METHODS`]. Its mathematics is one file
//! in graft-peft.

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

/// The definition of a method: its names, its documentation and its keys.
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
    /// The keys of `attach`, named as in HF PEFT.
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
    /// Returns the learning rate of a run that sets no `lr`, in a model of hidden size `C`.
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

/// Every method, in the order of the reference.
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

/// Returns the method with the given verb.
pub fn by_verb(verb: &str) -> Option<&'static MethodSpec> {
    METHODS.iter().copied().find(|spec| spec.verb == verb)
}

/// Returns the method with the given `peft_type`.
pub fn by_peft_type(peft_type: &str) -> Option<&'static MethodSpec> {
    METHODS.iter().copied().find(|spec| spec.peft_type == peft_type)
}

/// The key that names an adapter, common to all methods.
pub const ADAPTER_NAME: KeySpec = KeySpec {
    name: "adapter_name",
    aliases: &["name"],
    kind: KeyKind::Text,
    default: "default",
    help: "name of the adapter; an attached adapter of the same name is replaced",
};

/// The layers that are adapted, common to all methods that act on linear layers.
pub const TARGET_MODULES: KeySpec = KeySpec {
    name: "target_modules",
    aliases: &["targets"],
    kind: KeyKind::Modules,
    default: "",
    help: "modules to adapt: names (suffixes), a regular expression, or all-linear; without it the default of the model family, such as q_proj,v_proj",
};

/// Modules that are left out of the targets.
pub const EXCLUDE_MODULES: KeySpec = KeySpec {
    name: "exclude_modules",
    aliases: &["exclude"],
    kind: KeyKind::Modules,
    default: "",
    help: "modules to leave out of the targets: names or a regular expression",
};

/// Numbers of the blocks that are adapted.
pub const LAYERS_TO_TRANSFORM: KeySpec = KeySpec {
    name: "layers_to_transform",
    aliases: &["layers"],
    kind: KeyKind::List,
    default: "",
    help: "numbers of the blocks to adapt, such as 0,2,4 or 4-7; without it all blocks",
};

/// Rank by module.
pub const RANK_PATTERN: KeySpec = KeySpec {
    name: "rank_pattern",
    aliases: &[],
    kind: KeyKind::List,
    default: "",
    help: "other ranks for some modules, such as q_proj:16,v_proj:4; each key is a regular expression for the end of the path",
};

/// Alpha by module.
pub const ALPHA_PATTERN: KeySpec = KeySpec {
    name: "alpha_pattern",
    aliases: &[],
    kind: KeyKind::List,
    default: "",
    help: "another alpha for some modules, such as q_proj:32; each key is a regular expression for the end of the path",
};

/// Modules that are trained fully in addition to the method.
pub const MODULES_TO_SAVE: KeySpec = KeySpec {
    name: "modules_to_save",
    aliases: &[],
    kind: KeyKind::Modules,
    default: "",
    help: "modules that are trained fully and saved with the adapter, such as lm_head; copies are trained, so the base does not change",
};

/// Rows of the embedding that LoRA and DoRA train as well.
pub(crate) const TRAINABLE_TOKEN_INDICES: KeySpec = KeySpec {
    name: "trainable_token_indices",
    aliases: &[],
    kind: KeyKind::List,
    default: "",
    help: "tokens whose embeddings are trained as well, as ids such as 256,260-262, for example those of added_tokens; lm_head:256 names another layer than the input embedding; copies are trained, so the base does not change",
};

/// Number of virtual tokens.
pub(crate) const VIRTUAL_TOKENS: KeySpec = KeySpec {
    name: "num_virtual_tokens",
    aliases: &["tokens"],
    kind: KeyKind::Integer { min: 1, max: 65_536 },
    default: "20",
    help: "number of virtual tokens; they count towards the context length",
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
    fn the_default_rate_falls_with_the_width_if_the_update_grows_with_it() {
        let spec = MethodSpec { learning_rate: 5e-3, ..lora::SPEC };
        assert_eq!(
            [64, 256, 768, 4096].map(|width| spec.learning_rate_for(width)),
            [5e-3, 5e-3, 1.7e-3, 3.1e-4]
        );
        assert_eq!(ia3::SPEC.learning_rate_for(4096), ia3::SPEC.learning_rate);
    }
}
