//! Keys of `%train`.

use graft_spec::{AUTO, Settings, Value};

use super::integer;

/// Keys of `%train`. Each setter is the key of the same name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Train {
    pub(super) settings: Settings,
}

impl Train {
    /// All defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Optimizer steps. Default 200.
    #[must_use]
    pub fn steps(self, steps: usize) -> Self {
        Self { settings: self.settings.with("steps", integer(steps as u64)) }
    }

    /// Peak learning rate. Default: the method's own.
    #[must_use]
    pub fn lr(self, lr: f64) -> Self {
        Self { settings: self.settings.with("lr", Value::Float(lr)) }
    }

    /// Examples per micro-batch. Default 8.
    #[must_use]
    pub fn batch(self, batch: usize) -> Self {
        Self { settings: self.settings.with("batch", integer(batch as u64)) }
    }

    /// As many examples per micro-batch as fit into memory, up to 64.
    #[must_use]
    pub fn batch_auto(self) -> Self {
        Self { settings: self.settings.with("batch", Value::Text(AUTO.to_owned())) }
    }

    /// Micro-batches per step; the loss is averaged over all their tokens. Default 1.
    #[must_use]
    pub fn gradient_accumulation_steps(self, gradient_accumulation_steps: usize) -> Self {
        Self {
            settings: self
                .settings
                .with("gradient_accumulation_steps", integer(gradient_accumulation_steps as u64)),
        }
    }

    /// Longest example in tokens; longer ones are cut and counted. Default: the model's context.
    #[must_use]
    pub fn max_length(self, max_length: usize) -> Self {
        Self { settings: self.settings.with("max_length", integer(max_length as u64)) }
    }

    /// Course of the learning rate after the warm-up: `constant`, `linear` or `cosine` (default).
    #[must_use]
    pub fn schedule(self, schedule: &str) -> Self {
        Self { settings: self.settings.with("schedule", Value::Text(schedule.to_owned())) }
    }

    /// Steps in which the learning rate rises from 0. Default 10.
    #[must_use]
    pub fn warmup(self, warmup: usize) -> Self {
        Self { settings: self.settings.with("warmup", integer(warmup as u64)) }
    }

    /// Decoupled weight decay of AdamW. Default 0.
    #[must_use]
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        Self { settings: self.settings.with("weight_decay", Value::Float(weight_decay)) }
    }

    /// Gradients are scaled down to this global norm; 0 switches it off. Default 1.
    #[must_use]
    pub fn max_grad_norm(self, max_grad_norm: f64) -> Self {
        Self { settings: self.settings.with("max_grad_norm", Value::Float(max_grad_norm)) }
    }

    /// Computes each block again for the backward pass instead of keeping what is inside it: less memory, about half as much time again. Default false.
    #[must_use]
    pub fn gradient_checkpointing(self, gradient_checkpointing: bool) -> Self {
        Self {
            settings: self
                .settings
                .with("gradient_checkpointing", Value::Bool(gradient_checkpointing)),
        }
    }

    /// Name of the data set. Default: the current one.
    #[must_use]
    pub fn data(self, data: &str) -> Self {
        Self { settings: self.settings.with("data", Value::Text(data.to_owned())) }
    }

    /// Steps between validations; 0 switches it off. Default: a tenth of the run.
    #[must_use]
    pub fn eval_every(self, eval_every: usize) -> Self {
        Self { settings: self.settings.with("eval_every", integer(eval_every as u64)) }
    }

    /// Validation examples used during training. Default 64.
    #[must_use]
    pub fn eval_examples(self, eval_examples: usize) -> Self {
        Self { settings: self.settings.with("eval_examples", integer(eval_examples as u64)) }
    }

    /// Seconds between checkpoints; 0 keeps only the last. Default 60.
    #[must_use]
    pub fn save_every(self, save_every: usize) -> Self {
        Self { settings: self.settings.with("save_every", integer(save_every as u64)) }
    }

    /// Seed of data order and dropout. Default: the session's.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { settings: self.settings.with("seed", integer(seed)) }
    }
}

#[cfg(test)]
mod tests {
    use graft_spec::training;

    use super::*;

    #[test]
    fn there_is_a_setter_for_every_key() {
        let all = Train::new()
            .steps(1)
            .lr(0.5)
            .batch(1)
            .gradient_accumulation_steps(1)
            .max_length(1)
            .schedule("x")
            .warmup(1)
            .weight_decay(0.5)
            .max_grad_norm(0.5)
            .gradient_checkpointing(true)
            .data("x")
            .eval_every(1)
            .eval_examples(1)
            .save_every(1)
            .seed(1);
        let set: Vec<_> = all.settings.values.keys().cloned().collect();
        // Where it runs is said by the call: `train_in_background`.
        let mut keys: Vec<_> =
            training::TRAIN.iter().map(|spec| spec.name).filter(|name| *name != "bg").collect();
        keys.sort_unstable();
        assert_eq!(set, keys);
    }
}
