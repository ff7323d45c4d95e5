//! Builders of the methods: what `%lora attach`, `%full attach` and their kin take.

use graft_spec::{Settings, Value};

use super::{Method, integer};

/// One setter: the value's kind decides what it takes.
macro_rules! setter {
    ($(#[$doc:meta])* $key:ident(count)) => {
        $(#[$doc])*
        #[must_use]
        pub fn $key(self, $key: usize) -> Self {
            Self { settings: self.settings.with(stringify!($key), integer($key as u64)) }
        }
    };
    ($(#[$doc:meta])* $key:ident(whole)) => {
        $(#[$doc])*
        #[must_use]
        pub fn $key(self, $key: i64) -> Self {
            Self { settings: self.settings.with(stringify!($key), Value::Integer($key)) }
        }
    };
    ($(#[$doc:meta])* $key:ident(number)) => {
        $(#[$doc])*
        #[must_use]
        pub fn $key(self, $key: f64) -> Self {
            Self { settings: self.settings.with(stringify!($key), Value::Float($key)) }
        }
    };
    ($(#[$doc:meta])* $key:ident(flag)) => {
        $(#[$doc])*
        #[must_use]
        pub fn $key(self, $key: bool) -> Self {
            Self { settings: self.settings.with(stringify!($key), Value::Bool($key)) }
        }
    };
    ($(#[$doc:meta])* $key:ident(word)) => {
        $(#[$doc])*
        #[must_use]
        pub fn $key(self, $key: &str) -> Self {
            Self { settings: self.settings.with(stringify!($key), Value::Text($key.to_owned())) }
        }
    };
    ($(#[$doc:meta])* $key:ident(list)) => {
        $(#[$doc])*
        #[must_use]
        pub fn $key<T: Into<String>>(self, $key: impl IntoIterator<Item = T>) -> Self {
            let items = $key.into_iter().map(Into::into).collect();
            Self { settings: self.settings.with(stringify!($key), Value::List(items)) }
        }
    };
}

/// A value for a setter, in the test that there is one for every key.
#[cfg(test)]
macro_rules! sample {
    (count) => {
        1
    };
    (whole) => {
        1
    };
    (number) => {
        0.5
    };
    (flag) => {
        true
    };
    (word) => {
        "x"
    };
    (list) => {
        ["x"]
    };
}

/// A builder: a setter for each key of the method with that verb, and for the adapter's name.
macro_rules! builder {
    ($(#[$doc:meta])* $name:ident, $verb:literal; $($(#[$key_doc:meta])* pub fn $key:ident($kind:ident);)*) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name {
            settings: Settings,
        }

        impl $name {
            /// All defaults.
            pub fn new() -> Self {
                Self::default()
            }

            $(setter! { $(#[$key_doc])* $key($kind) })*

            setter! {
                /// Name of the adapter; one in use is replaced. Default `default`.
                adapter_name(word)
            }

            #[cfg(test)]
            fn everything() -> (&'static str, Settings) {
                ($verb, Self::new()$(.$key(sample!($kind)))*.adapter_name("x").settings)
            }
        }

        impl Method for $name {
            fn verb(&self) -> &'static str {
                $verb
            }

            fn into_settings(self) -> Settings {
                self.settings
            }
        }
    };
}

builder! {
    /// `%lora attach`: low-rank adapters, `y = W x + s B A x`. Each setter is the key of the same name.
    Lora, "lora";
    /// Rank of the update, at least 1 and at most the layer's smaller side. Default 8.
    pub fn r(count);
    /// Scale of the update: `s = lora_alpha / r`. Default 8.
    pub fn lora_alpha(number);
    /// Probability of dropping an input of A while training. Default 0.
    pub fn lora_dropout(number);
    /// Module names (suffixes), one regular expression, or `all-linear`. Default: the family's, as in HF PEFT.
    pub fn target_modules(list);
    /// Module names, or one regular expression, that are left out of the targets.
    pub fn exclude_modules(list);
    /// Numbers of the blocks, such as `["0", "2", "4-7"]`. Default: all.
    pub fn layers_to_transform(list);
    /// Other ranks for some modules, such as `["q_proj:16"]`.
    pub fn rank_pattern(list);
    /// Another `lora_alpha` for some modules, such as `["q_proj:32"]`.
    pub fn alpha_pattern(list);
    /// Scale by `lora_alpha / sqrt(r)` instead.
    pub fn use_rslora(flag);
    /// `true`: A uniform in ±1/sqrt(d_in), as HF PEFT; `gaussian`: N(0, 1/r); `orthogonal`, `pissa`, `olora`, `eva` (looks at the current
    /// data) or `loftq` (of a packed model).
    pub fn init_lora_weights(word);
    /// `init_lora_weights=eva`: no layer gets more than `eva_rho r` of the rank. Default 2.
    pub fn eva_rho(number);
    /// LoRA+: factor on the learning rate of B. Default 1.
    pub fn loraplus_lr_ratio(number);
    /// Biases trained along: `none` (default), `all` or `lora_only`.
    pub fn bias(word);
    /// Modules trained whole and saved along, such as `lm_head`.
    pub fn modules_to_save(list);
}

builder! {
    /// `%dora attach`: weight-decomposed LoRA, `y = m ∘ (W + s B A) x / ‖W + s B A‖`. Each setter is the key of the same name.
    Dora, "dora";
    /// Rank of the update, at least 1 and at most the layer's smaller side. Default 8.
    pub fn r(count);
    /// Scale of the update: `s = lora_alpha / r`. Default 8.
    pub fn lora_alpha(number);
    /// Probability of dropping an input of the update while training. Default 0.
    pub fn lora_dropout(number);
    /// Module names (suffixes), one regular expression, or `all-linear`. Default: the family's, as in HF PEFT.
    pub fn target_modules(list);
    /// Module names, or one regular expression, that are left out of the targets.
    pub fn exclude_modules(list);
    /// Numbers of the blocks, such as `["0", "2", "4-7"]`. Default: all.
    pub fn layers_to_transform(list);
    /// Other ranks for some modules, such as `["q_proj:16"]`.
    pub fn rank_pattern(list);
    /// Another `lora_alpha` for some modules, such as `["q_proj:32"]`.
    pub fn alpha_pattern(list);
    /// Scale by `lora_alpha / sqrt(r)` instead.
    pub fn use_rslora(flag);
    /// Biases trained along: `none` (default), `all` or `lora_only`.
    pub fn bias(word);
    /// Modules trained whole and saved along, such as `lm_head`.
    pub fn modules_to_save(list);
}

builder! {
    /// `%adalora attach`: LoRA whose ranks move to the layers that need them, `y = W x + s B (E ∘ A) x`. Each setter is the key of the same name.
    AdaLora, "adalora";
    /// Rank of each layer at the start. Default 12.
    pub fn init_r(count);
    /// Average rank at the end. Default 8.
    pub fn target_r(count);
    /// Scale of the update: `s = lora_alpha / init_r`. Default 8.
    pub fn lora_alpha(number);
    /// Probability of dropping an input of A while training. Default 0.
    pub fn lora_dropout(number);
    /// Steps before ranks are taken away. Default 0.
    pub fn tinit(count);
    /// Last steps, in which the ranks stay. Default 0.
    pub fn tfinal(count);
    /// Steps between two cuts, `deltaT` in files. Default 1.
    #[allow(non_snake_case, reason = "HF PEFT's name")]
    pub fn deltaT(count);
    /// Smoothing of the sensitivity. Default 0.85.
    pub fn beta1(number);
    /// Smoothing of its uncertainty. Default 0.85.
    pub fn beta2(number);
    /// Weight of the term that keeps A and B orthogonal. Default 0.5.
    pub fn orth_reg_weight(number);
    /// Module names (suffixes), one regular expression, or `all-linear`. Default: the family's, as in HF PEFT.
    pub fn target_modules(list);
    /// Module names, or one regular expression, that are left out of the targets.
    pub fn exclude_modules(list);
    /// Numbers of the blocks, such as `["0", "2", "4-7"]`. Default: all.
    pub fn layers_to_transform(list);
    /// Modules trained whole and saved along, such as `lm_head`.
    pub fn modules_to_save(list);
}

builder! {
    /// `%vera attach`: two vectors per layer around shared random matrices, `y = W x + λ_b ∘ B (λ_d ∘ A x)`. Each setter is the key of the same name.
    Vera, "vera";
    /// Rank of the shared matrices; it may exceed the sides of a layer. Default 256.
    pub fn r(count);
    /// Where every number of `λ_d` starts. Default 0.1.
    pub fn d_initial(number);
    /// Probability of dropping an input of A while training. Default 0.
    pub fn vera_dropout(number);
    /// Seed of A and B: the same numbers as in HF PEFT. Default 0.
    pub fn projection_prng_key(count);
    /// Write A and B into the file too. Default true.
    pub fn save_projection(flag);
    /// Module names (suffixes), one regular expression, or `all-linear`. Default: the family's, as in HF PEFT.
    pub fn target_modules(list);
    /// Numbers of the blocks, such as `["0", "2", "4-7"]`. Default: all.
    pub fn layers_to_transform(list);
    /// Modules trained whole and saved along, such as `lm_head`.
    pub fn modules_to_save(list);
}

builder! {
    /// `%loha attach`: the product of two low-rank updates, `y = W x + s (B₁A₁ ∘ B₂A₂) x`. Each setter is the key of the same name.
    LoHa, "loha";
    /// Rank of each of the two updates. Default 8.
    pub fn r(count);
    /// Scale of the update: `s = alpha / r`. Default 8.
    pub fn alpha(number);
    /// Probability of dropping an output of the update while training. Default 0.
    pub fn rank_dropout(number);
    /// Probability of leaving a layer's whole update out in a training step. Default 0.
    pub fn module_dropout(number);
    /// Module names (suffixes), one regular expression, or `all-linear`. Default: the family's, as in HF PEFT.
    pub fn target_modules(list);
    /// Module names, or one regular expression, that are left out of the targets.
    pub fn exclude_modules(list);
    /// Numbers of the blocks, such as `["0", "2", "4-7"]`. Default: all.
    pub fn layers_to_transform(list);
    /// Other ranks for some modules, such as `["q_proj:16"]`.
    pub fn rank_pattern(list);
    /// Another `alpha` for some modules, such as `["q_proj:32"]`.
    pub fn alpha_pattern(list);
    /// Modules trained whole and saved along, such as `lm_head`.
    pub fn modules_to_save(list);
}

builder! {
    /// `%shira attach`: a sparse update, `y = (W + S) x`. Each setter is the key of the same name.
    Shira, "shira";
    /// Numbers trained in a layer: `r (d_in + d_out)`. Default 32.
    pub fn r(count);
    /// Decides the places, as in HF PEFT. Default: PyTorch's own default seed.
    pub fn random_seed(count);
    /// Module names (suffixes), one regular expression, or `all-linear`. Default: the family's, as in HF PEFT.
    pub fn target_modules(list);
    /// Modules trained whole and saved along, such as `lm_head`.
    pub fn modules_to_save(list);
}

builder! {
    /// `%lokr attach`: a Kronecker product, `y = W x + s (W₁ ⊗ W₂) x`. Each setter is the key of the same name.
    LoKr, "lokr";
    /// Rank of `W₂` where that makes it smaller. Default 8.
    pub fn r(count);
    /// Scale of the update: `s = alpha / r`. Default 8.
    pub fn alpha(number);
    /// Probability of dropping an output of the update while training. Default 0.
    pub fn rank_dropout(number);
    /// Probability of leaving a layer's whole update out in a training step. Default 0.
    pub fn module_dropout(number);
    /// Make `W₁` a product of rank r too, where that is smaller. Default false.
    pub fn decompose_both(flag);
    /// The smaller factor of each side; -1, the default, takes the most even one.
    pub fn decompose_factor(whole);
    /// Module names (suffixes), one regular expression, or `all-linear`. Default: the family's, as in HF PEFT.
    pub fn target_modules(list);
    /// Module names, or one regular expression, that are left out of the targets.
    pub fn exclude_modules(list);
    /// Numbers of the blocks, such as `["0", "2", "4-7"]`. Default: all.
    pub fn layers_to_transform(list);
    /// Other ranks for some modules, such as `["q_proj:16"]`.
    pub fn rank_pattern(list);
    /// Another `alpha` for some modules, such as `["q_proj:32"]`.
    pub fn alpha_pattern(list);
    /// Modules trained whole and saved along, such as `lm_head`.
    pub fn modules_to_save(list);
}

builder! {
    /// `%oft attach`: orthogonal fine-tuning, `y = W R x`. Each setter is the key of the same name.
    Oft, "oft";
    /// Side of a block; it must divide the width of the input. Default 32.
    pub fn oft_block_size(count);
    /// Number of blocks, instead of their size.
    pub fn r(count);
    /// One rotation for all blocks of a layer. Default false.
    pub fn block_share(flag);
    /// The first terms of the series instead of the inverse. Default true.
    pub fn use_cayley_neumann(flag);
    /// Terms of the series. Default 5.
    pub fn num_cayley_neumann_terms(count);
    /// Module names (suffixes), one regular expression, or `all-linear`. Default: the family's, as in HF PEFT.
    pub fn target_modules(list);
    /// Module names, or one regular expression, that are left out of the targets.
    pub fn exclude_modules(list);
    /// Numbers of the blocks, such as `["0", "2", "4-7"]`. Default: all.
    pub fn layers_to_transform(list);
    /// Modules trained whole and saved along, such as `lm_head`.
    pub fn modules_to_save(list);
}

builder! {
    /// `%ia3 attach`: one factor per activation, `y = l ∘ (W x + b)`. Each setter is the key of the same name.
    Ia3, "ia3";
    /// Module names (suffixes), one regular expression, or `all-linear`. Default: keys, values and the last maps of the feed-forward blocks.
    pub fn target_modules(list);
    /// Those of the targets whose inputs are rescaled. Default: the last maps of the feed-forward blocks among them.
    pub fn feedforward_modules(list);
    /// Module names, or one regular expression, that are left out of the targets.
    pub fn exclude_modules(list);
    /// Modules trained whole and saved along, such as `lm_head`.
    pub fn modules_to_save(list);
}

builder! {
    /// `%bottleneck attach`: small networks between the sublayers, `h + s U f(D z)`. Each setter is the key of the same name.
    Bottleneck, "bottleneck";
    /// `pfeiffer` (default), `houlsby` or `parallel`.
    pub fn config(word);
    /// The model's width over that of the bottleneck. Default 16.
    pub fn reduction_factor(number);
    /// `relu`, `swish`, `gelu` or `tanh`. Default: by the config.
    pub fn non_linearity(word);
    /// Factor on the network's output. Default: by the config.
    pub fn scaling(number);
    /// Probability of dropping an output of the network while training. Default 0.
    pub fn dropout(number);
    /// `mam_adapter` (default), with zeros, or `bert`.
    pub fn init_weights(word);
    /// Numbers of the blocks without networks.
    pub fn leave_out(list);
    /// Modules trained whole and saved along, such as `lm_head`.
    pub fn modules_to_save(list);
}

builder! {
    /// `%bitfit attach`: the biases are trained, `y = W x + b`. Each setter is the key of the same name.
    BitFit, "bitfit";
    /// Modules whose biases are trained, with everything inside them. Default: all.
    pub fn target_modules(list);
    /// Modules whose biases stay frozen.
    pub fn exclude_modules(list);
    /// Modules trained whole and saved along, such as `lm_head`.
    pub fn modules_to_save(list);
}

builder! {
    /// `%ln_tuning attach`: the norms are trained, `y = x̂ ∘ w + b`. Each setter is the key of the same name.
    LnTuning, "ln_tuning";
    /// Names of norms (suffixes), or one regular expression. Default: those of the blocks and the final one.
    pub fn target_modules(list);
    /// Norms, or one regular expression, that are left out of the targets.
    pub fn exclude_modules(list);
    /// Modules trained whole and saved along, such as `lm_head`.
    pub fn modules_to_save(list);
}

builder! {
    /// `%trainable_tokens attach`: some rows of the embedding are trained. Each setter is the key of the same name.
    TrainableTokens, "trainable_tokens";
    /// Numbers of the tokens, such as `["3", "17", "40-44"]`.
    pub fn token_indices(list);
    /// Name of the embedding. Default: the model's own.
    pub fn target_modules(list);
}

builder! {
    /// `%full attach`: full fine-tuning, the baseline. Each setter is the key of the same name.
    Full, "full";
    /// Modules that are trained, with everything inside them. Default: all.
    pub fn target_modules(list);
    /// Modules that stay frozen, with everything inside them.
    pub fn exclude_modules(list);
}

builder! {
    /// `%p_tune attach`: a soft prompt that a small network computes. Each setter is the key of the same name.
    PTuning, "p_tune";
    /// Number of virtual tokens; they take that much of the context. Default 20.
    pub fn num_virtual_tokens(count);
    /// The network: `MLP` (default) or `LSTM`.
    pub fn encoder_reparameterization_type(word);
    /// Width of its hidden layers. Default: the model's own.
    pub fn encoder_hidden_size(count);
    /// Layers of the LSTM. Default 2.
    pub fn encoder_num_layers(count);
    /// Probability of dropping a number between two layers of the LSTM. Default 0.
    pub fn encoder_dropout(number);
}

builder! {
    /// `%prefix_tune attach`: keys and values in front of the input's, in every block. Each setter is the key of the same name.
    PrefixTuning, "prefix_tune";
    /// Number of virtual tokens; they take that much of the context. Default 20.
    pub fn num_virtual_tokens(count);
    /// Let a network compute keys and values while training. Default false.
    pub fn prefix_projection(flag);
    /// Width of that network's hidden layer. Default: that of a block's keys.
    pub fn encoder_hidden_size(count);
    /// `random`, N(0, 1) (default), or `zero`.
    pub fn init_weights(word);
}

#[cfg(test)]
mod tests {
    use graft_spec::methods;

    use super::*;

    #[test]
    fn there_is_a_setter_for_every_key() {
        for (verb, settings) in [
            Lora::everything(),
            Dora::everything(),
            AdaLora::everything(),
            Vera::everything(),
            LoHa::everything(),
            LoKr::everything(),
            Oft::everything(),
            Ia3::everything(),
            Shira::everything(),
            Bottleneck::everything(),
            BitFit::everything(),
            LnTuning::everything(),
            TrainableTokens::everything(),
            Full::everything(),
            PTuning::everything(),
            PrefixTuning::everything(),
        ] {
            let set: Vec<_> = settings.values.keys().cloned().collect();
            let mut keys: Vec<_> = methods::by_verb(verb)
                .expect("a method")
                .keys
                .iter()
                .map(|spec| spec.name)
                .collect();
            keys.sort_unstable();
            assert_eq!(set, keys, "{verb}");
        }
    }
}
