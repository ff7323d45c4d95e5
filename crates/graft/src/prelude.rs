//! What cells see without a `use`: the lab, its handles, the builders, and candle's everyday names.

pub use crate::{
    Ablate, AdaLora, Adapter, BitFit, Bottleneck, Chart, Combine, Comparison, D, DType, Data, DataOptions, Device, Dora, Eval, Evaluation, Full, Generate,
    Generated, Ia3, IndexOp, Lab, LastValue, LnTuning, LoHa, LoKr, Lora, MemoryOptions, Model, ModelOptions, Oft, PTuning, Plot, PrefixTuning, PromptTuning,
    Run, RunWeights, Runs, Shira, Show, Table, Tensor, Tokenizer, Train, TrainableTokens, Var, Vera, lab,
};
