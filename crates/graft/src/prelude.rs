//! What cells see without a `use`: the lab, its handles, the builders, and candle's everyday names.

pub use crate::{
    Ablate, AdaLora, Adapter, BitFit, Bottleneck, Chart, Combine, Comparison, D, DType, Data,
    DataOptions, Device, Dora, Eval, Evaluation, Full, Generate, Generated, Ia3, IndexOp, Lab,
    LastValue, LnTuning, LoHa, LoKr, Lora, MemoryOptions, Model, ModelOptions, Oft, PTuning, Plot,
    PrefixTuning, PromptTuning, Run, RunWeights, Runs, Shira, Show, Table, Tensor, Tokenizer,
    Train, TrainableTokens, Var, Vera, lab,
};

/// rust-analyzer writes the type of a `VarBuilder` with this trait alone, without its path, and so a cell must have the name.
#[doc(hidden)]
pub use candle_nn::var_builder::SimpleBackend;

/// The crates that cells name without a `:dep`. The compiler gets them from the session's wrapper, as crates of the cell's own, so that a
/// `:dep` of another version can take their place; this is how rust-analyzer, which knows nothing of the wrapper, finds them.
#[cfg(feature = "analysis")]
pub use {candle_core, candle_nn, plotters, serde_json, tokenizers};
