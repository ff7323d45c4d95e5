use graft_protocol::{AdapterAction, ModelEntry, ModuleEntry};
use graft_spec::{Settings, Value};

use super::*;

fn parse(text: &str) -> Vec<Part> {
    parse_cell(text, &Snapshot::default()).unwrap()
}

fn failure(text: &str) -> Failure {
    parse_cell(text, &Snapshot::default()).unwrap_err()
}

/// Returns the wrong token at the span of a failure.
fn token(text: &str) -> (String, String, String) {
    let failure = failure(text);
    let span = failure.span.expect("a span");
    let line = text.lines().nth(span.line).unwrap_or("");
    (
        failure.code,
        line.chars().skip(span.start).take(span.end - span.start).collect(),
        failure.hint.unwrap_or_default(),
    )
}

#[test]
fn magics_and_rust_share_a_cell_in_order_and_rust_keeps_its_lines() {
    let parts = parse("%seed 7\nlet a = 1;\nlet b = 2;\n\n%params\na + b");
    let kinds: Vec<_> = parts.iter().map(|part| (part.line, part.kind.clone())).collect();
    assert_eq!(
        kinds,
        [
            (0, PartKind::Session(Command::Seed { seed: Some(7) })),
            (1, PartKind::Rust("\nlet a = 1;\nlet b = 2;".to_owned())),
            (4, PartKind::Session(Command::Params)),
            (5, PartKind::Rust("\n\n\n\n\na + b".to_owned())),
        ]
    );
}

#[test]
fn a_percent_sign_inside_rust_is_rust() {
    for rust in [
        "let s = \"\n%params\n\";",
        "let s = r#\"\n%params\n\"#;",
        "/*\n%params\n*/",
        "let x = f(\n%params\n);",
        "let x = a\n% b;",
        "let x = a\n    %b;",
    ] {
        let parts = parse(&format!("{rust}\nlet y = 1;"));
        assert_eq!(parts.len(), 1, "{rust}");
        assert!(matches!(parts[0].kind, PartKind::Rust(_)), "{rust}");
    }
}

#[test]
fn quotes_and_lifetimes_before_a_magic_do_not_hide_it() {
    for rust in [
        "let c = '\"';",
        "fn f<'a>(x: &'a str) {}",
        "let c = '(';",
        "x; // don't (",
        "let c = '\\'';",
    ] {
        assert_eq!(parse(&format!("{rust}\n%params")).len(), 2, "{rust}");
    }
}

#[test]
fn a_cell_of_comments_has_no_parts() {
    assert_eq!(parse("// a note\n/* more */\n"), []);
    assert_eq!(parse(""), []);
    assert_eq!(parse("// first\n%params").len(), 1);
}

#[test]
fn shell_lines_and_evcxr_commands_are_not_rust() {
    let parts = parse(":dep serde = \"1\"\n!ls -l\n::std::mem::drop(1);\n!(true && false)");
    assert_eq!(parts[0].kind, PartKind::EvcxrCommand(":dep serde = \"1\"".to_owned()));
    assert_eq!(parts[1].kind, PartKind::Shell("ls -l".to_owned()));
    assert!(matches!(parts[2].kind, PartKind::Rust(_)));
}

#[test]
fn a_cell_magic_takes_the_text_below_it() {
    let parts = parse("\n%%data pairs validation=0.5\n{\"prompt\": \"a\"}\n% not a magic\n");
    let settings = Settings::default().with("validation", Value::Float(0.5));
    assert_eq!(parts[0].line, 1);
    assert_eq!(
        parts[0].kind,
        PartKind::Session(Command::DataInline {
            name: "pairs".to_owned(),
            text: "{\"prompt\": \"a\"}\n% not a magic\n".to_owned(),
            settings
        })
    );
}

#[test]
fn time_over_a_cell_holds_its_parts_with_their_lines() {
    let parts = parse("%%time\n%params\nlet a = 1;");
    let PartKind::Host(HostCommand::TimeCell(inner)) = &parts[0].kind else { panic!("{parts:?}") };
    assert_eq!(inner[0].line, 1);
    assert_eq!(inner[1].kind, PartKind::Rust("\n\nlet a = 1;".to_owned()));
}

#[test]
fn aliases_become_canonical_and_both_spellings_of_keys_are_one() {
    let wanted = Settings::default()
        .with("r", Value::Integer(4))
        .with("lora_alpha", Value::Float(16.0))
        .with("target_modules", Value::List(vec!["q_proj".to_owned(), "v_proj".to_owned()]))
        .with("use_rslora", Value::Bool(true));
    for text in [
        "%lora attach rank=4 alpha=16 targets=q_proj,v_proj rslora",
        "%lora attach --r 4 --lora-alpha=16 --target_modules [q_proj,v_proj] --use_rslora",
        "%lora attach r=4 lora_alpha=1.6e1 target_modules=[\"q_proj\", \"v_proj\"] use_rslora=true",
        "%lora attach r=4 lora_alpha=16 target_modules=q_proj, v_proj use_rslora=yes",
    ] {
        let action = AdapterAction::Attach { settings: wanted.clone() };
        assert_eq!(
            parse(text)[0].kind,
            PartKind::Session(Command::Adapter { method: "lora".to_owned(), action }),
            "{text}"
        );
    }
}

#[test]
fn a_method_with_keys_of_the_training_attaches_and_trains() {
    let kind =
        parse("%prompt_tune tokens=20 init=\"Classify the sentence:\" steps=300")[0].kind.clone();
    let method = Settings::default()
        .with("num_virtual_tokens", Value::Integer(20))
        .with("prompt_tuning_init_text", Value::Text("Classify the sentence:".to_owned()));
    let settings = Settings::default().with("steps", Value::Integer(300));
    assert_eq!(
        kind,
        PartKind::Session(Command::Train {
            attach: Some(("prompt_tune".to_owned(), method)),
            settings
        })
    );
    assert!(matches!(
        parse("%lora r=4")[0].kind,
        PartKind::Session(Command::Adapter { action: AdapterAction::Attach { .. }, .. })
    ));
    assert!(matches!(
        parse("%lora")[0].kind,
        PartKind::Session(Command::Adapter { action: AdapterAction::List, .. })
    ));
}

#[test]
fn a_failure_marks_the_wrong_word_and_suggests_another() {
    for (text, code, bad, hint) in [
        ("%lra attach r=8", "magic::unknown_verb", "lra", "`%lora`"),
        ("%lora atach r=8", "magic::unknown_subcommand", "atach", "did you mean `%lora attach`"),
        ("%lora attach rnk=8", "magic::unknown_key", "rnk", "did you mean `rank`?"),
        ("%train schedule=cosin", "settings::no_choice", "cosin", "cosine"),
        ("%lora attach r=0", "settings::out_of_range", "0", "for example r=8"),
        ("%train steps=many", "settings::wrong_type", "many", "for example steps=200"),
        (
            "let a = 1;\n%model load",
            "magic::missing_argument",
            "model",
            "usage: %model load SOURCE",
        ),
        ("%train steps = 3", "magic::unexpected_argument", "steps", "%train"),
        ("%params now", "magic::unexpected_argument", "now", "usage: %params"),
        ("%train steps=3 steps=4", "magic::repeated_key", "steps", "remove one"),
        ("%status\n%%time", "magic::not_first", "%%time", "top"),
        ("%%params\nx", "magic::not_a_cell_magic", "params", "one `%`"),
        ("%seed -1", "magic::wrong_argument", "-1", "%seed 7"),
        ("%device gpu", "magic::wrong_argument", "gpu", "did you mean `cuda`?"),
        ("%device metal", "magic::wrong_argument", "metal", "one of cpu, cuda"),
        ("%cd a --rust", "magic::no_rust", "--rust", "magics of the session"),
        (
            "%model tiny",
            "magic::unknown_subcommand",
            "tiny",
            "did you mean `%model load tiny`? %model load | resize_tokens | card | save | tree",
        ),
        (
            "%data which-book",
            "magic::unknown_subcommand",
            "which-book",
            "did you mean `%data load which-book`?",
        ),
        ("  %lora atach", "magic::unknown_subcommand", "atach", "did you mean `%lora attach`"),
        ("% lra", "magic::unknown_verb", "lra", "`%lora`"),
        ("%load_model tiny", "magic::unknown_verb", "load_model", "`%model load tiny`"),
        ("%pip install torch", "magic::unknown_verb", "pip", "`:dep NAME = \"1\"`"),
        ("%%html\n<b>", "magic::unknown_verb", "html", "lab().display"),
        ("?Tensor", "magic::unknown_verb", "Tensor", "`%lsmagic`"),
        ("%", "magic::no_name", "", "`%lsmagic`"),
        (
            "%model load my model",
            "magic::unexpected_argument",
            "model",
            "`%model load \"my model\"`",
        ),
        ("%lora attach r=[1,2]", "magic::one_value", "[1,2]", "`%ablate lora r=1,2`"),
        ("%train lr=1e-3,1e-4", "magic::one_value", "1e-3,1e-4", "`%ablate lora lr=1e-3,1e-4`"),
        ("%lora attach r=8, use_dora=True", "magic::unknown_key", "use_dora", "`%dora attach r=8`"),
        ("%lora attach peft_type=\"IA3\"", "magic::unknown_key", "peft_type", "`%ia3 attach`"),
        ("%train num_train_epochs=0", "settings::out_of_range", "0", "for example epochs=1"),
        ("%train optim=adam", "settings::no_choice", "adam", "did you mean `adamw`?"),
        ("%train lr_scheduler_kwargs=x", "magic::unknown_key", "lr_scheduler_kwargs", "leave it"),
        (
            "%lora attach load_in_4bit=true",
            "magic::unknown_key",
            "load_in_4bit",
            "`%model load DIR load_in_4bit=true`",
        ),
        ("%train lr=fast", "settings::wrong_type", "fast", "for example lr=1e-3"),
        ("%train lr=0,001", "magic::decimal_comma", "0,001", "write a decimal point: lr=0.001"),
        ("%lora attach alpha=8,16", "magic::one_value", "8,16", "`%ablate lora lora_alpha=8,16`"),
        ("%lora attach(r=8)", "magic::call", "lora", "did you mean `%lora attach r=8`?"),
        (
            "%train(steps=10, lr=1e-3)",
            "magic::call",
            "train",
            "did you mean `%train steps=10, lr=1e-3`?",
        ),
        ("%lora attach r:8", "magic::unexpected_argument", "r:8", "did you mean `r=8`?"),
        ("%lora r:8", "magic::unexpected_argument", "r:8", "did you mean `r=8`?"),
        ("%evall", "magic::unknown_verb", "evall", "did you mean `%eval`?"),
        ("%model load x token=hf_1", "magic::unknown_key", "token", "`%env HF_TOKEN=TOKEN`"),
    ] {
        let (found, token, said) = token(text);
        assert_eq!((found.as_str(), token.as_str()), (code, bad), "{text}");
        assert!(said.contains(hint), "{text}: {said}");
    }
}

#[test]
fn modules_are_checked_against_the_model_that_is_loaded() {
    let module = |path: &str| ModuleEntry {
        path: path.to_owned(),
        kind: "linear".to_owned(),
        shape: vec![4, 4],
    };
    let model = ModelEntry {
        name: "tiny".to_owned(),
        modules: vec![module("model.layers.0.self_attn.q_proj")],
        ..ModelEntry::default()
    };
    let snapshot = Snapshot { model: Some(model), ..Snapshot::default() };
    let failure = parse_cell("%lora attach target_modules=q_prj", &snapshot).unwrap_err();
    assert_eq!(
        (failure.code.as_str(), failure.hint.as_deref()),
        ("magic::unknown_module", Some("did you mean `q_proj`? `tiny` has q_proj"))
    );
    for fine in [
        "%lora attach target_modules=q_proj",
        "%lora attach target_modules=.*q_prj",
        "%model load other\n%lora attach target_modules=query",
        "%lora attach target_modules=all-linear",
    ] {
        assert!(parse_cell(fine, &snapshot).is_ok(), "{fine}");
    }
}

#[test]
fn help_has_four_spellings() {
    for text in
        ["%lora?", "?%lora", "%lora -h", "%lora attach r=8 --help", "%lora??", "%lora attach?"]
    {
        assert_eq!(
            parse(text)[0].kind,
            PartKind::Host(HostCommand::Help { verb: "lora".to_owned() }),
            "{text}"
        );
    }
}

#[test]
fn prompts_need_no_quotes_and_keep_their_spaces_inside_them() {
    let prompt = |text: &str| match &parse(text)[0].kind {
        PartKind::Session(Command::Generate { prompt, .. }) => prompt.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        prompt("%generate The borrow checker doesn't max_new_tokens=3"),
        "The borrow checker doesn't"
    );
    assert_eq!(prompt("%generate \"a  b\\n\""), "a  b\n");
    assert_eq!(prompt("%%generate\nfirst\n  second\n\n"), "first\n  second");
}

#[test]
fn an_indented_or_spaced_magic_is_valid_where_rust_is_not() {
    for text in [
        "  %params",
        "% params",
        "\t%params",
        "let a = 1;\n  %params",
        "# note\n %params",
        "// note\n  %params",
    ] {
        assert_eq!(parse(text).last().unwrap().kind, PartKind::Session(Command::Params), "{text}");
    }
    assert_eq!(parse("  %%time\n%params")[0].line, 0);
    assert_eq!(
        parse("?lora")[0].kind,
        PartKind::Host(HostCommand::Help { verb: "lora".to_owned() })
    );
    assert_eq!(parse("?")[0].kind, PartKind::Host(HostCommand::Quickref));
    for rust in
        ["let x = a\n  % params;", "let x = match y { _ => 1 }\n  % params;", "f()\n    ? % 2"]
    {
        assert_eq!(parse(rust).len(), 1, "{rust}");
    }
}

#[test]
fn a_python_comment_is_a_comment() {
    assert_eq!(parse("# don't (\n# train\n%params").len(), 1);
    assert_eq!(
        parse("# one\nlet a = 1;\n# two")[0].kind,
        PartKind::Rust("// one\nlet a = 1;\n// two".to_owned())
    );
    assert_eq!(
        parse("#[test]\nfn f() {}")[0].kind,
        PartKind::Rust("#[test]\nfn f() {}".to_owned())
    );
}

/// Returns the notes before a magic, and the magic.
fn noted(text: &str) -> (Vec<String>, PartKind) {
    let mut kinds: Vec<PartKind> = parse(text).into_iter().map(|part| part.kind).collect();
    let last = kinds.pop().unwrap();
    let note = |kind| {
        if let PartKind::Host(HostCommand::Note(note)) = kind { note } else { panic!("{kind:?}") }
    };
    (kinds.into_iter().map(note).collect(), last)
}

#[test]
fn arguments_pasted_from_python_keep_their_meaning() {
    let (notes, pasted) = noted(
        "%lora attach r=8, lora_alpha=16, target_modules=[\"q_proj\", \"v_proj\"], lora_dropout=0.05, bias=\"none\", use_rslora=True, \
         task_type=\"CAUSAL_LM\", inference_mode=False, fan_in_fan_out=False, init_lora_weights=True, layers_to_transform=None, modules_to_save=None,",
    );
    assert_eq!(
        pasted,
        parse("%lora attach r=8 lora_alpha=16 target_modules=q_proj,v_proj lora_dropout=0.05 bias=none use_rslora init_lora_weights=true")[0].kind
    );
    assert_eq!(notes, ["no effect here: `task_type` (the model determines it)"]);
    for (pasted, ours) in [
        ("%lora attach r=[8], lora_alpha=16,", "%lora attach r=8 lora_alpha=16"),
        ("%lora attach use_rslora, r=8", "%lora attach use_rslora r=8"),
        (
            "%lora attach --target_modules q_proj, v_proj --r 8",
            "%lora attach target_modules=q_proj,v_proj r=8",
        ),
        ("%lora attach r=8 , lora_alpha=16", "%lora attach r=8 lora_alpha=16"),
        (
            "%lora attach rank_pattern={\"q_proj\": 16, \"v_proj\": 4}",
            "%lora attach rank_pattern=q_proj:16,v_proj:4",
        ),
        (
            "%train per_device_train_batch_size=4, learning_rate=2e-4, max_steps=100, optim=\"adamw_torch\"",
            "%train batch=4 lr=2e-4 steps=100 optim=adamw",
        ),
        (
            "%generate \"Say, why\" do_sample=True, max_tokens=5",
            "%generate \"Say, why\" temperature=1 max_new_tokens=5",
        ),
        ("%model load x torch_dtype=torch.bfloat16", "%model load x dtype=bf16"),
        ("%model load x dtype=\"float16\"", "%model load x dtype=f16"),
    ] {
        assert_eq!(noted(pasted).1, parse(ours)[0].kind, "{pasted}");
    }
    let (notes, _) = noted("%train fp16=True, output_dir=\"out\", report_to=\"none\"");
    assert_eq!(notes.len(), 1);
    assert!(
        notes[0].contains("`fp16` (")
            && notes[0].contains("`output_dir` (")
            && notes[0].contains("`report_to` ("),
        "{notes:?}"
    );
    assert_eq!(
        parse("%generate Hello, world, again")[0].kind,
        parse("%generate \"Hello, world, again\"")[0].kind
    );
}

#[test]
fn magics_of_ipython_are_accepted() {
    let part = |text: &str| parse(text).pop().unwrap().kind;
    for text in ["%matplotlib inline", "%load_ext autoreload", "%autoreload 2"] {
        assert!(matches!(part(text), PartKind::Host(HostCommand::Note(_))), "{text}");
    }
    for (text, folder) in [
        ("%cd -", "-"),
        ("%cd my dir", "my dir"),
        ("%cd \"my  dir\"", "my  dir"),
        ("%cd", ""),
        ("%cd ~/a", "~/a"),
    ] {
        assert_eq!(part(text), PartKind::Host(HostCommand::Cd(folder.to_owned())), "{text}");
    }
    let write = |append, text: &str| {
        PartKind::Host(HostCommand::WriteFile {
            file: "a.txt".to_owned(),
            append,
            text: text.to_owned(),
        })
    };
    assert_eq!(part("%%writefile a.txt\n%params\n\n x"), write(false, "%params\n\n x"));
    assert_eq!(part("%%writefile -a a.txt\nx\n"), write(true, "x\n"));
    assert_eq!(part("%%bash\nls"), PartKind::Shell("ls".to_owned()));
}

#[test]
fn scale_takes_a_factor_and_a_name() {
    let scale = |text: &str| match &parse(text)[0].kind {
        PartKind::Session(Command::Adapter {
            action: AdapterAction::Scale { name, factor },
            ..
        }) => (name.clone(), *factor),
        other => panic!("{other:?}"),
    };
    assert_eq!(scale("%lora scale 0.5"), (None, Some(0.5)));
    assert_eq!(scale("%lora scale -1 poet"), (Some("poet".to_owned()), Some(-1.0)));
    assert_eq!(scale("%lora scale"), (None, None));
}

/// Incomplete, malformed and non-ASCII texts must not cause a panic at any cursor.
#[test]
fn no_input_panics() {
    let pieces = [
        "%",
        "%%",
        "lora",
        "é𝄞",
        " ",
        "\n",
        "\\",
        "\"",
        "'",
        "=",
        "--",
        "?",
        "[",
        "{",
        "/*",
        "r#",
        "target_modules=",
        "time",
        "attach",
        ",",
        "\t",
        "%%time\n",
        "data x",
    ];
    let mut seed = 1u64;
    for _ in 0..600 {
        let mut text = String::new();
        for _ in 0..8 {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            text.push_str(pieces[(seed >> 33) as usize % pieces.len()]);
        }
        let snapshot = Snapshot::default();
        let _ = parse_cell(&text, &snapshot);
        let _ = crate::is_complete(&text);
        for cursor in 0..=text.chars().count() + 1 {
            if let Some(found) =
                crate::complete(&text, cursor, &snapshot, &|typed| vec![typed.to_owned()])
            {
                assert!(found.start <= found.end, "{text:?} at {cursor}");
            }
            let _ = crate::inspect(&text, cursor, &snapshot, 0);
        }
    }
}

#[test]
fn a_large_cell_takes_one_pass() {
    let mut text = "let x = vec![\n".to_owned();
    text.push_str(&"    \"%params\", // a line of Rust {\n".repeat(20_000));
    text.push_str("];\n%params");
    assert_eq!(parse(&text).len(), 2);
}
