//! Errors of attaching, changing, combining, saving and loading adapters.

mod convert;
mod hint;
use graft_nn::{NnError, Role, message::first_names, tensor_file::TensorFileError};
use graft_spec::{Failure, SpecError};
use std::path::PathBuf;

/// Why an adapter cannot be attached, changed, combined, saved or loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeftError {
    /// No method has this name.
    #[error("unknown method `{method}`")]
    UnknownMethod {
        /// The name.
        method: String,
    },
    /// A target matches no layer.
    #[error("no layer of `{model}` matches target `{target}`")]
    NoMatch {
        /// The base model.
        model: String,
        /// The target.
        target: String,
        /// The module name that is closest in spelling.
        nearest: Option<String>,
        /// Names of the available modules, without duplicates.
        modules: Vec<String>,
    },
    /// A target or pattern is not a valid regular expression.
    #[error("`{pattern}` is not a valid regular expression: {problem}")]
    BadPattern {
        /// The pattern.
        pattern: String,
        /// What is wrong.
        problem: String,
    },
    /// A field contains more regular expressions than are compiled.
    #[error("`{field}` has {found} regular expressions; at most {most} are allowed")]
    TooManyPatterns {
        /// The field.
        field: String,
        /// Their number.
        found: usize,
        /// The limit.
        most: usize,
    },
    /// A key of `rank_pattern` or `alpha_pattern` matches no layer of the adapter.
    #[error("`{pattern}` in `{field}` matches no layer of the adapter")]
    UnmatchedPattern {
        /// The pattern.
        pattern: String,
        /// The field.
        field: &'static str,
        /// Path of a layer of the adapter, as an example.
        example: String,
    },
    /// An item of `rank_pattern` or `alpha_pattern` does not have the form `MODULE:NUMBER`.
    #[error("`{item}` in `{key}` must be a module and {expected}, such as `q_proj:16`")]
    InvalidPatternItem {
        /// The item.
        item: String,
        /// The key.
        key: &'static str,
        /// `a rank` or `a number`.
        expected: &'static str,
    },
    /// An item of a list of whole numbers is something else.
    #[error("`{item}` in `{key}` is not a whole number")]
    InvalidNumber {
        /// The item.
        item: String,
        /// The key.
        key: &'static str,
    },
    /// A list of numbers and ranges is too long.
    #[error("`{key}` names more than {most} numbers")]
    TooManyNumbers {
        /// The key.
        key: &'static str,
        /// The limit.
        most: u64,
    },
    /// `target_modules` is an empty list.
    #[error("`target_modules` is empty")]
    NoTargets {
        /// The default targets of the model.
        defaults: Vec<String>,
    },
    /// A configuration leaves the targets to HF PEFT's defaults, which do not cover this family.
    #[error("`{field}` is null, and HF PEFT has no default for `{family}` models")]
    NoDefaultTargets {
        /// `target_modules` or `feedforward_modules`.
        field: String,
        /// The model family.
        family: String,
    },
    /// Keys that exclude layers exclude all of them.
    #[error("no layer of `{model}` is left to adapt: {keys} excludes all targets")]
    AllExcluded {
        /// The base model.
        model: String,
        /// The keys that exclude layers.
        keys: &'static str,
    },
    /// `layers_to_transform` names a block that the model does not have.
    #[error("`layers_to_transform` names block {block}, but `{model}` has {blocks} blocks")]
    NoSuchBlock {
        /// The base model.
        model: String,
        /// The number of the block.
        block: usize,
        /// Number of blocks in the model.
        blocks: usize,
    },
    /// A target of a method for linear layers is an embedding or a norm.
    #[error("`{path}` is not a linear layer ({role}), and this method adapts only linear layers")]
    NotLinear {
        /// The layer.
        path: String,
        /// Its role.
        role: Role,
        /// Names of the linear layers, without duplicates.
        modules: Vec<String>,
    },
    /// A name in `modules_to_save` is not a module of the model.
    #[error("`{name}` in modules_to_save is not a module of `{model}`")]
    NoSuchModule {
        /// The name.
        name: String,
        /// The base model.
        model: String,
        /// Names of the modules, without duplicates.
        modules: Vec<String>,
    },
    /// A name in `feedforward_modules` is not a target.
    #[error("`{name}` in feedforward_modules is not among the target_modules")]
    NotATarget {
        /// The name.
        name: String,
    },
    /// The layers whose biases are to be trained have none.
    #[error("{setting} trains nothing: the selected layers of `{model}` have no bias")]
    NoBias {
        /// `bias=...`, or `BitFit`.
        setting: String,
        /// The base model.
        model: String,
    },
    /// The rank is larger than the smaller side of a layer.
    #[error("r = {r} is larger than the smaller side of `{path}` ({d_out} × {d_in})")]
    RankTooLarge {
        /// The rank.
        r: usize,
        /// The layer.
        path: String,
        /// Width of its input.
        d_in: usize,
        /// Width of its output.
        d_out: usize,
    },
    /// SHiRA's rank asks for more weights than a layer has.
    #[error("r = {r} selects {wanted} weights of `{path}`, which has {available}")]
    SparseRankTooLarge {
        /// The rank.
        r: usize,
        /// The layer.
        path: String,
        /// Number of weights that the rank selects.
        wanted: usize,
        /// Number of weights in the layer.
        available: usize,
        /// The largest possible rank.
        most: usize,
    },
    /// A layer is too large for SHiRA's random selection.
    #[error("`{path}` has {weights} weights; SHiRA selects among at most {most}")]
    LayerTooLarge {
        /// The layer.
        path: String,
        /// Number of its weights.
        weights: usize,
        /// The limit.
        most: usize,
    },
    /// The indices in a SHiRA file do not fit the layer.
    #[error("`{key}` contains indices outside the weight of `{path}` ({d_out} × {d_in})")]
    InvalidIndices {
        /// Key of the indices.
        key: String,
        /// The layer.
        path: String,
        /// Width of its input.
        d_in: usize,
        /// Width of its output.
        d_out: usize,
    },
    /// AdaLoRA's target rank is above its initial rank.
    #[error("target_r = {target_r} is above init_r = {init_r}: AdaLoRA only removes ranks")]
    TargetRankTooLarge {
        /// The target rank.
        target_r: usize,
        /// The initial rank.
        init_r: usize,
    },
    /// OFT's `r` and `oft_block_size` are both positive, or neither is.
    #[error("exactly one of `r` (number of blocks) and `oft_block_size` must be positive")]
    OftBlocks,
    /// OFT's blocks do not divide a layer's input.
    #[error("{key} = {number} does not split `{path}` ({width} inputs) into blocks of 2 or more")]
    OftBlockSize {
        /// `r` or `oft_block_size`.
        key: &'static str,
        /// Its value.
        number: usize,
        /// The layer.
        path: String,
        /// Width of its input.
        width: usize,
    },
    /// An initialization needs an even rank.
    #[error("init_lora_weights=orthogonal needs an even rank, got r = {r}")]
    OddRank {
        /// The rank.
        r: usize,
    },
    /// An initialization divides by the scaling, which is not positive.
    #[error("init_lora_weights={init} needs a lora_alpha above 0")]
    NoScale {
        /// Name of the initialization.
        init: String,
    },
    /// A key is given without the value of another key that it needs.
    #[error("`{key}` needs {needs}")]
    RequiresKey {
        /// The key.
        key: &'static str,
        /// The other key with its value.
        needs: &'static str,
    },
    /// EVA has no data set to read.
    #[error("init_lora_weights=eva reads the inputs of the layers, but no data set is loaded")]
    NoData,
    /// The data set is too small for EVA.
    #[error("{batches} batches of the data contain too few tokens for {components} components")]
    LittleData {
        /// Number of batches that were read.
        batches: u64,
        /// Number of components wanted.
        components: usize,
    },
    /// LoftQ has no original weights to compare with.
    #[error("init_lora_weights=loftq needs a model that was loaded from a folder")]
    NoOriginals,
    /// LoftQ is asked to initialize a layer that is not quantized.
    #[error("init_lora_weights=loftq needs quantized weights, but `{path}` is not quantized")]
    NotPacked {
        /// The layer.
        path: String,
    },
    /// A quantized weight cannot be trained.
    #[error("`{path}` is quantized, and quantized weights cannot be trained")]
    Packed {
        /// The weight.
        path: String,
    },
    /// `prompt_tuning_init=TEXT` without a text, or with one that has no tokens.
    #[error("prompt_tuning_init=TEXT needs prompt_tuning_init_text with at least one token")]
    MissingPromptText,
    /// A soft prompt is to be initialized from a text, and the model has no tokenizer.
    #[error("prompt_tuning_init=TEXT needs a model with a tokenizer")]
    MissingTokenizer,
    /// A soft prompt fills the model's context.
    #[error("{count} virtual tokens leave no room in the model's context of {positions} tokens")]
    PromptTooLong {
        /// Number of virtual tokens.
        count: usize,
        /// Length of the context.
        positions: usize,
    },
    /// A trainable token is not in the vocabulary.
    #[error("token {token} is outside the vocabulary of {vocab} tokens")]
    NoSuchToken {
        /// The token.
        token: u64,
        /// Size of the vocabulary.
        vocab: usize,
    },
    /// `token_indices` is empty.
    #[error("`token_indices` is empty, so there is nothing to train")]
    NoTokens,
    /// The adapter is already merged.
    #[error("`{adapter}` is already merged")]
    AlreadyMerged {
        /// The adapter.
        adapter: String,
        /// Name of its method.
        verb: &'static str,
    },
    /// The adapter is not merged.
    #[error("`{adapter}` is not merged")]
    NotMerged {
        /// The adapter.
        adapter: String,
        /// Name of its method.
        verb: &'static str,
    },
    /// Another adapter is merged into the same layer.
    #[error("adapter `{other}` is already merged into `{path}`; a layer takes only one merge")]
    OtherMerged {
        /// The other adapter.
        other: String,
        /// The layer.
        path: String,
    },
    /// The method does not compute a weight update.
    #[error("this method does not compute a weight update, so it cannot be merged")]
    NotMergeable,
    /// The embedding shares its weight with the head or another module.
    #[error("merging would also change the modules that share the weight of the embedding")]
    TiedEmbedding,
    /// The scale is not finite.
    #[error("the scale must be a finite number, got {factor}")]
    InvalidScale {
        /// The scale.
        factor: f64,
    },
    /// The adapter's effect is not a sum that can be scaled.
    #[error("`{adapter}` cannot be scaled: {reason}")]
    NotScalable {
        /// The adapter.
        adapter: String,
        /// Why its effect has no scale.
        reason: &'static str,
        /// Name of its method.
        verb: &'static str,
    },
    /// A merged adapter cannot be combined.
    #[error("`{adapter}` is merged into the base model")]
    CombinesMerged {
        /// The adapter.
        adapter: String,
        /// Name of its method.
        verb: &'static str,
    },
    /// An adapter that trains more than updates of linear layers cannot be combined.
    #[error("`{adapter}` adapts `{path}`, and only updates of linear layers can be combined")]
    NotCombinable {
        /// The adapter.
        adapter: String,
        /// The layer that is not linear.
        path: String,
    },
    /// The weights of a combination are not one finite number for each adapter.
    #[error("weights={weights} does not fit {adapters} adapters")]
    CombinationWeights {
        /// The weights.
        weights: String,
        /// Number of adapters.
        adapters: usize,
    },
    /// No adapter of a combination updates a linear layer.
    #[error("there is nothing to combine: none of the named adapters updates a linear layer")]
    NothingToCombine,
    /// The folder of the adapter does not exist.
    #[error("the adapter folder `{}` does not exist", .0.display())]
    MissingFolder(PathBuf),
    /// A file of the adapter is missing.
    #[error("`{}` has no {file}", folder.display())]
    MissingFile {
        /// The folder.
        folder: PathBuf,
        /// The file.
        file: String,
        /// What to do.
        hint: String,
    },
    /// A file of the adapter has invalid contents.
    #[error("`{}`: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The adapter uses a feature that is not implemented and that changes its output.
    #[error("the adapter in `{}` uses {feature}, which Graft does not support", folder.display())]
    Unsupported {
        /// The folder.
        folder: PathBuf,
        /// Such as `use_dora` or `the method HIRA`.
        feature: String,
    },
    /// The weights are pickled Python objects.
    #[error("`{file}` in `{}` is a Python pickle, which can run arbitrary code, so Graft does not read it", folder.display())]
    Pickled {
        /// The folder.
        folder: PathBuf,
        /// The file.
        file: String,
    },
    /// The path is a folder, a pipe or a device.
    #[error("`{}` is not a regular file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The file lacks weights that the adapter needs.
    #[error("{} of the {expected} weights that the adapter needs are not in `{}`: {}", names.len(), path.display(), first_names(names, 3))]
    MissingKeys {
        /// The file.
        path: PathBuf,
        /// Their names.
        names: Vec<String>,
        /// Number of weights that the adapter needs.
        expected: usize,
    },
    /// The shape of a weight does not fit this model.
    #[error("`{name}` in `{}` has shape {found:?}, but this model needs {expected:?}", path.display())]
    WrongShape {
        /// The file, or another source of the weight.
        path: PathBuf,
        /// Name of the weight.
        name: String,
        /// For this model.
        expected: Vec<usize>,
        /// In the file.
        found: Vec<usize>,
    },
    /// A weight is not stored in a floating-point type.
    #[error("`{name}` in `{}` is stored as {found}, but the weights of an adapter must be floating-point numbers", path.display())]
    WrongType {
        /// The file, or another source of the weight.
        path: PathBuf,
        /// Name of the weight.
        name: String,
        /// Its type in the file.
        found: &'static str,
    },
    /// The adapter was trained after its vocabulary had been resized.
    #[error("`{name}` in `{}` is for {found} tokens, but this model has {vocab}: the adapter was trained after its vocabulary had been resized", path.display())]
    ResizedVocabulary {
        /// The file.
        path: PathBuf,
        /// Name of the weight.
        name: String,
        /// Tokens of the adapter's vocabulary.
        found: usize,
        /// Tokens of the model's vocabulary.
        vocab: usize,
    },
    /// A tensor exceeds the available memory, or the size of the file.
    #[error("{what} with shape {shape:?} {problem}")]
    TooLarge {
        /// Weight and layer.
        what: String,
        /// The shape asked for.
        shape: Vec<usize>,
        /// What it exceeds.
        problem: String,
        /// What to do.
        hint: String,
    },
    /// A weight is NaN or infinite.
    #[error("`{name}` contains NaN or infinite numbers")]
    NotFinite {
        /// Name of the weight.
        name: String,
    },
    /// An operation of the file system failed.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The name of an adapter is not a valid folder name.
    #[error("`{name}` is not a valid adapter name")]
    InvalidName {
        /// The name.
        name: String,
    },
    /// Training data or original weights for an initialization cannot be read.
    #[error("{}", .0.message)]
    InitData(Failure),
    /// A key has an invalid value.
    #[error(transparent)]
    Settings(#[from] SpecError),
    /// A safetensors file cannot be read or written.
    #[error(transparent)]
    File(#[from] TensorFileError),
    /// A layer failed.
    #[error(transparent)]
    Layer(#[from] NnError),
}
