//! The keys of data sets.

use crate::{KeyKind, KeySpec};

/// Keys of `%data load` and `%%data`.
pub const DATA: &[KeySpec] = &[
    KeySpec {
        name: "name",
        aliases: &[],
        kind: KeyKind::Text,
        default: "",
        help: "name of the data set; without it the file name without its extension",
    },
    KeySpec {
        name: "format",
        aliases: &[],
        kind: KeyKind::Choice(&["auto", "jsonl", "json", "csv", "tsv", "txt", "parquet"]),
        default: "auto",
        help: "format of the file; auto detects it from the content, the extension and the first line",
    },
    KeySpec {
        name: "columns",
        aliases: &[],
        kind: KeyKind::List,
        default: "",
        help: "what each column is, as ROLE:COLUMN, such as columns=text:review,label:sentiment; roles: text, text_pair, label, prompt, input, completion, chosen, rejected, messages, tools, system, split",
    },
    KeySpec {
        name: "train",
        aliases: &[],
        kind: KeyKind::Path,
        default: "",
        help: "file or folder with the training examples, instead of SOURCE",
    },
    KeySpec {
        name: "validation",
        aliases: &[],
        kind: KeyKind::FloatOrPath { min: 0.0, max: 0.9 },
        default: "0.1",
        help: "fraction of the examples held out for validation if the data has no split of its own, or a file with the validation examples",
    },
    KeySpec {
        name: "test",
        aliases: &[],
        kind: KeyKind::FloatOrPath { min: 0.0, max: 0.9 },
        default: "0.1",
        help: "fraction of the examples held out for the test split, or a file with the test examples",
    },
    KeySpec {
        name: "limit",
        aliases: &["max_examples"],
        kind: KeyKind::Integer { min: 1, max: 1_000_000_000 },
        default: "",
        help: "examples to keep, of each split if the data has splits of its own; without it all",
    },
    KeySpec {
        name: "shuffle",
        aliases: &[],
        kind: KeyKind::Bool,
        default: "false",
        help: "put the examples into a random order, before limit takes the first ones",
    },
    KeySpec {
        name: "seed",
        aliases: &["split_seed"],
        kind: KeyKind::Integer { min: 0, max: i64::MAX },
        default: "0",
        help: "seed of the fractions held out and of shuffle",
    },
    KeySpec {
        name: "text",
        aliases: &[],
        kind: KeyKind::Choice(&["auto", "lines", "paragraphs", "running"]),
        default: "auto",
        help: "examples of a txt file: one per line, one per paragraph between blank lines, or pieces of running text; auto takes paragraphs if there are blank lines",
    },
    KeySpec {
        name: "skip_bad",
        aliases: &[],
        kind: KeyKind::Bool,
        default: "false",
        help: "skip rows that cannot be used, and report how many and why, instead of refusing the file",
    },
    KeySpec {
        name: "subset",
        aliases: &["config"],
        kind: KeyKind::Text,
        default: "",
        help: "configuration of a data set on the Hugging Face Hub, such as subset=sst2",
    },
    KeySpec {
        name: "revision",
        aliases: &[],
        kind: KeyKind::Text,
        default: "main",
        help: "branch, tag or commit of a data set on the Hugging Face Hub",
    },
    KeySpec {
        name: "template",
        aliases: &[],
        kind: KeyKind::Text,
        default: "",
        help: "prompt around the text of text/label data, with {text}, such as \"{text}\\nThis is from:\"; without it a language model reads \"{text}\\nLabel:\" and an encoder the text alone; {text_pair} is the second text of a pair, {prompt} and {input} are those of instructions",
    },
    KeySpec {
        name: "chat_template",
        aliases: &["chat_template_path"],
        kind: KeyKind::Text,
        default: "",
        help: "chat template of conversations: a name (chatml, llama3, gemma, mistral, zephyr, plain, or one of the model's) or a .jinja file; without it the model's own",
    },
];
