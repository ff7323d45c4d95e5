//! The options of the commands that take keys, each with the Rust builder that sets them.

use crate::{KeySpec, chat, combination, methods::METHODS, training};

/// The keys of one command, and the builder of the facade with one setter per key.
#[derive(Clone, Copy, Debug)]
pub struct OptionsSpec {
    /// Name of the builder, such as `Train`.
    pub builder: &'static str,
    /// The magics that take these keys, in Markdown.
    pub magics: &'static str,
    /// The methods of the facade that take the builder, such as `Lab::train`.
    pub calls: &'static [&'static str],
    /// The keys.
    pub keys: &'static [KeySpec],
}

/// Every builder, apart from those of the methods.
pub const OPTIONS: &[OptionsSpec] = &[
    OptionsSpec {
        builder: "ModelOptions",
        magics: "`%model load` and `%model resize_tokens`",
        calls: &["Lab::load_model_with", "Lab::resize_tokens"],
        keys: training::MODEL,
    },
    OptionsSpec {
        builder: "DataOptions",
        magics: "`%data load` and `%%data`",
        calls: &["Lab::load_data_with", "Lab::data_inline_with"],
        keys: training::DATA,
    },
    OptionsSpec {
        builder: "Train",
        magics: "`%train` and `%resume`",
        calls: &["Lab::train", "Lab::resume_with"],
        keys: training::TRAIN,
    },
    OptionsSpec { builder: "Eval", magics: "`%eval`", calls: &["Lab::eval"], keys: training::EVAL },
    OptionsSpec {
        builder: "Generate",
        magics: "`%generate` and `%compare`",
        calls: &["Lab::generate", "Lab::compare"],
        keys: training::GENERATE,
    },
    OptionsSpec {
        builder: "GenerateData",
        magics: "`%generate data=NAME`",
        calls: &["Lab::generate_data"],
        keys: training::GENERATE_DATA,
    },
    OptionsSpec { builder: "Chat", magics: "`%chat`", calls: &["Lab::chat"], keys: chat::CHAT },
    OptionsSpec {
        builder: "MemoryOptions",
        magics: "`%memory`",
        calls: &["Lab::memory"],
        keys: training::MEMORY,
    },
    OptionsSpec {
        builder: "Combine",
        magics: "`%lora combine`",
        calls: &["Model::combine"],
        keys: combination::KEYS,
    },
    OptionsSpec {
        builder: "Plot",
        magics: "`%plot`",
        calls: &["Lab::plot_runs"],
        keys: training::PLOT,
    },
    OptionsSpec {
        builder: "RunWeights",
        magics: "`%runs use`",
        calls: &["Runs::adapter"],
        keys: training::RUN_WEIGHTS,
    },
    OptionsSpec {
        builder: "ClassJoin",
        magics: "`%class join`",
        calls: &["Lab::join_class"],
        keys: training::CLASS_JOIN,
    },
    OptionsSpec {
        builder: "ClassView",
        magics: "`%class` and `%class watch`",
        calls: &["Lab::class", "Lab::class_chart", "Lab::watch_class"],
        keys: training::CLASS_VIEW,
    },
];

/// Returns the keys of the builder with that name, of a command or of a method.
pub fn keys_of(builder: &str) -> Option<&'static [KeySpec]> {
    let options = OPTIONS.iter().find(|spec| spec.builder == builder).map(|spec| spec.keys);
    options.or_else(|| METHODS.iter().find(|spec| spec.builder == builder).map(|spec| spec.keys))
}
