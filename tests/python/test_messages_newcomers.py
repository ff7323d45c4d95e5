"""Input that newcomers type or paste, and the messages of the compiler, through an installed kernel."""

import time


def test_what_is_not_rust_is_answered_at_once(kernel):
    """Python code and magics without `%` get one hint each, before any compiler starts."""
    for cell, hint in [
        ("lora attach r=8", r"%lora attach r=8"),
        ("import torch", r"use candle_core::Tensor"),
        ("pip install torch", r"!pip install torch"),
        ("model.train()", r"%train steps=200"),
        ("print('x')", r"println!"),
        ("exit", r"%reset"),
        ("%load_model tiny", r"%model load tiny"),
        ("%model tiny", r"%model load tiny"),
    ]:
        begin = time.monotonic()
        kernel.fail(cell, hint)
        assert time.monotonic() - begin < 2, cell


def test_pasted_arguments_of_peft_are_taken(kernel):
    kernel.run("%model load tiny")
    cell = kernel.run('%lora attach r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"], lora_dropout=0.05, bias="none", task_type="CAUSAL_LM"')
    assert "task_type" in cell.text
    assert "default" in kernel.run("# what is attached\n  % lora list").text
    kernel.fail("%lora attach use_dora=True", r"%dora attach")
    kernel.fail("%lora attach r=[1,2]", r"%ablate lora r=1,2")


def test_files_and_folders(kernel):
    (kernel.places.work / "my dir").mkdir()
    kernel.run("%%writefile notes.txt\none line")
    assert (kernel.places.work / "notes.txt").read_text() == "one line\n"
    kernel.run("%%writefile -a notes.txt\nanother")
    assert (kernel.places.work / "notes.txt").read_text() == "one line\nanother\n"
    assert kernel.run("%cd my dir").text.strip().endswith("my dir")
    assert kernel.run("%cd -").text.strip() == str(kernel.places.work.resolve())


def test_messages_of_the_compiler_are_about_the_cell(kernel):
    kernel.run("let ok = 1;")
    for cell, wanted, line in [
        ("let a = 1;\nlet n: i32 = \"seven\";", r"mismatched types", '2 | let n: i32 = "seven";'),
        ("let a = 1\nlet b = 2;", r"expected `;`", "1 | let a = 1"),
        ('println("x");', r"println", '1 | println!("x");'),
    ]:
        text = kernel.fail(cell, wanted).failure
        assert line in text, text
        assert "evcxr" not in text and "run_user_code" not in text, text
        assert "found keyword `fn`" not in text, text


def test_a_panic_is_in_the_line_where_it_happened(kernel):
    text = kernel.fail('let a = 1; panic!("boom")', "boom").failure
    assert '1 | let a = 1; panic!("boom")' in text and "earlier cell" not in text, text
    kernel.run('fn fails(n: i32) -> i32 {\n    if n > 1 { panic!("too large") }\n    n\n}')
    text = kernel.fail("let b = 1;\nfails(3)", "too large").failure
    assert "in an earlier cell | if n > 1" in text, text


def test_candle_and_its_kin_need_no_dep(kernel):
    """The names come from the single shared library: gradients across cells are correct, and a `:dep` of the same version changes nothing."""
    kernel.run("use candle_core::{DType, Device, Tensor, Var};\nlet w = Var::new(3f32, &Device::Cpu)?;")
    kernel.run("let x = candle_core::Var::new(5f32, &Device::Cpu)?;")
    gradient = (
        "let y = (w.as_tensor() * x.as_tensor())?;\nlet gradients = y.backward()?;\n"
        'println!("dw = {}", gradients.get(&w).expect("w has a gradient").to_scalar::<f32>()?);'
    )
    assert kernel.run(gradient).stdout.strip() == "dw = 5"
    kernel.run("use candle_nn::{Linear, Module};\nlet layer = Linear::new(Tensor::ones((2, 3), DType::F32, &Device::Cpu)?, None);")
    assert "2" in kernel.run("layer.forward(&Tensor::ones((1, 3), DType::F32, &Device::Cpu)?)?.dims()").text
    assert kernel.run('serde_json::json!({"a": [1]}).to_string()').text.strip() == '"{\\"a\\":[1]}"'
    assert kernel.run("let value = serde_json::json!([1]);\nvalue[0].as_i64()").text.strip() == "Some(1)"
    assert kernel.run("plotters::style::RED.0").text.strip() == "255"
    kernel.fail('tokenizers::Tokenizer::from_file("missing.json").unwrap();', "No such file")
    kernel.fail(':dep candle-core = "0.8"', "second copy")
    assert "is available already" in kernel.run(':dep candle-core = "*"').text
    assert kernel.run(gradient).stdout.strip() == "dw = 5"


def test_a_cell_that_did_not_run_has_no_number(kernel):
    first = kernel.start('panic!("stop");')
    second = kernel.start("1 + 1")
    first.wait(120)
    second.wait(120)
    assert second.reply["status"] == "error" and "execution_count" not in second.reply, second.reply
    assert kernel.run("%seed").reply["execution_count"] == 2
