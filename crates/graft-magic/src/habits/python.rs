//! Recognizes pasted Python code and suggests the equivalent magic or Rust line.

use graft_protocol::Snapshot;

use crate::parse_cell;

/// Words that only begin a statement in Python.
const STATEMENTS: &[&str] = &[
    "import", "def", "class", "elif", "except", "raise", "assert", "del", "global", "nonlocal",
    "with", "lambda",
];
/// Words that begin a statement in both languages; in Python the line ends with a colon.
const BLOCKS: &[&str] =
    &["for", "while", "if", "else", "try", "finally", "with", "def", "class", "elif", "except"];
/// Names of variables whose methods pasted Python calls.
const OBJECTS: &[&str] = &[
    "model",
    "peft_model",
    "trainer",
    "tokenizer",
    "torch",
    "np",
    "pd",
    "plt",
    "dataset",
    "os",
    "sys",
    "json",
    "random",
    "math",
    "nn",
    "F",
    "pipe",
];

/// Returns whether the first line of a statement is Python and cannot be Rust.
pub(super) fn is_statement(line: &str) -> bool {
    let first =
        line.split(|next: char| !next.is_alphanumeric() && next != '_').next().unwrap_or_default();
    let rest = line.get(first.len()..).unwrap_or_default();
    let names_something = rest.starts_with(' ')
        && rest
            .trim_start()
            .starts_with(|next: char| next.is_alphanumeric() || matches!(next, '_' | '"' | '\''));
    let code = line.split(" #").next().unwrap_or(line);
    // A Rust comment may end with a colon.
    let code = code.split("//").next().unwrap_or(code).trim_end();
    let opens_block = code.ends_with(':')
        && !code.ends_with("::")
        && !code.contains('{')
        && BLOCKS.contains(&first);
    let is_decorator = line
        .strip_prefix('@')
        .is_some_and(|name| name.starts_with(|next: char| next.is_alphabetic()));
    names_something && STATEMENTS.contains(&first)
        || first == "from" && line.contains(" import ")
        || opens_block
        || is_decorator
        || line.starts_with("\"\"\"")
        || has_format_string(line)
}

/// Returns whether a line contains a string with the prefix `f`, which Rust reserves. The search
/// ends at raw strings and comments.
fn has_format_string(line: &str) -> bool {
    let mut rest = line;
    let mut before = ' ';
    while let Some(next) = rest.chars().next() {
        let is_prefix = !(before.is_alphanumeric() || before == '_');
        if is_prefix && rest.starts_with("f\"") {
            return true;
        }
        if rest.starts_with("//")
            || rest.starts_with("/*")
            || is_prefix && (rest.starts_with("r\"") || rest.starts_with("r#"))
        {
            return false;
        }
        let taken = match next {
            '"' => literal_end(rest, '"'),
            // A character literal; of a lifetime only the quote.
            '\'' if rest.chars().nth(1) == Some('\\') || rest.chars().nth(2) == Some('\'') => {
                literal_end(rest, '\'')
            }
            _ => next.len_utf8(),
        };
        before = next;
        rest = rest.get(taken..).unwrap_or_default();
    }
    false
}

/// Returns the length of a literal with its quotes; the whole text if it is unclosed.
fn literal_end(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (place, next) in text.char_indices().skip(1) {
        match next {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if next == quote => return place + next.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// Returns whether a line is Python unless its first name is defined in Rust: an assignment without
/// `let`, a call of `print`, a method of `model`.
pub(super) fn is_expression(line: &str) -> bool {
    let name_end =
        line.find(|next: char| !next.is_alphanumeric() && next != '_').unwrap_or(line.len());
    let (name, rest) = line.split_at(name_end);
    let after = rest.trim_start();
    let assigns = after.starts_with('=') && !after.starts_with("==") && !after.starts_with("=>");
    assigns
        || name == "print" && rest.starts_with('(')
        || OBJECTS.contains(&name) && rest.starts_with('.') && !is_rust_chain(rest)
        || FUNCTIONS.contains(&name) && rest.starts_with('(')
        || config(line).is_some()
}

/// Functions of PEFT and transformers that are called without an object.
const FUNCTIONS: &[&str] =
    &["get_peft_model", "prepare_model_for_kbit_training", "load_dataset", "pipeline", "set_seed"];

/// Returns whether the calls after a name are Rust: `?` and closures do not exist in Python.
fn is_rust_chain(rest: &str) -> bool {
    let rest = rest.trim_end_matches(';').trim_end();
    rest.contains("?.") || rest.ends_with('?') || rest.contains("::") || rest.contains('|')
}

/// Returns whether a line is a call with the named arguments of Python, such as `(steps=10)`.
pub(super) fn has_named_arguments(arguments: &str) -> bool {
    let inside = arguments.trim_end_matches(';').trim_end();
    let Some(inside) = inside.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) else {
        return false;
    };
    inside.split(',').all(|one| {
        one.split_once('=').is_some_and(|(name, value)| {
            let name = name.trim();
            name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
                && name.chars().all(|next| next.is_ascii_alphanumeric() || next == '_')
                && !value.starts_with(['=', '>'])
        })
    })
}

/// Configuration classes, each with the magic that takes its arguments.
const CONFIGS: &[(&str, &str)] = &[
    ("AdaLoraConfig", "%adalora attach"),
    ("LoraConfig", "%lora attach"),
    ("VeraConfig", "%vera attach"),
    ("LoHaConfig", "%loha attach"),
    ("LoKrConfig", "%lokr attach"),
    ("OFTConfig", "%oft attach"),
    ("IA3Config", "%ia3 attach"),
    ("LNTuningConfig", "%ln_tuning attach"),
    ("PromptTuningConfig", "%prompt_tune attach"),
    ("PromptEncoderConfig", "%p_tune attach"),
    ("PrefixTuningConfig", "%prefix_tune attach"),
    ("TrainableTokensConfig", "%trainable_tokens attach"),
    ("Seq2SeqTrainingArguments", "%train"),
    ("TrainingArguments", "%train"),
    ("SFTConfig", "%train"),
];

/// Calls, each with the equivalent magic.
const CALLS: &[(&str, &str)] = &[
    ("AutoTokenizer", "`%model load DIR` loads the tokenizer with the model"),
    ("get_peft_model", "`%lora attach r=8` attaches an adapter to the current model"),
    (
        "prepare_model_for_kbit_training",
        "`%model load DIR load_in_4bit=true` quantizes the weights; nothing more is needed",
    ),
    ("print_trainable_parameters", "`%params` shows the trainable parameters"),
    (
        "merge_and_unload",
        "`%lora merge` adds the adapter to the weights, `%model save DIR` writes them",
    ),
    ("save_pretrained", "`%lora save DIR` writes the adapter, `%model save DIR` the whole model"),
    ("push_to_hub", "`%lora save DIR` writes the files that the Hub expects"),
    (".evaluate(", "`%eval` evaluates the model"),
    (".eval(", "no mode to set: `%eval` evaluates the model"),
    (".train(", "`%train steps=200` trains the active adapter"),
    (".generate(", "`%generate \"PROMPT\"` continues a text"),
    ("pipeline(", "`%generate \"PROMPT\"` continues a text"),
    (
        ".backward(",
        "`%train steps=200` trains the active adapter; in Rust, `loss.backward()?` gives the gradients",
    ),
    (".to(\"cuda", "`%device cuda` moves the model to the GPU"),
    (".cuda(", "`%device cuda` moves the model to the GPU"),
    ("manual_seed", "`%seed 7` sets the seed"),
    ("set_seed", "`%seed 7` sets the seed"),
    ("plt.", "plots are drawn below their cell; `%plot RUN` draws the curves of a run"),
];

/// Python modules, each with its replacement.
const MODULES: &[(&str, &str)] = &[
    ("torch", "tensors are candle's: `use candle_core::Tensor;`; `%train steps=200` trains"),
    ("transformers", "`%model load DIR` loads a model, `%generate \"PROMPT\"` continues a text"),
    ("peft", "`%lora attach r=8` attaches an adapter; `%lsmagic` lists all methods"),
    ("trl", "`%train steps=200` trains on the current data"),
    ("datasets", "`%data load FILE` loads examples, `%data load which-book` a built-in set"),
    ("bitsandbytes", "`%model load DIR load_in_4bit=true` quantizes the weights"),
    ("accelerate", "`%train steps=200` uses all cores; `%device cuda` a GPU"),
    ("numpy", "tensors are candle's: `use candle_core::Tensor;`"),
    ("pandas", "`%data load FILE` loads examples; `:dep polars = \"0.51\"` adds data frames"),
    ("matplotlib", "plots are drawn below their cell; `%plot RUN` draws the curves of a run"),
    ("json", "`use serde_json::json;` works without `:dep`"),
    ("os", "`use std::env;` and `use std::fs;` do the same in Rust"),
    ("pathlib", "`use std::path::Path;` does the same in Rust"),
    ("random", "`%seed 7` sets the seed; `:dep rand = \"0.9\"` adds random numbers"),
    ("time", "`%time %eval` measures a line, `%%time` a cell"),
    ("math", "numbers have these functions as methods in Rust: `2f64.sqrt()`"),
];

/// Returns the hint for a cell of Python: the equivalent magic or Rust line.
pub(super) fn next_step(code: &str, line: &str) -> String {
    if let Some(magic) = config(code) {
        return format!("did you mean `{magic}`?");
    }
    if let Some(source) = argument(code, "from_pretrained(")
        .filter(|_| !code.contains("AutoTokenizer") || code.contains("AutoModel"))
    {
        return format!("did you mean `%model load {source}`?");
    }
    if let Some(source) = argument(code, "load_dataset(") {
        return format!(
            "did you mean `%data load {source}`? it takes a jsonl, csv, txt or parquet file, or a data set of the Hub"
        );
    }
    if let Some((_, step)) = CALLS.iter().find(|(call, _)| code.contains(call)) {
        return (*step).to_owned();
    }
    if let Some(step) = imported(code) {
        return step.to_owned();
    }
    in_rust(line)
}

/// Returns the magic for a configuration such as `LoraConfig(r=8, ...)`.
fn config(code: &str) -> Option<String> {
    let (name, magic) = CONFIGS.iter().find(|(name, _)| code.contains(&format!("{name}(")))?;
    let inside = code.split_once(&format!("{name}("))?.1;
    let arguments = one_line(inside);
    // `use_dora=True` selects another method.
    let is_dora = *magic == "%lora attach" && arguments.contains("use_dora=True");
    let magic = if is_dora { "%dora attach" } else { magic };
    let whole = format!("{magic} {arguments}");
    let is_understood = parse_cell(&whole, &Snapshot::default()).is_ok()
        && !arguments.is_empty()
        && !arguments.contains('`');
    Some(if is_understood { whole } else { magic.to_owned() })
}

/// Returns the arguments of a call up to its closing bracket, on one line and without comments.
fn one_line(inside: &str) -> String {
    let mut text = String::new();
    let (mut depth, mut quote) = (0usize, None);
    let mut chars = inside.chars().peekable();
    while let Some(next) = chars.next() {
        match (next, quote) {
            ('#', None) => {
                while chars.next_if(|next| *next != '\n').is_some() {}
                continue;
            }
            ('"' | '\'', None) => quote = Some(next),
            (end, Some(open)) if end == open => quote = None,
            ('(' | '[' | '{', None) => depth += 1,
            (')', None) if depth == 0 => break,
            (')' | ']' | '}', None) => depth = depth.saturating_sub(1),
            _ => {}
        }
        text.push(if next == '\n' { ' ' } else { next });
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ").trim_end_matches(',').to_owned()
}

/// Returns the first argument of a call, if it is a string without spaces.
fn argument<'a>(code: &'a str, call: &str) -> Option<&'a str> {
    let inside = code.split_once(call)?.1.trim_start();
    let quote = inside.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let text = inside.get(1..)?.split_once(quote)?.0;
    (!text.is_empty()
        && text.chars().all(|next| next.is_ascii_alphanumeric() || "-_./".contains(next)))
    .then_some(text)
}

/// Returns the replacement of the first imported module.
fn imported(code: &str) -> Option<&'static str> {
    let name = code.lines().find_map(|line| {
        line.trim_start()
            .strip_prefix("import ")
            .or_else(|| line.trim_start().strip_prefix("from "))
    })?;
    let module =
        name.trim_start().split(|next: char| !next.is_alphanumeric() && next != '_').next()?;
    let step = MODULES.iter().find(|(known, _)| *known == module).map(|(_, step)| *step);
    Some(step.unwrap_or(
        "Rust imports with `use std::collections::HashMap;`, and `:dep NAME = \"1\"` adds a crate",
    ))
}

/// Translates a line of Python to Rust.
fn in_rust(line: &str) -> String {
    let first =
        line.split(|next: char| !next.is_alphanumeric() && next != '_').next().unwrap_or_default();
    match first {
        "print" => printed(line),
        "def" => "a function in Rust: `fn name(x: f64) -> f64 { x * 2.0 }`".to_owned(),
        "class" => "a type in Rust: `struct Name { field: f64 }`".to_owned(),
        "for" => "a loop in Rust: `for i in 0..10 { println!(\"{i}\"); }`".to_owned(),
        "while" | "if" | "else" | "elif" => "blocks are in braces in Rust: `if x > 0 { println!(\"{x}\"); }`".to_owned(),
        "with" | "try" | "except" | "finally" | "raise" => {
            "errors are values in Rust: `std::fs::read_to_string(\"FILE\")?` stops the cell with its message".to_owned()
        }
        "assert" => "in Rust: `assert_eq!(a, b);`".to_owned(),
        _ if line.contains('=') && !has_format_string(line) => format!("did you mean `let {};`?", boolean(line.trim_end_matches(';'))),
        _ => "`println!(\"{x}\");` prints in Rust; `%lsmagic` lists the magics".to_owned(),
    }
}

/// Translates `print(...)` to a macro call.
fn printed(line: &str) -> String {
    let inside = line.trim_start_matches("print").trim().trim_end_matches(';');
    let inside =
        inside.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or(inside).trim();
    let text =
        inside.strip_prefix('f').filter(|rest| rest.starts_with(['"', '\''])).unwrap_or(inside);
    let quoted = [('"'), ('\'')]
        .iter()
        .find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote))
        .filter(|text| !text.contains(['"', '\'']));
    match quoted {
        Some(text) => format!("did you mean `println!(\"{text}\");`?"),
        None if !inside.is_empty()
            && inside.chars().all(|next| next.is_alphanumeric() || next == '_') =>
        {
            format!("did you mean `println!(\"{{{inside}:?}}\");`?")
        }
        None => "`println!(\"{x:?}\");` prints a value in Rust".to_owned(),
    }
}

/// Replaces Python's constants by those of Rust.
fn boolean(line: &str) -> String {
    match line.split_once('=') {
        Some((name, value)) if matches!(value.trim(), "True" | "False") => {
            format!("{name}= {}", value.trim().to_lowercase())
        }
        _ => line.to_owned(),
    }
}
