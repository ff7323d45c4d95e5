//! The builders: one struct per method and per set of options.
// Generated from graft-spec by tests/it/builders.rs. Do not edit: change the key's `KeySpec` and run
// `GRAFT_BLESS=1 cargo test -p graft --test it builders`.

mod adalora;
mod bitfit;
mod bottleneck;
mod chat;
mod combine;
mod data_options;
mod dora;
mod eval;
mod full;
mod generate;
mod ia3;
mod ln_tuning;
mod loha;
mod lokr;
mod lora;
mod memory_options;
mod model_options;
mod oft;
mod p_tune;
mod plot;
mod prefix_tune;
mod prompt_tune;
mod run_weights;
mod shira;
mod train;
mod trainable_tokens;
mod vera;

pub use adalora::AdaLora;
pub use bitfit::BitFit;
pub use bottleneck::Bottleneck;
pub use chat::Chat;
pub use combine::Combine;
pub use data_options::DataOptions;
pub use dora::Dora;
pub use eval::Eval;
pub use full::Full;
pub use generate::Generate;
pub use ia3::Ia3;
pub use ln_tuning::LnTuning;
pub use loha::LoHa;
pub use lokr::LoKr;
pub use lora::Lora;
pub use memory_options::MemoryOptions;
pub use model_options::ModelOptions;
pub use oft::Oft;
pub use p_tune::PTuning;
pub use plot::Plot;
pub use prefix_tune::PrefixTuning;
pub use prompt_tune::PromptTuning;
pub use run_weights::RunWeights;
pub use shira::Shira;
pub use train::Train;
pub use trainable_tokens::TrainableTokens;
pub use vera::Vera;
