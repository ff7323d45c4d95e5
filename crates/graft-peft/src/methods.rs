//! The registry of the methods: one file for each, and one line in [`METHODS`]. Their names, keys
//! and help are in graft-spec.

mod adalora;
mod bitfit;
mod bottleneck;
mod dora;
mod full;
mod ia3;
mod linear_layers;
mod ln_tuning;
mod loha;
mod lokr;
mod lora;
mod oft;
mod p_tuning;
mod prefix_tuning;
mod prompt_encoder;
mod prompt_tuning;
mod shira;
mod trainable_tokens;
mod vera;

use crate::{config_file::ConfigFile, method::Method};

/// All methods.
const METHODS: &[&dyn Method] = &[
    &lora::Lora,
    &dora::Dora,
    &adalora::AdaLora,
    &vera::Vera,
    &loha::LoHa,
    &lokr::LoKr,
    &oft::Oft,
    &ia3::Ia3,
    &shira::Shira,
    &prompt_tuning::PromptTuning,
    &p_tuning::PTuning,
    &prefix_tuning::PrefixTuning,
    &bottleneck::Bottleneck,
    &bitfit::BitFit,
    &ln_tuning::LnTuning,
    &trainable_tokens::TrainableTokens,
    &full::Full,
];

/// The method with this name.
pub(crate) fn by_verb(verb: &str) -> Option<&'static dyn Method> {
    METHODS.iter().copied().find(|method| method.spec().verb == verb)
}

/// The method of a configuration.
pub(crate) fn of(config: &ConfigFile) -> Option<&'static dyn Method> {
    METHODS.iter().copied().find(|method| method.reads(config))
}
