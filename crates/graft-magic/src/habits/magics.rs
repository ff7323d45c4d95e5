//! Names of magics in other kernels, and names that resemble a magic.

/// The reply to such a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    /// Nothing to do; the text gives the reason.
    Note(&'static str),
    /// What to type instead.
    Hint(&'static str),
}

use Habit::{Hint, Note};

/// Names with their replies.
const HABITS: &[(&[&str], Habit)] = &[
    (&["matplotlib", "pylab", "plotly"], Note("no setup needed: plots are drawn below their cell")),
    (
        &[
            "load_ext",
            "reload_ext",
            "autoreload",
            "config",
            "autosave",
            "colors",
            "xmode",
            "autocall",
            "automagic",
            "pdb",
            "precision",
        ],
        Note("no setup needed: this setting of IPython has no counterpart here"),
    ),
    (
        &["pip", "conda", "mamba", "uv", "pip3"],
        Hint(
            "Rust cells use crates, not Python packages: `:dep NAME = \"1\"` adds one; `!pip install NAME` runs pip in the shell",
        ),
    ),
    (&["dep", "cargo", "crate"], Hint("`:dep NAME = \"1\"` adds a crate")),
    (
        &["load_model", "loadmodel", "from_pretrained", "pretrained", "models", "checkpoint"],
        Hint("did you mean `%model load tiny`?"),
    ),
    (
        &["qlora", "quantize", "load_in_4bit"],
        Hint("did you mean `%model load DIR load_in_4bit=true`? then `%lora attach r=8`"),
    ),
    (
        &["save_model", "save_pretrained", "save", "push_to_hub"],
        Hint("did you mean `%lora save DIR` (the adapter) or `%model save DIR` (the whole model)?"),
    ),
    (
        &["load_data", "load_dataset", "dataset", "datasets"],
        Hint("did you mean `%data load FILE`? `%data load which-book` loads a built-in set"),
    ),
    (
        &["peft", "adapter", "adapters", "attach", "get_peft_model", "rslora"],
        Hint("did you mean `%lora attach r=8`? `%lsmagic` lists all methods"),
    ),
    (&["load_adapter"], Hint("did you mean `%lora load DIR`?")),
    (&["merge", "merge_and_unload"], Hint("did you mean `%lora merge`?")),
    (
        &["fit", "finetune", "fine_tune", "sft", "trainer", "tune"],
        Hint("did you mean `%train steps=200`?"),
    ),
    (
        &["predict", "complete", "infer", "inference", "prompt", "ask", "sample"],
        Hint("did you mean `%generate \"PROMPT\"`?"),
    ),
    (&["score", "test", "perplexity", "accuracy", "metrics"], Hint("did you mean `%eval`?")),
    (
        &["loss", "curve", "curves", "tensorboard", "wandb"],
        Hint("did you mean `%runs`? `%plot RUN` draws the curves of a run"),
    ),
    (&["cuda", "gpu", "cpu"], Hint("did you mean `%device`?")),
    (&["tree", "summary", "modules", "print"], Hint("did you mean `%model tree`?")),
    (&["timeit", "prun", "profile"], Hint("did you mean `%time`?")),
    (&["who_ls", "variables", "vars_ls"], Hint("did you mean `%who`?")),
    (
        &["exit", "quit", "close", "shutdown"],
        Hint("the kernel menu of the notebook ends the kernel; `%reset` starts a new session"),
    ),
    (&["restart"], Hint("did you mean `%reset`?")),
    (
        &["clear", "cls"],
        Hint("the menu of the cell clears its output; `%reset` starts a new session"),
    ),
    (
        &[
            "ls", "cat", "mkdir", "rm", "cp", "mv", "head", "tail", "less", "more", "man", "ll",
            "rmdir", "tree_dir",
        ],
        Hint("begin the line with `!` to run it in the shell: `!ls`"),
    ),
    (
        &["python", "python3", "pypy", "ruby", "perl", "javascript", "js", "R"],
        Hint("cells contain Rust and magics; `%%bash` runs a script in the shell"),
    ),
    (
        &["html", "HTML", "latex", "markdown", "svg", "capture"],
        Hint("not available; in Rust, `lab().display(&value)` shows a value in its richest form"),
    ),
    (&["debug", "tb"], Hint("`%env RUST_BACKTRACE=1` adds a backtrace to the next panic")),
    (
        &["store", "macro", "recall", "rerun", "edit", "paste", "cpaste", "pastebin"],
        Hint("did you mean `%history`, `%run FILE` or `%load FILE`?"),
    ),
    (
        &["pinfo", "pdoc", "pdef", "info"],
        Hint("`%NAME?` explains a magic; Shift-Tab explains a name of Rust"),
    ),
];

/// Returns the reply to a magic that does not exist.
pub(crate) fn of(name: &str) -> Option<Habit> {
    HABITS.iter().find(|(names, _)| names.contains(&name)).map(|(_, habit)| *habit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verbs;

    #[test]
    fn no_habit_hides_a_magic_and_none_is_listed_twice() {
        let mut names: Vec<&str> =
            HABITS.iter().flat_map(|(names, _)| names.iter().copied()).collect();
        assert!(names.iter().all(|name| verbs::find(name).is_none()), "{names:?}");
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
