use graft_protocol::Snapshot;

use super::*;
use crate::parse_cell;

/// Returns the name whose definition would make the text Rust, and the hint.
fn found(code: &str) -> (Option<String>, String) {
    let found = not_rust(code).unwrap_or_else(|| panic!("not recognized: {code}"));
    let hint = match found.answer {
        Ok(kind) => format!("{kind:?}"),
        Err(failure) => failure.hint.expect("a hint"),
    };
    (found.unless_defined, hint)
}

#[test]
fn calls_that_are_rust_only_with_a_name_of_the_user_get_a_hint() {
    for (code, name, hint) in [
        ("train(steps=10)", "train", "did you mean `%train steps=10`?"),
        ("lora(r=8, lora_alpha=16);", "lora", "did you mean `%lora r=8, lora_alpha=16`?"),
        (
            "get_peft_model(model, config)",
            "get_peft_model",
            "`%lora attach r=8` attaches an adapter to the current model",
        ),
        (
            "model.adapter(\"default\")?.set_scale(0.5)?;",
            "model",
            "`let model = lab().model()?;` defines it",
        ),
    ] {
        assert_eq!(found(code), (Some(name.to_owned()), hint.to_owned()), "{code}");
    }
    assert!(not_rust("train(10)").is_none() && not_rust("train(a == b)").is_none());
}

#[test]
fn text_that_cannot_be_rust_gets_one_hint() {
    for (code, hint) in [
        ("lora attach r=8", "did you mean `%lora attach r=8`?"),
        ("train steps=200", "did you mean `%train steps=200`?"),
        ("generate \"Say\"", "did you mean `%generate \"Say\"`?"),
        ("data load which-book", "did you mean `%data load which-book`?"),
        ("let a = 1;\nmodel load tiny", "did you mean `%model load tiny`?"),
        (
            "pip install torch",
            "`:dep NAME = \"1\"` adds a crate to Rust cells; `!pip install torch` runs the line in the shell",
        ),
        ("git clone https://x", "did you mean `!git clone https://x`?"),
        ("cd data", "did you mean `%cd data`?"),
        (
            "import torch",
            "tensors are candle's: `use candle_core::Tensor;`; `%train steps=200` trains",
        ),
        (
            "from peft import get_peft_model",
            "`%lora attach r=8` attaches an adapter to the current model",
        ),
        (
            "from peft import PeftModel",
            "`%lora attach r=8` attaches an adapter; `%lsmagic` lists all methods",
        ),
        (
            "import zlib",
            "Rust imports with `use std::collections::HashMap;`, and `:dep NAME = \"1\"` adds a crate",
        ),
        (
            "for i in range(3):\n    print(i)",
            "a loop in Rust: `for i in 0..10 { println!(\"{i}\"); }`",
        ),
        ("def f(x):\n    return x", "a function in Rust: `fn name(x: f64) -> f64 { x * 2.0 }`"),
        ("print(f\"loss {loss}\")", "did you mean `println!(\"loss {loss}\");`?"),
        ("x = f\"a {b}\"", "`println!(\"{x}\");` prints in Rust; `%lsmagic` lists the magics"),
        (
            "if x > 1:  # large\n    y = 2",
            "blocks are in braces in Rust: `if x > 0 { println!(\"{x}\"); }`",
        ),
    ] {
        assert_eq!(found(code), (None, hint.to_owned()), "{code}");
    }
}

#[test]
fn text_that_a_definition_makes_rust_names_it() {
    for (code, name, hint) in [
        ("help", "help", "did you mean `%help`?"),
        ("status();", "status", "did you mean `%status`?"),
        ("lora?", "lora", "Host(Help { verb: \"lora\" })"),
        (
            "exit()",
            "exit",
            "the kernel menu of the notebook ends the kernel; `%reset` starts a new session",
        ),
        (
            "quit",
            "quit",
            "the kernel menu of the notebook ends the kernel; `%reset` starts a new session",
        ),
        ("print(\"x\")", "print", "did you mean `println!(\"x\");`?"),
        ("print(loss)", "print", "did you mean `println!(\"{loss:?}\");`?"),
        ("model.train()", "model", "`%train steps=200` trains the active adapter"),
        ("x = 5", "x", "did you mean `let x = 5;`?"),
        ("ready = True", "ready", "did you mean `let ready = true;`?"),
        (
            "model = AutoModelForCausalLM.from_pretrained(\"gpt2\")",
            "model",
            "did you mean `%model load gpt2`?",
        ),
        (
            "config = LoraConfig(\n    r=8,  # rank\n    target_modules=[\"q_proj\", \"v_proj\"],\n    task_type=\"CAUSAL_LM\",\n)",
            "config",
            "did you mean `%lora attach r=8, target_modules=[\"q_proj\", \"v_proj\"], task_type=\"CAUSAL_LM\"`?",
        ),
        (
            "LoraConfig(r=8, use_dora=True)",
            "LoraConfig",
            "did you mean `%dora attach r=8, use_dora=True`?",
        ),
        (
            "args = TrainingArguments(output_dir=\"out\", learning_rate=1e-3, max_steps=100)",
            "args",
            "did you mean `%train output_dir=\"out\", learning_rate=1e-3, max_steps=100`?",
        ),
        ("ls -l", "ls", "did you mean `!ls -l`?"),
        ("cd ..", "cd", "did you mean `%cd ..`?"),
    ] {
        assert_eq!(found(code), (Some(name.to_owned()), hint.to_owned()), "{code}");
    }
}

/// Rust code that resembles Python, a magic or a shell line.
const RUST: &[&str] = &[
    "let help = 1;\nhelp",
    "data as f64",
    "seed as u8 + 1",
    "_ = f();",
    "let x = a\n% b;",
    "let x = match y { _ => 1 }\n    % lora;",
    "for i in 0..3 { println!(\"{i}\"); }",
    "if a { b } else { c }",
    "'outer: loop { break 'outer; }",
    "match x {\n    1 => a,\n    _ => b,\n}",
    "loop {}",
    "union U { a: u8 }",
    "async { 1 }",
    "unsafe { f() }",
    "println!(\"import torch from x:\");",
    "let s = \"\nimport torch\ndef f(x):\n\";",
    "/*\nimport torch\n*/\n1",
    "// import torch\nlet x = 1;",
    "let x:\n    i32 = 5;",
    "f(\n    import,\n)",
    "let v = vec![\n    train,\n    eval,\n];",
    "fn train(steps: u32) {}\ntrain(3)",
    "lab().load_model(\"tiny\")?",
    "a == b",
    "1 + 1",
    "\"f\".len()",
    "let c = 'f';\n\"x\".to_owned()",
    "b\"bytes\"",
    "let c = '\"'; let s = \"f\";",
    "(\"\\\\\", \"f\")",
    "r\"a\" == \"f\"",
    "1 /* f\"x\" */",
    "g('\\'', \"f\")",
    "#[derive(Debug)]\nstruct A;",
    "macro_rules! m { () => {} }",
    "use std::fs;\nfs::read(\"x\")?",
    "x.train()",
    "static mut N: i32 = 0;",
    "return;",
    "(a, b) = (b, a);",
    "*x = 5;",
    "x += 1;",
    "self::f()",
    "r#type",
];

#[test]
fn rust_stays_rust() {
    for code in RUST {
        assert_eq!(not_rust(code), None, "{code}");
    }
}

/// Every command in a hint parses.
#[test]
fn every_command_in_a_hint_parses() {
    let python = [
        "import torch",
        "import transformers",
        "import peft",
        "import trl",
        "import datasets",
        "import bitsandbytes",
        "import accelerate",
        "import random",
        "import time",
        "from transformers import AutoTokenizer",
        "model.print_trainable_parameters()",
        "model.merge_and_unload()",
        "model.save_pretrained(\"x\")",
        "model.push_to_hub(\"x\")",
        "trainer.evaluate()",
        "model.eval()",
        "trainer.train()",
        "model.generate(x)",
        "model.to(\"cuda\")",
        "torch.manual_seed(1)",
        "plt.plot(x)",
        "ds = load_dataset(\"imdb\")",
        "c = LoraConfig(r=8, use_dora=True, bias=\"none\", target_modules=None)",
        "c = PrefixTuningConfig(num_virtual_tokens=20)",
        "a = SFTConfig(output_dir=\"x\", per_device_train_batch_size=4, num_train_epochs=3)",
        "exit",
        "quit",
        "lora",
        "help",
    ];
    let mut commands = 0;
    for code in python {
        let (_, hint) = found(code);
        for command in hint.split('`').skip(1).step_by(2).filter(|text| text.starts_with('%')) {
            parse_cell(&command.replace("%%time", "%%time\n1"), &Snapshot::default())
                .unwrap_or_else(|failure| panic!("{code}: `{command}`: {failure}"));
            commands += 1;
        }
    }
    assert!(commands >= 30, "{commands}");
}
