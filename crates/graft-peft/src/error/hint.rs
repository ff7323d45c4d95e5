//! Codes and hints of [`PeftError`].

use std::path::{Path, PathBuf};

use graft_spec::{Hint, methods::METHODS};

use super::PeftError;
use crate::suggest;

/// Most adapters that a hint names.
const MAX_SHOWN_ADAPTERS: usize = 8;

impl Hint for PeftError {
    fn code(&self) -> &'static str {
        match self {
            Self::UnknownMethod { .. } => "peft::unknown_method",
            Self::NoMatch { .. } => "peft::no_match",
            Self::BadPattern { .. } | Self::InvalidPatternItem { .. } => "peft::bad_pattern",
            Self::TooManyPatterns { .. } => "peft::too_many_patterns",
            Self::UnmatchedPattern { .. } => "peft::unmatched_pattern",
            Self::InvalidNumber { .. } => "peft::bad_numbers",
            Self::TooManyNumbers { .. } => "peft::too_many_numbers",
            Self::NoTargets { .. } => "peft::no_targets",
            Self::NoDefaultTargets { .. } => "peft::no_default_targets",
            Self::AllExcluded { .. } => "peft::all_excluded",
            Self::NoSuchBlock { .. } => "peft::no_such_layer",
            Self::NotLinear { .. } => "peft::not_linear",
            Self::NoSuchModule { .. } => "peft::no_such_module",
            Self::NotATarget { .. } => "peft::not_a_target",
            Self::NoBias { .. } => "peft::no_bias",
            Self::RankTooLarge { .. } | Self::SparseRankTooLarge { .. } => "peft::rank_too_large",
            Self::LayerTooLarge { .. } => "peft::layer_too_large",
            Self::InvalidIndices { .. } => "peft::bad_indices",
            Self::TargetRankTooLarge { .. } => "peft::target_rank",
            Self::OftBlocks => "peft::oft_blocks",
            Self::OftBlockSize { .. } => "peft::oft_block_size",
            Self::OddRank { .. } => "peft::odd_rank",
            Self::NoScale { .. } => "peft::no_scale",
            Self::RequiresKey { key: "eva_rho", .. } => "peft::no_eva",
            Self::NoData => "peft::no_data",
            Self::LittleData { .. } => "peft::little_data",
            Self::NoOriginals | Self::NotPacked { .. } => "peft::not_packed",
            Self::Packed { .. } => "peft::packed",
            Self::RequiresKey { .. } => "peft::conflict",
            Self::MissingPromptText => "peft::needs_text",
            Self::MissingTokenizer => "peft::needs_tokenizer",
            Self::PromptTooLong { .. } => "peft::prompt_too_long",
            Self::NoSuchToken { .. } => "peft::no_such_token",
            Self::NoTokens => "peft::no_tokens",
            Self::AlreadyMerged { .. } => "peft::already_merged",
            Self::NotMerged { .. } => "peft::not_merged",
            Self::OtherMerged { .. } => "peft::other_merged",
            Self::NotMergeable => "peft::not_mergeable",
            Self::TiedEmbedding => "peft::tied_embedding",
            Self::InvalidScale { .. } => "peft::bad_scale",
            Self::NotScalable { .. } => "peft::not_scalable",
            Self::CombinesMerged { .. } | Self::NotCombinable { .. } => "peft::not_combinable",
            Self::CombinationWeights { .. } => "peft::bad_weights",
            Self::NothingToCombine => "peft::nothing_to_combine",
            Self::MissingFolder(_) => "peft::missing_folder",
            Self::MissingFile { .. } => "peft::missing_file",
            Self::Malformed { .. } => "peft::malformed",
            Self::Unsupported { .. } => "peft::unsupported",
            Self::Pickled { .. } => "peft::pickled",
            Self::NotAFile { .. } => "peft::not_a_file",
            Self::MissingKeys { .. } => "peft::missing_keys",
            Self::WrongShape { .. } => "peft::wrong_shape",
            Self::WrongType { .. } => "peft::wrong_type",
            Self::ResizedVocabulary { .. } => "peft::resized_vocabulary",
            Self::TooLarge { .. } => "peft::too_large",
            Self::NotFinite { .. } => "peft::not_finite",
            Self::Io { .. } => "peft::io",
            Self::InvalidName { .. } => "peft::invalid_name",
            Self::InitData(_) => "peft::init_data",
            Self::Settings(_) => "peft::settings",
            Self::File(error) => error.code(),
            Self::Layer(error) => error.code(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::InvalidName { .. } => Some("use letters, digits, `-` and `_`".to_owned()),
            Self::InitData(failure) => failure.hint.clone(),
            Self::Settings(error) => error.hint(),
            Self::File(error) => error.hint(),
            Self::Layer(error) => error.hint(),
            Self::MissingFile { hint, .. } | Self::TooLarge { hint, .. } => Some(hint.clone()),
            _ => target_hint(self)
                .or_else(|| number_hint(self))
                .or_else(|| adapter_hint(self))
                .or_else(|| file_hint(self).map(str::to_owned))
                .or_else(|| fixed_hint(self).map(str::to_owned)),
        }
    }
}

/// Hints that name values which are possible instead.
fn target_hint(error: &PeftError) -> Option<String> {
    use PeftError as E;
    Some(match error {
        E::UnknownMethod { method } => {
            let verbs: Vec<_> = METHODS.iter().map(|spec| spec.verb).collect();
            let nearest = suggest::nearest(method, verbs.iter().copied());
            format!("{}methods: {}", suggest::question(nearest), verbs.join(", "))
        }
        E::NoMatch { nearest, modules, .. } => format!(
            "{}this model has {}; `all-linear` selects every linear layer except the head",
            suggest::question(nearest.as_deref()),
            modules.join(", ")
        ),
        E::TooManyPatterns { field, .. } if field == "layers_pattern" => {
            "remove `layers_pattern`: block numbers are found without it".to_owned()
        }
        E::TooManyPatterns { .. } => {
            "name modules instead, such as `q_proj` or `layers.0.self_attn.q_proj`".to_owned()
        }
        E::UnmatchedPattern { example, .. } => {
            format!("it must match the end of a path, such as {example}")
        }
        E::InvalidPatternItem { key, .. } => format!("for example {key}=q_proj:16,v_proj:4"),
        E::NoTargets { defaults } => format!("name modules such as {}", defaults.join(",")),
        E::NoDefaultTargets { field, .. } => {
            format!("write the names of the modules into `{field}`")
        }
        E::AllExcluded { keys, .. } => format!("remove {keys}, or exclude fewer layers"),
        E::NotLinear { modules, .. } => format!("linear layers: {}", modules.join(", ")),
        E::NoSuchModule { modules, .. } => format!("modules: {}", modules.join(", ")),
        E::NotATarget { name } => {
            format!("add `{name}` to target_modules, or remove feedforward_modules")
        }
        E::NoBias { setting, .. } if setting.starts_with("bias=") => "remove `bias`".to_owned(),
        E::NoBias { .. } => "train the norms with `%ln_tuning attach`, or use `%lora attach`; \
                             BERT, GPT-2 and Qwen2 have biases"
            .to_owned(),
        _ => return None,
    })
}

/// Hints that name possible values of a number.
fn number_hint(error: &PeftError) -> Option<String> {
    use PeftError as E;
    Some(match error {
        E::InvalidNumber { key, .. } | E::TooManyNumbers { key, .. } => {
            format!("for example {key}=0,2,4-7")
        }
        E::RequiresKey { key, needs } => format!("set {needs}, or remove `{key}`"),
        E::RankTooLarge { d_in, d_out, .. } => {
            format!("choose r of at most {}; 4 to 16 is usual", d_in.min(d_out))
        }
        E::SparseRankTooLarge { most, .. } => format!("choose r of at most {most}"),
        E::TargetRankTooLarge { target_r, init_r } => {
            format!("set target_r={init_r} or init_r={}", target_r * 3 / 2)
        }
        E::OftBlockSize { width, .. } => {
            let sizes = (2..=(*width).min(1024)).filter(|size| width.is_multiple_of(*size));
            let sizes: Vec<_> = sizes.map(|size| size.to_string()).collect();
            format!("possible sizes: {}", sizes.join(", "))
        }
        E::OddRank { r } => format!("choose an even rank, such as r={}", r + 1),
        E::NoSuchBlock { blocks, .. } => {
            format!("blocks are numbered 0 to {}", blocks.saturating_sub(1))
        }
        E::NoSuchToken { token, vocab } => {
            let most = (*vocab as u64).saturating_mul(4);
            format!(
                "tokens are numbered 0 to {}; `%model resize_tokens {}` loads the model with more",
                vocab.saturating_sub(1),
                token.saturating_add(1).min(most)
            )
        }
        _ => return None,
    })
}

/// Hints about one adapter, its files and the base model that it was made for.
fn adapter_hint(error: &PeftError) -> Option<String> {
    use PeftError as E;
    Some(match error {
        E::AlreadyMerged { verb, .. } => format!("undo the merge with `%{verb} unmerge`"),
        E::NotMerged { verb, .. } => format!("merge it first with `%{verb} merge`"),
        E::OtherMerged { other, .. } => {
            format!("unmerge `{other}` first, or use both adapters unmerged")
        }
        E::NotScalable { verb, .. } => format!("switch it off with `%{verb} off`"),
        E::CombinesMerged { adapter, verb } => format!("run `%{verb} unmerge {adapter}` first"),
        E::Unsupported { .. } => {
            let mut names: Vec<_> = METHODS.iter().map(|spec| spec.peft_type).collect();
            // LoRA and DoRA have the same type and are neighbors in the list.
            names.dedup();
            format!("supported methods: {}", names.join(", "))
        }
        E::MissingFolder(folder) => saved_adapters(folder),
        E::Pickled { folder, file } => conversion(&folder.display().to_string(), file),
        E::ResizedVocabulary { found, .. } => {
            format!("load the model with as many: `%model load SOURCE resize_tokens={found}`")
        }
        _ => return None,
    })
}

/// Names the adapters that are saved next to a folder that does not exist.
fn saved_adapters(missing: &Path) -> String {
    let parent = missing.parent().filter(|parent| !parent.as_os_str().is_empty());
    let entries = std::fs::read_dir(parent.unwrap_or(Path::new("."))).into_iter().flatten();
    let folders = entries.flatten().map(|entry| entry.path());
    let is_adapter = |path: &PathBuf| path.join("adapter_config.json").is_file();
    let shown = |path: PathBuf| path.strip_prefix("./").unwrap_or(&path).display().to_string();
    let mut names: Vec<String> = folders.filter(is_adapter).map(shown).collect();
    names.sort();
    let missing = missing.display().to_string();
    let nearest = suggest::question(suggest::nearest(&missing, names.iter().map(String::as_str)));
    match names.is_empty() {
        true => "`%lora save DIR` writes such a folder; check the path with `%pwd`".to_owned(),
        false => {
            names.truncate(MAX_SHOWN_ADAPTERS);
            format!("{nearest}adapters there: {}", names.join(", "))
        }
    }
}

/// Hints without values.
fn fixed_hint(error: &PeftError) -> Option<&'static str> {
    use PeftError as E;
    Some(match error {
        E::BadPattern { .. } => {
            "a pattern must match the whole path, such as `.*\\.(0|1)\\..*(q_proj|v_proj)`; \
             look-around is not supported"
        }
        E::LayerTooLarge { .. } => "remove this layer from target_modules",
        E::InvalidIndices { .. } => "the adapter was made for another base model",
        E::OftBlocks => "set only oft_block_size=32",
        E::NoScale { .. } => "use lora_alpha=8, the default",
        E::NoData => "%data load which-book",
        E::LittleData { .. } => "use a larger data set or a smaller r",
        E::NoOriginals | E::NotPacked { .. } => {
            "%model load DIR load_in_4bit=true, or remove init_lora_weights"
        }
        E::Packed { .. } => {
            "load the model without load_in_4bit and load_in_8bit, or train a %lora on top of \
             the quantized weights"
        }
        E::MissingPromptText => {
            "add prompt_tuning_init_text=\"Classify the sentence:\" or another text"
        }
        E::MissingTokenizer => "use prompt_tuning_init=SAMPLE_VOCAB",
        E::PromptTooLong { .. } => "use fewer virtual tokens; num_virtual_tokens=20 is usual",
        E::NoTokens => "for example token_indices=3,17,40-44",
        E::NotMergeable | E::TiedEmbedding => {
            "use it unmerged; it can be saved and loaded on its own"
        }
        E::InvalidScale { .. } => "1 is the trained effect, 0 is the base model",
        E::NotCombinable { .. } => {
            "combine adapters without modules_to_save, biases, embeddings and soft prompts"
        }
        E::CombinationWeights { .. } => "give one number for each, such as weights=0.7,0.3",
        E::NothingToCombine => "name two or more: `%lora combine a,b`",
        _ => return None,
    })
}

/// Hints about the files of an adapter.
fn file_hint(error: &PeftError) -> Option<&'static str> {
    use PeftError as E;
    Some(match error {
        E::NotAFile { .. } => {
            "an adapter folder contains adapter_config.json and adapter_model.safetensors; copy \
             the files themselves"
        }
        E::WrongType { .. } => {
            "load the original adapter: quantized adapter weights are not supported"
        }
        E::MissingKeys { .. } => {
            "the file belongs to another model, or its adapter_config.json names other \
             target_modules"
        }
        E::WrongShape { .. } => {
            "the adapter was made for another base model (see base_model_name_or_path in its \
             adapter_config.json)"
        }
        E::NotFinite { .. } => {
            "training diverged: load an earlier checkpoint, or train with a lower learning rate"
        }
        E::Malformed { .. } => {
            "adapter_config.json is written by `save`; a minimal one has peft_type, r and \
             target_modules"
        }
        _ => return None,
    })
}

/// A Python line that converts a pickle to safetensors without running the pickle's code.
fn conversion(folder: &str, file: &str) -> String {
    let target = format!("{folder}/adapter_model.safetensors");
    format!(
        "convert it in Python: import torch, safetensors.torch; \
         safetensors.torch.save_file(torch.load({:?}, weights_only=True), {target:?})",
        format!("{folder}/{file}")
    )
}
