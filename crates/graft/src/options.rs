//! Builders: the keys of the magics as Rust. A setter has the name of its key; what is not set has the default of the magic.

mod ablate;
mod combine;
mod data;
mod evaluation;
mod generation;
mod memory;
mod methods;
mod model;
mod plot;
mod prompt_tuning;
mod run_weights;
mod train;

use graft_spec::{Settings, Value};

pub use ablate::Ablate;
pub use combine::Combine;
pub use data::DataOptions;
pub use evaluation::Eval;
pub use generation::Generate;
pub use memory::MemoryOptions;
pub use methods::{
    AdaLora, BitFit, Bottleneck, Dora, Full, Ia3, LnTuning, LoHa, LoKr, Lora, Oft, PTuning,
    PrefixTuning, Shira, TrainableTokens, Vera,
};
pub use model::ModelOptions;
pub use plot::Plot;
pub use prompt_tuning::PromptTuning;
pub use run_weights::RunWeights;
pub use train::Train;

/// A method with its keys: what [`crate::Model::attach`] takes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a fine-tuning method",
    note = "methods are builders such as `Lora::new()` and `PromptTuning::new()`"
)]
pub trait Method {
    /// Name of its magic without `%`.
    fn verb(&self) -> &'static str;
    /// The keys that were set.
    #[doc(hidden)]
    fn into_settings(self) -> Settings;
}

macro_rules! settings_of {
    ($($builder:ident),*) => {
        $(impl From<$builder> for Settings {
            fn from(builder: $builder) -> Self {
                builder.settings
            }
        })*
    };
}
settings_of!(
    Combine,
    DataOptions,
    Eval,
    Generate,
    MemoryOptions,
    ModelOptions,
    Plot,
    RunWeights,
    Train
);

/// A count as the link carries it; what is too large becomes the largest, which the key's range then refuses.
fn integer(value: u64) -> Value {
    Value::Integer(i64::try_from(value).unwrap_or(i64::MAX))
}
