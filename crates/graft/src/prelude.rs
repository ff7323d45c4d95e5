//! What cells see without a `use`: the lab, its handles, the builders, and candle's everyday names.

pub use crate::{
    Adapter, Chart, Comparison, D, DType, Data, DataOptions, Device, Eval, Evaluation, Generate, Generated, IndexOp, Lab, Lora, MemoryOptions, Model,
    ModelOptions, PromptTuning, Run, Show, Table, Tensor, Tokenizer, Train, Var, lab,
};
